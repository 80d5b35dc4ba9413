/*
 * cluster_load: clients of a simulated cluster's control plane, and what they were told. Each has
 * topics of its own, creates and deletes them, adds partitions and changes configs through any
 * node, one operation per topic at a time, each tried until its outcome is certain.
 *
 * A request whose answer did not come may be carried out as long as it lies somewhere; the next
 * operation on that topic waits until it cannot any more (CLUSTER_LOAD_ECHO_US).
 *
 * The clients are processes that are never killed; the state is the world's.
 */
#ifndef KRAFTD_SIM_CLUSTER_LOAD_H
#define KRAFTD_SIM_CLUSTER_LOAD_H

#include "tests/sim/sim_env.h"

struct image;

#define CLUSTER_LOAD_CLIENTS 2
#define CLUSTER_LOAD_TOPICS  6 /* of each client */
#define CLUSTER_LOAD_NODES   8
#define CLUSTER_LOAD_ECHO_US (15 * SIM_SECOND)

/* As acknowledged. While an operation is open, either it or what it makes of it is right. */
struct cluster_topic {
    char name[32];
    bool exists;
    int32_t partitions;
    int64_t retention_ms; /* 0: not set */
    bool open;
    int64_t wait_until_us;
    int64_t done; /* operations */
};

struct cluster_client {
    struct cluster_load *load;
    int number;
};

struct cluster_load {
    struct sim *sim;
    struct cluster_client clients[CLUSTER_LOAD_CLIENTS];
    struct sim_node *nodes[CLUSTER_LOAD_NODES];
    int node_count, replicas; /* of the topics, at most */
    /* The epoch that this node believes in; -1: none. */
    int32_t (*epoch_at)(void *ctx, const struct sim_node *node);
    void *ctx;
    struct cluster_topic topics[CLUSTER_LOAD_CLIENTS][CLUSTER_LOAD_TOPICS];
    bool quiet; /* what is open comes to its end, then each client does one more operation */
    int64_t operations, uncertain;
    int resting; /* clients that have done so */
};

void cluster_load_start(struct cluster_load *load);
/* False: the image does not hold what was acknowledged, and what is wrong. */
bool cluster_load_check(const struct cluster_load *load, const struct image *image, char *ret_text,
                        size_t len);

#endif
