#include "tools/partition_filter.h"

#include "common/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_rules(const char *rules, const char *topic, int32_t partition, bool allowed)
{
    struct partition_filter *filter;
    struct failure failure;
    assert_true(partition_filter_of_rules(rules, &filter, &failure));
    assert_int_equal(partition_filter_allows(filter, str_of(topic), partition), allowed);
    partition_filter_free(filter);
}

static void test_rules(void **state)
{
    assert_rules("a:1", "a", 1, true);
    assert_rules("a:1", "a", 0, false);
    assert_rules("a:1", "b", 1, false);
    assert_rules("a:1-3", "a", 1, true);
    assert_rules("a:1-3", "a", 3, false);
    assert_rules("a:2-", "a", 100, true);
    assert_rules("a:2-", "a", 1, false);
    assert_rules("a:-2", "a", 1, true);
    assert_rules("a:-2", "a", 2, false);
    assert_rules("a:", "a", 5, true);
    assert_rules("a.*", "abc", 5, true);
    assert_rules(":3", "whatever", 3, true);
    assert_rules(":3", "whatever", 4, false);
    assert_rules("a:1,b:2", "b", 2, true);
    assert_rules("a:1,b:2", "b", 1, false);
}

static void test_bad_rules(void **state)
{
    static const char *const rules[] = {"a:x",   "a:1-2-3",       "a:b:1",
                                        "a:--1", "a:99999999999", "a:2147483647"};
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        struct partition_filter *filter;
        struct failure failure;
        assert_false(partition_filter_of_rules(rules[i], &filter, &failure));
        assert_memory_equal(failure.text, "Invalid rule specification: ", 28);
    }
}

static void test_topic_and_partitions(void **state)
{
    struct partition_filter *filter;
    struct failure failure;
    assert_true(partition_filter_of_topic("a,b", "0,2", &filter, &failure));
    assert_true(partition_filter_allows(filter, STR("b"), 2));
    assert_false(partition_filter_allows(filter, STR("b"), 1));
    assert_false(partition_filter_allows(filter, STR("c"), 0));
    partition_filter_free(filter);
    assert_true(partition_filter_of_topic(NULL, NULL, &filter, &failure));
    assert_true(partition_filter_allows(filter, STR("any"), 7));
    partition_filter_free(filter);
    assert_true(partition_filter_of_topic("a", "1,", &filter, &failure));
    assert_true(partition_filter_allows(filter, STR("a"), 1));
    assert_false(partition_filter_allows(filter, STR("a"), 2));
    partition_filter_free(filter);
    assert_true(partition_filter_of_topic("a", "", &filter, &failure));
    assert_true(partition_filter_allows(filter, STR("a"), 2));
    partition_filter_free(filter);
    assert_false(partition_filter_of_topic("a", ",1", &filter, &failure));
    assert_string_equal(failure.text, "--partitions expects a comma separated list of numeric "
                                      "partition ids, but received: ,1");
    partition_filter_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules),
                                       cmocka_unit_test(test_bad_rules),
                                       cmocka_unit_test(test_topic_and_partitions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
