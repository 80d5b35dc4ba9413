#include "common/storage/log_retention.h"
#include "common/storage/log_truncate.h"
#include "tests/unit/common/storage/log_manager_fixture.h"

static void new_logs_go_where_the_fewest_are(void **state)
{
    struct fixture *f = *state;
    start(f);
    assert_true(log_manager_is_blank(f->m));
    struct log *logs[4];
    for (int i = 0; i < 4; i++) {
        logs[i] = open_log(f, "t", i, 1);
        assert_int_equal(log_manager_dir_of(f->m, logs[i]), i % 2);
    }
    assert_string_equal(log_path(logs[3]), "/d2/t-3");
    for (int i = 0; i < 4; i++)
        assert_int_equal(close_log(f, logs[i], true), 0);
}

static void a_clean_stop_is_believed(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *a = open_log(f, "t", 0, 1), *b = open_log(f, "t", 1, 1);
    append(a, 10);
    append(b, 5);
    assert_int_equal(close_log(f, a, true), 0);
    assert_int_equal(close_log(f, b, true), 0);
    assert_int_equal(log_manager_stop(f->m, 7), 0);
    crash(f, true); /* all of it was synced */
    start(f);
    assert_int_equal(log_manager_dir(f->m, 0)->trust, LOG_TRUST_CLEAN);
    assert_int_equal(log_manager_dir(f->m, 1)->broker_epoch, 7);
    assert_false(log_manager_is_blank(f->m));
    a = open_log(f, "t", 0, 1);
    assert_int_equal(log_end_offset(a), 10);
    assert_int_equal(log_high_watermark(a), 10);
    assert_int_equal(log_durable_end_offset(a), 10);
    close_log(f, a, false);
    crash(f, true); /* begin removed the marker for good */
    start(f);
    assert_int_equal(log_manager_dir(f->m, 0)->trust, LOG_TRUST_NONE);
}

static void a_sync_that_fails_at_stop_is_no_clean_stop(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *a = open_log(f, "t", 0, 1);
    append(a, 10);
    assert_int_equal(close_log(f, a, true), 0);
    sim_disk_fail_at(f->sim, SIM_SYNC_ALL, "/d1", 1, -EIO);
    assert_int_equal(log_manager_stop(f->m, 7), -EIO);
    assert_int_equal(log_manager_dir_status(f->m, 0), -EIO);
    assert_false(disk_exists(f->disk, "/d1/.kafka_cleanshutdown"));
    assert_true(disk_exists(f->disk, "/d2/.kafka_cleanshutdown"));
}

/* After a failed fsync the next process finds the pages clean; what it calls durable has to be on
 * the disk all the same. */
static void what_a_failed_sync_lost_is_written_again(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *log = open_log(f, "t", 0, 1);
    assert_int_equal(log_manager_started(f->m), 0);
    append(log, 10);
    assert_int_equal(log_flush_now(log, false, NOW_MS), 0);
    append(log, 10);
    sim_disk_fail_at(f->sim, SIM_FSYNC, "/d1/t-0", 1, -EIO);
    assert_int_equal(log_flush_now(log, false, NOW_MS), -EIO);
    log_close(log, false);
    crash(f, false);

    start(f);
    assert_int_equal(log_manager_dir(f->m, 0)->trust, LOG_TRUST_NONE);
    assert_int_equal(log_manager_dir(f->m, 1)->trust, LOG_TRUST_SAME_BOOT);
    log = open_log(f, "t", 0, 1);
    assert_int_equal(log_end_offset(log), 20);
    assert_int_equal(log_flush_now(log, false, NOW_MS), 0);
    assert_int_equal(log_durable_end_offset(log), 20);
    log_close(log, false);
    crash(f, true);

    start(f);
    log = open_log(f, "t", 0, 1);
    assert_int_equal(log_end_offset(log), 20);
    log_close(log, false);
}

