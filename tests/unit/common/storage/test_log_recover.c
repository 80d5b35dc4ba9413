#include "common/protocol/record_batch_fields.h"
#include "common/storage/log_epochs.h"
#include "common/storage/log_offsets.h"
#include "common/storage/log_retention.h"
#include "common/storage/log_truncate.h"
#include "common/storage/log_txn.h"
#include "common/storage/small_files.h"
#include "tests/sim/sim_disk.h"
#include "tests/unit/common/storage/log_batches.h"

/* The fixture, on a disk in memory. */
struct simulated {
    struct fixture f;
    struct sim_disk *sim;
};

static int setup(void **state)
{
    struct simulated *s = mem_calloc(1, sizeof(*s));
    struct fixture *f = &s->f;
    s->sim = sim_disk_new(1);
    f->disk = sim_disk_base(s->sim);
    file_cache_init(&f->files, 16);
    f->config = LOG_CONFIG_DEFAULT;
    f->leader_epoch = 1;
    snprintf(f->path, sizeof(f->path), "/logs/topic-0");
    assert_int_equal(disk_make_path(f->disk, "/logs"), 0);
    bytebuf_init(&f->batches);
    record_batch_builder_init(&f->builder);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    (void)log_close(f->log, false);
    file_cache_release(&f->files);
    bytebuf_release(&f->batches);
    record_batch_builder_release(&f->builder);
    sim_disk_free(s->sim);
    free(s);
    return 0;
}

/* The process dies; with `power`, what was not synced goes too. */
static void die(struct simulated *s, bool power)
{
    fixture_kill(&s->f);
    if (power)
        sim_disk_power_cut(s->sim, SIM_CUT_DROP_ALL);
    else
        sim_disk_kill(s->sim);
}

/* After a kill only the last batches are looked at: an epoch that is not in its file would begin
 * there. */
static void an_epoch_is_saved_before_its_batches(void **state)
{
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    struct log_append_info info;
    f->config.index_interval_bytes = 100;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    fixture_append(f, 1, NOW_MS, 200);
    sim_disk_fail_at(s->sim, SIM_PWRITE, "leader-epoch-checkpoint", 1, -ENOSPC);
    struct log_append_args args = {
        .batches = fixture_batch(f, 1, NOW_MS + 1, 200, NULL),
        .origin = LOG_APPEND_CLIENT,
        .leader_epoch = 2,
        .now_ms = NOW_MS,
    };
    assert_int_equal(log_append(f->log, &args, &info), -ENOSPC);
    assert_int_equal(log_end_offset(f->log), 1);
    assert_int_equal(log_latest_epoch(f->log), 1);
    f->leader_epoch = 2;
    for (int i = 0; i < 5; i++)
        fixture_append(f, 1, NOW_MS + 2 + i, 200);
    assert_int_equal(log_flush_now(f->log, false, NOW_MS), 0);
    die(s, false);
    fixture_open(f, LOG_TRUST_SAME_BOOT, 0);
    assert_int_equal(log_epoch_of(f->log, 0), 1);
    for (int64_t offset = 1; offset < 6; offset++)
        assert_int_equal(log_epoch_of(f->log, offset), 2);
}

/* A leader of epoch 5 that wrote nothing came and went, then a follower got batches of epoch 1; the
 * power cut left them, and took the file that knows of no epoch 5. */
static void epochs_are_what_the_batches_say(void **state)
{
    static const char of_before[] = "0\n2\n1 0\n5 3\n";
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    for (int i = 0; i < 4; i++)
        fixture_append(f, 1, NOW_MS + i, 100);
    f->leader_epoch = 6;
    fixture_append(f, 1, NOW_MS + 4, 100);
    assert_int_equal(log_flush_now(f->log, true, NOW_MS), 0);
    die(s, true);
    struct disk_file *file = fixture_open_file(f, "leader-epoch-checkpoint");
    assert_int_equal(disk_pwrite(file, of_before, strlen(of_before), 0), 0);
    disk_file_unref(file);
    fixture_open(f, LOG_TRUST_NONE, 3);
    for (int64_t offset = 0; offset < 4; offset++)
        assert_int_equal(log_epoch_of(f->log, offset), 1);
    assert_int_equal(log_epoch_of(f->log, 4), 6);
    struct log_epoch_end end = log_end_offset_for_epoch(f->log, 5);
    assert_int_equal(end.epoch, 1);
    assert_int_equal(end.end_offset, 4);
}

