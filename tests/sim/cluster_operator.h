/*
 * cluster_operator: a client that changes who votes in a simulated cluster: it takes a voter out of
 * the quorum, brings it back, and so on, through any node. A process that is never killed.
 */
#ifndef KRAFTD_SIM_CLUSTER_OPERATOR_H
#define KRAFTD_SIM_CLUSTER_OPERATOR_H

#include "common/base/uuid.h"
#include "tests/sim/sim_env.h"

#define CLUSTER_OPERATOR_NODES 8

struct cluster_operator {
    struct sim *sim;
    struct sim_node *brokers[CLUSTER_OPERATOR_NODES]; /* that are asked */
    int broker_count, voter_count;                    /* the voters are nodes n1, n2, ... */
    /* The directory of that voter's disk; false while that is not known. */
    bool (*directory_of)(void *ctx, int voter, struct uuid *ret_id);
    /* False: this is no time to take a voter out. */
    bool (*may_remove)(void *ctx);
    void *ctx;
    bool quiet; /* who is out comes back, nobody else leaves */
    /* Out: */
    int out; /* the voter that is out or on its way; -1: none */
    int64_t removed, added;
};

void cluster_operator_start(struct cluster_operator *o);

#endif