/* So does a truncation or a deletion that could not be synced: it may come back. */
static void what_failed_to_be_synced_is_not_believed(void **state)
{
    struct fixture *f = *state;
    for (int turn = 0; turn < 4; turn++) {
        start(f);
        struct log *log = open_log(f, "t", 0, 1);
        assert_int_equal(log_manager_started(f->m), 0);
        assert_true(disk_exists(f->disk, "/d1/kraftd.boot"));
        append(log, 10);
        append(log, 10);
        enum sim_disk_op op = turn % 2 == 0 ? SIM_FSYNC_DIR : SIM_FSYNC;
        if (turn < 2) {
            sim_disk_fail_at(f->sim, op, "/d1/t-0", 1, -EIO);
            assert_int_equal(log_truncate_to(log, log_end_offset(log) - 10, NOW_MS), -EIO);
        } else if (turn == 2) {
            assert_int_equal(log_roll(log, NOW_MS), 0);
            log_set_high_watermark(log, log_end_offset(log));
            assert_int_equal(log_increment_start_offset(log, log_end_offset(log)), 0);
            struct log_deletion *job = log_retention_begin(log, NOW_MS);
            assert_non_null(job);
            sim_disk_fail_at(f->sim, op, "/d1/t-0", 1, -EIO);
            log_deletion_run(job);
            assert_int_equal(log_deletion_end(log, job), -EIO);
        } else {
            sim_disk_fail_at(f->sim, op, "/d1/t-0", 1, -EIO);
            assert_int_equal(log_flush_now(log, true, NOW_MS), -EIO);
        }
        assert_false(disk_exists(f->disk, "/d1/kraftd.boot"));
        log_close(log, false);
        crash(f, false);
    }
    start(f);
}

static void one_unclean_log_makes_its_directory_unclean(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *a = open_log(f, "t", 0, 1), *b = open_log(f, "t", 1, 1);
    assert_int_equal(close_log(f, a, true), 0);
    assert_int_equal(close_log(f, b, false), 0);
    assert_int_equal(log_manager_stop(f->m, 7), 0);
    assert_true(disk_exists(f->disk, "/d1/.kafka_cleanshutdown"));
    assert_false(disk_exists(f->disk, "/d2/.kafka_cleanshutdown"));
}

static void a_killed_node_is_believed_while_the_kernel_runs(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *log = open_log(f, "t", 0, 1);
    append(log, 10);
    log_close(log, false); /* as if it died: the manager is not told */
    crash(f, false);
    /* It died before all logs were open: nothing is known of them. */
    start(f);
    assert_int_equal(log_manager_dir(f->m, 0)->trust, LOG_TRUST_NONE);
    log = open_log(f, "t", 0, 1);
    assert_int_equal(log_end_offset(log), 10);
    assert_int_equal(log_manager_started(f->m), 0);
    append(log, 1);
    assert_int_equal(log_flush_now(log, true, NOW_MS), 0);
    assert_int_equal(log_manager_checkpoint(f->m), 0);
    append(log, 1);
    log_close(log, false);
    crash(f, false);
    start(f);
    assert_int_equal(log_manager_dir(f->m, 0)->trust, LOG_TRUST_SAME_BOOT);
    log = open_log(f, "t", 0, 1);
    assert_int_equal(log_end_offset(log), 12);
    assert_int_equal(log_recovery_point(log), 11);
    log_close(log, false);
    crash(f, true); /* now another kernel */
    start(f);
    assert_int_equal(log_manager_dir(f->m, 0)->trust, LOG_TRUST_NONE);
    log = open_log(f, "t", 0, 1);
    assert_int_equal(log_end_offset(log), 11);
    close_log(f, log, false);
}

/* kraftd.boot came with a copy of the directory, or the file system was mounted anew. */
static void another_page_cache_is_not_believed(void **state)
{
    struct fixture *f = *state;
    start(f);
    assert_int_equal(log_manager_started(f->m), 0);
    crash(f, false);
    char *text;
    size_t len;
    assert_int_equal(disk_read_file(f->disk, "/d1/kraftd.boot", 1000, &text, &len), 0);
    assert_int_equal(disk_replace_file(f->disk, "/d2/kraftd.boot", text, len), 0);
    free(text);
    start(f);
    assert_int_equal(log_manager_dir(f->m, 0)->trust, LOG_TRUST_SAME_BOOT);
    assert_int_equal(log_manager_dir(f->m, 1)->trust, LOG_TRUST_NONE);
}

static void a_log_that_was_not_looked_at_is_not_believed(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *a = open_log(f, "t", 0, 1), *b = open_log(f, "t", 1, 1),
               *c = open_log(f, "t", 2, 1);
    append(c, 3);
    log_close(a, false);
    log_close(b, false);
    log_close(c, false);
    crash(f, false);
    start(f);
    a = open_log(f, "t", 0, 1); /* t-2, in the same directory, is not opened */
    b = open_log(f, "t", 1, 1);
    assert_int_equal(log_manager_started(f->m), 0);
    log_close(a, false);
    log_close(b, false);
    crash(f, false);
    start(f);
    assert_int_equal(log_manager_dir(f->m, 0)->trust, LOG_TRUST_NONE);
    assert_int_equal(log_manager_dir(f->m, 1)->trust, LOG_TRUST_SAME_BOOT);
}

