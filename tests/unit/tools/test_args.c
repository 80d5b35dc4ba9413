/* Options in front of a command, and groups of options of which one has to be there. */
#include "tests/unit/tools/capture.h"
#include "tools/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct args_option globals[] = {
    {"config", 0, true, false, 0, "A file."},
    {"server", 0, true, true, 1, "Brokers."},
    {"controller", 0, true, true, 1, "Controllers."},
    {NULL},
};
static const struct args_option show_options[] = {
    {"id", 'i', true, true, 0, "A node.", true},
    {"left", 'l', false, true, 2, "To the left."},
    {"right", 0, false, true, 2, "To the right."},
    {"fast", 'f', false, false, 0, "Fast."},
    {NULL},
};
static const struct args_option none[] = {{NULL}};
static const struct args_command commands[] = {
    {"show", "Shows.", show_options},
    {"hide", "Hides.", none},
    {"hide-all", "Hides all.", none, true},
    {NULL},
};
static const struct args_tool full = {
    .name = "tool", .purpose = "Does.", .globals = globals, .commands = commands};
static const struct args_tool brief = {
    .name = "tool", .purpose = "Does.", .globals = globals, .commands = commands, .brief = true};

static const struct args_option plain_options[] = {
    {"count", 0, true, true, 0, "How many."},
    {"set", 0, true, false, 0, "Settings.", .value = "K=V", .many = true},
    {NULL},
};
/* Its name is too long to stand in front of every line. */
static const struct args_tool plain = {
    .name = "kafka-tool-without-any-commands", .purpose = "Does.", .globals = plain_options};

static int parse_plain(int argc, char **argv)
{
    struct args args;
    enum tool_begin begin = args_parse_tool(&args, &plain, argc, argv);
    for (size_t i = 0; begin == TOOL_GO_ON && i < args.count; i++)
        printf("%s %s\n", args.uses[i].option->name, args.uses[i].value);
    args_release(&args);
    return (int)begin;
}

static int parse_full(int argc, char **argv)
{
    struct args args;
    enum tool_begin begin = args_parse_tool(&args, &full, argc, argv);
    args_release(&args);
    return (int)begin;
}

static int parse_brief(int argc, char **argv)
{
    struct args args;
    enum tool_begin begin = args_parse_tool(&args, &brief, argc, argv);
    args_release(&args);
    return (int)begin;
}

static void expect_refusal(int (*parse)(int argc, char **argv), const char **words,
                           const char *text)
{
    struct capture capture = capture_run(parse, words);
    assert_int_equal(capture.code, TOOL_REFUSED);
    assert_string_equal((const char *)capture.err.data, text);
    bytebuf_release(&capture.out);
    bytebuf_release(&capture.err);
}

#define WORDS(...) ((const char *[]){__VA_ARGS__, NULL})

#define USAGE                                                                                      \
    "usage: tool [-h] [--config CONFIG] (--server SERVER |\n"                                      \
    "            --controller CONTROLLER) {show,hide} ...\n"
#define USAGE_OF_SHOW                                                                              \
    "usage: tool (--server SERVER | --controller CONTROLLER) show [-h] --id ID\n"                  \
    "            [--fast] (--left | --right)\n"

static void options_stand_in_front_of_the_command(void **state)
{
    struct args args;
    const char **words = WORDS("--config", "c", "--server=s", "show", "-i7", "-l");
    assert_int_equal(args_parse_tool(&args, &full, 6, (char **)(uintptr_t)words), TOOL_GO_ON);
    assert_string_equal(args.command->name, "show");
    assert_string_equal(args_value(&args, "config"), "c");
    assert_string_equal(args_value(&args, "server"), "s");
    assert_string_equal(args_value(&args, "id"), "7");
    assert_true(args_has(&args, "left"));
    assert_false(args_has(&args, "fast"));
    args_release(&args);
}

static void what_is_missing_is_said_where_it_belongs(void **state)
{
    expect_refusal(parse_full, WORDS("hide"),
                   USAGE "tool: error: one of the arguments --server --controller is required\n");
    expect_refusal(parse_full, WORDS("show", "-i", "7"),
                   USAGE_OF_SHOW
                   "tool: error: one of the arguments --left/-l --right is required\n");
    expect_refusal(parse_full, WORDS("show", "-l"),
                   USAGE_OF_SHOW "tool: error: argument --id/-i is required\n");
    expect_refusal(parse_full, WORDS("--server", "a"), USAGE "tool: error: too few arguments\n");
}

