#include "tests/unit/common/storage/log_batches.h"

#include "common/storage/log_epochs.h"
#include "common/storage/log_truncate.h"

#define LOG_0 "00000000000000000000.log"

static void a_new_log_is_empty(void **state)
{
    struct fixture *f = *state;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    assert_int_equal(log_end_offset(f->log), 0);
    assert_int_equal(log_size_bytes(f->log), 0);
    assert_int_equal(fixture_size(f, LOG_0), 0);
    assert_int_equal(fixture_size(f, "partition.metadata"), 43);
    assert_int_equal(fixture_read(f, 0, 0, 100), 0);
    fixture_stop(f);
    assert_int_equal(fixture_size(f, "00000000000000000000.index"), 0);
    assert_int_equal(fixture_size(f, "00000000000000000000.snapshot"), -ENOENT);
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    assert_true(uuid_eq(log_topic_id(f->log), UUID_METADATA_TOPIC));
    assert_int_equal(log_end_offset(f->log), 0);
}

static void a_missing_log_is_not_made_unasked(void **state)
{
    struct fixture *f = *state;
    struct log_open_args args = fixture_args(f, LOG_TRUST_CLEAN);
    args.create = false;
    assert_int_equal(log_open(&args, &f->log, NULL), -ENOENT);
    assert_null(f->log);
}

static void appended_records_get_offsets_and_read_back(void **state)
{
    struct fixture *f = *state;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    struct log_append_info info = fixture_append(f, 3, NOW_MS, 10);
    assert_int_equal(info.first_offset, 0);
    assert_int_equal(info.last_offset, 2);
    assert_int_equal(info.max_timestamp, NOW_MS + 2);
    info = fixture_append(f, 2, NOW_MS + 5, 10);
    assert_int_equal(info.first_offset, 3);
    assert_int_equal(log_end_offset(f->log), 5);
    assert_int_equal(log_latest_epoch(f->log), 1);
    assert_int_equal(fixture_read(f, 0, 5, 1 << 20), 5);
    assert_int_equal(fixture_read(f, 0, 4, 1 << 20), 3); /* whole batches only */
    assert_int_equal(fixture_read(f, 4, 5, 1), 5);       /* the batch that holds it */
    struct log_read_result read;
    assert_int_equal(log_read(f->log, &(struct log_read_args){6, 6, 1, true}, &read), -ERANGE);
}

static void reads_are_bounded_but_give_one_batch(void **state)
{
    struct fixture *f = *state;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    for (int i = 0; i < 10; i++)
        fixture_append(f, 1, NOW_MS + i, 1000);
    struct log_read_result read;
    assert_int_equal(log_read(f->log, &(struct log_read_args){2, 10, 100, true}, &read), 0);
    assert_int_equal(read.size_bytes, read.first_batch_bytes);
    assert_true(read.size_bytes > 1000);
    disk_file_unref(read.file);
    assert_int_equal(log_read(f->log, &(struct log_read_args){2, 10, 100, false}, &read), 0);
    assert_int_equal(read.size_bytes, 100);
    disk_file_unref(read.file);
    assert_int_equal(log_read(f->log, &(struct log_read_args){2, 10, 0, false}, &read), 0);
    assert_null(read.file);
}

static void write_many(struct fixture *f, int batches)
{
    for (int i = 0; i < batches; i++)
        fixture_append(f, 1 + i % 3, NOW_MS + i * 10, 50 + (size_t)(i * 37 % 400));
}

static void every_offset_is_found_in_many_segments(void **state)
{
    struct fixture *f = *state;
    f->config.segment_bytes = 20000;
    f->config.index_interval_bytes = 512;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    write_many(f, 600);
    assert_true(log_segment_count(f->log) > 5);
    int64_t end = log_end_offset(f->log);
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t offset = 0; offset < end; offset += 7)
            assert_int_equal(fixture_read(f, offset, end, 4000), end);
        assert_int_equal(fixture_read(f, 0, end, 1), end);
        fixture_stop(f);
        fixture_open(f, LOG_TRUST_CLEAN, 0);
        assert_int_equal(log_end_offset(f->log), end);
        assert_int_equal(log_durable_end_offset(f->log), end);
        assert_int_equal(f->recovery.checked_bytes, 0);
    }
    assert_true(f->files.open_count <= 16);
}

