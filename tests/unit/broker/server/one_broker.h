/*
 * For tests of a whole node: one in simulation, which is broker and controller alone, and a client
 * that asks it something as soon as it is connected.
 */
#ifndef KRAFTD_TEST_ONE_BROKER_H
#define KRAFTD_TEST_ONE_BROKER_H

#include "tests/sim/node_app.c"
#include "tests/sim/session.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct one_broker {
    struct sim *sim;
    struct node_app_world app;
    /* The client's: */
    uint16_t port;
    void (*ask)(struct one_broker *);
    struct session *session;
    struct timer tick;
};

static inline void one_broker_run_us(struct one_broker *b, int64_t us)
{
    sim_run_until(b->sim, sim_now_us(b->sim) + us);
    assert_null(sim_failure(b->sim));
}

static inline void one_broker_gave_up(void *ctx, int status)
{
    const struct one_broker *b = ctx;
    sim_fail(b->sim, "the node gave up: %d", status);
}

static inline void one_broker_stopped(void *ctx)
{
}

/* Starts the node; app.started when it is up. */
static inline void one_broker_begin(struct one_broker *b, int loops)
{
    *b = (struct one_broker){.sim = sim_new(1, false)};
    b->app = (struct node_app_world){.sim = b->sim,
                                     .properties = STR(NODE_APP_ALONE "log.dirs=/data\n"),
                                     .gave_up = one_broker_gave_up,
                                     .stopped = one_broker_stopped,
                                     .ctx = b};
    struct sim_node_config config = {
        .name = "broker", .loops = loops, .boot = node_app_boot, .ctx = &b->app};
    b->app.node = sim_node_new(b->sim, &config);
    sim_node_start(b->app.node);
}

static inline void one_broker_end(struct one_broker *b)
{
    sim_kill_all(b->sim);
    sim_free(b->sim);
}

static inline void one_broker_tick(struct timer *timer)
{
    struct one_broker *b = CONTAINER_OF(timer, struct one_broker, tick);
    if (session_is_up(b->session))
        b->ask(b);
    else
        timer_start_in_ms(timer, 10);
}

static inline void *one_broker_boot_client(struct env *env, void *ctx)
{
    struct one_broker *b = ctx;
    b->session = session_new(&(struct session_options){
        .loop = env->loops[0], .server = b->app.node, .port = b->port, .client_id = "client"});
    timer_init(&b->tick, env->loops[0], one_broker_tick);
    timer_start_in_ms(&b->tick, 10);
    return b;
}

/* Starts the client, for `ask` to be called in it. */
static inline void one_broker_ask(struct one_broker *b, uint16_t port,
                                  void (*ask)(struct one_broker *))
{
    b->port = port;
    b->ask = ask;
    struct sim_node_config config = {
        .name = "client", .loops = 1, .boot = one_broker_boot_client, .ctx = b};
    sim_node_start(sim_node_new(b->sim, &config));
}

#endif
