/*
 * Elections that the controller holds by itself: leadership goes back to preferred replicas
 * (auto.leader.rebalance.enable), and partitions without a leader get an unclean one where that is
 * allowed by now. ElectLeaders is in controller_api.h. The work follows the unsettled partitions
 * (topics_image.h), a part at a time. Pure.
 */
#ifndef KRAFTD_METADATA_ELECTIONS_H
#define KRAFTD_METADATA_ELECTIONS_H

#include "metadata/controller/controller.h"

/* A walk over the unsettled partitions, which begins anew some time after it has ended. */
struct election_sweep {
    int64_t due_ms; /* INT64_MAX: never */
    /* Where it goes on. */
    struct uuid topic_id;
    int32_t partition;
};

/* When the next part is due: of `sweep`, from its beginning. */
void election_sweep_begin_at(struct election_sweep *sweep, int64_t due_ms);

/* One part of the walk; due_ms moves on. */
void elections_balance(struct controller *controller, int64_t now_ms, struct arena *arena,
                       struct metadata_records *records);
void elections_leaderless(struct controller *controller, int64_t now_ms, struct arena *arena,
                          struct metadata_records *records);

#endif