static void a_failed_directory_does_not_stop_the_other(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *a = open_log(f, "t", 0, 1), *b = open_log(f, "t", 1, 1);
    log_close(a, false);
    log_close(b, false);
    crash(f, false);
    sim_disk_set_failed(f->sim, "/d1", true);
    start(f);
    assert_int_equal(log_manager_dir_status(f->m, 0), -EIO);
    assert_int_equal(log_manager_dir_status(f->m, 1), 0);
    b = open_log(f, "t", 1, 1);
    struct log *c = open_log(f, "t", 2, 1);
    assert_int_equal(log_manager_dir_of(f->m, c), 1);
    assert_int_equal(log_manager_checkpoint(f->m), 0);
    log_manager_fail_dir(f->m, 1, -EIO);
    struct log *none;
    assert_int_equal(try_open(f, "t", 3, 1, &none), -EIO);
    close_log(f, b, false);
    close_log(f, c, false);
    log_manager_free(f->m);
    f->m = NULL;
    sim_disk_set_failed(f->sim, "/d2", true);
    assert_int_equal(log_manager_open(f->disk, paths, 2, &f->m, f->error), -EIO);
    assert_non_null(strstr(f->error, "None of log.dirs"));
}

static void a_second_process_is_refused(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log_manager *second;
    assert_int_equal(log_manager_open(f->disk, paths + 1, 1, &second, f->error), -EAGAIN);
    assert_non_null(strstr(f->error, "/d2"));
    assert_non_null(strstr(f->error, "another process"));
}

static void put(struct fixture *f, const char *path, const char *text)
{
    assert_int_equal(disk_make_path(f->disk, "/d1"), 0);
    assert_int_equal(disk_replace_file(f->disk, path, text, strlen(text)), 0);
}

static void directories_that_do_not_fit_are_refused(void **state)
{
    struct fixture *f = *state;
    put(f, "/d1/meta.properties", "version=0\nbroker.id=1\n");
    assert_int_equal(log_manager_open(f->disk, paths, 2, &f->m, f->error), -ENOTSUP);
    assert_non_null(strstr(f->error, "ZooKeeper"));
    put(f, "/d1/meta.properties", "version=1\ncluster.id=a\nnode.id=1\n");
    put(f, "/d2/meta.properties", "version=1\ncluster.id=b\nnode.id=1\n");
    assert_int_equal(log_manager_open(f->disk, paths, 2, &f->m, f->error), -EBADMSG);
    assert_non_null(strstr(f->error, "different clusters"));
    put(f, "/d2/meta.properties", "version=1\ncluster.id=a\nnode.id=1\n");
    const char *id = "version: 0\ntopic_id: AQAAAAAAAAAAAAAAAAAAAA";
    assert_int_equal(disk_make_path(f->disk, "/d1/t-0"), 0);
    assert_int_equal(disk_make_path(f->disk, "/d2/t-0"), 0);
    put(f, "/d1/t-0/partition.metadata", id);
    put(f, "/d2/t-0/partition.metadata", id);
    put(f, "/d1/t-0/00000000000000000000.log", "x");
    put(f, "/d2/t-0/00000000000000000000.log", "x");
    start(f);
    struct log *log;
    assert_int_equal(try_open(f, "t", 0, 1, &log), -EEXIST);
    assert_int_equal(log_manager_dir_status(f->m, 0), 0);
}

static void the_topic_tells_directories_of_one_name_apart(void **state)
{
    struct fixture *f = *state;
    start(f);
    /* /d1 is offline while the topic is deleted and made again. */
    struct log *log = open_log(f, "t", 0, 1);
    append(log, 10);
    assert_string_equal(log_path(log), "/d1/t-0");
    log_manager_fail_dir(f->m, 0, -EIO);
    log_close(log, false);
    crash(f, false);
    assert_int_equal(f->disk->ops->rename(f->disk, "/d1/t-0", "/d1/away"), 0);
    start(f);
    log_manager_fail_dir(f->m, 0, -EIO);
    log = open_log(f, "t", 0, 2);
    append(log, 3);
    assert_string_equal(log_path(log), "/d2/t-0");
    log_close(log, false);
    crash(f, false);
    assert_int_equal(f->disk->ops->rename(f->disk, "/d1/away", "/d1/t-0"), 0);
    start(f);
    log = open_log(f, "t", 0, 2);
    assert_string_equal(log_path(log), "/d2/t-0");
    assert_int_equal(log_end_offset(log), 3);
    assert_false(disk_exists(f->disk, "/d1/t-0"));
    assert_int_equal(close_log(f, log, true), 0);
}

