#include "broker/replica/partition_follow.h"

#include "broker/replica/follower_state.h"
#include "broker/replica/partition_internal.h"
#include "common/base/check.h"
#include "common/protocol/record_batch.h"
#include "common/storage/log_copy.h"
#include "common/storage/log_flush.h"
#include "common/storage/log_retention.h"

#include <errno.h>

struct followed **partition_followed(struct partition *p)
{
    return &p->followed;
}

static bool follows(const struct partition *p)
{
    return p->role.leader_id >= 0 && p->role.leader_id != p->host->node_id &&
           (p->state == PARTITION_ONLINE || p->state == PARTITION_AWAY);
}

/* Where records are synced before they count, those that are not do not count for the leader. */
static bool is_synced(const struct partition *p)
{
    return !p->sync_first || MUTATED(p->host->env->disk, IGNORE_DURABLE_END) ||
           log_durable_end_offset(p->log) >= log_end_offset(p->log);
}

enum follow_status partition_follow_at(const struct partition *p, struct follow_at *ret_at)
{
    if (!follows(p))
        return FOLLOW_NOBODY;
    *ret_at =
        (struct follow_at){.leader_id = p->role.leader_id, .leader_epoch = p->role.leader_epoch};
    if (p->state != PARTITION_ONLINE || !is_synced(p))
        return FOLLOW_BUSY;
    ret_at->offset = log_end_offset(p->log);
    ret_at->last_epoch = log_latest_epoch(p->log);
    ret_at->log_start_offset = log_start_offset(p->log);
    return FOLLOW_READY;
}

/* It is still where the question was asked from. */
static bool is_at(const struct partition *p, const struct follow_at *at)
{
    return follows(p) && p->state == PARTITION_ONLINE && p->role.leader_epoch == at->leader_epoch &&
           log_end_offset(p->log) == at->offset;
}

static struct follower_log log_of(const struct partition *p)
{
    return (struct follower_log){
        .start_offset = log_start_offset(p->log),
        .end_offset = log_end_offset(p->log),
        .durable_end = log_durable_end_offset(p->log),
        .high_watermark = log_high_watermark(p->log),
        .sync_first = p->sync_first,
    };
}

void partition_follow_watermark(struct partition *p)
{
    if (!follows(p))
        return;
    struct follower_log log = log_of(p);
    int64_t offset = follower_high_watermark(&log, p->leader_watermark);
    if (offset > log.high_watermark) {
        log_set_high_watermark(p->log, offset);
        partition_check_invariants(p);
        partition_wake_readers(p);
    }
    /* Refused beyond the own watermark: then it moves with that. */
    if (p->leader_log_start > log.start_offset)
        (void)log_increment_start_offset(p->log, p->leader_log_start);
}

static void cut_run(struct work *work)
{
    struct partition *p = CONTAINER_OF(work, struct partition, log_work);
    p->log_work_status = p->host->cut_log(p->host->owner, p->log, p->cut.restart, p->cut.end);
}

static void cut_done(struct partition *p)
{
    if (p->state == PARTITION_CLOSING)
        partition_close_step(p);
    else
        partition_back(p, p->log_work_status);
}

static void cut(struct partition *p, bool restart, int64_t end)
{
    p->cut.restart = restart;
    p->cut.end = end;
    partition_send_away(p, cut_run, cut_done);
}

static void diverged(struct partition *p, struct log_epoch_end leader, int64_t leader_start)
{
    struct follower_log log = log_of(p);
    struct log_epoch_end own = log_end_offset_for_epoch(p->log, leader.epoch);
    if (MUTATED(p->host->env->disk, CUT_WITHOUT_EPOCH))
        own = leader;
    int64_t offset = follower_truncation_offset(&log, leader, own);
    /* The leader knows no epochs of what it has deleted: nothing tells whether ours is the same. It
     * would be seen again where a crash forgets how far the log start had come. */
    if (offset <= leader_start && leader_start > 0 && log_size_bytes(p->log) > 0)
        cut(p, true, leader_start);
    else if (offset >= log.end_offset)
        log_forget_open_epoch(p->log);
    else
        cut(p, offset < log.start_offset, offset);
}

