/*
 * A log under faults at every disk call of its life: appends with transactions, rolls, flushes,
 * checkpoints, snapshots, truncation, retention, an orderly stop.
 *
 *   crash      the machine stops inside the nth call. Then a power cut (unsynced writes kept, lost
 *              or torn) or only the process's death: what was durable, or appended, is there again,
 *              the log is a prefix of what was appended, indexes and producers agree with it
 *   EIO        the log says that it has failed, and keeps what it acknowledged
 *   ENOSPC     the same call succeeds when it is made again
 *
 * A sample of the calls each time; all of them with KRAFTD_ALL_FAULTS=1 in the environment.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/record_batch_builder.h"
#include "common/storage/checkpoint_file.h"
#include "common/storage/file_cache.h"
#include "common/storage/log_flush.h"
#include "common/storage/log_internal.h"
#include "common/storage/log_offsets.h"
#include "common/storage/log_retention.h"
#include "common/storage/log_scan.h"
#include "common/storage/log_truncate.h"
#include "tests/sim/sim_disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NOW_MS     1700000000000
#define DIR        "/logs"
#define RECOVERY   DIR "/" CHECKPOINT_RECOVERY_POINT
#define PRODUCERS  3
#define MAX_ROUNDS 1000

struct written {
    int64_t first, last;
    uint32_t crc;
};

struct world {
    struct sim_disk *sim;
    struct disk *disk;
    struct file_cache files;
    struct log_config config;
    struct log *log;
    struct record_batch_builder builder;
    struct bytebuf bytes;
    struct written *batches;
    size_t count, capacity;
    int64_t end, durable_end;
    int64_t cutting_to; /* a truncation is under way; else -1 */
    int32_t sequences[PRODUCERS];
    bool in_txn[PRODUCERS];
    int step;
    bool full_once; /* -ENOSPC is answered by trying again */
};

static void world_init(struct world *w, uint64_t seed)
{
    *w = (struct world){.sim = sim_disk_new(seed), .cutting_to = -1};
    w->disk = sim_disk_base(w->sim);
    file_cache_init(&w->files, 8);
    w->config = LOG_CONFIG_DEFAULT;
    w->config.segment_bytes = 1500;
    w->config.index_interval_bytes = 200;
    w->config.preallocate = seed % 3 == 0;
    record_batch_builder_init(&w->builder);
    bytebuf_init(&w->bytes);
    assert_int_equal(disk_make_path(w->disk, DIR), 0);
}

static void world_release(struct world *w)
{
    (void)log_close(w->log, false);
    file_cache_release(&w->files);
    record_batch_builder_release(&w->builder);
    bytebuf_release(&w->bytes);
    free(w->batches);
    sim_disk_free(w->sim);
}

/* --- The scenario --- */

static int open_log(struct world *w, enum log_trust trust)
{
    struct offset_checkpoint c;
    int rv = offset_checkpoint_load(&c, w->disk, RECOVERY);
    struct log_open_args args = {
        .disk = w->disk,
        .files = &w->files,
        .path = DIR "/t-0",
        .config = &w->config,
        .trust = trust,
        .create = true,
        .recovery_point = offset_checkpoint_get(&c, STR("t"), 0, 0),
        .topic_id = UUID_METADATA_TOPIC,
        .now_ms = NOW_MS,
    };
    offset_checkpoint_release(&c);
    return rv != 0 && rv != -ENOENT ? rv : log_open(&args, &w->log, NULL);
}

static int checkpoint(struct world *w)
{
    struct checkpoint_writer writer;
    checkpoint_writer_init(&writer);
    checkpoint_writer_add(&writer, STR("t"), 0, log_recovery_point(w->log));
    int rv = checkpoint_writer_save(&writer, w->disk, RECOVERY, true);
    checkpoint_writer_release(&writer);
    return rv;
}