static void an_empty_directory_gives_way(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *log = open_log(f, "t", 0, 1);
    assert_string_equal(log_path(log), "/d1/t-0");
    log_close(log, false);
    crash(f, false);
    /* The first one was made when there was no room, say: the other one has the records. */
    assert_int_equal(f->disk->ops->rename(f->disk, "/d1/t-0", "/d1/away"), 0);
    start(f);
    log_manager_fail_dir(f->m, 0, -EIO);
    log = open_log(f, "t", 0, 1);
    append(log, 3);
    log_close(log, false);
    crash(f, false);
    assert_int_equal(f->disk->ops->rename(f->disk, "/d1/away", "/d1/t-0"), 0);
    start(f);
    log = open_log(f, "t", 0, 1);
    assert_string_equal(log_path(log), "/d2/t-0");
    assert_int_equal(log_end_offset(log), 3);
    assert_false(disk_exists(f->disk, "/d1/t-0"));
    assert_int_equal(close_log(f, log, true), 0);
}

static void a_name_in_use_is_busy(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *log = open_log(f, "t", 0, 1), *second = NULL;
    assert_int_equal(try_open(f, "t", 0, 2, &second), -EBUSY);
    assert_int_equal(delete_log(f, log, (struct uuid){{0x12}}, NOW_MS), 0);
    assert_int_equal(try_open(f, "t", 0, 2, &second), 0);
    assert_int_equal(close_log(f, second, true), 0);
}

static void deleted_logs_wait_and_go(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *log = open_log(f, "t", 0, 1);
    append(log, 10);
    assert_int_equal(log_manager_purge_due_at_ms(f->m), INT64_MAX);
    assert_int_equal(delete_log(f, log, (struct uuid){{0x12}}, NOW_MS), 0);
    const char *deleted = "/d1/t-0.12000000000000000000000000000000-delete";
    assert_true(disk_exists(f->disk, deleted));
    assert_int_equal(log_manager_purge_due_at_ms(f->m), NOW_MS + 60000);
    /* The name is free at once. */
    log = open_log(f, "t", 0, 2);
    assert_int_equal(log_end_offset(log), 0);
    assert_int_equal(log_manager_purge(f->m, NOW_MS + 59999), 0);
    assert_true(disk_exists(f->disk, deleted));
    log_close(log, false);
    crash(f, true);
    assert_true(disk_exists(f->disk, deleted));
    start(f);
    assert_int_equal(log_manager_purge(f->m, NOW_MS), 0);
    assert_false(disk_exists(f->disk, deleted));
}

static bool known(void *ctx, struct str topic, int32_t partition)
{
    return str_eq_z(topic, "kept");
}

static void count_renamed(void *ctx, const char *from, const char *to)
{
    assert_string_equal(from, "lost-0");
    assert_non_null(strstr(to, "-stray"));
    ++*(int *)ctx;
}

static void what_nobody_knows_is_set_aside(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *lost = open_log(f, "lost", 0, 1), *kept = open_log(f, "kept", 0, 1);
    append(lost, 3);
    close_log(f, lost, true);
    close_log(f, kept, true);
    log_manager_stop(f->m, 1);
    crash(f, false);
    start(f);
    int renamed = 0;
    assert_int_equal(
        log_manager_set_aside_strays(f->m, known, (struct uuid){{0x34}}, count_renamed, &renamed),
        0);
    assert_int_equal(renamed, 1);
    assert_true(disk_exists(f->disk, "/d1/lost-0.34000000000000000000000000000000-stray"));
    assert_true(disk_exists(f->disk, "/d2/kept-0"));
    lost = open_log(f, "lost", 0, 1);
    assert_int_equal(log_end_offset(lost), 0);
    close_log(f, lost, true);
}