/* Three records each, in several segments. */
static void write_three_epochs(struct fixture *f)
{
    f->config.segment_bytes = 600;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    for (int i = 0; i < 9; i++) {
        f->leader_epoch = 1 + i / 3;
        fixture_append(f, 1, NOW_MS + i, 200);
    }
    assert_true(log_segment_count(f->log) > 3);
    assert_int_equal(log_flush_now(f->log, true, NOW_MS), 0);
}

static void forget_the_first_epoch(struct fixture *f)
{
    static const char others[] = "0\n2\n2 3\n3 6\n";
    struct disk_file *file = fixture_open_file(f, "leader-epoch-checkpoint");
    assert_int_equal(f->disk->ops->truncate(file, 0), 0);
    assert_int_equal(disk_pwrite(file, others, strlen(others), 0), 0);
    disk_file_unref(file);
}

/* Segments whose index is gone are read, and those behind them are not. The file has no epoch of
 * below the log start, which the power cut set back. */
static void epochs_behind_what_is_read_stay(void **state)
{
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    write_three_epochs(f);
    die(s, true);
    forget_the_first_epoch(f);
    assert_int_equal(f->disk->ops->unlink(f->disk, "/logs/topic-0/00000000000000000000.index"), 0);
    fixture_open(f, LOG_TRUST_NONE, 9);
    assert_int_equal(log_epoch_of(f->log, 4), 2);
    assert_int_equal(log_epoch_of(f->log, 7), 3);
}

/* Where every batch is read anyway, what they say stands in the file from the first one on. */
static void epochs_are_read_from_all_batches(void **state)
{
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    write_three_epochs(f);
    die(s, false);
    forget_the_first_epoch(f);
    struct log_open_args args = fixture_args(f, LOG_TRUST_SAME_BOOT);
    args.check_all = true;
    assert_int_equal(log_open(&args, &f->log, NULL), 0);
    for (int64_t offset = 0; offset < 9; offset++)
        assert_int_equal(log_epoch_of(f->log, offset), 1 + offset / 3);
}

/* An fsync that failed leaves its file in memory alone, where the next one finds nothing to do. */
static void whose_log_it_is_is_written_again(void **state)
{
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    fixture_append(f, 1, NOW_MS, 100);
    sim_disk_fail_at(s->sim, SIM_FSYNC, "partition.metadata", 1, -EIO);
    assert_int_equal(log_flush_now(f->log, true, NOW_MS), -EIO);
    die(s, false);
    struct log_open_args args = fixture_args(f, LOG_TRUST_NONE);
    args.rewrite = true;
    assert_int_equal(log_open(&args, &f->log, &f->recovery), 0);
    assert_int_equal(log_flush_now(f->log, true, NOW_MS), 0);
    die(s, true);
    assert_int_equal(fixture_size(f, "partition.metadata"), PARTITION_METADATA_BYTES);
    assert_true(fixture_size(f, "leader-epoch-checkpoint") > 0);
}

static void write_producer(struct fixture *f, int32_t sequence)
{
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    options.producer_id = 7;
    options.producer_epoch = 0;
    options.base_sequence = sequence;
    struct log_append_info info = fixture_append_bytes(
        f, fixture_batch(f, 1, NOW_MS, 100, &options), LOG_APPEND_CLIENT, f->leader_epoch);
    assert_int_equal(info.error, KAFKA_ERROR_NONE);
}