static void a_killed_log_is_whole(void **state)
{
    struct fixture *f = *state;
    f->config.segment_bytes = 30000;
    f->config.index_interval_bytes = 512;
    const enum log_trust trusts[] = {LOG_TRUST_SAME_BOOT, LOG_TRUST_NONE};
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    for (int i = 0; i < 2; i++) {
        write_many(f, 200);
        int64_t end = log_end_offset(f->log);
        fixture_kill(f);
        fixture_open(f, trusts[i], 0);
        assert_int_equal(log_end_offset(f->log), end);
        assert_int_equal(log_durable_end_offset(f->log), 0);
        assert_int_equal(f->recovery.cut_bytes, 0);
        assert_null(f->recovery.damage);
        assert_int_equal(fixture_read(f, 0, end, 5000), end);
        assert_true(f->recovery.checked_segments == (i == 0 ? 1 : log_segment_count(f->log)));
    }
}

static void a_torn_tail_is_cut_whole(void **state)
{
    struct fixture *f = *state;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    write_many(f, 50);
    int64_t end = log_end_offset(f->log), size = log_size_bytes(f->log);
    struct log_append_info last = fixture_append(f, 4, NOW_MS, 100);
    fixture_kill(f);
    for (int64_t cut = 1; cut < 80; cut += 13) {
        struct disk_file *file = fixture_open_file(f, LOG_0);
        assert_int_equal(f->disk->ops->truncate(file, size + cut), 0);
        disk_file_unref(file);
        fixture_open(f, cut % 2 ? LOG_TRUST_SAME_BOOT : LOG_TRUST_NONE, 0);
        assert_int_equal(log_end_offset(f->log), end);
        assert_int_equal(f->recovery.cut_bytes, cut);
        assert_int_equal(f->recovery.cut_offset, end);
        assert_non_null(f->recovery.damage);
        assert_int_equal(fixture_size(f, LOG_0), size);
        assert_int_equal(fixture_append(f, 4, NOW_MS, 100).first_offset, last.first_offset);
        fixture_kill(f);
    }
}

static void zeros_behind_the_end_are_cut(void **state)
{
    struct fixture *f = *state;
    f->config.preallocate = true;
    f->config.segment_bytes = 1 << 20;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    write_many(f, 50);
    int64_t end = log_end_offset(f->log), size = log_size_bytes(f->log);
    assert_int_equal(fixture_size(f, LOG_0), 1 << 20);
    fixture_kill(f);
    fixture_open(f, LOG_TRUST_SAME_BOOT, 0);
    assert_int_equal(log_end_offset(f->log), end);
    assert_int_equal(fixture_size(f, LOG_0), size);
    fixture_append(f, 1, NOW_MS, 10);
    assert_int_equal(fixture_read(f, 0, end + 1, 1000), end + 1);
}

static void damage_in_the_middle_ends_the_log_there(void **state)
{
    struct fixture *f = *state;
    f->config.segment_bytes = 20000;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    write_many(f, 300);
    assert_true(log_segment_count(f->log) > 3);
    int64_t end = log_end_offset(f->log);
    fixture_kill(f);
    struct disk_file *file = fixture_open_file(f, LOG_0);
    assert_int_equal(disk_pwrite(file, "X", 1, 10000), 0);
    disk_file_unref(file);

    /* What was synced is damaged. */
    struct log_open_args args = fixture_args(f, LOG_TRUST_NONE);
    args.strict = true;
    args.check_all = true;
    args.recovery_point = 300;
    assert_int_equal(log_open(&args, &f->log, &f->recovery), -EBADMSG);
    assert_true(f->recovery.below_recovery_point);
    assert_int_equal(fixture_size(f, LOG_0) > 10000, 1); /* nothing was cut */

    /* Below the recovery point nobody looks. */
    fixture_open(f, LOG_TRUST_NONE, end);
    assert_int_equal(log_end_offset(f->log), end);
    fixture_kill(f);
    fixture_open(f, LOG_TRUST_NONE, 0);
    assert_int_equal(log_segment_count(f->log), 1);
    assert_true(log_end_offset(f->log) < end);
    assert_true(f->recovery.cut_segments > 2);
    assert_int_equal(fixture_read(f, 0, log_end_offset(f->log), 1000), log_end_offset(f->log));
    assert_int_equal(fixture_append(f, 1, NOW_MS, 1).first_offset, f->recovery.cut_offset);
}

