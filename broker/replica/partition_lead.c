#include "broker/replica/partition_lead.h"

#include "broker/replica/partition_internal.h"
#include "common/base/check.h"
#include "common/storage/log_epochs.h"
#include "common/storage/log_flush.h"

#include <errno.h>

/* How long batches may still be on their way behind one for which the disk had no room. */
#define NO_ROOM_MS 1000

static int64_t epoch_of(void *ctx, int32_t id, bool *ret_live)
{
    struct replica_host *host = ctx;
    return host->broker_epoch(host, id, ret_live);
}

static struct leader_view view_of(const struct partition *p)
{
    bool live;
    int64_t end = log_end_offset(p->log);
    return (struct leader_view){
        .now_ms = env_now_ms(p->host->env),
        .lag_max_ms = p->host->lag_max_ms,
        .end_offset = end,
        .own_offset = p->sync_first ? log_durable_end_offset(p->log) : end,
        .high_watermark = log_high_watermark(p->log),
        .min_isr = p->min_isr,
        .broker_epoch = p->host->broker_epoch(p->host, p->host->node_id, &live),
        .epoch_of = epoch_of,
        .ctx = p->host,
    };
}

bool partition_leads(const struct partition *p)
{
    return p->state == PARTITION_ONLINE && p->led_epoch >= 0 &&
           p->led_epoch == p->role.leader_epoch && p->role.leader_id == p->host->node_id;
}

void partition_advance(struct partition *p)
{
    if (!partition_leads(p))
        return;
    struct leader_view view = view_of(p);
    int64_t offset = leader_state_high_watermark(&p->leader, &view);
    if (MUTATED(p->host->env->disk, ACK_BEFORE_ISR))
        offset = view.own_offset;
    if (offset <= view.high_watermark)
        return;
    log_set_high_watermark(p->log, offset);
    partition_check_invariants(p);
    partition_wake_readers(p);
    if (!list_empty(&p->ack_waits))
        partition_answer_acks(p, KAFKA_ERROR_NONE);
}

static void propose(struct partition *p, bool shrink)
{
    struct leader_view view = view_of(p);
    if (leader_state_propose(&p->leader, &view, shrink))
        p->host->propose_isr(p->host, p, &p->leader.proposal);
}

void partition_take_leadership(struct partition *p)
{
    log_assign_epoch(p->log, p->role.leader_epoch);
    p->led_epoch = p->role.leader_epoch;
    leader_state_begin(&p->leader, log_end_offset(p->log), env_now_ms(p->host->env));
    partition_advance(p);
    /* What an earlier process left unsynced is promised, too, and becomes visible once it is. */
    if (p->sync_first && log_durable_end_offset(p->log) < p->leader.start_offset)
        partition_start_flush(p, false);
    if (p->role.recovery_state != LEADER_RECOVERED)
        propose(p, false);
}

enum kafka_error partition_check_reader(const struct partition *p, int32_t client_epoch)
{
    if (p->state == PARTITION_OFFLINE)
        return KAFKA_ERROR_KAFKA_STORAGE_ERROR;
    if (p->state != PARTITION_ONLINE)
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    if (client_epoch != -1 && client_epoch < p->role.leader_epoch)
        return KAFKA_ERROR_FENCED_LEADER_EPOCH;
    if (client_epoch > p->role.leader_epoch)
        return KAFKA_ERROR_UNKNOWN_LEADER_EPOCH;
    return p->role.leader_id >= 0 ? KAFKA_ERROR_NONE : KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
}

enum kafka_error partition_check_leader(const struct partition *p, int32_t client_epoch)
{
    enum kafka_error error = partition_check_reader(p, client_epoch);
    if (error == KAFKA_ERROR_NONE && !partition_leads(p))
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    return error;
}

int32_t partition_closest_follower(const struct partition *p, int64_t offset,
                                   bool (*fits)(void *ctx, int32_t id), void *ctx)
{
    const struct follower_progress *best = NULL;
    for (int32_t i = 0; i < p->leader.follower_count; i++) {
        const struct follower_progress *f = &p->leader.followers[i];
        if (f->end_offset < offset || f->log_start_offset > offset ||
            !node_list_contains(p->role.isr, f->id) || !fits(ctx, f->id))
            continue;
        if (best == NULL || f->end_offset > best->end_offset)
            best = f;
    }
    return best ? best->id : -1;
}

