#include "broker/replica/partition_internal.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/storage/log_flush.h"
#include "common/storage/log_retention.h"
#include "common/storage/log_txn.h"

#include <errno.h>
#include <stdlib.h>

/* Until a topic of the same name that was deleted has left the place. */
enum { OPEN_RETRY_MS = 10 };
/* What a start may have to read through to learn what producers wrote last: a millisecond or two.
 */
#define SNAPSHOT_BYTES ((int64_t)8 << 20)

static void partition_free(struct partition *p)
{
    leader_state_release(&p->leader);
    partition_role_release(&p->role);
    free((void *)(uintptr_t)p->topic.data);
    free(p);
}

static void open_run(struct work *work)
{
    struct partition *p = CONTAINER_OF(work, struct partition, log_work);
    p->opened = p->opened_copy = (struct log_opened){0};
    p->log_work_status =
        p->host->open_log(p->host->owner, p->host->files, &p->wanted, &p->opened, &p->opened_copy);
}

static void open_done(struct work *work);

static void open_log(struct timer *timer)
{
    struct partition *p = CONTAINER_OF(timer, struct partition, open_timer);
    bool leads = p->role.leader_id == p->host->node_id;
    p->wanted = (struct log_wanted){.topic = p->topic,
                                    .topic_id = p->topic_id,
                                    .index = p->index,
                                    .leader_epoch = leads ? p->role.leader_epoch : -1,
                                    .config = p->config,
                                    .directory = p->role.directory};
    p->log_work_running = true;
    p->log_work = (struct work){.run = open_run, .done = open_done, .loop = p->host->loop};
    work_submit(&p->log_work, WORK_DISK);
}

static void open_done(struct work *work)
{
    struct partition *p = CONTAINER_OF(work, struct partition, log_work);
    p->log_work_running = false;
    p->log = p->opened.log;
    p->dir = p->opened.dir;
    p->log_directory = p->opened.directory;
    if (p->opened_copy.log != NULL)
        partition_resume_move(p, &p->opened_copy);
    if (p->state == PARTITION_CLOSING)
        partition_close_step(p);
    else if (p->log_work_status == -EBUSY)
        timer_start_in_ms(&p->open_timer, OPEN_RETRY_MS);
    else
        partition_opened(p, p->log_work_status);
}

struct partition *partition_new(const struct partition_new_args *args)
{
    struct partition *p = mem_calloc(1, sizeof(*p));
    p->host = args->host;
    p->topic =
        str_from(mem_strndup(args->topic.data, (size_t)args->topic.len), (size_t)args->topic.len);
    p->topic_id = args->topic_id;
    p->index = args->index;
    partition_role_set(&p->role, args->role);
    p->led_epoch = -1;
    leader_state_init(&p->leader, p->host->node_id, &p->role);
    list_init(&p->ack_waits);
    list_init(&p->data_waits);
    list_init(&p->replica_waits);
    list_init(&p->low_waits);
    list_init(&p->feed_members);
    partition_set_config(p, args->config, args->min_isr);
    timer_init(&p->open_timer, p->host->loop, open_log);
    open_log(&p->open_timer);
    return p;
}

static void warm_run(struct work *work)
{
    log_warm_run(CONTAINER_OF(work, struct partition, warm_work)->warm);
}

static void warm_done(struct work *work)
{
    struct partition *p = CONTAINER_OF(work, struct partition, warm_work);
    struct log_warm *warm = p->warm;
    p->warm = NULL;
    /* What could not be warmed, the read itself will meet. */
    log_warm_end(p->log, warm);
    partition_run_calls(p, &p->warming_calls);
    if (p->state == PARTITION_CLOSING)
        partition_close_step(p);
    else
        partition_away_step(p);
}

bool partition_warm(struct partition *p, int64_t offset, int32_t max_bytes, struct shard_call *call)
{
    if (p->state != PARTITION_ONLINE || log_is_warm(p->log, offset, max_bytes))
        return true;
    partition_keep_call(&p->warming_calls, call);
    if (p->warm != NULL)
        return false;
    p->warm = log_warm_begin(p->log, offset, max_bytes);
    p->warm_work = (struct work){.run = warm_run, .done = warm_done, .loop = p->host->loop};
    work_submit(&p->warm_work, WORK_DISK);
    return false;
}

/* A worker is through with the log: who waits for that goes on. */
static void job_ended(struct partition *p, int rv)
{
    if (p->state == PARTITION_CLOSING)
        partition_close_step(p);
    else if (rv != 0)
        partition_fail(p, rv);
    else
        partition_away_step(p);
}

static void snapshot_run(struct work *work)
{
    log_snapshot_run(CONTAINER_OF(work, struct partition, snapshot_work)->snapshot);
}

static void snapshot_done(struct work *work)
{
    struct partition *p = CONTAINER_OF(work, struct partition, snapshot_work);
    struct log_snapshot *snapshot = p->snapshot;
    p->snapshot = NULL;
    job_ended(p, log_snapshot_end(p->log, snapshot));
}

static void start_snapshot(struct partition *p)
{
    if (p->snapshot != NULL)
        return;
    p->snapshot = log_snapshot_begin(p->log, SNAPSHOT_BYTES);
    if (p->snapshot == NULL)
        return;
    p->snapshot_work =
        (struct work){.run = snapshot_run, .done = snapshot_done, .loop = p->host->loop};
    work_submit(&p->snapshot_work, WORK_DISK);
}