static void lost_indexes_are_made_again(void **state)
{
    struct fixture *f = *state;
    f->config.segment_bytes = 50000;
    f->config.index_interval_bytes = 512;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    write_many(f, 400);
    int64_t end = log_end_offset(f->log);
    fixture_stop(f);
    int64_t index = fixture_size(f, "00000000000000000000.index");
    int64_t times = fixture_size(f, "00000000000000000000.timeindex");
    assert_true(index > 8 * 32 && times > 12 * 32);
    char *path = fixture_file(f, "00000000000000000000.index");
    assert_int_equal(f->disk->ops->unlink(f->disk, path), 0);
    free(path);
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    assert_int_equal(f->recovery.rebuilt_indexes, 1);
    assert_int_equal(log_end_offset(f->log), end);
    assert_int_equal(fixture_read(f, 5, end, 1000), end);
    fixture_stop(f);
    assert_int_equal(fixture_size(f, "00000000000000000000.index"), index);
    assert_int_equal(fixture_size(f, "00000000000000000000.timeindex"), times);
}

static void a_flush_makes_durable_what_was_there(void **state)
{
    struct fixture *f = *state;
    f->config.flush_messages = 10;
    f->config.flush_ms = 500;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    assert_null(log_flush_begin(f->log, false, NOW_MS));
    fixture_append(f, 9, NOW_MS, 10);
    assert_false(log_flush_due(f->log, NOW_MS));
    assert_true(log_flush_due(f->log, NOW_MS + 500));
    assert_int_equal(log_flush_due_at_ms(f->log), NOW_MS + 500);
    fixture_append(f, 1, NOW_MS, 10);
    assert_true(log_flush_due(f->log, NOW_MS));
    struct log_flush *flush = log_flush_begin(f->log, false, NOW_MS);
    assert_non_null(flush);
    assert_true(log_busy(f->log));
    fixture_append(f, 1, NOW_MS, 10); /* while it is in flight */
    assert_null(log_flush_begin(f->log, false, NOW_MS));
    log_flush_run(flush);
    assert_int_equal(log_durable_end_offset(f->log), 0);
    assert_int_equal(log_flush_end(f->log, flush), 0);
    assert_int_equal(log_durable_end_offset(f->log), 10);
    assert_int_equal(log_recovery_point(f->log), 0);
    assert_int_equal(log_flush_now(f->log, true, NOW_MS), 0);
    assert_int_equal(log_durable_end_offset(f->log), 11);
    assert_int_equal(log_recovery_point(f->log), 11);
    assert_int_equal(log_unflushed_bytes(f->log), 0);
    assert_int_equal(f->files.pinned_count, 0);
}

static void a_flush_now_and_then_takes_a_snapshot(void **state)
{
    struct fixture *f = *state;
    f->config.max_message_bytes = 100 << 20;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    fixture_append(f, 1, NOW_MS, 20 << 20);
    assert_int_equal(log_flush_now(f->log, true, NOW_MS), 0);
    assert_int_equal(fixture_size(f, "00000000000000000001.snapshot"), -ENOENT);
    fixture_append(f, 1, NOW_MS, 20 << 20);
    assert_int_equal(log_flush_now(f->log, true, NOW_MS), 0);
    assert_int_equal(fixture_size(f, "00000000000000000002.snapshot"), 10);
    fixture_append(f, 1, NOW_MS, 40 << 20);
    assert_int_equal(log_flush_now(f->log, true, NOW_MS), 0);
    assert_int_equal(fixture_size(f, "00000000000000000003.snapshot"), 10);
    assert_int_equal(fixture_size(f, "00000000000000000002.snapshot"), -ENOENT);
    fixture_append(f, 1, NOW_MS, 10);
    fixture_stop(f);
    assert_int_equal(fixture_size(f, "00000000000000000004.snapshot"), 10);
    fixture_open(f, LOG_TRUST_CLEAN, 0); /* only the newest is of use */
    assert_int_equal(fixture_size(f, "00000000000000000003.snapshot"), -ENOENT);
    assert_int_equal(fixture_size(f, "00000000000000000004.snapshot"), 10);
}

static void a_checkpoint_is_due_by_bytes_or_age(void **state)
{
    struct fixture *f = *state;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    assert_false(log_checkpoint_due(f->log, 0, 0, NOW_MS));
    fixture_append(f, 1, NOW_MS, 1000);
    assert_false(log_checkpoint_due(f->log, 2000, 500, NOW_MS + 499));
    assert_true(log_checkpoint_due(f->log, 2000, 500, NOW_MS + 500));
    assert_true(log_checkpoint_due(f->log, 1000, 500, NOW_MS));
    assert_int_equal(log_flush_now(f->log, false, NOW_MS), 0);
    assert_true(log_checkpoint_due(f->log, 1000, 500, NOW_MS)); /* another kind of flush */
    assert_int_equal(log_flush_now(f->log, true, NOW_MS), 0);
    assert_false(log_checkpoint_due(f->log, 1000, 500, NOW_MS + 5000));
}

