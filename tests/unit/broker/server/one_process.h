/*
 * For tests of what a node is made of: one simulated process with a loop, in which a node and a
 * shard are as far as the test's boot makes them. The test is inside of it (its heap, its disk)
 * from one_process_begin on, but while time passes.
 */
#ifndef KRAFTD_TEST_ONE_PROCESS_H
#define KRAFTD_TEST_ONE_PROCESS_H

#include "broker/server/broker_metrics.h"
#include "broker/server/node_internal.h"
#include "common/base/check.h"
#include "metadata/config/server_config.h"
#include "tests/sim/sim_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SELF 1

struct one_process {
    struct sim *sim;
    struct sim_node *process;
    struct sim_heap *outer; /* while the test is inside the process */
    /* In the process: */
    struct server_config config;
    struct node node;
    struct shard shard;
};

/* For boot: the node has its env, a configuration and metrics. */
static inline void one_process_configure(struct one_process *p, struct env *env)
{
    const struct server_config_options options = {
        .text = STR("node.id=1\n"), .source = STR("test"), .hostname = STR("n")};
    server_config_init(&p->config);
    int rv = server_config_load(&p->config, &options);
    CHECK(rv == 0 && p->config.node_id == SELF);
    p->node.env = env;
    p->node.config = &p->config;
    p->node.metrics = broker_metrics_new(1);
}

/* Out of the process, until nothing is left to do, and in again. */
static inline void one_process_run(struct one_process *p)
{
    sim_node_leave(p->process, p->outer);
    sim_run_until(p->sim, sim_now_us(p->sim) + 100 * SIM_MS);
    assert_null(sim_failure(p->sim));
    p->outer = sim_node_enter(p->process);
}

static inline void one_process_begin(struct one_process *p,
                                     void *(*boot)(struct env *env, void *ctx))
{
    *p = (struct one_process){.sim = sim_new(1, false)};
    struct sim_node_config config = {.name = "n", .loops = 1, .boot = boot};
    p->process = sim_node_new(p->sim, &config);
    sim_node_start(p->process);
    p->outer = sim_node_enter(p->process);
    one_process_run(p);
}

static inline void one_process_end(struct one_process *p)
{
    sim_node_leave(p->process, p->outer);
    sim_kill_all(p->sim);
    sim_free(p->sim);
}

#endif
