#include "common/base/check.h"
#include "tools/configs_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* `want` is key, value, key, value ... */
static void expect(const char *text, const char *const *want, size_t want_count)
{
    struct arena arena;
    struct configs_change *items;
    size_t count;
    arena_init(&arena, 0);
    assert_true(configs_parse_pairs(str_of(text), &arena, &items, &count));
    assert_int_equal(count, want_count / 2);
    for (size_t i = 0; i < count; i++) {
        assert_true(str_eq_z(items[i].key, want[2 * i]));
        assert_true(str_eq_z(items[i].value, want[2 * i + 1]));
    }
    arena_release(&arena);
}

#define EXPECT(text, ...)                                                                          \
    do {                                                                                           \
        static const char *const want[] = {__VA_ARGS__};                                           \
        expect(text, want, ARRAY_LEN(want));                                                       \
    } while (0)

static void expect_refused(const char *text)
{
    struct arena arena;
    struct configs_change *items;
    size_t count;
    arena_init(&arena, 0);
    assert_false(configs_parse_pairs(str_of(text), &arena, &items, &count));
    arena_release(&arena);
}

static void test_pairs(void **state)
{
    EXPECT("a=b", "a", "b");
    EXPECT("a=1,b=2", "a", "1", "b", "2");
    EXPECT(" a = 1 , b = 2 ", "a", "1", "b", "2");
    EXPECT("a=", "a", "");
    EXPECT("a=1,,,", "a", "1");
}

static void test_brackets(void **state)
{
    EXPECT("a=[1,2],b=3", "a", "1,2", "b", "3");
    EXPECT("b=3,a=[x=1,y=2]", "b", "3", "a", "x=1,y=2");
    EXPECT("a=[]", "a", "");
    EXPECT("a=[1],b=[2,3]", "a", "1", "b", "2,3");
}

static void test_refused(void **state)
{
    expect_refused("");
    expect_refused("a");
    expect_refused("a=1,b");
    expect_refused("a=1=2");
    expect_refused(",a=1");
}

static void test_singular(void **state)
{
    assert_true(str_eq_z(configs_type_singular(CONFIGS_TOPICS), "topic"));
    assert_true(str_eq_z(configs_type_singular(CONFIGS_CLIENT_METRICS), "client-metric"));
    assert_true(configs_is_scram(STR("SCRAM-SHA-512")));
    assert_false(configs_is_scram(STR("SCRAM-SHA-1")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs), cmocka_unit_test(test_brackets),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_singular)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
