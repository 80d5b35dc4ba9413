#include "broker/replica/replication_quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void the_rate_of_the_last_samples_counts(void **state)
{
    struct replication_quota quota;
    replication_quota_init(&quota, 11, 1000);
    replication_quota_note(&quota, 5000, 1 << 30);
    assert_false(replication_quota_exceeded(&quota, 5000)); /* no limit is set */
    replication_quota_init(&quota, 11, 1000);
    replication_quota_set(&quota, 1000);
    assert_false(replication_quota_exceeded(&quota, 5000));
    replication_quota_note(&quota, 5000, 9000);
    assert_false(replication_quota_exceeded(&quota, 5000));
    replication_quota_note(&quota, 6500, 3000);
    assert_true(replication_quota_exceeded(&quota, 6500)); /* 12000 bytes in 10.5 s */
    assert_true(replication_quota_exceeded(&quota, 7999));
    /* The first sample counts no longer. */
    assert_false(replication_quota_exceeded(&quota, 16000));
    replication_quota_note(&quota, 16000, 6000);
    assert_false(replication_quota_exceeded(&quota, 16000));
    replication_quota_note(&quota, 16001, 6000);
    assert_true(replication_quota_exceeded(&quota, 16001));
}

static void nothing_may_go_at_a_rate_of_zero_but_the_first(void **state)
{
    struct replication_quota quota;
    replication_quota_init(&quota, 1, 1000);
    replication_quota_set(&quota, 0);
    assert_false(replication_quota_exceeded(&quota, 100));
    replication_quota_note(&quota, 100, 1);
    assert_true(replication_quota_exceeded(&quota, 900));
    assert_false(replication_quota_exceeded(&quota, 1100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_of_the_last_samples_counts),
        cmocka_unit_test(nothing_may_go_at_a_rate_of_zero_but_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
