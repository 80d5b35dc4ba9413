/*
 * Inside of the simulated world: the event queue, processes and the ends of their streams.
 */
#ifndef KRAFTD_SIM_INTERNAL_H
#define KRAFTD_SIM_INTERNAL_H

#include "common/base/env.h"
#include "common/base/list.h"
#include "common/base/logger.h"
#include "common/base/stream.h"
#include "common/base/timer_heap.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_env.h"
#include "tests/sim/sim_heap.h"
#include "tests/sim/sim_net.h"

#define SIM_LOG_LINES 400

/* Embedded; in the queue while heap_index != 0. Of a node: waits while that is frozen. */
struct sim_event {
    void (*run)(struct sim_event *);
    struct sim_node *node; /* or NULL */
    int64_t due_us;
    uint64_t sequence;
    size_t heap_index;
};

struct sim {
    uint64_t seed;
    int64_t now_us;
    struct sim_event **events; /* heap, [1..count] */
    size_t event_count, event_capacity;
    uint64_t next_sequence;
    int64_t events_run;
    struct sim_random random, scenario;
    struct sim_node **nodes;
    size_t node_count, node_capacity;
    struct sim_net *net;
    void (*look)(void *ctx, const struct sim_node *ran);
    void *look_ctx;
    uint64_t hash;
    bool trace;
    char *failure;
    char *log[SIM_LOG_LINES];
    size_t log_next;
};

struct sim_loop {
    struct loop base;
    struct task *first, *last;
    struct timer_heap timers;
    struct sim_event turn;
    int64_t busy_until_us;
};

/* A worker thread of a class. */
struct sim_worker {
    struct sim_event event;
    struct sim_pool *pool;
    struct work *work; /* NULL: idle */
    bool ran;
};

struct sim_pool {
    struct task *first, *last; /* of works that wait */
    struct sim_worker *workers;
    int worker_count;
};

enum sim_node_state { SIM_NODE_DOWN, SIM_NODE_OFF, SIM_NODE_UP };

struct sim_node {
    struct env env;
    struct sim *sim;
    struct sim_node_config config;
    int index;
    char *name;
    struct logger logger;
    enum sim_node_state state; /* DOWN: no process, OFF: no power either */
    bool doomed;               /* inside the last call of its life: nothing leaves it any more */
    int incarnation, power_cuts;
    int64_t frozen_until_us;
    int64_t wall_offset_ms;
    struct sim_random random;
    struct sim_disk *disk;
    struct sim_heap *heap;
    void *program;
    struct sim_loop *loops;
    struct sim_pool pools[WORK_CLASS_COUNT];
    int64_t charged_us; /* disk latency of the call under way */
    bool crash_cuts_power;
    struct sim_event death;
    struct task boot;
    bool *cut_to; /* by the index of the other node: bytes to it wait */
    size_t cut_count, cut_capacity;
};

void sim_event_set(struct sim *sim, struct sim_event *event, int64_t due_us);
void sim_event_cancel(struct sim *sim, struct sim_event *event);
/* sim_trace without its line. */
void sim_mix(struct sim *sim, const char *what, const struct sim_node *who, int64_t a, int64_t b);

static inline struct sim_node *sim_node_of(struct env *env)
{
    return CONTAINER_OF(env, struct sim_node, env);
}

/* Into the program of a node and out again, to whatever was entered before. */
struct sim_heap *sim_node_enter(struct sim_node *node);
void sim_node_leave(struct sim_node *node, struct sim_heap *outer);

/* sim_net.c */
struct sim_net *sim_net_new(struct sim *sim);
void sim_net_free(struct sim_net *net);
extern const struct net_ops sim_net_ops;
/* Its process is gone: streams end as the kernel ends them, or fall silent with the power. */
void sim_net_node_died(struct sim_node *node, bool power);

#endif
