#include "broker/replica/partition.h"

#include "broker/replica/partition_internal.h"
#include "broker/replica/partition_move.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/storage/log_flush.h"
#include "common/storage/log_retention.h"
#include "common/storage/log_txn.h"

#include <errno.h>
#include <stdlib.h>

/* Allowed moves between states; a move that is not listed is a bug. */
static const uint8_t moves[] = {
    [PARTITION_OPENING] = 1 << PARTITION_ONLINE | 1 << PARTITION_OFFLINE | 1 << PARTITION_CLOSING,
    [PARTITION_ONLINE] = 1 << PARTITION_AWAY | 1 << PARTITION_OFFLINE | 1 << PARTITION_CLOSING,
    [PARTITION_AWAY] = 1 << PARTITION_ONLINE | 1 << PARTITION_OFFLINE | 1 << PARTITION_CLOSING,
    [PARTITION_OFFLINE] = 1 << PARTITION_CLOSING,
    [PARTITION_CLOSING] = 0,
};

void partition_check_invariants(const struct partition *p)
{
    if (p->state != PARTITION_ONLINE || log_failed(p->log))
        return;
    CHECK(log_high_watermark(p->log) <= log_end_offset(p->log));
    CHECK(!p->sync_first ||
          log_high_watermark(p->log) <= MAX(p->synced_from, log_durable_end_offset(p->log)));
}

void partition_enter(struct partition *p, enum partition_state to)
{
    CHECK(moves[p->state] & (1 << to));
    p->state = to;
    partition_check_invariants(p);
}

static void wake_all(struct list *waits)
{
    struct list woken;
    list_init(&woken);
    while (!list_empty(waits))
        list_push_back(&woken, list_pop_front(waits));
    struct list *node;
    while ((node = list_pop_front(&woken)) != NULL) {
        struct data_wait *wait = LIST_ITEM(node, struct data_wait, link);
        wait->wake(wait);
    }
}

void partition_wake_readers(struct partition *p)
{
    wake_all(&p->data_waits);
    partition_wake_replicas(p);
}

void partition_wake_replicas(struct partition *p)
{
    replica_feeds_stir(&p->feed_members);
    wake_all(&p->replica_waits);
}

static bool ack_holds(const struct partition *p, const struct ack_wait *wait)
{
    return (!wait->committed || log_high_watermark(p->log) >= wait->offset) &&
           (!wait->durable || log_durable_end_offset(p->log) >= wait->offset);
}

/* What the ISR fell below before it was committed is there, but not as safe as was asked for. */
static enum kafka_error ack_error(const struct partition *p, const struct ack_wait *wait,
                                  enum kafka_error error)
{
    if (error != KAFKA_ERROR_NONE || !wait->committed || p->role.replicas.count == 1)
        return error;
    return leader_state_maximal_isr_count(&p->leader) < leader_state_min_isr(&p->leader, p->min_isr)
               ? KAFKA_ERROR_NOT_ENOUGH_REPLICAS_AFTER_APPEND
               : KAFKA_ERROR_NONE;
}