/* Once retention has taken a producer's records, the snapshot alone knows its sequences. */
static void retention_keeps_what_producers_wrote(void **state)
{
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    f->config.retention_ms = 1000;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    for (int32_t i = 0; i < 3; i++)
        write_producer(f, i);
    assert_int_equal(log_flush_now(f->log, true, NOW_MS), 0);
    write_producer(f, 3);
    log_set_high_watermark(f->log, log_end_offset(f->log));
    struct log_deletion *job = log_retention_begin(f->log, NOW_MS + 5000);
    assert_non_null(job);
    log_deletion_run(job);
    assert_int_equal(log_deletion_end(f->log, job), 0);
    assert_int_equal(log_start_offset(f->log), 4);
    die(s, true);
    /* The recovery point of before: nobody has written a newer one. */
    fixture_open(f, LOG_TRUST_NONE, 3);
    assert_int_equal(log_start_offset(f->log), 4);
    struct log_producer producer;
    assert_true(log_producer(f->log, 7, &producer));
    assert_int_equal(producer.last_sequence, 3);
}

static int64_t find(struct fixture *f, int64_t timestamp)
{
    struct log_offset_found found;
    assert_int_equal(log_offset_for_timestamp(f->log, timestamp, &found), 0);
    return found.offset;
}

/* The power fails at every call of a recovery that makes indexes again for synced segments. */
static void indexes_are_made_again_whole(void **state)
{
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    f->config.index_interval_bytes = 100;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    for (int i = 0; i < 40; i++)
        fixture_append(f, 1, NOW_MS + i, 200);
    assert_int_equal(log_roll(f->log, NOW_MS), 0);
    for (int i = 40; i < 44; i++)
        fixture_append(f, 1, NOW_MS + i, 200);
    assert_int_equal(log_flush_now(f->log, true, NOW_MS), 0);
    die(s, false);
    bool crashed = true;
    for (int64_t call = 1; crashed; call++) {
        (void)f->disk->ops->unlink(f->disk, "/logs/topic-0/00000000000000000000.index");
        (void)f->disk->ops->unlink(f->disk, "/logs/topic-0/00000000000000000000.timeindex");
        sim_disk_crash_at(s->sim, call);
        struct log_open_args args = fixture_args(f, LOG_TRUST_NONE);
        args.recovery_point = 44;
        f->log = NULL;
        (void)log_open(&args, &f->log, NULL);
        crashed = sim_disk_crashed(s->sim);
        (void)log_close(f->log, false);
        f->log = NULL;
        sim_disk_power_cut(s->sim, call % 2 ? SIM_CUT_RANDOM : SIM_CUT_DROP_ALL);
        fixture_open(f, LOG_TRUST_NONE, 44);
        for (int i = 0; i < 44; i++)
            assert_int_equal(find(f, NOW_MS + i), i);
        die(s, false);
    }
}

/* Large batches: their index entries do not wait until there are many, so a start finds the end
 * from near it. */
static void index_entries_of_large_batches_are_written(void **state)
{
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    for (int i = 0; i < 20; i++) {
        fixture_append(f, 1, NOW_MS, 300000);
        int64_t size = fixture_size(f, "00000000000000000000.index");
        assert_true(size == -ENOENT ? i < 6 : size >= 8 * (i - 5) && size <= 8 * i);
    }
    die(s, false);
    fixture_open(f, LOG_TRUST_SAME_BOOT, 0);
    assert_int_equal(log_end_offset(f->log), 20);
}

/* After a kill a start checks one batch, however much was written since a sync. */
static void a_start_after_a_kill_checks_the_last_batch(void **state)
{
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    for (int turn = 0; turn < 3; turn++) {
        /* Batches longer than the distance of index entries: many of these wait in memory. */
        for (int i = 0; i < 30; i++)
            fixture_append(f, 1, NOW_MS, (size_t)20000 << turn);
        int64_t end = log_end_offset(f->log);
        die(s, false);
        fixture_open(f, LOG_TRUST_SAME_BOOT, 0);
        assert_int_equal(log_end_offset(f->log), end);
        assert_in_range(f->recovery.checked_bytes, 20000 << turn, (20000 << turn) + 200);
        /* None of it is durable, and the next flush syncs it all. */
        assert_int_equal(log_durable_end_offset(f->log), 0);
        assert_true(log_unchecked_bytes(f->log) > (int64_t)30 * (20000 << turn));
    }
    assert_int_equal(log_flush_now(f->log, true, NOW_MS), 0);
    die(s, true);
    fixture_open(f, LOG_TRUST_NONE, 0);
    assert_int_equal(log_end_offset(f->log), 90);
    assert_int_equal(fixture_read(f, 0, 90, 1 << 20), 90);
}

