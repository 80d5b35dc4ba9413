#include "tests/unit/common/storage/log_batches.h"

#include "common/storage/log_offsets.h"
#include "common/storage/log_retention.h"

/* `count` segments of one batch each, a minute apart. */
static void fill(struct fixture *f, int count)
{
    f->config.segment_ms = 30000;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    for (int i = 0; i < count; i++)
        fixture_append(f, 2, NOW_MS + i * 60000, 100);
    assert_int_equal(log_segment_count(f->log), count);
    log_set_high_watermark(f->log, log_end_offset(f->log));
}

static int run(struct fixture *f, struct log_deletion *job)
{
    if (job == NULL)
        return 0;
    int segments = log_deletion_segments(job);
    log_deletion_run(job);
    assert_int_equal(log_deletion_end(f->log, job), 0);
    return segments;
}

static int retain(struct fixture *f, int64_t now_ms)
{
    return run(f, log_retention_begin(f->log, now_ms));
}

static void old_segments_go(void **state)
{
    struct fixture *f = *state;
    f->config.retention_ms = 60000;
    fill(f, 5);
    /* The last record of a segment decides: it is one millisecond younger. */
    assert_int_equal(retain(f, NOW_MS + 60001), 0);
    assert_int_equal(retain(f, NOW_MS + 60002), 1);
    assert_int_equal(log_start_offset(f->log), 2);
    assert_int_equal(retain(f, NOW_MS + 4 * 60000), 2);
    assert_int_equal(log_start_offset(f->log), 6);
    assert_int_equal(fixture_read(f, 6, 10, 1000), 10);
    struct log_read_result read;
    assert_int_equal(log_read(f->log, &(struct log_read_args){5, 10, 100, true}, &read), -ERANGE);
}

static void when_all_are_old_a_new_one_begins(void **state)
{
    struct fixture *f = *state;
    f->config.retention_ms = 60000;
    fill(f, 3);
    assert_int_equal(retain(f, NOW_MS + 86400000), 3);
    assert_int_equal(log_segment_count(f->log), 1);
    assert_int_equal(log_start_offset(f->log), 6);
    assert_int_equal(log_end_offset(f->log), 6);
    assert_int_equal(log_size_bytes(f->log), 0);
    assert_int_equal(retain(f, NOW_MS + 2 * 86400000LL), 0); /* an empty one stays */
    assert_int_equal(fixture_append(f, 1, NOW_MS, 10).first_offset, 6);
}

static void size_is_kept_below_its_limit(void **state)
{
    struct fixture *f = *state;
    f->config.retention_ms = -1;
    fill(f, 5);
    int64_t segment = log_size_bytes(f->log) / 5;
    f->config.retention_bytes = 3 * segment + 1;
    log_set_config(f->log, &f->config);
    assert_int_equal(retain(f, NOW_MS), 1); /* never below the limit */
    f->config.retention_bytes = 2 * segment;
    log_set_config(f->log, &f->config);
    assert_int_equal(retain(f, NOW_MS), 2);
    assert_int_equal(log_size_bytes(f->log), 2 * segment);
    assert_int_equal(retain(f, NOW_MS), 0);
}

static void nothing_above_the_high_watermark_goes(void **state)
{
    struct fixture *f = *state;
    f->config.retention_ms = 1;
    f->config.segment_ms = 30000;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    for (int i = 0; i < 4; i++)
        fixture_append(f, 2, NOW_MS + i * 60000, 100);
    log_set_high_watermark(f->log, 5);
    assert_int_equal(retain(f, NOW_MS + 86400000), 2);
    assert_int_equal(log_start_offset(f->log), 4);
}

static void a_compacted_log_keeps_its_old_segments(void **state)
{
    struct fixture *f = *state;
    f->config.retention_ms = 1;
    f->config.retention_bytes = 1;
    f->config.delete_policy = false;
    f->config.compact_policy = true;
    fill(f, 4);
    assert_int_equal(retain(f, NOW_MS + 86400000), 0);
    assert_int_equal(log_increment_start_offset(f->log, 5), KAFKA_ERROR_NONE);
    assert_int_equal(retain(f, NOW_MS + 86400000), 2); /* what delete-records gave up goes */
}