static void cold_reads_are_warmed_on_a_worker(void **state)
{
    struct fixture *f = *state;
    f->config.segment_bytes = 30000;
    f->config.index_interval_bytes = 512;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    write_many(f, 300);
    assert_true(log_is_warm(f->log, log_end_offset(f->log) - 1, 1000)); /* just written */
    fixture_stop(f);
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    assert_int_equal(f->files.open_count, 0);
    int64_t end = log_end_offset(f->log);
    for (int64_t offset = 0; offset < end; offset += end / 5) {
        assert_false(log_is_warm(f->log, offset, 1000));
        assert_int_equal(f->files.open_count, 0); /* asking opens nothing */
        struct log_warm *warm = log_warm_begin(f->log, offset, 1000);
        assert_true(log_busy(f->log));
        log_warm_run(warm);
        assert_int_equal(log_warm_end(f->log, warm), 0);
        assert_true(log_is_warm(f->log, offset, 1000));
        assert_int_equal(fixture_read(f, offset, end, 1000), end);
        log_detach(f->log);
        log_attach(f->log, &f->files);
    }
    assert_true(log_is_warm(f->log, end, 1000)); /* nothing to read there */
}

static void segments_roll_by_time_and_index_size(void **state)
{
    struct fixture *f = *state;
    f->config.segment_ms = 1000;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    fixture_append(f, 1, NOW_MS, 10);
    fixture_append(f, 1, NOW_MS + 1000, 10);
    assert_int_equal(log_segment_count(f->log), 1);
    fixture_append(f, 1, NOW_MS + 1001, 10); /* the records' time, not the clock's */
    assert_int_equal(log_segment_count(f->log), 2);
    f->config.segment_ms = INT64_MAX;
    f->config.segment_index_bytes = 12 * 4;
    f->config.index_interval_bytes = 1;
    log_set_config(f->log, &f->config);
    for (int i = 0; i < 12; i++)
        fixture_append(f, 1, NOW_MS + 2000 + i, 10);
    assert_int_equal(log_segment_count(f->log), 5); /* three entries of time fit into each */
}

static void a_replica_keeps_offsets_and_epochs(void **state)
{
    struct fixture *f = *state;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    struct record_batch_options o = RECORD_BATCH_OPTIONS_INIT;
    o.base_offset = 5;
    o.leader_epoch = 3;
    struct bytes batch = fixture_batch(f, 2, NOW_MS, 10, &o);
    struct log_append_info info = fixture_append_bytes(f, batch, LOG_APPEND_REPLICA, 4);
    assert_int_equal(info.first_offset, 5);
    assert_int_equal(log_end_offset(f->log), 7);
    assert_int_equal(log_latest_epoch(f->log), 3);
    struct log_append_args args = {batch, LOG_APPEND_REPLICA, 4, NOW_MS};
    assert_int_equal(log_append(f->log, &args, &info), -ERANGE);
    o.base_offset = 7;
    o.leader_epoch = 9; /* of a leader we do not follow yet */
    info = fixture_append_bytes(f, fixture_batch(f, 1, NOW_MS, 10, &o), LOG_APPEND_REPLICA, 4);
    assert_int_equal(info.last_offset, -1);
    assert_int_equal(log_end_offset(f->log), 7);
    args.batches = (struct bytes){(const uint8_t *)"garbage garbage garbage garbage", 31};
    assert_int_equal(log_append(f->log, &args, &info), -EBADMSG);
}

static void log_append_time_is_sealed(void **state)
{
    struct fixture *f = *state;
    f->config.log_append_time = true;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    struct log_append_info info = fixture_append(f, 3, 5, 10);
    assert_int_equal(info.append_time_ms, NOW_MS);
    assert_int_equal(info.max_timestamp, NOW_MS);
    assert_int_equal(fixture_read(f, 0, 3, 1000), 3); /* checks the checksum */
}

static void too_large_is_refused(void **state)
{
    struct fixture *f = *state;
    f->config.max_message_bytes = 500;
    f->config.segment_bytes = 300;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    struct bytes batch = fixture_batch(f, 1, NOW_MS, 600, NULL);
    assert_int_equal(fixture_append_bytes(f, batch, LOG_APPEND_CLIENT, 1).error,
                     KAFKA_ERROR_MESSAGE_TOO_LARGE);
    batch = fixture_batch(f, 1, NOW_MS, 400, NULL);
    assert_int_equal(fixture_append_bytes(f, batch, LOG_APPEND_CLIENT, 1).error,
                     KAFKA_ERROR_RECORD_LIST_TOO_LARGE);
    assert_int_equal(log_end_offset(f->log), 0);
}

