#include "tests/sim/log_app_internal.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/storage/log_epochs.h"
#include "common/storage/log_truncate.h"
#include "common/storage/log_txn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int64_t draw(struct part *part, int64_t low, int64_t high)
{
    return sim_random_range(&part->model->random, low, high);
}

void log_app_part_publish(struct part *part)
{
    part->recovery_point = log_recovery_point(part->log);
    part->start_offset = log_start_offset(part->log);
    part->high_watermark = log_high_watermark(part->log);
}

static bool check(struct part *part, const char *what, int rv)
{
    if (rv == 0)
        return true;
    log_app_give_up(part->app, what, rv);
    return false;
}

bool log_app_part_idle(const struct part *part)
{
    return !part->flushing && !part->deleting && !part->noting;
}

/* --- Flush and deletion --- */

static void flush_run(struct work *work)
{
    log_flush_run(CONTAINER_OF(work, struct part, flush_work)->flush);
}

static void flush_done(struct work *work)
{
    struct part *part = CONTAINER_OF(work, struct part, flush_work);
    part->flushing = false;
    int rv = log_flush_end(part->log, part->flush);
    if (!check(part, "a flush", rv))
        return;
    log_model_durable(part->model, log_durable_end_offset(part->log));
    log_app_part_publish(part);
}

static void flush(struct part *part, bool checkpoint)
{
    if (part->flushing)
        return;
    part->flush = log_flush_begin(part->log, checkpoint, env_wall_ms(part->app->env));
    if (!part->flush)
        return;
    /* What the log calls durable may be acknowledged at any time. */
    log_model_durable(part->model, log_durable_end_offset(part->log));
    part->flushing = true;
    part->flush_work = (struct work){.run = flush_run, .done = flush_done, .loop = part->loop};
    work_submit(&part->flush_work, WORK_FLUSH);
}

static void deletion_run(struct work *work)
{
    log_deletion_run(CONTAINER_OF(work, struct part, deletion_work)->deletion);
}

static void deletion_done(struct work *work)
{
    struct part *part = CONTAINER_OF(work, struct part, deletion_work);
    part->deleting = false;
    check(part, "a deletion", log_deletion_end(part->log, part->deletion));
}

static void delete_old(struct part *part)
{
    int64_t now_ms = env_wall_ms(part->app->env);
    if (part->deleting)
        return;
    part->deletion = log_unlink_due_at_ms(part->log) <= now_ms
                         ? log_unlink_begin(part->log, now_ms)
                         : log_retention_begin(part->log, now_ms);
    log_model_start_set(part->model, log_start_offset(part->log));
    log_app_part_publish(part);
    if (!part->deletion)
        return;
    part->deleting = true;
    part->deletion_work =
        (struct work){.run = deletion_run, .done = deletion_done, .loop = part->loop};
    work_submit(&part->deletion_work, WORK_DISK);
}

static void snapshot_run(struct work *work)
{
    log_snapshot_run(CONTAINER_OF(work, struct part, snapshot_work)->snapshot);
}

static void snapshot_done(struct work *work)
{
    struct part *part = CONTAINER_OF(work, struct part, snapshot_work);
    part->noting = false;
    check(part, "a snapshot", log_snapshot_end(part->log, part->snapshot));
}

static void note_producers(struct part *part)
{
    if (part->noting)
        return;
    part->snapshot = log_snapshot_begin(part->log, draw(part, 0, 2000));
    if (!part->snapshot)
        return;
    part->noting = true;
    part->snapshot_work =
        (struct work){.run = snapshot_run, .done = snapshot_done, .loop = part->loop};
    work_submit(&part->snapshot_work, WORK_DISK);
}

/* --- Appends --- */

static void build(struct part *part, int producer, struct bytebuf *out)
{
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    struct log_model *m = part->model;
    if (producer >= 0) {
        options.producer_id = m->producers[producer].id;
        options.producer_epoch = m->producers[producer].epoch;
        options.base_sequence = m->producers[producer].next_sequence;
    }
    uint8_t value[3000];
    size_t most = draw(part, 0, 9) == 0 ? sizeof(value) : 200;
    int64_t timestamp = env_wall_ms(part->app->env) + draw(part, -20, 20);
    record_batch_builder_start(&part->builder, &options);
    for (int64_t i = 0, count = draw(part, 1, 8); i < count; i++) {
        int32_t len = (int32_t)draw(part, 0, (int64_t)most);
        sim_random_fill(&m->random, value, (size_t)len);
        CHECK(record_batch_builder_append(&part->builder, timestamp + i, BYTES_NULL,
                                          (struct bytes){value, len}, NULL, 0) == 0);
    }
    record_batch_builder_close(&part->builder, out);
}

static int append_bytes(struct part *part, const void *data, size_t len,
                        struct log_append_info *ret)
{
    struct log_append_args args = {
        .batches = {data, (int32_t)len},
        .origin = LOG_APPEND_CLIENT,
        .leader_epoch = part->model->leader_epoch,
        .now_ms = env_wall_ms(part->app->env),
    };
    *ret = (struct log_append_info){.first_offset = -1};
    return log_append(part->log, &args, ret);
}