/* Where the batch that begins with an offset stands in the only segment. */
static int64_t position_of(struct fixture *f, int64_t offset)
{
    struct log_read_result read;
    struct log_read_args args = {offset, log_end_offset(f->log), 1, true};
    assert_int_equal(log_read(f->log, &args, &read), 0);
    disk_file_unref(read.file);
    return read.position;
}

static bool is_noted(struct fixture *f, int64_t offset)
{
    char name[64];
    snprintf(name, sizeof(name), "%020lld.snapshot", (long long)offset);
    return fixture_size(f, name) > 10; /* more than the count of no producers */
}

/* Notes are taken while a log grows; the second is synced. */
static void grow_with_notes(struct fixture *f)
{
    int32_t next = 0;
    f->config.index_interval_bytes = 100;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    for (int turn = 0; turn < 4; turn++) {
        for (int i = 0; i < 20; i++)
            write_producer(f, next++);
        assert_null(log_snapshot_begin(f->log, 1 << 20));
        struct log_snapshot *job = log_snapshot_begin(f->log, 3000);
        assert_non_null(job);
        assert_true(log_busy(f->log));
        write_producer(f, next++); /* while the worker writes */
        log_snapshot_run(job);
        assert_int_equal(log_snapshot_end(f->log, job), 0);
        assert_null(log_snapshot_begin(f->log, 3000));
        if (turn == 1)
            assert_int_equal(log_flush_now(f->log, true, NOW_MS), 0);
    }
    assert_false(is_noted(f, 20));
    assert_true(is_noted(f, 41));
    assert_false(is_noted(f, 62));
    assert_true(is_noted(f, 83));
}

static void check_sequence(struct fixture *f, int32_t last)
{
    struct log_producer producer;
    assert_true(log_producer(f->log, 7, &producer));
    assert_int_equal(producer.last_sequence, last);
    assert_int_equal(log_end_offset(f->log), last + 1);
}

/* A start after a kill reads headers from the last note of the producers on. */
static void producers_are_noted_while_a_log_grows(void **state)
{
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    grow_with_notes(f);
    die(s, false);
    /* Nobody comes by the first batch, or its magic byte would be missed. */
    const char *path = "/logs/topic-0/00000000000000000000.log";
    assert_int_equal(sim_disk_corrupt(s->sim, path, RECORD_BATCH_AT_MAGIC, 1), 0);
    fixture_open(f, LOG_TRUST_SAME_BOOT, 42);
    check_sequence(f, 83);
}

/* One after a boot reads them from the last that was synced on. */
static void a_note_is_synced_with_the_log(void **state)
{
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    grow_with_notes(f);
    die(s, true);
    fixture_open(f, LOG_TRUST_NONE, 42);
    assert_true(is_noted(f, 41));
    check_sequence(f, 41);
}

/* What is below the log start need not be readable; producers of what comes behind are known. */
static void producers_behind_what_cannot_be_read(void **state)
{
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    f->config.index_interval_bytes = 100;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    for (int i = 0; i < 10; i++)
        fixture_append(f, 1, NOW_MS, 100);
    assert_int_equal(log_roll(f->log, NOW_MS), 0);
    fixture_append(f, 1, NOW_MS, 100);
    write_producer(f, 0);
    for (int i = 0; i < 40; i++)
        fixture_append(f, 1, NOW_MS, 100);
    int64_t at = position_of(f, 5) + RECORD_BATCH_AT_MAGIC;
    die(s, false);
    assert_int_equal(sim_disk_corrupt(s->sim, "/logs/topic-0/00000000000000000000.log", at, 1), 0);
    assert_int_equal(f->disk->ops->unlink(f->disk, "/logs/topic-0/00000000000000000010.snapshot"),
                     0);
    struct log_open_args args = fixture_args(f, LOG_TRUST_SAME_BOOT);
    args.log_start_offset = 10;
    assert_int_equal(log_open(&args, &f->log, &f->recovery), 0);
    struct log_producer producer;
    assert_int_equal(log_end_offset(f->log), 52);
    assert_true(log_producer(f->log, 7, &producer));
    assert_int_equal(producer.last_sequence, 0);
}

