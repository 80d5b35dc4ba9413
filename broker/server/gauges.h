/*
 * Gauges of a node: numbers that a loop knows and sets from time to time, summed over the loops
 * when they are shown. Set on the loop of that index, read on any thread.
 */
#ifndef KRAFTD_BROKER_SERVER_GAUGES_H
#define KRAFTD_BROKER_SERVER_GAUGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct metrics_writer;

enum gauge {
    /* Of each loop's partitions. */
    GAUGE_PARTITION_COUNT,
    GAUGE_LEADER_COUNT,
    GAUGE_OFFLINE_REPLICA_COUNT,
    GAUGE_UNDER_REPLICATED,
    GAUGE_UNDER_MIN_ISR,
    GAUGE_AT_MIN_ISR,
    GAUGE_FETCH_SESSIONS,
    GAUGE_FETCH_SESSION_PARTITIONS,
    GAUGE_WAITING_PRODUCES,
    GAUGE_WAITING_FETCHES,
    GAUGE_REPLICA_MAX_LAG, /* the largest of the loops' */
    GAUGE_REPLICA_FETCHERS_FAILED,
    GAUGE_REPLICA_PARTITIONS_FAILED,
    GAUGE_IDLE, /* in thousandths of the time; shown as the loops' mean, under two names */
    /* Of loop 0: what the metadata says. */
    GAUGE_BROKER_STATE,
    GAUGE_METADATA_OFFSET,
    GAUGE_METADATA_TIMESTAMP_MS,
    GAUGE_METADATA_LAG_MS,
    GAUGE_METADATA_VERSION,
    GAUGE_ACTIVE_CONTROLLER,
    GAUGE_ACTIVE_BROKERS,
    GAUGE_FENCED_BROKERS,
    GAUGE_GLOBAL_TOPICS,
    GAUGE_GLOBAL_PARTITIONS,
    GAUGE_OFFLINE_PARTITIONS,
    GAUGE_PREFERRED_IMBALANCE,
    GAUGE_APPLIED_OFFSET,
    GAUGE_APPLIED_TIMESTAMP_MS,
    GAUGE_APPLIED_LAG_MS,
    GAUGE_COMMITTED_OFFSET,
    /* Of loop 0: the quorum. */
    GAUGE_RAFT_STATE, /* enum raft_state, shown as a label */
    GAUGE_RAFT_EPOCH,
    GAUGE_RAFT_LEADER,
    GAUGE_RAFT_HIGH_WATERMARK,
    GAUGE_RAFT_LOG_END_OFFSET,
    GAUGE_RAFT_LOG_END_EPOCH,
    GAUGE_RAFT_VOTERS,
    GAUGE_RAFT_APPEND_RATE, /* in thousandths */
    GAUGE_RAFT_COMMIT_AVG,  /* in thousandths */
    GAUGE_RAFT_COMMIT_MAX,
    GAUGE_COUNT,
};

enum raft_state {
    RAFT_STATE_LEADER,
    RAFT_STATE_FOLLOWER,
    RAFT_STATE_OBSERVER,
    RAFT_STATE_UNATTACHED
};

struct gauges;

struct gauges *gauges_new(int loop_count);
void gauges_free(struct gauges *gauges);
/* A gauge that nobody set is not shown. */
void gauge_set(struct gauges *gauges, enum gauge gauge, int loop, int64_t value);
int64_t gauge_sum(const struct gauges *gauges, enum gauge gauge);
/* A collector for metrics_add_collector. */
void gauges_collect(void *gauges, struct metrics_writer *writer);

#endif