static void records_are_deleted_by_moving_the_start(void **state)
{
    struct fixture *f = *state;
    fill(f, 4);
    assert_int_equal(log_increment_start_offset(f->log, 9), KAFKA_ERROR_OFFSET_OUT_OF_RANGE);
    assert_false(log_start_offset_checkpointed(f->log));
    assert_int_equal(log_increment_start_offset(f->log, 3), KAFKA_ERROR_NONE);
    assert_int_equal(log_increment_start_offset(f->log, 1), KAFKA_ERROR_NONE);
    assert_int_equal(log_start_offset(f->log), 3);
    assert_true(log_start_offset_checkpointed(f->log));
    struct log_offset_found found;
    assert_int_equal(log_offset_for_timestamp(f->log, NOW_MS, &found), 0);
    assert_int_equal(found.offset, 3);
    assert_int_equal(log_offset_for_timestamp(f->log, LOG_TIMESTAMP_EARLIEST, &found), 0);
    assert_int_equal(found.offset, 3);
    assert_int_equal(found.leader_epoch, 1);
    assert_int_equal(log_offset_for_timestamp(f->log, NOW_MS + 2 * 60000 + 1, &found), 0);
    assert_int_equal(found.offset, 5);
    assert_int_equal(found.timestamp, NOW_MS + 2 * 60000 + 1);
    assert_int_equal(log_offset_for_timestamp(f->log, NOW_MS + 86400000, &found), 0);
    assert_int_equal(found.offset, -1);
    assert_int_equal(log_offset_for_timestamp(f->log, LOG_TIMESTAMP_LATEST, &found), 0);
    assert_int_equal(found.offset, 8);
    fixture_kill(f);
    struct log_open_args args = fixture_args(f, LOG_TRUST_NONE);
    args.log_start_offset = 3;
    assert_int_equal(log_open(&args, &f->log, NULL), 0);
    assert_int_equal(log_start_offset(f->log), 3);
    fixture_kill(f);
    args.log_start_offset = 100; /* the records before it were lost with the machine */
    assert_int_equal(log_open(&args, &f->log, NULL), 0);
    assert_int_equal(log_start_offset(f->log), 100);
    assert_int_equal(log_end_offset(f->log), 100);
}

static void files_are_unlinked_when_the_delay_is_over(void **state)
{
    struct fixture *f = *state;
    f->config.retention_ms = 60000;
    f->config.file_delete_delay_ms = 500;
    fill(f, 3);
    struct log_read_result read;
    assert_int_equal(log_read(f->log, &(struct log_read_args){0, 6, 100, true}, &read), 0);
    int64_t now = NOW_MS + 60002;
    assert_int_equal(retain(f, now), 1);
    assert_true(fixture_size(f, "00000000000000000000.log.deleted") > 0);
    assert_int_equal(fixture_size(f, "00000000000000000000.log"), -ENOENT);
    assert_int_equal(log_unlink_due_at_ms(f->log), now + 500);
    assert_null(log_unlink_begin(f->log, now + 499));
    assert_int_equal(run(f, log_unlink_begin(f->log, now + 500)), 0);
    assert_int_equal(fixture_size(f, "00000000000000000000.log.deleted"), -ENOENT);
    assert_int_equal(fixture_size(f, "00000000000000000000.index.deleted"), -ENOENT);
    assert_int_equal(log_unlink_due_at_ms(f->log), INT64_MAX);
    /* Who still holds the file reads on. */
    uint8_t byte;
    assert_int_equal(disk_pread(read.file, &byte, 1, read.position), 1);
    disk_file_unref(read.file);
}

static void leftovers_are_put_in_order_at_open(void **state)
{
    struct fixture *f = *state;
    fill(f, 4);
    fixture_stop(f);
    /* The cleaner was done with the second and third segment, and died while renaming. */
    static const char *const moves[][2] = {
        {"00000000000000000002.log", "00000000000000000002.log.swap"},
        {"00000000000000000002.index", "00000000000000000002.index.swap"},
        {"00000000000000000000.timeindex", "00000000000000000000.timeindex.deleted"},
        {"00000000000000000006.snapshot", "00000000000000000001.index"},
    };
    for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
        char *from = fixture_file(f, moves[i][0]), *to = fixture_file(f, moves[i][1]);
        assert_int_equal(f->disk->ops->rename(f->disk, from, to), 0);
        free(from);
        free(to);
    }
    char *cleaned = fixture_file(f, "00000000000000000004.log.cleaned");
    assert_int_equal(disk_replace_file(f->disk, cleaned, "half", 4), 0);
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    assert_int_equal(log_segment_count(f->log), 4);
    assert_int_equal(fixture_read(f, 0, 8, 1000), 8);
    assert_int_equal(fixture_size(f, "00000000000000000001.index"), -ENOENT);
    assert_int_equal(fixture_size(f, "00000000000000000002.log.swap"), -ENOENT);
    assert_false(disk_exists(f->disk, cleaned));
    free(cleaned);
    assert_true(fixture_size(f, "00000000000000000000.timeindex") > 0);
    /* What was deleted need not be gone before anybody is served. */
    assert_true(fixture_size(f, "00000000000000000000.timeindex.deleted") > 0);
    assert_int_equal(log_unlink_due_at_ms(f->log), NOW_MS);
    assert_int_equal(run(f, log_unlink_begin(f->log, NOW_MS)), 0);
    assert_int_equal(fixture_size(f, "00000000000000000000.timeindex.deleted"), -ENOENT);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(old_segments_go),
        T(when_all_are_old_a_new_one_begins),
        T(size_is_kept_below_its_limit),
        T(nothing_above_the_high_watermark_goes),
        T(a_compacted_log_keeps_its_old_segments),
        T(records_are_deleted_by_moving_the_start),
        T(files_are_unlinked_when_the_delay_is_over),
        T(leftovers_are_put_in_order_at_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