enum kafka_error partition_check_in_sync(const struct partition *p)
{
    return partition_leads(p) && p->role.isr.count < leader_state_min_isr(&p->leader, p->min_isr)
               ? KAFKA_ERROR_NOT_ENOUGH_REPLICAS
               : KAFKA_ERROR_NONE;
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
    int64_t end = log_end_offset(p->log);
    int rv = log_append(p->log, &args, &appended.info);
    if (rv != 0) {
        /* A full disk leaves the log whole: it takes records again once there is room. */
        if (log_failed(p->log))
            partition_fail(p, rv);
        p->no_room_until_ms = env_now_ms(p->host->env) + NO_ROOM_MS;
        return KAFKA_ERROR_KAFKA_STORAGE_ERROR;
    }
    /* A producer's batches behind the one that found no room are not out of order: they come again
     * behind it. Told that they are, librdkafka would go on with another epoch, and send a second
     * time what it got no answer for. */
    if (appended.info.error == KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER &&
        env_now_ms(p->host->env) < p->no_room_until_ms)
        return KAFKA_ERROR_KAFKA_STORAGE_ERROR;
    /* The same where another one leads since this broker was frozen or cut off: what seems to be
     * missing is there. */
    if (appended.info.error == KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER &&
        p->host->out_of_touch(p->host))
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    if (appended.info.error != KAFKA_ERROR_NONE) {
        *ret = appended;
        return appended.info.error;
    }
    if (log_flush_due(p->log, now_ms) || p->sync_first) {
        appended.sync_first = p->sync_first || p->config.flush_messages != INT64_MAX;
        partition_start_flush(p, false);
    }
    *ret = appended;
    leader_state_appended(&p->leader, end, env_now_ms(p->host->env));
    partition_advance(p);
    partition_wake_replicas(p);
    partition_check_invariants(p);
    return KAFKA_ERROR_NONE;
}

bool partition_knows_end(const struct partition *p)
{
    return log_high_watermark(p->log) >= p->leader.start_offset;
}

enum kafka_error partition_check_replica(const struct partition *p,
                                         const struct replica_fetch *fetch, bool has_epoch)
{
    struct leader_view view = view_of(p);
    enum kafka_error error = leader_state_check(&p->leader, &view, fetch);
    /* Whoever does not say in which epoch it fetches cannot be ahead of us. */
    return error == KAFKA_ERROR_UNKNOWN_LEADER_EPOCH && !has_epoch
               ? KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER
               : error;
}

void partition_replica_fetched(struct partition *p, const struct replica_fetch *fetch)
{
    if (!partition_leads(p) || leader_state_follower(&p->leader, fetch->id) == NULL)
        return;
    struct leader_view view = view_of(p);
    leader_state_fetched(&p->leader, &view, fetch);
    if (!p->leader.proposing && !node_list_contains(p->role.isr, fetch->id))
        propose(p, false);
    partition_advance(p);
    partition_check_low(p);
}

struct list *partition_feed_members(struct partition *p)
{
    return &p->feed_members;
}

void partition_let_in(struct partition *p)
{
    if (partition_leads(p) && !p->leader.proposing && p->role.isr.count < p->role.replicas.count)
        propose(p, false);
}

void partition_check_lag(struct partition *p)
{
    if (!partition_leads(p) || p->role.replicas.count < 2)
        return;
    propose(p, true);
    /* Whoever was about to join and went silent is waited for no longer. */
    partition_advance(p);
}

void partition_consider_isr(struct partition *p)
{
    if (!partition_leads(p))
        return;
    partition_check_low(p);
    if (p->role.isr.count == p->role.replicas.count)
        return;
    partition_let_in(p);
    partition_advance(p);
}

static void take_isr(struct partition *p, const struct isr_answer *answer)
{
    struct partition_role role = p->role;
    role.partition_epoch = answer->partition_epoch;
    role.recovery_state = answer->recovery_state;
    role.isr = answer->isr;
    partition_role_set(&p->role, &role);
    leader_state_accepted(&p->leader, env_now_ms(p->host->env));
}

void partition_isr_answered(struct partition *p, int32_t leader_epoch, int32_t partition_epoch,
                            const struct isr_answer *answer)
{
    /* The log may be away for a moment. */
    bool leads = p->led_epoch >= 0 && p->led_epoch == p->role.leader_epoch &&
                 (p->state == PARTITION_ONLINE || p->state == PARTITION_AWAY);
    if (!leads || !p->leader.proposing || p->leader.proposal.leader_epoch != leader_epoch ||
        p->leader.proposal.partition_epoch != partition_epoch)
        return;
    if (answer->error != KAFKA_ERROR_NONE) {
        if (leader_state_refused(&p->leader, answer->error) == ISR_AGAIN)
            p->host->propose_isr(p->host, p, &p->leader.proposal);
        else
            partition_advance(p);
        return;
    }
    /* Another leader, or metadata that came before the answer: the image tells all. */
    if (answer->leader_epoch != p->role.leader_epoch || answer->leader_id != p->host->node_id ||
        answer->partition_epoch < p->role.partition_epoch)
        return;
    take_isr(p, answer);
    partition_advance(p);
    partition_let_in(p);
}