static int append_built(struct world *w, enum log_append_origin origin)
{
    struct log_append_info info;
    w->bytes.len = 0;
    record_batch_builder_close(&w->builder, &w->bytes);
    struct log_append_args args = {
        {w->bytes.data, (int32_t)w->bytes.len}, origin, 1 + w->step / 20, NOW_MS + w->step};
    struct record_batch batch;
    assert_int_equal(record_batch_parse(w->bytes.data, w->bytes.len, &batch), 0);
    struct written written = {w->end, w->end + batch.header.last_offset_delta, batch.header.crc};
    VEC_PUSH(w->batches, w->count, w->capacity) = written; /* it may survive an error */
    int rv = log_append(w->log, &args, &info);
    if (rv == -ENOSPC)
        w->count--;
    if (rv != 0)
        return rv;
    assert_int_equal(info.error, KAFKA_ERROR_NONE);
    assert_int_equal(info.first_offset, w->end);
    w->end = info.last_offset + 1;
    log_set_high_watermark(w->log, w->end);
    return 0;
}

static void start_batch(struct world *w, int producer, bool control)
{
    struct record_batch_options o = RECORD_BATCH_OPTIONS_INIT;
    o.producer_id = 100 + producer;
    o.producer_epoch = 0;
    o.base_sequence = control ? -1 : w->sequences[producer];
    o.transactional = control || w->in_txn[producer];
    o.control = control;
    record_batch_builder_start(&w->builder, &o);
}

static int append_data(struct world *w, int producer, int count)
{
    uint8_t value[60] = {0};
    start_batch(w, producer, false);
    for (int i = 0; i < count; i++)
        assert_int_equal(record_batch_builder_append(&w->builder, NOW_MS + w->step, BYTES_NULL,
                                                     (struct bytes){value, sizeof(value)}, NULL, 0),
                         0);
    int rv = append_built(w, LOG_APPEND_CLIENT);
    if (rv == 0)
        w->sequences[producer] += count;
    return rv;
}

static int end_txn(struct world *w, int producer, bool commit)
{
    uint8_t value[CONTROL_END_TXN_SIZE];
    control_end_txn_value(1, value);
    start_batch(w, producer, true);
    assert_int_equal(record_batch_builder_append_control(&w->builder, NOW_MS + w->step,
                                                         commit ? CONTROL_COMMIT : CONTROL_ABORT,
                                                         (struct bytes){value, sizeof(value)}),
                     0);
    int rv = append_built(w, LOG_APPEND_COORDINATOR);
    if (rv == 0)
        w->in_txn[producer] = false;
    return rv;
}

static int flush(struct world *w, bool with_checkpoint)
{
    int rv = log_flush_now(w->log, with_checkpoint, NOW_MS);
    if (rv != 0)
        return rv;
    w->durable_end = log_durable_end_offset(w->log);
    return with_checkpoint ? checkpoint(w) : 0;
}

/* Producers know nothing of what is cut: as after a change of leader they begin anew. */
static int truncate(struct world *w)
{
    w->cutting_to = w->end - 5;
    int rv = log_truncate_to(w->log, w->cutting_to, NOW_MS);
    if (rv == 0)
        rv = checkpoint(w);
    if (rv != 0)
        return rv;
    w->end = log_end_offset(w->log);
    while (w->count > 0 && w->batches[w->count - 1].last >= w->end)
        w->count--;
    w->durable_end = MIN(w->durable_end, w->end);
    w->cutting_to = -1;
    for (int i = 0; i < PRODUCERS; i++) {
        struct log_producer p;
        bool known = log_producer(w->log, 100 + i, &p);
        w->sequences[i] = known ? p.last_sequence + 1 : 0;
        w->in_txn[i] = known && p.txn_start_offset >= 0;
    }
    return 0;
}

static int retain(struct world *w)
{
    w->config.retention_bytes = 4500;
    log_set_config(w->log, &w->config);
    struct log_deletion *job = log_retention_begin(w->log, NOW_MS);
    if (job == NULL)
        return log_failed(w->log) ? -EIO : 0;
    log_deletion_run(job);
    int rv = log_deletion_end(w->log, job);
    if (rv == 0 && (job = log_unlink_begin(w->log, NOW_MS + 60000)) != NULL) {
        log_deletion_run(job);
        rv = log_deletion_end(w->log, job);
    }
    return rv;
}

