#include "common/storage/log_epochs.h"
#include "common/storage/log_offsets.h"
#include "common/storage/log_retention.h"
#include "common/storage/log_truncate.h"
#include "common/storage/log_txn.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_epoch_is_saved_before_its_batches, setup, teardown),
        cmocka_unit_test_setup_teardown(retention_keeps_what_producers_wrote, setup, teardown),
        cmocka_unit_test_setup_teardown(indexes_are_made_again_whole, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