/* No room, and a disk that fails. */
static void producers_that_cannot_be_noted(void **state)
{
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    static const int errors[] = {-ENOSPC, 0, -EIO};
    for (int32_t i = 0; i < 3; i++) {
        write_producer(f, i);
        struct log_snapshot *job = log_snapshot_begin(f->log, 0);
        if (errors[i] != 0)
            sim_disk_fail_at(s->sim, SIM_PWRITE, ".snapshot", 1, errors[i]);
        log_snapshot_run(job);
        assert_int_equal(log_snapshot_end(f->log, job), errors[i] == -EIO ? -EIO : 0);
        if (errors[i] != -EIO)
            assert_int_equal(is_noted(f, i + 1), errors[i] == 0);
    }
    assert_true(log_failed(f->log));
    assert_null(log_snapshot_begin(f->log, 0));
}

/* Several batches in one write, as a follower gets them. */
static int append_run(struct fixture *f, int batches, int records, size_t value_bytes)
{
    struct bytebuf run;
    bytebuf_init(&run);
    int64_t base = log_end_offset(f->log);
    for (int i = 0; i < batches; i++) {
        struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
        options.base_offset = base + (int64_t)i * records;
        struct bytes batch = fixture_batch(f, records, NOW_MS, value_bytes, &options);
        bytebuf_append(&run, batch.data, (size_t)batch.len);
    }
    struct log_append_info info;
    struct log_append_args args = {
        .batches = {run.data, (int32_t)run.len},
        .origin = LOG_APPEND_REPLICA,
        .leader_epoch = f->leader_epoch,
        .now_ms = NOW_MS,
    };
    int rv = log_append(f->log, &args, &info);
    bytebuf_release(&run);
    return rv;
}

/* The process dies within each of many disk calls. What it had completed stays, whole batches of
 * the last write may, and the log goes on behind them. */
static void a_kill_within_a_write_leaves_whole_batches(void **state)
{
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    f->config.segment_bytes = 40000;
    f->config.index_interval_bytes = 600;
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    int cut = 0;
    for (int64_t call = 1; call < 400; call++) {
        f->config.preallocate = call % 3 == 0;
        sim_disk_crash_at(s->sim, 1 + call % 23);
        int64_t end = log_end_offset(f->log);
        int wrote = 0;
        while (!sim_disk_crashed(s->sim)) {
            wrote = 1 + (int)(call % 4);
            if (append_run(f, wrote, 2, (size_t)(call * 37 % 900)) != 0)
                break;
            end = log_end_offset(f->log);
        }
        die(s, false);
        fixture_open(f, LOG_TRUST_SAME_BOOT, 0);
        assert_in_range(log_end_offset(f->log), end, end + 2 * wrote);
        assert_int_equal(log_end_offset(f->log) % 2, 0);
        assert_int_equal(fixture_read(f, MAX(end - 20, 0), log_end_offset(f->log), 1 << 20),
                         log_end_offset(f->log));
        cut += f->recovery.cut_bytes > 0;
    }
    assert_true(cut > 20);
    assert_int_equal(fixture_read(f, 0, log_end_offset(f->log), 1 << 20), log_end_offset(f->log));
}

/* What damage in records that were never synced a start notices. Within the kernel's life the page
 * cache is believed but for its last batch and the framing of those behind the last index entry;
 * after a boot everything is looked at. */