static void truncation_cuts_batches_and_all_that_hangs_on_them(void **state)
{
    struct fixture *f = *state;
    f->config.segment_bytes = 20000;
    f->config.index_interval_bytes = 512;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    write_many(f, 100);
    int64_t middle = log_end_offset(f->log);
    f->leader_epoch = 4;
    log_assign_epoch(f->log, 4);
    write_many(f, 300);
    assert_int_equal(log_flush_now(f->log, true, NOW_MS), 0);
    int64_t end = log_end_offset(f->log);
    assert_int_equal(log_truncate_to(f->log, end, NOW_MS), 0);
    assert_int_equal(log_end_offset(f->log), end);
    for (int64_t at = end - 1; at > middle; at -= (end - middle) / 7) {
        assert_int_equal(log_truncate_to(f->log, at, NOW_MS), 0);
        int64_t now = log_end_offset(f->log);
        assert_true(now <= at && now > at - 3);
        assert_int_equal(log_durable_end_offset(f->log), now);
        assert_int_equal(fixture_read(f, 0, now, 3000), now);
        assert_int_equal(fixture_append(f, 2, NOW_MS, 10).first_offset, now);
        assert_int_equal(fixture_read(f, now - 5, now + 2, 3000), now + 2);
    }
    assert_int_equal(log_truncate_to(f->log, middle, NOW_MS), 0);
    assert_int_equal(log_latest_epoch(f->log), 1);
    end = log_end_offset(f->log);
    fixture_kill(f);
    fixture_open(f, LOG_TRUST_NONE, 0);
    assert_int_equal(log_end_offset(f->log), end);
    assert_null(f->recovery.damage);
}

static void starting_over_elsewhere(void **state)
{
    struct fixture *f = *state;
    f->config.segment_bytes = 20000;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    write_many(f, 200);
    assert_int_equal(log_truncate_fully(f->log, 5000, -1, NOW_MS), 0);
    assert_int_equal(log_start_offset(f->log), 5000);
    assert_int_equal(log_end_offset(f->log), 5000);
    assert_int_equal(log_size_bytes(f->log), 0);
    assert_int_equal(fixture_append(f, 1, NOW_MS, 10).first_offset, 5000);
    fixture_kill(f);
    fixture_open(f, LOG_TRUST_NONE, 0);
    assert_int_equal(log_start_offset(f->log), 5000);
    assert_int_equal(log_end_offset(f->log), 5001);
}

static void an_epoch_is_written_with_its_first_batch(void **state)
{
    struct fixture *f = *state;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    char *path = fixture_file(f, "leader-epoch-checkpoint");
    f->leader_epoch = 4;
    log_assign_epoch(f->log, 4);
    assert_int_equal(log_latest_epoch(f->log), 4);
    assert_int_equal(access(path, F_OK), -1);
    write_many(f, 3);
    assert_int_equal(access(path, F_OK), 0);
    free(path);
    fixture_kill(f);
    fixture_open(f, LOG_TRUST_CLEAN, 6);
    assert_int_equal(log_latest_epoch(f->log), 4);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(a_new_log_is_empty),
        T(a_missing_log_is_not_made_unasked),
        T(appended_records_get_offsets_and_read_back),
        T(reads_are_bounded_but_give_one_batch),
        T(every_offset_is_found_in_many_segments),
        T(a_killed_log_is_whole),
        T(a_torn_tail_is_cut_whole),
        T(zeros_behind_the_end_are_cut),
        T(damage_in_the_middle_ends_the_log_there),
        T(lost_indexes_are_made_again),
        T(a_flush_makes_durable_what_was_there),
        T(a_flush_now_and_then_takes_a_snapshot),
        T(a_checkpoint_is_due_by_bytes_or_age),
        T(cold_reads_are_warmed_on_a_worker),
        T(segments_roll_by_time_and_index_size),
        T(a_replica_keeps_offsets_and_epochs),
        T(log_append_time_is_sealed),
        T(too_large_is_refused),
        T(truncation_cuts_batches_and_all_that_hangs_on_them),
        T(starting_over_elsewhere),
        T(an_epoch_is_written_with_its_first_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
