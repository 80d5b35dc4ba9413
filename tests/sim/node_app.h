/*
 * node_app: the real node (broker/server/node.h) as a simulated process, the way main.c of kraftd
 * runs it.
 */
#ifndef KRAFTD_SIM_NODE_APP_H
#define KRAFTD_SIM_NODE_APP_H

#include "common/base/str.h"
#include "tests/sim/sim_env.h"

struct node;

/* server.properties of the process "broker", which is broker and controller alone, without
 * log.dirs. */
#define NODE_APP_ALONE                                                                             \
    "process.roles=broker,controller\n"                                                            \
    "node.id=1\n"                                                                                  \
    "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n"                                             \
    "advertised.listeners=PLAINTEXT://broker:9092\n"                                               \
    "controller.listener.names=CONTROLLER\n"                                                       \
    "controller.quorum.voters=1@broker:9093\n"                                                     \
    "kraftd.admin.listener=\n"

/* Outside of the process; given to its boot as ctx. */
struct node_app_world {
    struct sim *sim;
    struct sim_node *node;
    struct str properties; /* server.properties */
    bool started;          /* this incarnation came up */
    /* Inside the process, which lives on until it is killed: it cannot start or go on, or has
     * stopped in order. */
    void (*gave_up)(void *ctx, int status);
    void (*stopped)(void *ctx);
    void *ctx;
};

/* NULL while there is none. */
const struct node *node_app_node(struct sim_node *node);
/* Also while it stops: its quorum goes on for a while. */
const struct node *node_app_node_to_the_end(struct sim_node *node);

void *node_app_boot(struct env *env, void *world);
/* Stops in order; from outside of the process. `stopped` follows. */
void node_app_stop(struct sim_node *node);

#endif
