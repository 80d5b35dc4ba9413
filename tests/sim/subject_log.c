/*
 * The logs of common/storage by themselves, under every fault that a process and its disk can meet.
 */
#include "tests/sim/log_app.h"
#include "tests/sim/nemesis.h"
#include "tests/sim/subject.h"

#include "common/base/mem.h"

#include <stdlib.h>

struct log_world {
    struct log_app_world app;
    struct nemesis nemesis;
};

/* Also for the moment in which it dies: then calls fail, too. */
static bool disk_is_sick(void *ctx)
{
    struct log_world *w = ctx;
    enum nemesis_fault fault = w->nemesis.fault;
    return !sim_node_is_up(w->app.node) ||
           (w->nemesis.busy && (fault == NEMESIS_WRITE_ERRORS || fault == NEMESIS_FSYNC_ERRORS ||
                                fault == NEMESIS_READ_ERRORS || fault == NEMESIS_DISK_FULL));
}

static void restart(void *ctx)
{
    struct log_world *w = ctx;
    nemesis_restart(&w->nemesis);
}

static void stopped_now(void *ctx)
{
    struct log_world *w = ctx;
    nemesis_stopped(&w->nemesis);
}

/* Called inside the process: its death comes later. */
static void gave_up(void *ctx)
{
    struct log_world *w = ctx;
    sim_at(w->app.sim, sim_now_us(w->app.sim) + 100 * SIM_MS, restart, w);
}

static void stopped(void *ctx)
{
    struct log_world *w = ctx;
    sim_at(w->app.sim, sim_now_us(w->app.sim), stopped_now, w);
}

static void stop(void *ctx)
{
    struct log_world *w = ctx;
    log_app_stop(w->app.node);
}

/* A truncation that did not succeed may be undone until it is synced; so may that of an append that
 * failed, and was taken back. So that a restart sees either the one or the other for good, the page
 * cache goes, too. */
static void before_start(void *ctx)
{
    struct log_world *w = ctx;
    bool truncating = false;
    for (int i = 0; i < LOG_APP_PARTITIONS; i++) {
        const struct log_model *m = &w->app.models[i];
        truncating |= m->truncating ||
                      (w->nemesis.fault == NEMESIS_WRITE_ERRORS && m->confirmed_end < m->end);
    }
    if (truncating)
        sim_node_power_cut(w->app.node);
}

static void configure(struct log_world *w)
{
    struct sim_random *random = sim_random_of(w->app.sim);
    for (int i = 0; i < LOG_APP_PARTITIONS; i++) {
        struct log_config *config = &w->app.configs[i];
        *config = LOG_CONFIG_DEFAULT;
        config->segment_bytes = (int32_t)sim_random_range(random, 26000, 80000);
        config->segment_index_bytes = (int32_t)sim_random_range(random, 10, 200) * 24;
        config->index_interval_bytes = (int32_t)sim_random_range(random, 1, 3000);
        config->file_delete_delay_ms = 2000;
        config->preallocate = sim_random_below(random, 4) == 0;
        if (sim_random_below(random, 2) == 0)
            config->segment_ms = 3000;
    }
    w->app.configs[0].flush_messages = 1;
    w->app.configs[1].flush_ms = 200;
    w->app.configs[2].flush_messages = 20;
    w->app.configs[2].retention_bytes = 100000;
    w->app.configs[3].retention_ms = 10000;
}

static void begin(struct log_world *w, const struct mutations *mutations)
{
    struct sim *sim = w->app.sim;
    for (int i = 0; i < LOG_APP_PARTITIONS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "topic-%d", i);
        log_model_init(&w->app.models[i], sim, name, sim_random_u64(sim_random_of(sim)));
    }
    configure(w);
    w->app.disk_is_sick = disk_is_sick;
    w->app.gave_up = gave_up;
    w->app.stopped = stopped;
    w->app.ctx = w;
    w->app.node = sim_node_new(sim, &(struct sim_node_config){.name = "log",
                                                              .loops = LOG_APP_LOOPS,
                                                              .log_level = LOG_INFO,
                                                              .boot = log_app_boot,
                                                              .ctx = &w->app});
    sim_node_set_mutations(w->app.node, mutations);
    sim_disk_set_writeback(sim_node_disk(w->app.node), 64);
    w->nemesis = (struct nemesis){
        .sim = sim,
        .node = w->app.node,
        .stop = stop,
        .before_start = before_start,
        .ctx = w,
        .pause_ms = 2000,
    };
    for (int i = 0; i <= NEMESIS_READ_ERRORS; i++)
        w->nemesis.wanted[i] = true;
    sim_node_start(w->app.node);
    nemesis_begin(&w->nemesis);
}

/* Quiet, but with a last restart: all that was acknowledged has to be there. */
static void finish(struct log_world *w)
{
    struct sim *sim = w->app.sim;
    nemesis_end(&w->nemesis);
    w->app.quiet = true;
    for (int i = 0; i < 200 && !log_app_settled(w->app.node); i++)
        sim_run_until(sim, sim_now_us(sim) + 100 * SIM_MS);
    if (sim_failure(sim))
        return;
    if (!log_app_settled(w->app.node))
        log_app_fail_unsettled(w->app.node);
    sim_node_power_cut(w->app.node);
    sim_node_start(w->app.node);
    for (int i = 0; i < 100 && !log_app_settled(w->app.node); i++)
        sim_run_until(sim, sim_now_us(sim) + 100 * SIM_MS);
    if (!sim_failure(sim) && !log_app_settled(w->app.node))
        sim_fail(sim, "the logs do not come back");
    sim_run_until(sim, sim_now_us(sim) + SIM_SECOND);
}

static void run(struct subject_run *run)
{
    struct log_world *w = mem_calloc(1, sizeof(*w));
    w->app.sim = run->sim;
    begin(w, run->mutations);
    sim_run_until(run->sim, run->seconds * SIM_SECOND);
    /* At least ten faults, however long they took. */
    while (!sim_failure(run->sim) && w->nemesis.faults < 10)
        sim_run_until(run->sim, sim_now_us(run->sim) + SIM_SECOND);
    finish(w);
    run->faults = w->nemesis.faults;
    run->steps = w->app.appends;
    sim_node_kill(w->app.node);
    for (int i = 0; i < LOG_APP_PARTITIONS; i++)
        log_model_release(&w->app.models[i]);
    free(w);
}

const struct subject subject_log = {
    .name = "log",
    .about = "the logs of common/storage, without network and quorum",
    .seconds = 60,
    .run = run,
};
