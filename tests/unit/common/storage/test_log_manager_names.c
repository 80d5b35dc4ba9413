/*
 * A name that one topic had after the other: what is left of the log of the first must not be taken
 * for the second's.
 */
#include "common/storage/log_retention.h"
#include "tests/unit/common/storage/log_manager_fixture.h"

static void make_checkpointed(struct fixture *f, bool synced, struct log **ret_log)
{
    start(f);
    struct log *log = *ret_log = open_log(f, "t", 0, 1);
    append(log, 10);
    if (synced)
        assert_int_equal(log_flush_now(log, true, NOW_MS), 0);
    assert_int_equal(log_increment_start_offset(log, 5), KAFKA_ERROR_NONE);
    assert_int_equal(log_manager_checkpoint(f->m), 0);
}

/* Another topic has the name, and its process dies before the checkpoints are written again. */
static void make_again_and_crash(struct fixture *f)
{
    struct log *log = open_log(f, "t", 0, 2);
    assert_int_equal(log_end_offset(log), 0);
    append(log, 3);
    close_log(f, log, false);
    crash(f, false);
    start(f);
    log = open_log(f, "t", 0, 2);
    assert_int_equal(log_topic_id(log).b[0], 2);
    assert_int_equal(log_start_offset(log), 0);
    assert_int_equal(log_end_offset(log), 3);
    assert_int_equal(log_high_watermark(log), 0);
    assert_int_equal(log_durable_end_offset(log), 0);
    close_log(f, log, false);
}

/* What the checkpoints say of a log must not be taken for one that a later topic has there. */
static void checkpoints_of_a_deleted_log(void **state)
{
    struct fixture *f = *state;
    struct log *log;
    make_checkpointed(f, true, &log);
    assert_int_equal(delete_log(f, log, (struct uuid){{0xcc}}, NOW_MS), 0);
    make_again_and_crash(f);
}

static void checkpoints_of_a_log_that_was_deleted_before(void **state)
{
    struct fixture *f = *state;
    struct log *log;
    make_checkpointed(f, true, &log);
    assert_int_equal(delete_log(f, log, (struct uuid){{0xcc}}, NOW_MS), 0);
    crash(f, false);
    start(f);
    make_again_and_crash(f);
}

static void checkpoints_of_a_log_that_was_set_aside(void **state)
{
    struct fixture *f = *state;
    struct log *log;
    make_checkpointed(f, false, &log);
    close_log(f, log, false);
    crash(f, false);
    start(f);
    make_again_and_crash(f);
}

/* Kept for the delay and no longer, whatever happens to the clock. */
static void a_clock_that_is_set_back_keeps_nothing(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *log = open_log(f, "t", 0, 1);
    assert_int_equal(delete_log(f, log, (struct uuid){{0xcc}}, NOW_MS), 0);
    const char *path = "/d1/t-0.cc000000000000000000000000000000-delete";
    int64_t now_ms = NOW_MS - 3600000, delay_ms = f->config.file_delete_delay_ms;
    assert_int_equal(log_manager_purge(f->m, now_ms), 0);
    assert_true(disk_exists(f->disk, path));
    assert_int_equal(log_manager_purge(f->m, now_ms + delay_ms), 0);
    assert_false(disk_exists(f->disk, path));
}

/* A power cut left nothing but the directory: whose log the checkpoints speak of is not known. */
static void checkpoints_of_nobody_knows_whom(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *log = open_log(f, "t", 0, 1);
    append(log, 10);
    assert_int_equal(log_increment_start_offset(log, 5), KAFKA_ERROR_NONE);
    assert_int_equal(log_manager_checkpoint(f->m), 0);
    close_log(f, log, false);
    crash(f, false);
    assert_int_equal(disk_remove_tree(f->disk, "/d1/t-0"), 0);
    assert_int_equal(disk_make_path(f->disk, "/d1/t-0"), 0);
    start(f);
    log = open_log(f, "t", 0, 2);
    assert_int_equal(log_start_offset(log), 0);
    assert_int_equal(log_end_offset(log), 0);
    close_log(f, log, false);
}

/* A power cut took partition.metadata, which nobody had synced, but left records: they may be of a
 * topic that is deleted by now. */
static void records_of_nobody_knows_whom_are_set_aside(void **state)
{
    struct fixture *f = *state;
    for (int left = 0; left < 2; left++) {
        start(f);
        struct log *log = open_log(f, "t", 0, 1);
        append(log, 3);
        assert_int_equal(log_flush_now(log, true, NOW_MS), 0);
        assert_int_equal(log_manager_checkpoint(f->m), 0);
        close_log(f, log, false);
        if (left)
            assert_int_equal(disk_replace_file(f->disk, "/d1/t-0/partition.metadata", "version", 7),
                             0);
        else
            assert_int_equal(f->disk->ops->unlink(f->disk, "/d1/t-0/partition.metadata"), 0);
        f->disk->ops->fsync_dir(f->disk, "/d1/t-0");
        crash(f, true);
        start(f);
        log = open_log(f, "t", 0, 2);
        assert_int_equal(log_end_offset(log), 0);
        assert_int_equal(log_topic_id(log).b[0], 2);
        close_log(f, log, true);
        crash(f, false);
        const char *stray = "/d1/t-0.ab020000000000000000000000000000-stray";
        assert_true(disk_exists(f->disk, stray));
        disk_remove_tree(f->disk, stray);
        disk_remove_tree(f->disk, "/d1/t-0");
    }
}

/* One that was closed in order was written by an Apache Kafka that had no such file yet. */
static void a_log_without_topic_id_is_taken_over(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *log = open_log(f, "t", 0, 1);
    append(log, 3);
    close_log(f, log, true);
    assert_int_equal(log_manager_stop(f->m, 1), 0);
    assert_int_equal(f->disk->ops->unlink(f->disk, "/d1/t-0/partition.metadata"), 0);
    f->disk->ops->fsync_dir(f->disk, "/d1/t-0");
    crash(f, true);
    start(f);
    log = open_log(f, "t", 0, 2);
    assert_int_equal(log_end_offset(log), 3);
    assert_int_equal(log_topic_id(log).b[0], 2);
    close_log(f, log, true);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(checkpoints_of_a_deleted_log),
        T(checkpoints_of_a_log_that_was_deleted_before),
        T(checkpoints_of_a_log_that_was_set_aside),
        T(a_clock_that_is_set_back_keeps_nothing),
        T(records_of_nobody_knows_whom_are_set_aside),
        T(checkpoints_of_nobody_knows_whom),
        T(a_log_without_topic_id_is_taken_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