static void another_topic_of_the_same_name_is_set_aside(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *log = open_log(f, "t", 0, 1);
    append(log, 3);
    close_log(f, log, true);
    log_manager_stop(f->m, 1);
    crash(f, false);
    start(f);
    log = open_log(f, "t", 0, 2);
    assert_int_equal(log_end_offset(log), 0);
    assert_int_equal(log_high_watermark(log), 0);
    assert_int_equal(log_topic_id(log).b[0], 2);
    assert_true(disk_exists(f->disk, "/d1/t-0.ab020000000000000000000000000000-stray"));
    close_log(f, log, true);
}

/* What one partition's files say is no matter of the disk. */
static void an_unreadable_topic_id_costs_one_partition(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *log = open_log(f, "t", 0, 1), *other = open_log(f, "t", 1, 1);
    append(log, 3);
    close_log(f, log, true);
    close_log(f, other, true);
    log_manager_stop(f->m, 1);
    crash(f, false);
    put(f, "/d1/t-0/partition.metadata", "version: 0\ntopic_id: %%%%%%%%%%%%%%%%%%%%%%\n");
    start(f);
    assert_int_equal(try_open(f, "t", 0, 1, &log), -EUCLEAN);
    assert_int_equal(log_manager_dir_status(f->m, 0), 0);
    other = open_log(f, "t", 1, 1);
    close_log(f, other, true);
    /* Nothing was touched: with the file as it was it is there again. */
    put(f, "/d1/t-0/partition.metadata", "version: 0\ntopic_id: AQAAAAAAAAAAAAAAAAAAAA");
    log = open_log(f, "t", 0, 1);
    assert_int_equal(log_end_offset(log), 3);
    close_log(f, log, true);
}

/* The older checkpoints serve, and the logs take records again once there is room. */
static void a_full_disk_is_no_failed_one(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *log = open_log(f, "t", 0, 1);
    append(log, 10);
    log_set_high_watermark(log, 10);
    sim_disk_fail_at(f->sim, SIM_PWRITE, "replication-offset-checkpoint", 1, -ENOSPC);
    assert_int_equal(log_manager_checkpoint(f->m), -ENOSPC);
    assert_int_equal(log_manager_dir_status(f->m, 0), 0);
    assert_int_equal(log_manager_checkpoint(f->m), 0);
    append(log, 10);
    log_set_high_watermark(log, 20);
    sim_disk_fail_at(f->sim, SIM_PWRITE, "replication-offset-checkpoint", 1, -EIO);
    assert_int_equal(log_manager_checkpoint(f->m), -EIO);
    assert_int_equal(log_manager_dir_status(f->m, 0), -EIO);
    log_close(log, false);
    crash(f, false);
}

static void checkpoints_are_written_when_they_change(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct log *log = open_log(f, "t", 0, 1);
    append(log, 3);
    assert_int_equal(log_manager_checkpoint(f->m), 0);
    char *text;
    size_t len;
    assert_int_equal(
        disk_read_file(f->disk, "/d1/replication-offset-checkpoint", 1000, &text, &len), 0);
    assert_string_equal(text, "0\n1\nt 0 3\n");
    free(text);
    int64_t calls = sim_disk_count(f->sim, SIM_ANY);
    assert_int_equal(log_manager_checkpoint(f->m), 0);
    assert_int_equal(sim_disk_count(f->sim, SIM_ANY), calls);
    close_log(f, log, false);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(new_logs_go_where_the_fewest_are),
        T(a_clean_stop_is_believed),
        T(a_sync_that_fails_at_stop_is_no_clean_stop),
        T(what_a_failed_sync_lost_is_written_again),
        T(what_failed_to_be_synced_is_not_believed),
        T(one_unclean_log_makes_its_directory_unclean),
        T(a_killed_node_is_believed_while_the_kernel_runs),
        T(another_page_cache_is_not_believed),
        T(a_log_that_was_not_looked_at_is_not_believed),
        T(a_failed_directory_does_not_stop_the_other),
        T(a_second_process_is_refused),
        T(directories_that_do_not_fit_are_refused),
        T(the_topic_tells_directories_of_one_name_apart),
        T(an_empty_directory_gives_way),
        T(a_name_in_use_is_busy),
        T(deleted_logs_wait_and_go),
        T(what_nobody_knows_is_set_aside),
        T(another_topic_of_the_same_name_is_set_aside),
        T(an_unreadable_topic_id_costs_one_partition),
        T(checkpoints_are_written_when_they_change),
        T(a_full_disk_is_no_failed_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