static int step(struct world *w)
{
    int producer = w->step % PRODUCERS;
    switch (w->step % 23) {
    case 4:
        return flush(w, false);
    case 5:
        w->in_txn[2] = true;
        return append_data(w, 2, 2);
    case 9:
        w->in_txn[1] = true;
        return append_data(w, 1, 1);
    case 11:
        return w->in_txn[2] ? end_txn(w, 2, false) : 0;
    case 13:
        return flush(w, true);
    case 16:
        return w->in_txn[1] ? end_txn(w, 1, w->step < 40) : 0;
    case 19:
        return w->step > 40 ? truncate(w) : 0;
    case 21:
        return w->step > 60 ? retain(w) : 0;
    default:
        return append_data(w, producer, 1 + w->step % 3);
    }
}

/* Until the end or the first error. */
static int run_scenario(struct world *w)
{
    int rv = open_log(w, LOG_TRUST_NONE);
    if (rv == -ENOSPC && w->full_once)
        rv = open_log(w, LOG_TRUST_NONE);
    for (w->step = 0; rv == 0 && w->step < 95; w->step++) {
        rv = step(w);
        if (rv == -ENOSPC && w->full_once && !log_failed(w->log))
            rv = step(w);
    }
    if (rv == 0)
        rv = log_finish(w->log);
    if (rv == -ENOSPC && w->full_once && !log_failed(w->log))
        rv = log_finish(w->log);
    if (rv == 0)
        w->durable_end = w->end;
    return rv;
}

/* --- What must hold afterwards --- */

struct walk {
    struct world *w;
    size_t at;
    int64_t end;
    struct producer_state producers;
    struct txn_span aborted[100]; /* as the batches tell */
    size_t aborted_count, indexed_count;
};

static int check_batch(void *ctx, const struct log_scan_batch *scanned)
{
    struct walk *walk = ctx;
    const struct world *w = walk->w;
    while (walk->at < w->count && w->batches[walk->at].first < scanned->header->base_offset)
        walk->at++;
    assert_true(walk->at < w->count);
    assert_int_equal(scanned->header->base_offset, w->batches[walk->at].first);
    assert_int_equal(record_batch_last_offset(scanned->header), w->batches[walk->at].last);
    assert_int_equal(scanned->header->crc, w->batches[walk->at].crc);
    assert_true(walk->end < 0 || walk->end == scanned->header->base_offset);
    struct record_batch batch = {scanned->bytes, *scanned->header};
    struct producer_change change;
    assert_true(record_batch_crc_ok(&batch));
    if (producer_state_apply(&walk->producers, &batch, &change)) {
        if (change.aborts)
            walk->aborted[walk->aborted_count++] = change.txn;
        producer_state_commit(&walk->producers, &change);
    }
    walk->end = record_batch_next_offset(scanned->header);
    return 0;
}

/* The log's producers are those that its batches tell of. */
static void check_producers(struct world *w, const struct producer_state *told)
{
    MAP_FOR_EACH (entry, &told->producers) {
        const struct producer *p = entry->value;
        const struct producer *q = producer_state_find(&w->log->producers, p->producer_id);
        assert_non_null(q);
        assert_int_equal(p->batch_count > 0, q->batch_count > 0);
        if (p->batch_count > 0)
            assert_int_equal(p->batches[p->batch_count - 1].last_sequence,
                             q->batches[q->batch_count - 1].last_sequence);
        /* It may know of a marker before the log's start. */
        if (p->coordinator_epoch >= 0)
            assert_int_equal(p->coordinator_epoch, q->coordinator_epoch);
        if (p->txn_first_offset >= 0)
            assert_int_equal(p->txn_first_offset, q->txn_first_offset);
    }
}

