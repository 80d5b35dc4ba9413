#include "broker/replica/partition.h"

#include "broker/replica/partition_internal.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/storage/log_epochs.h"
#include "common/storage/log_flush.h"
#include "common/storage/log_retention.h"
#include "common/storage/log_txn.h"

#include <errno.h>
#include <stdlib.h>

/* Allowed moves between states; a move that is not listed is a bug. */
static const uint8_t moves[] = {
    [PARTITION_OPENING] = 1 << PARTITION_ONLINE | 1 << PARTITION_OFFLINE | 1 << PARTITION_CLOSING,
    [PARTITION_ONLINE] = 1 << PARTITION_OFFLINE | 1 << PARTITION_CLOSING,
    [PARTITION_OFFLINE] = 1 << PARTITION_CLOSING,
    [PARTITION_CLOSING] = 0,
};

static void check_invariants(const struct partition *p)
{
    if (p->state != PARTITION_ONLINE || log_failed(p->log))
        return;
    CHECK(log_high_watermark(p->log) <= log_end_offset(p->log));
    CHECK(!p->sync_first ||
          log_high_watermark(p->log) <= MAX(p->synced_from, log_durable_end_offset(p->log)));
}

static void move(struct partition *p, enum partition_state to)
{
    CHECK(moves[p->state] & (1 << to));
    p->state = to;
    check_invariants(p);
}

static void wake_readers(struct partition *p)
{
    struct list woken;
    list_init(&woken);
    while (!list_empty(&p->data_waits))
        list_push_back(&woken, list_pop_front(&p->data_waits));
    struct list *node;
    while ((node = list_pop_front(&woken)) != NULL) {
        struct data_wait *wait = LIST_ITEM(node, struct data_wait, link);
        wait->wake(wait);
    }
}

static bool ack_holds(const struct partition *p, const struct ack_wait *wait)
{
    return (!wait->committed || log_high_watermark(p->log) >= wait->offset) &&
           (!wait->durable || log_durable_end_offset(p->log) >= wait->offset);
}

static void answer_acks(struct partition *p, enum kafka_error error)
{
    struct list ready;
    list_init(&ready);
    LIST_FOR_EACH (node, &p->ack_waits) {
        struct ack_wait *wait = LIST_ITEM(node, struct ack_wait, link);
        if (error == KAFKA_ERROR_NONE && !ack_holds(p, wait))
            continue;
        list_remove(node);
        list_push_back(&ready, node);
    }
    struct list *node;
    while ((node = list_pop_front(&ready)) != NULL) {
        struct ack_wait *wait = LIST_ITEM(node, struct ack_wait, link);
        wait->done(wait, error);
    }
}

/* A sole replica's high watermark follows its own end: the durable one where that is promised. */
static void advance_high_watermark(struct partition *p)
{
    if (p->role.leader_id != p->host->node_id || p->role.isr_count > 1)
        return;
    int64_t end = p->sync_first ? log_durable_end_offset(p->log) : log_end_offset(p->log);
    if (end <= log_high_watermark(p->log))
        return;
    log_set_high_watermark(p->log, end);
    wake_readers(p);
}

void partition_keep_call(struct task **queue, struct shard_call *call)
{
    shard_call_again(call);
    call->task.next = NULL;
    while (*queue != NULL)
        queue = &(*queue)->next;
    *queue = &call->task;
}

void partition_run_calls(struct partition *p, struct task **queue)
{
    struct task *task = *queue;
    *queue = NULL;
    while (task != NULL) {
        struct task *next = task->next;
        loop_post(p->host->loop, task);
        task = next;
    }
}