/* A new batch; all that the log says about it has to be so. */
static void append_new(struct part *part)
{
    struct log_model *m = part->model;
    int producer = (int)draw(part, -1, LOG_MODEL_PRODUCERS - 1);
    struct bytebuf bytes;
    struct record_batch batch;
    struct log_append_info info;
    bytebuf_init(&bytes);
    build(part, producer, &bytes);
    CHECK(record_batch_parse(bytes.data, bytes.len, &batch) == 0);
    int64_t first = m->end;
    log_model_attempt(m, &batch.header, producer, bytes.data, bytes.len);
    int rv = append_bytes(part, bytes.data, bytes.len, &info);
    bytebuf_release(&bytes);
    if (rv == -ENOSPC) {
        log_model_retract(m);
        return;
    }
    if (!check(part, "an append", rv))
        return;
    if (info.error != KAFKA_ERROR_NONE || info.duplicate || info.first_offset != first ||
        info.last_offset != m->end - 1)
        sim_fail(m->sim, "%s: append at %lld: error %d, duplicate %d, offsets %lld..%lld", m->name,
                 (long long)first, info.error, info.duplicate, (long long)info.first_offset,
                 (long long)info.last_offset);
    log_model_confirm(m);
    part->app->world->appends++;
}

/* A retry of what was appended, as a client does that missed the answer. */
static void append_again(struct part *part)
{
    struct log_model *m = part->model;
    struct model_producer *p = &m->producers[draw(part, 0, LOG_MODEL_PRODUCERS - 1)];
    struct log_append_info info;
    if (!p->last_batch || p->last_batch_offset < log_start_offset(part->log))
        return;
    int rv = append_bytes(part, p->last_batch->data, p->last_batch->size_bytes, &info);
    if (!check(part, "an append", rv))
        return;
    if (info.error != KAFKA_ERROR_NONE || !info.duplicate ||
        info.first_offset != p->last_batch_offset)
        sim_fail(m->sim, "%s: retry of %lld: error %d, duplicate %d, offset %lld", m->name,
                 (long long)p->last_batch_offset, info.error, info.duplicate,
                 (long long)info.first_offset);
}

/* --- The rest of a partition's life --- */

static void truncate_log(struct part *part)
{
    struct log_model *m = part->model;
    /* Frozen: a checkpoint that does not know of this cut would end the wait for one that does. */
    if (log_busy(part->log) || m->end == 0 || part->frozen)
        return;
    int64_t offset = draw(part, MAX(log_start_offset(part->log), m->end - 30), m->end - 1);
    if (offset < log_start_offset(part->log))
        return;
    log_model_truncating(m, offset);
    if (!check(part, "a truncation",
               log_truncate_to(part->log, offset, env_wall_ms(part->app->env))))
        return;
    log_model_truncated(m, offset);
    m->leader_epoch++;
    part->frozen = true;
    log_app_part_publish(part);
    log_assign_epoch(part->log, m->leader_epoch);
    log_app_checkpoint(part->app);
}

static void move_start(struct part *part)
{
    struct log_model *m = part->model;
    int64_t start = log_start_offset(part->log);
    int64_t offset = start + draw(part, 0, (m->end - start) / 2);
    if (log_increment_start_offset(part->log, offset) != KAFKA_ERROR_NONE)
        sim_fail(m->sim, "%s: the start cannot move to %lld", m->name, (long long)offset);
    log_model_start_set(m, offset);
    log_app_part_publish(part);
}

static void warm_and_check(struct part *part)
{
    if (log_is_warm(part->log, log_start_offset(part->log), 1000) || draw(part, 0, 3) == 0)
        log_model_check_sample(part->model, part->log);
}

static void act(struct part *part)
{
    bool quiet = part->app->world->quiet;
    switch (draw(part, 0, 99)) {
    case 0 ... 69:
        if (quiet || part->frozen)
            flush(part, false);
        else
            append_new(part);
        break;
    case 70 ... 79:
        append_again(part);
        break;
    case 80 ... 87:
        warm_and_check(part);
        break;
    case 88 ... 90:
        delete_old(part);
        break;
    case 91 ... 92:
        flush(part, true);
        break;
    case 93:
        note_producers(part);
        break;
    case 94:
        if (!quiet)
            truncate_log(part);
        break;
    case 95:
        if (!quiet)
            move_start(part);
        break;
    case 96:
        if (!log_busy(part->log))
            check(part, "a roll", log_roll(part->log, env_wall_ms(part->app->env)));
        break;
    default:
        break;
    }
}

static void tick(struct timer *timer)
{
    struct part *part = CONTAINER_OF(timer, struct part, tick);
    struct log_app *app = part->app;
    if (app->state != LOG_APP_RUNNING)
        return;
    if (log_failed(part->log)) {
        log_app_give_up(app, "a log", -EIO);
        return;
    }
    act(part);
    if (app->state != LOG_APP_RUNNING)
        return;
    log_set_high_watermark(part->log, log_end_offset(part->log));
    if (log_flush_due(part->log, env_wall_ms(app->env)))
        flush(part, false);
    timer_start_in_ms(timer, draw(part, 1, 40));
}

void log_app_part_begin(struct task *task)
{
    struct part *part = CONTAINER_OF(task, struct part, begin);
    struct log_app_world *world = part->app->world;
    if (part->app->state != LOG_APP_RUNNING)
        return;
    log_model_check_recovered(part->model, part->log, sim_node_power_cuts(world->node));
    part->model->leader_epoch++;
    log_set_high_watermark(part->log, log_end_offset(part->log));
    log_app_part_publish(part);
    log_assign_epoch(part->log, part->model->leader_epoch);
    timer_start_in_ms(&part->tick, 1);
}

void log_app_part_init(struct part *part, struct log_app *app, int index)
{
    part->app = app;
    part->index = index;
    part->loop = app->env->loops[index % LOG_APP_LOOPS];
    part->model = &app->world->models[index];
    part->begin.run = log_app_part_begin;
    record_batch_builder_init(&part->builder);
    timer_init(&part->tick, part->loop, tick);
}
