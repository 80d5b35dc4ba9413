#include "tools/topic_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool allows(const char *pattern, const char *name)
{
    struct topic_filter *filter;
    struct failure failure;
    assert_true(topic_filter_new(pattern, &filter, &failure));
    bool allowed = topic_filter_allows(filter, str_of(name));
    topic_filter_free(filter);
    return allowed;
}

static void test_patterns(void **state)
{
    assert_true(allows(NULL, "anything"));
    assert_true(allows("a.c", "abc"));
    assert_false(allows("a.c", "abcd"));
    assert_false(allows("b", "abc"));
    assert_true(allows("plain,wide", "wide"));
    assert_true(allows("plain, wide", "wide"));
    assert_false(allows("plain,wide", "plainwide"));
    assert_true(allows("'quoted'", "quoted"));
    assert_true(allows("[a-e].*", "cfg"));
    assert_false(allows("", "x"));
    assert_true(allows("", ""));
}

static void test_bad_pattern(void **state)
{
    struct topic_filter *filter;
    struct failure failure;
    assert_false(topic_filter_new("a(", &filter, &failure));
    assert_string_equal(failure.text, "a( is an invalid regex.");
    topic_filter_free(NULL);
}

static void test_internal(void **state)
{
    assert_true(topic_is_internal(STR("__consumer_offsets")));
    assert_true(topic_is_internal(STR("__transaction_state")));
    assert_false(topic_is_internal(STR("__mine")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_bad_pattern),
        cmocka_unit_test(test_internal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
