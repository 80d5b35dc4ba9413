/*
 * The quorum's numbers (raft-metrics): what it is now, how many records it takes in a second and
 * how long commits take, over the last half to whole minute as Kafka's samples do. Loop 0.
 */
#ifndef KRAFTD_BROKER_SERVER_QUORUM_GAUGES_H
#define KRAFTD_BROKER_SERVER_QUORUM_GAUGES_H

#include "broker/server/gauges.h"

struct quorum_node;

struct quorum_window {
    int64_t start_us;
    int64_t start_offset; /* the log's end when it began */
    int64_t commits, commit_sum_ms, commit_max_ms;
};

struct quorum_gauges {
    struct quorum_window now, before;
};

/* A batch that was proposed this long ago is committed. */
void quorum_gauges_committed(struct quorum_gauges *q, int64_t latency_ms);
/* Sets the gauges of `to`; nothing while the quorum's log is not open. */
void quorum_gauges_refresh(struct quorum_gauges *q, const struct quorum_node *quorum,
                           int64_t now_us, struct gauges *to);

#endif