void partition_fail(struct partition *p, int status)
{
    if (p->state == PARTITION_OFFLINE || p->state == PARTITION_CLOSING)
        return;
    move(p, PARTITION_OFFLINE);
    answer_acks(p, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    wake_readers(p);
    partition_run_calls(p, &p->opening_calls);
    p->host->log_failed(p->host->owner, p, status);
}

static void flush_work_run(struct work *work)
{
    struct partition *p = CONTAINER_OF(work, struct partition, flush_work);
    int64_t begin_us = env_now_us(p->host->env);
    log_flush_run(p->flush);
    p->flush_us = env_now_us(p->host->env) - begin_us;
}

static void flush_work_done(struct work *work)
{
    struct partition *p = CONTAINER_OF(work, struct partition, flush_work);
    struct log_flush *flush = p->flush;
    p->flush = NULL;
    if (p->host->flush_times != NULL)
        metric_record_us(p->host->flush_times, p->host->loop->index, p->flush_us);
    int rv = log_flush_end(p->log, flush);
    if (p->state == PARTITION_CLOSING) {
        partition_close_step(p);
        return;
    }
    if (rv != 0) {
        partition_fail(p, rv);
        return;
    }
    advance_high_watermark(p);
    answer_acks(p, KAFKA_ERROR_NONE);
    if (p->state == PARTITION_ONLINE &&
        (!list_empty(&p->ack_waits) || log_flush_due(p->log, env_wall_ms(p->host->env))))
        partition_start_flush(p, false);
}

void partition_start_flush(struct partition *p, bool checkpoint)
{
    if (p->flush != NULL || p->state != PARTITION_ONLINE)
        return;
    p->flush = log_flush_begin(p->log, checkpoint, env_wall_ms(p->host->env));
    if (p->flush == NULL)
        return;
    p->flush_work =
        (struct work){.run = flush_work_run, .done = flush_work_done, .loop = p->host->loop};
    work_submit(&p->flush_work, WORK_FLUSH);
}

void partition_set_config(struct partition *p, const struct log_config *config)
{
    p->config = *config;
    bool sync_first = config->flush_messages <= 1;
    /* What was acknowledged before the promise was made need not be durable. */
    if (sync_first && !p->sync_first)
        p->synced_from = p->log ? log_high_watermark(p->log) : 0;
    p->sync_first = sync_first;
    if (p->log != NULL && p->state == PARTITION_ONLINE)
        log_set_config(p->log, config);
}

static void take_leadership(struct partition *p)
{
    log_assign_epoch(p->log, p->role.leader_epoch);
    p->led_epoch = p->role.leader_epoch;
    p->led_from = log_end_offset(p->log);
    advance_high_watermark(p);
    /* What an earlier process left unsynced is promised, too, and becomes visible once it is. */
    if (p->sync_first && log_durable_end_offset(p->log) < p->led_from)
        partition_start_flush(p, false);
}

void partition_apply(struct partition *p, const struct partition_role *role)
{
    bool led = p->role.leader_id == p->host->node_id;
    bool new_epoch = role->leader_epoch != p->role.leader_epoch;
    p->role = *role;
    if (p->state != PARTITION_ONLINE)
        return;
    bool leads = role->leader_id == p->host->node_id;
    if (led && (!leads || new_epoch)) {
        answer_acks(p, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
        wake_readers(p);
    }
    if (leads && p->led_epoch != role->leader_epoch)
        take_leadership(p);
    else if (leads)
        advance_high_watermark(p);
}

/* The log is there, or is not: called on the loop when the worker is done. */
void partition_opened(struct partition *p, int status)
{
    if (status != 0) {
        move(p, PARTITION_OFFLINE);
        partition_run_calls(p, &p->opening_calls);
        p->host->opened(p->host->owner, p, status);
        return;
    }
    log_set_config(p->log, &p->config);
    /* Who made it durable before is not known: the promise starts with what is there now. */
    p->synced_from = log_end_offset(p->log);
    move(p, PARTITION_ONLINE);
    if (p->role.leader_id == p->host->node_id)
        take_leadership(p);
    partition_run_calls(p, &p->opening_calls);
    p->host->opened(p->host->owner, p, 0);
}

bool partition_wait_open(struct partition *p, struct shard_call *call)
{
    if (p->state != PARTITION_OPENING)
        return true;
    shard_call_again(call);
    /* In order of arrival: a producer's batches keep theirs. */
    partition_keep_call(&p->opening_calls, call);
    return false;
}

enum kafka_error partition_check_leader(const struct partition *p, int32_t client_epoch)
{
    if (p->state == PARTITION_OFFLINE)
        return KAFKA_ERROR_KAFKA_STORAGE_ERROR;
    if (p->state != PARTITION_ONLINE)
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    if (client_epoch >= 0 && client_epoch < p->role.leader_epoch)
        return KAFKA_ERROR_FENCED_LEADER_EPOCH;
    if (client_epoch >= 0 && client_epoch > p->role.leader_epoch)
        return KAFKA_ERROR_UNKNOWN_LEADER_EPOCH;
    if (p->role.leader_id != p->host->node_id)
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    return KAFKA_ERROR_NONE;
}

enum kafka_error partition_append(struct partition *p, struct bytes batches,
                                  enum log_append_origin origin, struct partition_appended *ret)
{
    enum kafka_error error = partition_check_leader(p, -1);
    if (error != KAFKA_ERROR_NONE)
        return error;
    int64_t now_ms = env_wall_ms(p->host->env);
    struct log_append_args args = {.batches = batches,
                                   .origin = origin,
                                   .leader_epoch = p->role.leader_epoch,
                                   .now_ms = now_ms};
    struct partition_appended appended = {0};
    int rv = log_append(p->log, &args, &appended.info);
    if (rv != 0) {
        /* A full disk leaves the log whole: it takes records again once there is room. */
        if (log_failed(p->log))
            partition_fail(p, rv);
        return KAFKA_ERROR_KAFKA_STORAGE_ERROR;
    }
    if (appended.info.error != KAFKA_ERROR_NONE) {
        *ret = appended;
        return appended.info.error;
    }
    if (log_flush_due(p->log, now_ms) || p->sync_first) {
        appended.sync_first = p->sync_first || p->config.flush_messages != INT64_MAX;
        partition_start_flush(p, false);
    }
    advance_high_watermark(p);
    check_invariants(p);
    *ret = appended;
    return KAFKA_ERROR_NONE;
}

bool partition_wait_ack(struct partition *p, struct ack_wait *wait)
{
    if (p->state != PARTITION_ONLINE || ack_holds(p, wait))
        return true;
    list_push_back(&p->ack_waits, &wait->link);
    return false;
}

void partition_wait_data(struct partition *p, struct data_wait *wait)
{
    list_push_back(&p->data_waits, &wait->link);
}

bool partition_knows_end(const struct partition *p)
{
    return log_high_watermark(p->log) >= p->led_from;
}

int64_t partition_read_bound(const struct partition *p, bool read_committed)
{
    return read_committed ? log_last_stable_offset(p->log) : log_high_watermark(p->log);
}

/* Waiters are told before the partition goes: nothing may point to it afterwards. */
void partition_dismiss_waiters(struct partition *p)
{
    move(p, PARTITION_CLOSING);
    answer_acks(p, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    wake_readers(p);
    partition_run_calls(p, &p->opening_calls);
}

struct str partition_topic(const struct partition *p)
{
    return p->topic;
}

struct uuid partition_topic_id(const struct partition *p)
{
    return p->topic_id;
}

int32_t partition_index(const struct partition *p)
{
    return p->index;
}

enum partition_state partition_get_state(const struct partition *p)
{
    return p->state;
}

const struct partition_role *partition_get_role(const struct partition *p)
{
    return &p->role;
}

struct log *partition_any_log(const struct partition *p)
{
    return p->log;
}

struct log *partition_log(const struct partition *p)
{
    return p->state == PARTITION_ONLINE ? p->log : NULL;
}