static void damage_that_was_not_synced(void **state)
{
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    static const struct {
        int64_t offset, byte;
        enum log_trust trust;
        int64_t end;
    } cases[] = {
        {19, 100, LOG_TRUST_SAME_BOOT, 19}, /* the records of the last batch */
        {15, 16, LOG_TRUST_SAME_BOOT, 15},  /* the magic byte of one before */
        {10, 100, LOG_TRUST_SAME_BOOT, 15}, /* the records of one before: believed */
        {10, 100, LOG_TRUST_NONE, 10},
    };
    fixture_open(f, LOG_TRUST_CLEAN, 0);
    for (int i = 0; i < 20; i++)
        fixture_append(f, 1, NOW_MS, 5000);
    int64_t positions[20];
    for (int i = 0; i < 20; i++)
        positions[i] = position_of(f, i);
    die(s, false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *path = "/logs/topic-0/00000000000000000000.log";
        int64_t at = positions[cases[i].offset] + cases[i].byte;
        assert_int_equal(sim_disk_corrupt(s->sim, path, at, 1), 0);
        fixture_open(f, cases[i].trust, 0);
        assert_int_equal(log_end_offset(f->log), cases[i].end);
        die(s, false);
        if (cases[i].end > cases[i].offset) /* in place again: a bit that is turned twice */
            assert_int_equal(sim_disk_corrupt(s->sim, path, at, 1), 0);
    }
}

static void empty_file(struct fixture *f, int64_t offset, const char *kind)
{
    char *name = mem_printf("%020lld.%s", (long long)offset, kind);
    struct disk_file *file = fixture_open_file(f, name);
    assert_int_equal(f->disk->ops->truncate(file, 0), 0);
    disk_file_unref(file);
    free(name);
}

/* The page cache was lost although the kernel is the same: the end of a segment that was closed,
 * and all of the active one with the
 * producers' snapshot before it. */
static void files_that_were_believed_and_contradict_themselves(void **state)
{
    struct simulated *s = *state;
    struct fixture *f = &s->f;
    static const enum log_trust trusts[] = {LOG_TRUST_SAME_BOOT, LOG_TRUST_CLEAN, LOG_TRUST_NONE};
    for (size_t i = 0; i < sizeof(trusts) / sizeof(trusts[0]); i++) {
        fixture_open(f, LOG_TRUST_NONE, 0);
        int64_t begin = log_end_offset(f->log);
        for (int n = 0; n < 10; n++)
            write_producer(f, (int32_t)(begin + n));
        int64_t kept = log_end_offset(f->log);
        int64_t size = log_size_bytes(f->log);
        assert_int_equal(log_flush_now(f->log, false, NOW_MS), 0);
        for (int n = 0; n < 10; n++)
            write_producer(f, (int32_t)(kept + n));
        struct disk_file *file = fixture_open_file(f, "00000000000000000000.log");
        int64_t whole = f->disk->ops->size(file);
        disk_file_unref(file);
        assert_int_equal(log_roll(f->log, NOW_MS), 0);
        write_producer(f, (int32_t)log_end_offset(f->log));
        die(s, false);
        static const uint8_t zeros[4096];
        file = fixture_open_file(f, "00000000000000000000.log");
        assert_int_equal(disk_pwrite(file, zeros, (size_t)(whole - size), size), 0);
        disk_file_unref(file);
        empty_file(f, kept + 10, "log");
        empty_file(f, kept + 10, "snapshot");
        fixture_open(f, trusts[i], kept);
        assert_int_equal(log_end_offset(f->log), kept);
        write_producer(f, (int32_t)kept);
        fixture_stop(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_epoch_is_saved_before_its_batches, setup, teardown),
        cmocka_unit_test_setup_teardown(epochs_are_what_the_batches_say, setup, teardown),
        cmocka_unit_test_setup_teardown(epochs_are_read_from_all_batches, setup, teardown),
        cmocka_unit_test_setup_teardown(epochs_behind_what_is_read_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(whose_log_it_is_is_written_again, setup, teardown),
        cmocka_unit_test_setup_teardown(retention_keeps_what_producers_wrote, setup, teardown),
        cmocka_unit_test_setup_teardown(indexes_are_made_again_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(index_entries_of_large_batches_are_written, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_start_after_a_kill_checks_the_last_batch, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_kill_within_a_write_leaves_whole_batches, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(damage_that_was_not_synced, setup, teardown),
        cmocka_unit_test_setup_teardown(files_that_were_believed_and_contradict_themselves, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(producers_are_noted_while_a_log_grows, setup, teardown),
        cmocka_unit_test_setup_teardown(a_note_is_synced_with_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(producers_behind_what_cannot_be_read, setup, teardown),
        cmocka_unit_test_setup_teardown(producers_that_cannot_be_noted, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
