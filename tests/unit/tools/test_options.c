#include "tools/options.h"

#include "common/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct option_spec specs[] = {
    {"bootstrap-server", OPTION_VALUE, "server", "Where.", .required = true},
    {"topic", OPTION_VALUE, "topic", "Which.", .required = true},
    {"partitions", OPTION_VALUE, "count", "How many.", .fallback = "1"},
    {"list", OPTION_FLAG, NULL, "Action."},
    {"h", OPTION_FLAG, NULL, "Help."},
    {"decoder", OPTION_MAYBE, "class", "How."},
    {NULL},
};

#define PARSE(options, ...)                                                                        \
    ({                                                                                             \
        const char *words[] = {__VA_ARGS__};                                                       \
        options_parse(options, specs, ARRAY_LEN(words), (char **)(uintptr_t)words);                \
    })

static void test_values(void **state)
{
    struct options options;
    const char *value;
    int32_t number = 7;
    assert_int_equal(PARSE(&options, "--topic", "a", "--bootstrap-server=b:1", "-h", "rest"), 0);
    assert_int_equal(options_value(&options, "topic", &value), 0);
    assert_string_equal(value, "a");
    assert_int_equal(options_value(&options, "bootstrap-server", &value), 0);
    assert_string_equal(value, "b:1");
    assert_true(options_has(&options, "h"));
    assert_false(options_has(&options, "list"));
    assert_int_equal(options_int(&options, "partitions", &number), 0);
    assert_int_equal(number, 1);
    assert_int_equal(options.rest_count, 1);
    assert_string_equal(options.rest[0], "rest");
    assert_int_equal(options_check_required(&options), 0);
    options_release(&options);
}

static void test_refused(void **state)
{
    struct options options;
    const char *value;
    int32_t number = 7;
    assert_true(PARSE(&options, "--bootstrap", "b") < 0);
    assert_string_equal(options.error, "bootstrap is not a recognized option");
    options_release(&options);

    assert_true(PARSE(&options, "--topic") < 0);
    assert_string_equal(options.error, "Option topic requires an argument");
    options_release(&options);

    assert_int_equal(PARSE(&options, "--list=x"), 0);
    assert_true(options_has(&options, "list"));
    options_release(&options);

    assert_int_equal(PARSE(&options, "--topic", "a", "--topic", "b", "--partitions", "x"), 0);
    assert_true(options_value(&options, "topic", &value) < 0);
    assert_string_equal(options.error, "Found multiple arguments for option topic, but you asked "
                                       "for only one");
    assert_int_equal(options_count(&options, "topic"), 2);
    assert_string_equal(options_value_at(&options, "topic", 1), "b");
    assert_true(options_int(&options, "partitions", &number) < 0);
    assert_string_equal(options.error, "Cannot parse argument 'x' of option partitions");
    assert_int_equal(number, 7);
    assert_true(options_check_required(&options) < 0);
    assert_string_equal(options.error, "Missing required option(s) [bootstrap-server]");
    options_release(&options);
}

/* An argument that may be missing ends at the next option; a required one takes any word. */
static void test_maybe(void **state)
{
    struct options options;
    const char *value;
    assert_int_equal(PARSE(&options, "--decoder", "--list", "--topic", "-1", "--", "--x"), 0);
    assert_true(options_has(&options, "decoder") && options_has(&options, "list"));
    assert_int_equal(options_count(&options, "decoder"), 0);
    assert_int_equal(options_value(&options, "topic", &value), 0);
    assert_string_equal(value, "-1");
    assert_int_equal(options.rest_count, 1);
    assert_string_equal(options.rest[0], "--x");
    options_release(&options);

    assert_int_equal(PARSE(&options, "--decoder", "c"), 0);
    assert_int_equal(options_value(&options, "decoder", &value), 0);
    assert_string_equal(value, "c");
    options_release(&options);
}

static void test_help(void **state)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    options_print_help(specs, out);
    fclose(out);
    assert_non_null(strstr(text, "Option                                  Description\n"));
    assert_non_null(strstr(text, "\n--topic <String: topic>                 Which.\n"));
    assert_non_null(strstr(text, "\n--decoder [String: class]               How.\n"));
    assert_non_null(strstr(text, "\n-h                                      Help.\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_maybe),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
