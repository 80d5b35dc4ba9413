#include "tools/java_order.h"

#include "common/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Values that String.hashCode is documented to give. */
static void test_hash(void **state)
{
    assert_int_equal(java_string_hash(STR("")), 0);
    assert_int_equal(java_string_hash(STR("a")), 97);
    assert_int_equal(java_string_hash(STR("hello")), 99162322);
    /* U+00E9, and U+1F600 as its two halves D83D DE00 */
    assert_int_equal(java_string_hash(STR("\xc3\xa9")), 0xe9);
    assert_int_equal(java_string_hash(STR("\xf0\x9f\x98\x80")), 0xd83d * 31 + 0xde00);
    /* malformed: whatever it gives, it stays inside */
    (void)java_string_hash(STR("\xf0\x9f"));
    (void)java_string_hash(STR("\x80\xff"));
}

static void check_order(const struct str *keys, size_t count, size_t expected, const char *order)
{
    size_t places[8];
    java_map_order(keys, count, expected, places);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(places[i], order[i] - '0');
}

/* Orders in which Kafka's tools printed topics and configurations. */
static void test_order(void **state)
{
    const struct str topics[] = {STR("assigned"), STR("cfg"),   STR("empty"),
                                 STR("plain"),    STR("t.dot"), STR("wide")};
    check_order(topics, ARRAY_LEN(topics), ARRAY_LEN(topics), "051342");
    const struct str down[] = {STR("min2"), STR("only3"), STR("r3")};
    check_order(down, ARRAY_LEN(down), ARRAY_LEN(down), "120");
    check_order(down, ARRAY_LEN(down), 0, "201");
    check_order(NULL, 0, 0, "");
}

/* As Apache Kafka's kafka-log-dirs listed these. */
static void test_partitions(void **state)
{
    static const struct {
        const char *topic;
        int32_t partition;
    } all[] = {{"a", 0}, {"a", 1}, {"a", 2}, {"a", 3}, {"a", 4},
               {"a", 5}, {"b", 0}, {"b", 1}, {"c", 2}, {"d", 0}};
    static const size_t wanted[] = {2, 1, 0, 7, 8, 6, 9, 5, 4, 3};
    int32_t hashes[10];
    size_t order[10];
    for (size_t i = 0; i < 10; i++)
        hashes[i] = java_partition_hash(str_of(all[i].topic), all[i].partition);
    java_map_order_of_hashes(hashes, 10, 0, order);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(order[i], wanted[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_partitions),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
