#include "common/base/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void null_equals_only_null(void **state)
{
    assert_true(str_eq(STR_NULL, STR_NULL));
    assert_false(str_eq(STR_NULL, STR_EMPTY));
    assert_true(str_eq(STR("a"), str_of("a")));
    assert_true(str_cmp(STR_NULL, STR_EMPTY) < 0);
    assert_true(str_cmp(STR("a"), STR("ab")) < 0);
    assert_true(str_cmp(STR("b"), STR("ab")) > 0);
}

static void case_is_passed_over(void **state)
{
    assert_true(str_eq_nocase(STR("TRUE"), STR("true")));
    assert_false(str_eq_nocase(STR("tru"), STR("true")));
    assert_true(str_eq_nocase(STR_EMPTY, STR_EMPTY));
    assert_false(str_eq_nocase(STR_EMPTY, STR_NULL));
    assert_true(str_eq_nocase(STR_NULL, STR_NULL));
}

static void split_walks_all_parts(void **state)
{
    struct str rest = STR("a,,b"), head;
    assert_true(str_split(&rest, ',', &head));
    assert_true(str_eq(head, STR("a")));
    assert_true(str_split(&rest, ',', &head));
    assert_int_equal(head.len, 0);
    assert_false(str_split(&rest, ',', &head));
    assert_true(str_eq(head, STR("b")));
    assert_true(str_is_null(rest));
}

static void numbers_are_strict(void **state)
{
    int64_t value = 7;
    assert_int_equal(str_to_i64(STR("-9223372036854775808"), &value), 0);
    assert_true(value == INT64_MIN);
    assert_int_equal(str_to_i64(STR("9223372036854775808"), &value), -ERANGE);
    assert_int_equal(str_to_i64(STR("12x"), &value), -EINVAL);
    assert_int_equal(str_to_i64(STR(""), &value), -EINVAL);
    assert_int_equal(str_to_i64(STR("-"), &value), -EINVAL);
    assert_true(value == INT64_MIN);
    int32_t small = 3;
    assert_int_equal(str_to_i32(STR("2147483648"), &small), -ERANGE);
    assert_int_equal(small, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_equals_only_null),
        cmocka_unit_test(case_is_passed_over),
        cmocka_unit_test(split_walks_all_parts),
        cmocka_unit_test(numbers_are_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