static void check_reads(struct world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct written *b = &w->batches[i];
        if (b->first < log_start_offset(w->log) || b->last >= log_end_offset(w->log))
            continue;
        struct log_read_args args = {b->last, log_end_offset(w->log), 1, true};
        struct log_read_result read;
        uint8_t header[RECORD_BATCH_HEADER_SIZE];
        struct record_batch_header h;
        assert_int_equal(log_read(w->log, &args, &read), 0);
        assert_int_equal(disk_pread(read.file, header, sizeof(header), read.position),
                         sizeof(header));
        disk_file_unref(read.file);
        record_batch_header_decode(header, &h);
        assert_int_equal(h.base_offset, b->first);
        struct log_offset_found found;
        assert_int_equal(log_offset_for_timestamp(w->log, h.base_timestamp, &found), 0);
        assert_true(found.offset >= 0 && found.offset <= b->first);
        assert_true(found.timestamp >= h.base_timestamp);
    }
}

/* The aborted transactions that the indexes name are those that the batches tell of, and some that
 * began before the log's start. */
static int check_aborted(void *ctx, const struct aborted_txn *txn)
{
    struct walk *walk = ctx;
    for (size_t i = 0; i < walk->aborted_count; i++) {
        const struct txn_span *told = &walk->aborted[i];
        if (told->last_offset != txn->last_offset)
            continue;
        assert_int_equal(told->producer_id, txn->producer_id);
        assert_true(txn->first_offset <= told->first_offset);
        walk->indexed_count++;
        return 0;
    }
    assert_true(txn->first_offset < log_start_offset(walk->w->log));
    return 0;
}

static void check_log(struct world *w, int64_t at_least)
{
    struct walk walk = {.w = w, .end = -1};
    int64_t end = log_end_offset(w->log);
    assert_true(end >= at_least);
    producer_state_init(&walk.producers, 0);
    assert_int_equal(log_scan(w->log, log_start_offset(w->log), true, check_batch, &walk), 0);
    assert_true(walk.end == end || log_start_offset(w->log) == end);
    check_producers(w, &walk.producers);
    producer_state_release(&walk.producers);
    check_reads(w);
    for (size_t i = 0; i < w->log->segment_count; i++)
        assert_int_equal(
            txn_index_scan(&w->log->segments[i]->txn_index, &w->log->place, check_aborted, &walk),
            0);
    assert_int_equal(walk.indexed_count, walk.aborted_count);
}

/* The log opens, holds what it must and works. */
static void check_survivor(struct world *w, enum log_trust trust, int64_t at_least)
{
    if (w->cutting_to >= 0)
        at_least = MIN(at_least, w->batches[0].first + w->cutting_to - 2);
    (void)log_close(w->log, false);
    w->log = NULL;
    int rv = open_log(w, trust);
    if (rv != 0)
        fail_msg("log_open returned %d", rv);
    check_log(w, at_least);
    w->end = log_end_offset(w->log);
    while (w->count > 0 && w->batches[w->count - 1].last >= w->end)
        w->count--;
    struct log_producer p;
    w->in_txn[0] = false;
    w->sequences[0] = log_producer(w->log, 100, &p) ? p.last_sequence + 1 : 0;
    assert_int_equal(append_data(w, 0, 2), 0);
    check_log(w, w->end);
    assert_int_equal(log_finish(w->log), 0);
}

static int stride(void)
{
    return getenv("KRAFTD_ALL_FAULTS") != NULL ? 1 : 17;
}

static int64_t count_calls(void)
{
    struct world w;
    world_init(&w, 1);
    int64_t before = sim_disk_count(w.sim, SIM_ANY);
    assert_int_equal(run_scenario(&w), 0);
    assert_true(log_segment_count(w.log) > 2);
    assert_true(log_start_offset(w.log) > 0);
    check_log(&w, w.end);
    int64_t calls = sim_disk_count(w.sim, SIM_ANY) - before;
    world_release(&w);
    return calls;
}

static void crash_at_any_call(void **state)
{
    int64_t calls = count_calls();
    assert_true(calls > 500);
    for (int64_t n = 1; n < calls; n += stride()) {
        for (int cut = SIM_CUT_RANDOM; cut <= SIM_CUT_KEEP_ALL; cut++) {
            struct world w;
            world_init(&w, (uint64_t)n);
            sim_disk_crash_at(w.sim, n);
            assert_true(run_scenario(&w) != 0 || !sim_disk_crashed(w.sim));
            (void)log_close(w.log, false);
            w.log = NULL;
            sim_disk_power_cut(w.sim, (enum sim_disk_cut)cut);
            check_survivor(&w, LOG_TRUST_NONE, w.durable_end);
            world_release(&w);
        }
    }
}