static void numbers_below_zero_are_values(void **state)
{
    struct args args;
    const char **words = WORDS("--server", "s", "show", "-i", "-1", "-l");
    assert_int_equal(args_parse_tool(&args, &full, 6, (char **)(uintptr_t)words), TOOL_GO_ON);
    assert_int_equal(args_number(&args, "id", 0), -1);
    assert_int_equal(args_number(&args, "config", 5), 5);
    args_release(&args);
    expect_refusal(parse_full, WORDS("--server", "s", "show", "-l", "-i", "2147483648"),
                   USAGE_OF_SHOW "tool: error: argument --id/-i: could not convert '2147483648' to "
                                 "Integer (For input string: \"2147483648\")\n");
    expect_refusal(parse_full, WORDS("--server", "s", "show", "-l", "-i", "-x"),
                   USAGE_OF_SHOW "tool: error: argument --id/-i: expected one argument\n");
}

static void commands_that_stand_apart_are_taken_whole(void **state)
{
    struct args args;
    const char **words = WORDS("--server", "s", "hide-all");
    assert_int_equal(args_parse_tool(&args, &full, 3, (char **)(uintptr_t)words), TOOL_GO_ON);
    assert_string_equal(args.command->name, "hide-all");
    args_release(&args);
    words = WORDS("--server", "s", "hid");
    assert_int_equal(args_parse_tool(&args, &full, 3, (char **)(uintptr_t)words), TOOL_GO_ON);
    assert_string_equal(args.command->name, "hide");
    args_release(&args);
    expect_refusal(parse_full, WORDS("--server", "s", "hide-a"),
                   USAGE "tool: error: invalid choice: 'hide-a' (choose from 'show', 'hide')\n");
}

static void groups_exclude_each_other(void **state)
{
    expect_refusal(parse_full, WORDS("--server", "a", "--controller", "b", "hide"),
                   USAGE
                   "tool: error: argument --controller: not allowed with argument --server\n");
    expect_refusal(parse_full, WORDS("--server", "a", "show", "-l", "--right", "-i1"),
                   USAGE_OF_SHOW
                   "tool: error: argument --right: not allowed with argument --left/-l\n");
}

static void unknown_words_are_refused(void **state)
{
    expect_refusal(parse_full, WORDS("--id", "7"),
                   USAGE "tool: error: unrecognized arguments: '--id'\n");
    expect_refusal(parse_full, WORDS("hide", "--server", "x"),
                   "usage: tool (--server SERVER | --controller CONTROLLER) hide [-h]\n"
                   "tool: error: unrecognized arguments: '--server'\n");
}

static void brief_errors_are_one_line(void **state)
{
    expect_refusal(parse_brief, WORDS("frob"),
                   "Command line error: invalid choice: 'frob' (choose from 'show', 'hide'). Type "
                   "--help for help.\n");
}

#define PLAIN_USAGE                                                                                \
    "usage: kafka-tool-without-any-commands\n"                                                     \
    "       [-h] --count COUNT [--set K=V [K=V ...]]\n"                                            \
    "kafka-tool-without-any-commands: error: "

static void a_tool_may_have_no_commands(void **state)
{
    struct capture capture =
        capture_run(parse_plain, WORDS("--set", "a=1", "b=2", "--count", "-3", "--set", "c=4"));
    assert_int_equal(capture.code, TOOL_GO_ON);
    assert_string_equal((const char *)capture.out.data, "set a=1\nset b=2\ncount -3\nset c=4\n");
    capture_release(&capture);
    capture = capture_run(parse_plain, (const char *[]){NULL});
    assert_int_equal(capture.code, TOOL_DONE);
    capture_release(&capture);
    expect_refusal(parse_plain, WORDS("--set", "a=1"),
                   PLAIN_USAGE "argument --count is required\n");
    expect_refusal(parse_plain, WORDS("--count", "1", "--set", "--count"),
                   PLAIN_USAGE "argument --set: expected at least one argument\n");
    expect_refusal(parse_plain, WORDS("--count", "-x"),
                   PLAIN_USAGE "argument --count: expected one argument\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_in_front_of_the_command),
        cmocka_unit_test(what_is_missing_is_said_where_it_belongs),
        cmocka_unit_test(numbers_below_zero_are_values),
        cmocka_unit_test(commands_that_stand_apart_are_taken_whole),
        cmocka_unit_test(groups_exclude_each_other),
        cmocka_unit_test(unknown_words_are_refused),
        cmocka_unit_test(brief_errors_are_one_line),
        cmocka_unit_test(a_tool_may_have_no_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