static enum follow_result append(struct partition *p, struct bytes batches, int64_t *ret_bytes)
{
    int64_t now_ms = env_wall_ms(p->host->env), before = log_size_bytes(p->log);
    struct log_append_args args = {.batches = batches,
                                   .origin = LOG_APPEND_REPLICA,
                                   .leader_epoch = p->role.leader_epoch,
                                   .now_ms = now_ms};
    struct log_append_info info;
    int rv = log_append(p->log, &args, &info);
    if (rv != 0) {
        if (log_failed(p->log))
            partition_fail(p, rv);
        return FOLLOW_FAILED;
    }
    *ret_bytes = log_size_bytes(p->log) - before;
    if (*ret_bytes > 0 && (p->sync_first || log_flush_due(p->log, now_ms)))
        partition_start_flush(p, false);
    return FOLLOW_TAKEN;
}

/* Records that a fetch of earlier asked for: they are here already. A batch that only ends behind
 * the offset is the first one of a log that begins within it. */
static bool are_earlier(struct bytes records, int64_t offset)
{
    struct record_batches run = record_batches_of(records);
    struct record_batch batch;
    return record_batches_next(&run, &batch) == 1 && batch.header.base_offset < offset &&
           record_batch_next_offset(&batch.header) <= offset;
}

/* All we have is from before the leader's log begins, and what comes next is of another epoch than
 * our last: whether they fit nobody knows, as in `diverged`. Leaders do not say so: to an Apache
 * Kafka that follows it would mean nothing. */
static bool is_beyond_compare(const struct partition *p, const struct follow_at *at,
                              const struct follow_answer *answer)
{
    struct record_batches run = record_batches_of(answer->records);
    struct record_batch batch;
    return at->offset == answer->log_start_offset && log_size_bytes(p->log) > 0 &&
           record_batches_next(&run, &batch) == 1 &&
           batch.header.partition_leader_epoch > at->last_epoch;
}

enum follow_result partition_follow(struct partition *p, const struct follow_at *at,
                                    const struct follow_answer *answer, int64_t *ret_bytes)
{
    *ret_bytes = 0;
    if (!is_at(p, at) || are_earlier(answer->records, at->offset))
        return FOLLOW_STALE;
    if (answer->diverging.epoch >= 0 || answer->diverging.end_offset >= 0) {
        if (MUTATED(p->host->env->disk, WATERMARK_BEFORE_CUT)) {
            p->leader_watermark = answer->high_watermark;
            partition_follow_watermark(p);
        }
        diverged(p, answer->diverging, answer->log_start_offset);
        return FOLLOW_TAKEN;
    }
    if (is_beyond_compare(p, at, answer)) {
        cut(p, true, at->offset);
        return FOLLOW_TAKEN;
    }
    bool corrupt;
    enum follow_result result = FOLLOW_TAKEN;
    struct bytes batches = log_right_batches(p->log, answer->records, &corrupt);
    if (batches.len > 0)
        result = append(p, batches, ret_bytes);
    if (result != FOLLOW_TAKEN)
        return result;
    p->leader_watermark = answer->high_watermark;
    p->leader_log_start = answer->log_start_offset;
    partition_follow_watermark(p);
    return corrupt ? FOLLOW_CORRUPT : FOLLOW_TAKEN;
}

void partition_mutated_cut(struct partition *p)
{
    if (follows(p) && p->state == PARTITION_ONLINE &&
        log_high_watermark(p->log) < log_end_offset(p->log))
        cut(p, false, log_high_watermark(p->log));
}

enum follow_result partition_follow_reset(struct partition *p, const struct follow_at *at,
                                          int64_t leader_start, int64_t leader_end)
{
    if (!is_at(p, at))
        return FOLLOW_STALE;
    struct follower_log log = log_of(p);
    int64_t offset;
    switch (follower_out_of_range(&log, leader_start, leader_end, &offset)) {
    case FOLLOWER_START_AT:
        cut(p, true, offset);
        break;
    case FOLLOWER_TRUNCATE:
        cut(p, false, offset);
        break;
    default:
        break;
    }
    return FOLLOW_TAKEN;
}
