#include "raft/quorum_replicas.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>

static const struct uuid disk_a = {{1}}, disk_b = {{2}};

static void test_progress(void **state)
{
    struct quorum_replicas r = {0};
    quorum_replicas_note(&r, 7, disk_a, 0, 100, 1000);
    assert_int_equal(r.count, 1);
    assert_int_equal(r.items[0].caught_up_ms, -1);
    /* It has now what there was a second ago: it was up to date then. */
    quorum_replicas_note(&r, 7, disk_a, 100, 150, 2000);
    assert_int_equal(r.items[0].caught_up_ms, 1000);
    quorum_replicas_note(&r, 7, disk_a, 120, 180, 3000);
    assert_int_equal(r.items[0].caught_up_ms, 1000);
    quorum_replicas_note(&r, 7, disk_a, 180, 180, 4000);
    assert_int_equal(r.items[0].caught_up_ms, 4000);
    assert_int_equal(r.items[0].fetched_ms, 4000);
    assert_int_equal(r.items[0].fetch_offset, 180);
    /* Another disk is another replica. */
    quorum_replicas_note(&r, 7, disk_b, 3, 180, 4001);
    quorum_replicas_note(&r, 8, disk_b, 3, 180, 4002);
    assert_int_equal(r.count, 3);
    quorum_replicas_release(&r);
}

static void test_the_silent_are_forgotten(void **state)
{
    struct quorum_replicas r = {0};
    quorum_replicas_note(&r, 1, disk_a, 0, 10, 0);
    quorum_replicas_note(&r, 2, disk_a, 0, 10, 5000);
    quorum_replicas_expire(&r, QUORUM_REPLICAS_TIMEOUT_MS);
    assert_int_equal(r.count, 2);
    quorum_replicas_expire(&r, QUORUM_REPLICAS_TIMEOUT_MS + 1);
    assert_int_equal(r.count, 1);
    assert_int_equal(r.items[0].node_id, 2);
    quorum_replicas_release(&r);
}

static void test_their_number_is_bounded(void **state)
{
    struct quorum_replicas r = {0};
    for (int i = 0; i < 2 * QUORUM_REPLICAS_MAX; i++)
        quorum_replicas_note(&r, i, disk_a, 0, 10, i);
    assert_int_equal(r.count, QUORUM_REPLICAS_MAX);
    for (size_t i = 0; i < r.count; i++)
        assert_true(r.items[i].node_id >= QUORUM_REPLICAS_MAX);
    quorum_replicas_clear(&r);
    assert_int_equal(r.count, 0);
    quorum_replicas_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_the_silent_are_forgotten),
        cmocka_unit_test(test_their_number_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