static void death_at_any_call_and_a_power_cut_later(void **state)
{
    int64_t calls = count_calls();
    for (int64_t n = 2; n < calls; n += stride()) {
        struct world w;
        world_init(&w, (uint64_t)n);
        sim_disk_crash_at(w.sim, n);
        (void)run_scenario(&w);
        (void)log_close(w.log, false);
        w.log = NULL;
        sim_disk_kill(w.sim);
        /* What was appended is in the page cache. */
        check_survivor(&w, LOG_TRUST_SAME_BOOT, w.end);
        (void)log_close(w.log, false);
        w.log = NULL;
        w.durable_end = w.end; /* check_survivor ends with log_finish */
        w.cutting_to = -1;
        sim_disk_power_cut(w.sim, SIM_CUT_RANDOM);
        check_survivor(&w, LOG_TRUST_NONE, w.durable_end);
        world_release(&w);
    }
}

static void an_error_of_any_call_is_said(void **state)
{
    static const enum sim_disk_op ops[] = {SIM_PWRITE, SIM_FSYNC,     SIM_TRUNCATE,
                                           SIM_RENAME, SIM_UNLINK,    SIM_PREAD,
                                           SIM_OPEN,   SIM_FSYNC_DIR, SIM_PREALLOCATE};
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        for (int64_t n = 1; n < MAX_ROUNDS; n += ops[i] == SIM_PWRITE ? stride() : 3) {
            struct world w;
            world_init(&w, (uint64_t)(3 * n));
            sim_disk_fail_at(w.sim, ops[i], "t-0", n, -EIO);
            int64_t before = sim_disk_count(w.sim, ops[i]);
            int rv = run_scenario(&w);
            sim_disk_fail_at(w.sim, ops[i], NULL, 1, 0);
            bool happened = sim_disk_count(w.sim, ops[i]) - before >= n;
            /* Names and index entries that can be made again may be lost without a word. */
            if (rv != 0) {
                assert_int_equal(rv, -EIO);
                bool writes = ops[i] == SIM_PWRITE || ops[i] == SIM_FSYNC;
                assert_true(w.log == NULL || !writes || log_failed(w.log));
            }
            (void)log_close(w.log, false);
            w.log = NULL;
            sim_disk_kill(w.sim);
            check_survivor(&w, LOG_TRUST_NONE, w.durable_end);
            world_release(&w);
            if (!happened)
                break;
        }
    }
}

static void a_full_disk_can_be_emptied(void **state)
{
    static const enum sim_disk_op ops[] = {SIM_PWRITE, SIM_OPEN, SIM_PREALLOCATE};
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        for (int64_t n = 1; n < MAX_ROUNDS; n += stride() / 4 + 1) {
            struct world w;
            world_init(&w, (uint64_t)(3 * n));
            w.full_once = true;
            sim_disk_fail_at(w.sim, ops[i], ops[i] == SIM_OPEN ? ".log" : "t-0", n, -ENOSPC);
            int64_t before = sim_disk_count(w.sim, ops[i]);
            int rv = run_scenario(&w);
            sim_disk_fail_at(w.sim, ops[i], NULL, 1, 0);
            bool happened = sim_disk_count(w.sim, ops[i]) - before >= n;
            /* Only what cannot be left half done, a truncation, ends the log. */
            assert_true(rv == 0 || (rv == -ENOSPC && (w.cutting_to >= 0 || w.log == NULL)));
            if (rv == 0)
                check_log(&w, w.end);
            (void)log_close(w.log, false);
            w.log = NULL;
            sim_disk_power_cut(w.sim, SIM_CUT_RANDOM);
            check_survivor(&w, LOG_TRUST_NONE, w.durable_end);
            world_release(&w);
            if (!happened)
                break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crash_at_any_call),
        cmocka_unit_test(death_at_any_call_and_a_power_cut_later),
        cmocka_unit_test(an_error_of_any_call_is_said),
        cmocka_unit_test(a_full_disk_can_be_emptied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
