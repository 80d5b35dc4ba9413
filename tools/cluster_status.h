/*
 * kraftd-status in two files: cluster_status.c asks the cluster, cluster_status_show.c shows what
 * it said. One thread; everything is in the arena of who asked.
 *
 * Lag is counted in records of the log: the leader's end less the replica's own end, both as their
 * brokers told them when they were asked (ListOffsets as the debugging replica, one request for
 * each broker). Brokers are asked one after the other, so under load a replica may seem some
 * records behind that it is not.
 */
#ifndef KRAFTD_TOOLS_CLUSTER_STATUS_H
#define KRAFTD_TOOLS_CLUSTER_STATUS_H

#include "tools/admin.h"
#include "tools/metadata_quorum.h"

#define STATUS_UNKNOWN (-1)

struct status_replica {
    int32_t id;
    bool alive, in_sync, adding;
    int64_t end; /* STATUS_UNKNOWN: its broker did not say */
    int64_t lag; /* STATUS_UNKNOWN: its end or the leader's is not known */
};

/* The worst first; a partition is shown with the first that holds. */
enum status_problem {
    STATUS_NO_LEADER,
    STATUS_UNDER_MIN_ISR,
    STATUS_UNDER_REPLICATED,
    STATUS_MOVING,
    STATUS_NOT_PREFERRED,
    STATUS_FINE,
};

struct status_partition {
    struct str topic;
    int32_t index, leader /* -1: none that lives */, min_isr, isr_count;
    struct status_replica *replicas;
    int32_t replica_count;
    int64_t max_lag; /* 0 where nothing is known */
    bool moving;
    enum status_problem problem;
};

struct cluster_status {
    const struct client_node *nodes; /* that live */
    size_t node_count, topic_count;
    struct quorum quorum;
    const char *quorum_failure;          /* NULL: quorum is there */
    struct status_partition *partitions; /* problems first, then by name */
    size_t partition_count, replica_count;
};

struct status_view {
    bool json, color, all;
};

const char *status_problem_name(enum status_problem problem);
void cluster_status_show(const struct cluster_status *status, const struct status_view *view);

#endif
