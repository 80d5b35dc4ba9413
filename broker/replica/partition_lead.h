/*
 * A partition that this node leads: followers' fetches, the high watermark that follows from them,
 * and the in-sync replicas (leader_state.h decides, this looks into log, clock and metadata).
 *
 * Owner loop. Acks of waiting producers may be given from inside.
 */
#ifndef KRAFTD_BROKER_REPLICA_PARTITION_LEAD_H
#define KRAFTD_BROKER_REPLICA_PARTITION_LEAD_H

#include "broker/replica/leader_state.h"
#include "broker/replica/partition.h"

/* Whether acks=all may be promised: NOT_ENOUGH_REPLICAS while fewer than min.insync.replicas are in
 * sync. */
enum kafka_error partition_check_in_sync(const struct partition *p);

/* Before anything is read for a replica; the leader epoch was checked. `has_epoch`: its request
 * named one. */
enum kafka_error partition_check_replica(const struct partition *p,
                                         const struct replica_fetch *fetch, bool has_epoch);
/* What it fetches agrees with this log: it has all below fetch->offset. May advance the high
 * watermark and propose that it joins the ISR. */
void partition_replica_fetched(struct partition *p, const struct replica_fetch *fetch);

/* The in-sync follower that has most of those that fit and hold `offset`; -1: none. */
int32_t partition_closest_follower(const struct partition *p, int64_t offset,
                                   bool (*fits)(void *ctx, int32_t id), void *ctx);

/* Its members in the feeds of followers' sessions. They go when it leads no longer. */
struct list *partition_feed_members(struct partition *p);

/* Who is not in sync may be let in now, without a fetch that would show it: a broker is there again
 * or the proposal before it has been settled. */
void partition_let_in(struct partition *p);

/* Periodic: followers that lag for too long leave the ISR. */
void partition_check_lag(struct partition *p);

/* Brokers came or went: a follower that has all may join now without another fetch, and one that
 * was about to join, or to delete records, is not waited for any more. */
void partition_consider_isr(struct partition *p);

/* What the controller says to a proposal of partition `p` in that leader epoch. */
struct isr_answer {
    enum kafka_error error; /* NONE: all below holds */
    int32_t leader_id, leader_epoch, partition_epoch;
    int8_t recovery_state;
    struct node_list isr;
};
/* Based on: what the proposal was based on. An answer to an older one changes nothing. */
void partition_isr_answered(struct partition *p, int32_t leader_epoch, int32_t partition_epoch,
                            const struct isr_answer *answer);

#endif
