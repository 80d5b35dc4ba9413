/*
 * sim_env: a process in the simulated world, with an env of its own: loops, timers, worker threads,
 * clocks, randomness, log lines, network and a disk that outlives it.
 *
 * Loops run one task, timer or stream callback at a time; tasks keep their order within a loop, and
 * loops and workers overtake each other at random. A work item runs at one moment between its
 * submission and its completion.
 *
 * Death needs no help of the program: kill and power cut free all memory it had allocated
 * (sim_heap.h), and none of its callbacks run again. Its pointers are dead then, also those that a
 * test holds.
 */
#ifndef KRAFTD_SIM_ENV_H
#define KRAFTD_SIM_ENV_H

#include "common/base/env.h"
#include "common/base/logger.h"
#include "common/base/mutation.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_disk.h"

struct sim_node_config {
    const char *name; /* also its host name */
    int loops;
    enum log_level log_level;
    /* Starts the program; runs on loop 0. The result is what sim_node_program gives. */
    void *(*boot)(struct env *env, void *ctx);
    void *ctx;
};

/* Belongs to the world. Down until started; its disk is empty. */
struct sim_node *sim_node_new(struct sim *sim, const struct sim_node_config *config);
void sim_node_start(struct sim_node *node);
bool sim_node_is_up(const struct sim_node *node);
/* How often it was started. */
int sim_node_incarnation(const struct sim_node *node);
/* How often its power was cut. */
int sim_node_power_cuts(const struct sim_node *node);
/* NULL while it is down, and until its boot task has run. */
void *sim_node_program(const struct sim_node *node);
/* Allocations since it was started. */
uint64_t sim_node_allocations(const struct sim_node *node);
struct env *sim_node_env(struct sim_node *node);
const char *sim_node_name(const struct sim_node *node);
struct sim_disk *sim_node_disk(struct sim_node *node);
struct sim *sim_node_sim(const struct sim_node *node);
/* The world around an env. */
struct sim *sim_of_env(struct env *env);

/* kill -9, and the plug. Harmless when it is down; a power cut is also for one that was killed. Not
 * from inside a call of that node. */
void sim_node_kill(struct sim_node *node);
void sim_node_power_cut(struct sim_node *node);
/* Dies so inside the nth disk call from now, in the middle of whatever it does there. */
void sim_node_die_at_disk_call(struct sim_node *node, int64_t nth, bool power_cut);
/* Nothing of it runs until then (a stopped virtual machine); its clocks go on. */
void sim_node_freeze(struct sim_node *node, int64_t until_us);
/* Unix time of this node moves against that of the world. */
void sim_node_jump_clock(struct sim_node *node, int64_t by_ms);
void sim_node_set_mutations(struct sim_node *node, const struct mutations *mutations);

#endif