void partition_answer_acks(struct partition *p, enum kafka_error error)
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
        wait->done(wait, ack_error(p, wait, error));
    }
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
    partition_enter(p, PARTITION_OFFLINE);
    replica_feeds_drop(&p->feed_members);
    partition_answer_acks(p, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    partition_end_low_waits(p, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    partition_wake_readers(p);
    partition_run_calls(p, &p->opening_calls);
    p->host->follow(p->host, p);
    p->host->log_failed(p->host->owner, p->log, status);
    /* The metadata may have it in the other directory already: it is in this one that was lost. */
    struct uuid wanted = partition_wanted_directory(p);
    if (p->move != NULL && !uuid_eq(wanted, p->log_directory))
        p->host->tell_directory(p->host, p, p->log_directory);
    partition_end_move(p, false, false);
}

static void flush_work_run(struct work *work)
{
    struct partition *p = CONTAINER_OF(work, struct partition, flush_work);
    int64_t begin_us = env_now_us(p->host->env);
    log_flush_run(p->flush);
    p->flush_us = env_now_us(p->host->env) - begin_us;
}

/* Somebody waits for what the flush that ended did not cover. */
static bool flush_is_missed(const struct partition *p)
{
    return !list_empty(&p->ack_waits) ||
           (p->sync_first && log_durable_end_offset(p->log) < log_end_offset(p->log));
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
    if (p->state != PARTITION_ONLINE) {
        partition_away_step(p);
        return;
    }
    if (partition_leads(p)) {
        partition_advance(p);
        partition_answer_acks(p, KAFKA_ERROR_NONE);
    } else {
        partition_follow_watermark(p);
    }
    if (p->state == PARTITION_ONLINE &&
        (flush_is_missed(p) || log_flush_due(p->log, env_wall_ms(p->host->env))))
        partition_start_flush(p, false);
    p->host->follow(p->host, p);
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

void partition_set_config(struct partition *p, const struct log_config *config, int32_t min_isr)
{
    p->config = *config;
    p->min_isr = min_isr;
    bool sync_first = config->flush_messages <= 1;
    /* What was acknowledged before the promise was made need not be durable. */
    if (sync_first && !p->sync_first)
        p->synced_from = p->state == PARTITION_ONLINE ? log_high_watermark(p->log) : 0;
    p->sync_first = sync_first;
    if (p->state != PARTITION_ONLINE)
        return;
    log_set_config(p->log, config);
    if (partition_leads(p))
        partition_advance(p);
}

/* Where the log lies is known here only; the controller elects by it when a disk fails. */
void partition_tell_directory(struct partition *p)
{
    struct uuid here = partition_wanted_directory(p);
    if (uuid_is_zero(here) || uuid_eq(here, p->role.directory))
        p->told_directory = UUID_ZERO;
    else if (!uuid_eq(here, p->told_directory)) {
        p->told_directory = here;
        p->host->tell_directory(p->host, p, here);
    }
}

/* What the role asks of a log that is there. */
void partition_settle(struct partition *p)
{
    partition_tell_directory(p);
    partition_kick_move(p);
    bool leads = p->role.leader_id == p->host->node_id;
    if (p->led_epoch >= 0 && (!leads || p->led_epoch != p->role.leader_epoch)) {
        p->led_epoch = -1;
        replica_feeds_drop(&p->feed_members);
        partition_answer_acks(p, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
        partition_end_low_waits(p, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
        partition_wake_readers(p);
    }
    if (leads && p->led_epoch < 0) {
        partition_take_leadership(p);
    } else if (leads) {
        leader_state_update(&p->leader, env_now_ms(p->host->env));
        partition_advance(p);
        partition_check_low(p);
        partition_let_in(p);
    } else if (flush_is_missed(p)) {
        partition_start_flush(p, false);
    }
    p->host->follow(p->host, p);
}

void partition_apply(struct partition *p, const struct partition_role *role)
{
    /* The controller's answer to a change of the ISR may have come before its record. */
    if (role->leader_epoch == p->role.leader_epoch &&
        role->partition_epoch < p->role.partition_epoch)
        return;
    bool new_epoch = role->leader_epoch != p->role.leader_epoch;
    partition_role_set(&p->role, role);
    if (new_epoch)
        p->leader_watermark = p->leader_log_start = 0;
    if (p->state == PARTITION_ONLINE)
        partition_settle(p);
    if (new_epoch && MUTATED(p->host->env->disk, CUT_TO_WATERMARK))
        partition_mutated_cut(p);
}

/* The log is there, or is not: called on the loop when the worker is done. */
void partition_opened(struct partition *p, int status)
{
    if (status != 0) {
        partition_enter(p, PARTITION_OFFLINE);
        partition_run_calls(p, &p->opening_calls);
        p->host->opened(p->host->owner, p, status);
        return;
    }
    log_set_config(p->log, &p->config);
    /* Who made it durable before is not known: the promise starts with what is there now. */
    p->synced_from = log_end_offset(p->log);
    partition_enter(p, PARTITION_ONLINE);
    partition_settle(p);
    partition_run_calls(p, &p->opening_calls);
    p->host->opened(p->host->owner, p, 0);
}

bool partition_wait_open(struct partition *p, struct shard_call *call)
{
    if (p->state != PARTITION_OPENING && p->state != PARTITION_AWAY)
        return true;
    shard_call_again(call);
    /* In order of arrival: a producer's batches keep theirs. */
    partition_keep_call(&p->opening_calls, call);
    return false;
}

bool partition_wait_ack(struct partition *p, struct ack_wait *wait)
{
    if (p->state != PARTITION_ONLINE || ack_holds(p, wait))
        return true;
    list_push_back(&p->ack_waits, &wait->link);
    return false;
}

void partition_wait_data(struct partition *p, struct data_wait *wait, bool replica)
{
    list_push_back(replica ? &p->replica_waits : &p->data_waits, &wait->link);
}

int64_t partition_read_bound(const struct partition *p, bool read_committed)
{
    return read_committed ? log_last_stable_offset(p->log) : log_high_watermark(p->log);
}

/* Waiters are told before the partition goes: nothing may point to it afterwards. */
void partition_dismiss_waiters(struct partition *p)
{
    partition_enter(p, PARTITION_CLOSING);
    replica_feeds_drop(&p->feed_members);
    partition_answer_acks(p, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    partition_end_low_waits(p, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    partition_wake_readers(p);
    partition_run_calls(p, &p->opening_calls);
}

void partition_set_throttled(struct partition *p, struct throttled throttled)
{
    p->throttled = throttled;
}

struct throttled partition_throttled(const struct partition *p)
{
    return p->throttled;
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