static void deletion_run(struct work *work)
{
    log_deletion_run(CONTAINER_OF(work, struct partition, deletion_work)->deletion);
}

static void deletion_done(struct work *work)
{
    struct partition *p = CONTAINER_OF(work, struct partition, deletion_work);
    struct log_deletion *deletion = p->deletion;
    p->deletion = NULL;
    job_ended(p, log_deletion_end(p->log, deletion));
}

static void start_deletion(struct partition *p, struct log_deletion *deletion)
{
    if (deletion == NULL)
        return;
    p->deletion = deletion;
    p->deletion_work =
        (struct work){.run = deletion_run, .done = deletion_done, .loop = p->host->loop};
    work_submit(&p->deletion_work, WORK_DISK);
}

void partition_start_retention(struct partition *p)
{
    if (p->deletion != NULL)
        return;
    start_deletion(p, log_retention_begin(p->log, env_wall_ms(p->host->env)));
    if (log_failed(p->log))
        partition_fail(p, -EIO);
}

void partition_tick(struct partition *p, bool retention)
{
    if (p->state != PARTITION_ONLINE)
        return;
    int64_t now_ms = env_wall_ms(p->host->env);
    if (log_flush_due(p->log, now_ms))
        partition_start_flush(p, false);
    start_snapshot(p);
    if (retention)
        partition_start_retention(p);
    if (p->state == PARTITION_ONLINE && p->deletion == NULL &&
        log_unlink_due_at_ms(p->log) <= now_ms)
        start_deletion(p, log_unlink_begin(p->log, now_ms));
}

void partition_expire_producers(struct partition *p)
{
    if (p->state == PARTITION_ONLINE)
        log_expire_producers(p->log, env_wall_ms(p->host->env));
}

void partition_checkpoint_flush(struct partition *p, int64_t above_bytes)
{
    if (p->state == PARTITION_ONLINE && log_unchecked_bytes(p->log) > above_bytes)
        partition_start_flush(p, true);
}

void partition_send_away(struct partition *p, void (*run)(struct work *),
                         void (*done)(struct partition *))
{
    p->away_run = run;
    p->away_done = done;
    p->failed_dir = -1;
    partition_enter(p, PARTITION_AWAY);
    partition_away_step(p);
}

static void away_done(struct work *work)
{
    struct partition *p = CONTAINER_OF(work, struct partition, log_work);
    p->log_work_running = false;
    p->away_done(p);
}

void partition_away_step(struct partition *p)
{
    if (p->state != PARTITION_AWAY || p->log_work_running || p->flush != NULL ||
        p->deletion != NULL || p->warm != NULL || p->snapshot != NULL)
        return;
    p->log_work_running = true;
    p->log_work_status = 0;
    log_detach(p->log);
    p->log_work = (struct work){.run = p->away_run, .done = away_done, .loop = p->host->loop};
    work_submit(&p->log_work, WORK_DISK);
}

void partition_back(struct partition *p, int status)
{
    log_attach(p->log, p->host->files);
    p->synced_from = MIN(p->synced_from, log_end_offset(p->log));
    log_set_config(p->log, &p->config);
    if (status == 0 && p->failed_dir == (int)p->dir)
        status = p->failed_status;
    if (status != 0) {
        partition_fail(p, status);
        return;
    }
    partition_enter(p, PARTITION_ONLINE);
    partition_settle(p);
    partition_run_calls(p, &p->opening_calls);
}

static void close_run(struct work *work)
{
    struct partition *p = CONTAINER_OF(work, struct partition, log_work);
    p->log_work_status =
        p->host->close_log(p->host->owner, p->log, p->close_clean, p->close_remove);
}

static void close_done(struct work *work)
{
    struct partition *p = CONTAINER_OF(work, struct partition, log_work);
    void (*closed)(void *) = p->closed;
    void *ctx = p->closed_ctx;
    partition_free(p);
    closed(ctx);
}

void partition_close_step(struct partition *p)
{
    if (p->log_work_running || p->flush != NULL || p->deletion != NULL || p->warm != NULL ||
        p->snapshot != NULL)
        return;
    if (p->move != NULL) {
        partition_end_move(p, p->close_clean, p->close_remove);
        return;
    }
    p->log_work_running = true;
    p->log_work_status = 0;
    if (p->log == NULL) { /* it never opened: nothing on the disk to end */
        void (*closed)(void *) = p->closed;
        void *ctx = p->closed_ctx;
        partition_free(p);
        closed(ctx);
        return;
    }
    log_detach(p->log); /* a worker takes it, and this loop's file cache stays here */
    p->log_work = (struct work){.run = close_run, .done = close_done, .loop = p->host->loop};
    work_submit(&p->log_work, WORK_DISK);
}

void partition_close(struct partition *p, bool clean, bool remove, void (*closed)(void *ctx),
                     void *ctx)
{
    CHECK(p->state != PARTITION_CLOSING);
    p->closed = closed;
    p->closed_ctx = ctx;
    p->close_clean = clean && p->state == PARTITION_ONLINE;
    p->close_remove = remove;
    /* Whoever waits until it is open need not any more. */
    if (p->state == PARTITION_OPENING)
        p->host->opened(p->host->owner, p, 0);
    timer_stop(&p->open_timer);
    partition_dismiss_waiters(p);
    p->host->unfollow(p->host, p);
    partition_close_step(p);
}
