/* Words of a line, patterns of names, and paths that name nodes. */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "tests/unit/metadata/shell/snapshot_view.h"
#include "tools/shell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

static void lines_are_split_into_words(void **state)
{
    static const struct {
        const char *line, *words;
    } cases[] = {
        {"", ""},
        {"  \t ", ""},
        {"ls /image", "ls|/image"},
        {"  ls\t /a  b ", "ls|/a|b"},
        {"ls \"/a b\" 'c d'", "ls|/a b|c d"},
        {"ls a\\ b \\\"", "ls|a b|\""},
        {"ls a'b'\"c\"d", "ls|abcd"},
        {"ls 'a\\b' \"a\\\"b\"", "ls|a\\b|a\"b"},
        {"ls \"/im", "ls|/im"},
        {"ls \"\" x", "ls||x"},
        {"a\\", "a\\"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        const char **words;
        size_t count;
        arena_init(&arena, 0);
        shell_split_words(cases[i].line, &arena, &words, &count);
        struct str text = STR_EMPTY;
        for (size_t w = 0; w < count; w++)
            text = arena_printf(&arena, "%.*s%s%s", STR_FMT(text), w ? "|" : "", words[w]);
        assert_string_equal(arena_str_z(&arena, text), cases[i].words);
        arena_release(&arena);
    }
}

static void patterns_match_names(void **state)
{
    static const struct {
        const char *glob, *name;
        bool matches;
    } cases[] = {
        {"*", "", true},           {"a*", "abc", true},        {"a*", "ba", false},
        {"?b", "ab", true},        {"?b", "b", false},         {"{a,bc}d", "bcd", true},
        {"{a,bc}d", "bd", false},  {"{a*,b}", "axx", true},    {"[a-c]x", "bx", true},
        {"[!a-c]x", "bx", false},  {"[^a-c]x", "dx", true},    {"[]]", "]", true},
        {"a.b*", "axb", false},    {"a.b*", "a.bc", true},     {"(a|b)*", "a", false},
        {"(a|b)*", "(a|b)", true}, {"\\**", "*x", true},       {"\\**", "x", false},
        {"*$", "a$", true},        {"[a\\]]", "]", true},      {"?", "\xc3\xa9", true},
        {"T*:x", "TOPIC:x", true}, {"{a,b}{c,d}", "bd", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pcre2_real_code_8 *pattern = shell_pattern(str_of(cases[i].glob));
        assert_non_null(pattern);
        assert_int_equal(shell_pattern_matches(pattern, str_of(cases[i].name)), cases[i].matches);
        pcre2_code_free(pattern);
    }
    static const char *const literals[] = {"",   "abc", "a,b", "[",       "[ab", "{a,b",
                                           "a}", "a]",  "\\*", "{a,{b}}", "a.b", "(x)"};
    for (size_t i = 0; i < ARRAY_LEN(literals); i++)
        assert_null(shell_pattern(str_of(literals[i])));
}

struct visited {
    struct arena arena;
    struct str text;
};

static void note(void *ctx, const struct shell_found *found)
{
    struct visited *visited = ctx;
    visited->text =
        arena_printf(&visited->arena, "%.*s %.*s", STR_FMT(visited->text), STR_FMT(found->path));
}

static void paths_name_nodes(void **state)
{
    static const struct {
        const char *directory, *path, *found;
    } cases[] = {
        {"/", "/", " /"},
        {"/", ".", " /"},
        {"/image", "..", " /"},
        {"/image", "../../..", " /"},
        {"/image", "cluster/../acls", " /image/acls"},
        {"/image", "/local//version", " /local/version"},
        {"/image", "local", ""},
        {"/", "image/", " /image"},
        {"/", "*", " /image /local"},
        {"/", "l*/v*", " /local/version"},
        {"/", "/image/features/{metadata,producer}*", " /image/features/metadataVersion"},
        {"/", "local/version/x", ""},
        {"/", "local/*/x", ""},
        {"/image/topics", "by?ame/txn/[01]",
         " /image/topics/byName/txn/0 /image/topics/byName/txn/1"},
        {"/", "topics/txn/0/data", " /topics/txn/0/data"},
        {"/", "/t*", ""},
        {"/image/clientQuotas", "user\\(alice\\)", " /image/clientQuotas/user(alice)"},
        {"/image/clientQuotas", "user(a*)", " /image/clientQuotas/user(alice)"},
    };
    struct snapshot_view v;
    assert_true(snapshot_view_init(&v, TEST_DATA "/metadata/single-clean"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct visited visited = {.text = STR_EMPTY};
        arena_init(&visited.arena, 0);
        size_t count = shell_visit(&v.view, cases[i].directory, cases[i].path, note, &visited);
        assert_string_equal(arena_str_z(&visited.arena, visited.text), cases[i].found);
        assert_int_equal(count > 0, cases[i].found[0] != '\0');
        arena_release(&visited.arena);
    }
    snapshot_view_release(&v);
}

static void changes_are_chosen_by_path(void **state)
{
    struct arena arena;
    arena_init(&arena, 0);
    assert_string_equal(shell_path_base("/image", "topics/byName/t*/0", &arena),
                        "/image/topics/byName");
    assert_string_equal(shell_path_base("/image", "/*", &arena), "/");
    assert_string_equal(shell_path_base("/image", "..", &arena), "/");
    assert_true(
        shell_path_is_below("/", "/image/topics/byName/t*", STR("/image/topics/byName/txn/0")));
    assert_true(shell_path_is_below("/image/topics", "byName/t*", STR("/image/topics/byName/txn")));
    assert_false(
        shell_path_is_below("/", "/image/topics/byName/t*", STR("/image/topics/byName/atx/0")));
    assert_false(shell_path_is_below("/", "/image/*/byName/t*", STR("/image/topics")));
    arena_release(&arena);
}

static void words_are_completed(void **state)
{
    static const struct {
        const char *directory, *word, *found;
    } cases[] = {
        {"/", "", " image/ local/"},
        {"/", "l", " local/"},
        {"/", "local/", " local/commitId local/version"},
        {"/", "/image/f", " /image/features/"},
        {"/image", "../lo", " ../local/"},
        {"/", "top", " topicIds/ topics/"},
        {"/", "nope/", ""},
        {"/", "local/version/", ""},
    };
    struct snapshot_view v;
    assert_true(snapshot_view_init(&v, TEST_DATA "/metadata/single-clean"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct shell_names names;
        struct arena arena;
        struct str text = STR_EMPTY;
        arena_init(&arena, 0);
        shell_complete_path(&v.view, cases[i].directory, cases[i].word, &arena, &names);
        for (size_t n = 0; n < names.count; n++)
            text = arena_printf(&arena, "%.*s %.*s", STR_FMT(text), STR_FMT(names.items[n]));
        assert_string_equal(arena_str_z(&arena, text), cases[i].found);
        arena_release(&arena);
    }
    snapshot_view_release(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_split_into_words), cmocka_unit_test(patterns_match_names),
        cmocka_unit_test(paths_name_nodes),           cmocka_unit_test(changes_are_chosen_by_path),
        cmocka_unit_test(words_are_completed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
