#include "broker/replica/follower_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct follower_log own = {
    .start_offset = 10, .end_offset = 100, .durable_end = 40, .high_watermark = 50};

static int64_t cut(int32_t leader_epoch, int64_t leader_end, int32_t own_epoch, int64_t own_end)
{
    struct log_epoch_end leader = {leader_epoch, leader_end}, ours = {own_epoch, own_end};
    return follower_truncation_offset(&own, leader, ours);
}

static void cuts_where_the_common_epoch_ends(void **state)
{
    /* The leader's epoch 3 ended earlier than ours. */
    assert_int_equal(cut(3, 70, 3, 80), 70);
    /* Ours ended earlier: what we have behind it is of an epoch that the leader never had. */
    assert_int_equal(cut(3, 90, 3, 80), 80);
    /* We do not know epoch 3: the end of what we have below it; the leader tells more then. */
    assert_int_equal(cut(3, 90, 2, 75), 75);
    assert_int_equal(cut(3, 60, 2, 75), 75);
    /* Never above our own end. */
    assert_int_equal(cut(3, 500, 3, 100), 100);
    /* Nothing in common that we know of. */
    assert_int_equal(cut(3, 60, -1, -1), 60);
    /* A leader that knows no epochs at all: only what is committed is safe. */
    assert_int_equal(cut(-1, -1, 3, 80), 50);
}

static void out_of_range(void **state)
{
    int64_t offset = -1;
    assert_int_equal(follower_out_of_range(&own, 0, 80, &offset), FOLLOWER_TRUNCATE);
    assert_int_equal(offset, 80);
    assert_int_equal(follower_out_of_range(&own, 0, 5, &offset), FOLLOWER_START_AT);
    assert_int_equal(offset, 5);
    assert_int_equal(follower_out_of_range(&own, 120, 200, &offset), FOLLOWER_START_AT);
    assert_int_equal(offset, 120);
    assert_int_equal(follower_out_of_range(&own, 30, 200, &offset), FOLLOWER_FETCH_ON);
}

static void the_watermark_follows_what_is_here(void **state)
{
    assert_int_equal(follower_high_watermark(&own, 80), 80);
    assert_int_equal(follower_high_watermark(&own, 300), 100);
    /* A new leader that knows less does not take back what we know. */
    assert_int_equal(follower_high_watermark(&own, 20), 50);
    struct follower_log synced = own;
    synced.sync_first = true;
    synced.durable_end = 70;
    assert_int_equal(follower_high_watermark(&synced, 80), 70);
}

static int copy_cut(const struct follower_log *copy, int32_t last_epoch, int64_t log_start,
                    struct log_epoch_end end, int64_t own_end, int64_t *ret_offset)
{
    struct log_epoch_end ours = {end.epoch, own_end};
    return (int)follower_copy_cut(copy, last_epoch, log_start, end, ours, ret_offset);
}

static void a_copy_is_cut_where_its_log_was(void **state)
{
    int64_t at = -1;
    struct follower_log empty = {.start_offset = 20, .end_offset = 20};
    /* What it has the log has, too, and more. */
    assert_int_equal(copy_cut(&own, 3, 10, (struct log_epoch_end){3, 100}, 100, &at),
                     FOLLOWER_FETCH_ON);
    assert_int_equal(copy_cut(&own, 3, 100, (struct log_epoch_end){3, 150}, 100, &at),
                     FOLLOWER_FETCH_ON);
    /* The log was cut below its end, in the same epoch or to an earlier one. */
    assert_int_equal(copy_cut(&own, 3, 10, (struct log_epoch_end){3, 80}, 100, &at),
                     FOLLOWER_TRUNCATE);
    assert_int_equal(at, 80);
    assert_int_equal(copy_cut(&own, 3, 10, (struct log_epoch_end){2, 90}, 70, &at),
                     FOLLOWER_TRUNCATE);
    assert_int_equal(at, 70);
    /* Its records were deleted meanwhile, or there is nothing in common. */
    assert_int_equal(copy_cut(&own, 3, 101, (struct log_epoch_end){3, 150}, 100, &at),
                     FOLLOWER_START_AT);
    assert_int_equal(at, 101);
    assert_int_equal(copy_cut(&own, 3, 40, (struct log_epoch_end){-1, -1}, -1, &at),
                     FOLLOWER_START_AT);
    assert_int_equal(at, 40);
    assert_int_equal(copy_cut(&own, 3, 10, (struct log_epoch_end){2, 5}, 60, &at),
                     FOLLOWER_START_AT);
    assert_int_equal(at, 10);
    /* The log began another epoch somewhere below its start of today, or just there. */
    assert_int_equal(copy_cut(&own, 3, 90, (struct log_epoch_end){3, 90}, 100, &at),
                     FOLLOWER_START_AT);
    assert_int_equal(at, 90);
    assert_int_equal(copy_cut(&own, 3, 100, (struct log_epoch_end){3, 100}, 100, &at),
                     FOLLOWER_START_AT);
    assert_int_equal(at, 100);
    /* It lost its first segments with the power. */
    assert_int_equal(copy_cut(&own, 3, 9, (struct log_epoch_end){3, 150}, 100, &at),
                     FOLLOWER_START_AT);
    assert_int_equal(at, 9);
    /* Without epochs the ends alone count. */
    assert_int_equal(copy_cut(&own, -1, 10, (struct log_epoch_end){-1, 99}, -1, &at),
                     FOLLOWER_TRUNCATE);
    assert_int_equal(at, 99);
    assert_int_equal(copy_cut(&empty, -1, 20, (struct log_epoch_end){-1, 30}, -1, &at),
                     FOLLOWER_FETCH_ON);
    assert_int_equal(copy_cut(&empty, -1, 10, (struct log_epoch_end){-1, 15}, -1, &at),
                     FOLLOWER_START_AT);
    assert_int_equal(at, 10);
}

static void pauses_grow(void **state)
{
    assert_int_equal(follower_backoff_ms(0, 1000), 10);
    assert_int_equal(follower_backoff_ms(1, 1000), 20);
    assert_int_equal(follower_backoff_ms(7, 1000), 1000);
    assert_int_equal(follower_backoff_ms(1000, 1000), 1000);
    assert_int_equal(follower_backoff_ms(3, 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_where_the_common_epoch_ends),
        cmocka_unit_test(out_of_range),
        cmocka_unit_test(the_watermark_follows_what_is_here),
        cmocka_unit_test(a_copy_is_cut_where_its_log_was),
        cmocka_unit_test(pauses_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
