/*
 * cluster_world: a simulated cluster under way, shared by subject_cluster.c (nodes, the run and its
 * end) and cluster_faults.c (what happens to the cluster as a whole).
 */
#ifndef KRAFTD_SIM_CLUSTER_WORLD_H
#define KRAFTD_SIM_CLUSTER_WORLD_H

#include "tests/sim/cluster_load.h"
#include "tests/sim/cluster_operator.h"
#include "tests/sim/nemesis.h"
#include "tests/sim/node_app.h"
#include "tests/sim/quorum_watch.h"
#include "tests/sim/record_load.h"
#include "tests/sim/replica_watch.h"

#define CLUSTER_NODES_MAX 5

/* The leaders of one partition are killed one after the other. */
struct cluster_hunt {
    const struct watched_partition *partition;
    int first; /* killed already; a later leader is next */
    int idle;  /* the node that stands still meanwhile; -1 */
    int64_t until_us;
};

struct cluster_world;

struct member {
    struct cluster_world *world;
    struct node_app_world app;
    struct nemesis nemesis;
    char properties[1280], name[16];
    bool voter;
};

struct cluster_world {
    struct sim *sim;
    struct member members[CLUSTER_NODES_MAX];
    int count, voters;
    struct quorum_watch watch;
    struct replica_watch replicas;
    struct record_load records;
    struct cluster_load load;
    struct cluster_operator operators;
    int wipes, partitions, outages, hunts;
    struct cluster_hunt hunt;
    bool blackouts; /* the power of all may go at once */
    bool bold;      /* voters are changed whatever else goes on */
    bool ended;
};

int64_t cluster_draw(struct cluster_world *w, int64_t low, int64_t high);
/* From now on, until w->ended. */
void cluster_faults_begin(struct cluster_world *w);
/* Starts who is down. ctx is the world. */
void cluster_revive(void *ctx);
/* For the operator; ctx is the world. */
bool cluster_may_remove(void *ctx);
bool cluster_directory_of(void *ctx, int voter, struct uuid *ret_id);

#endif
