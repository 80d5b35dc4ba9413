/*
 * The whole node: network handlers, partitions, logs, quorum and controller, with clients that
 * retry, under every fault that the process, its disks, its clock and its network can meet.
 */
#include "tests/sim/image_watch.h"
#include "tests/sim/nemesis.h"
#include "tests/sim/node_app.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/subject.h"
#include "tests/sim/workload.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>

#define LOOPS 3

static const char properties[] =
    NODE_APP_ALONE "log.dirs=/data/a,/data/b\n"
                   "log.retention.check.interval.ms=1000\n"
                   "log.segment.delete.delay.ms=2000\n"
                   "log.flush.offset.checkpoint.interval.ms=2000\n"
                   "log.flush.start.offset.checkpoint.interval.ms=2000\n"
                   "replica.high.watermark.checkpoint.interval.ms=1500\n"
                   "metadata.log.max.snapshot.interval.ms=1000\n"
                   "metadata.log.segment.ms=500\n"
                   "metadata.max.retention.bytes=1\n";

struct node_world {
    struct node_app_world app;
    struct workload workload;
    struct nemesis nemesis;
    struct image_watch images;
    bool refused;
};

static bool disk_is_sick(struct node_world *w)
{
    enum nemesis_fault fault = w->nemesis.fault;
    return !sim_node_is_up(w->app.node) ||
           (w->nemesis.busy && (fault == NEMESIS_WRITE_ERRORS || fault == NEMESIS_FSYNC_ERRORS ||
                                fault == NEMESIS_READ_ERRORS || fault == NEMESIS_DISK_FULL));
}

static void restart(void *ctx)
{
    struct node_world *w = ctx;
    nemesis_restart(&w->nemesis);
}

static void stopped_now(void *ctx)
{
    struct node_world *w = ctx;
    nemesis_stopped(&w->nemesis);
}

static void gave_up(void *ctx, int status)
{
    struct node_world *w = ctx;
    if (!sim_node_is_up(w->app.node))
        return;
    sim_log(w->app.sim, "broker", "gives up: %d", status);
    w->refused |= status == -EIO && sim_log_has(w->app.sim, "where it was whole before");
    if (!disk_is_sick(w) && !w->refused)
        sim_fail(w->app.sim, "the node gives up with %d on a disk without faults", status);
    sim_at(w->app.sim, sim_now_us(w->app.sim) + 100 * SIM_MS, restart, w);
}

static void stopped(void *ctx)
{
    struct node_world *w = ctx;
    sim_at(w->app.sim, sim_now_us(w->app.sim), stopped_now, w);
}

static void stop(void *ctx)
{
    struct node_world *w = ctx;
    node_app_stop(w->app.node);
}

/* The first life may be very short: the power is cut while the node is formed. */
static void begin_faults(void *ctx)
{
    struct node_world *w = ctx;
    sim_disk_crash_at(sim_node_disk(w->app.node), 0);
    if (!sim_node_is_up(w->app.node))
        sim_node_start(w->app.node);
    nemesis_begin(&w->nemesis);
}

static void begin(struct node_world *w, const struct mutations *mutations)
{
    struct sim *sim = w->app.sim;
    w->app.properties = str_of(properties);
    w->app.gave_up = gave_up;
    w->app.stopped = stopped;
    w->app.ctx = w;
    w->app.node = sim_node_new(sim, &(struct sim_node_config){.name = "broker",
                                                              .loops = LOOPS,
                                                              .log_level = LOG_INFO,
                                                              .boot = node_app_boot,
                                                              .ctx = &w->app});
    sim_node_set_mutations(w->app.node, mutations);
    sim_disk_mount(sim_node_disk(w->app.node), "/data/a");
    sim_disk_mount(sim_node_disk(w->app.node), "/data/b");
    sim_disk_set_writeback(sim_node_disk(w->app.node), 64);
    w->nemesis = (struct nemesis){
        .sim = sim,
        .node = w->app.node,
        .volumes = {"/data/a", "/data/b"},
        .stop = stop,
        .ctx = w,
        .fragile = ".checkpoint.part",
        .pause_ms = 3000,
    };
    for (int i = 0; i < NEMESIS_FAULT_COUNT; i++)
        w->nemesis.wanted[i] = true;
    workload_init(&w->workload, sim, w->app.node);
    sim_node_start(w->app.node);
    workload_start(&w->workload);
    image_watch_begin(&w->images, w->app.node, node_app_node);
    struct sim_random *random = sim_random_of(sim);
    if (sim_random_below(random, 2) == 0)
        sim_node_die_at_disk_call(w->app.node, sim_random_range(random, 1, 60), true);
    sim_at(sim, SIM_SECOND / 2, begin_faults, w);
}

/* Whether all that was sent has come to its end, and all was read since `since_us`. */
static bool at_rest(const struct node_world *w, int64_t since_us)
{
    const struct workload *load = &w->workload;
    return load->created && load->busy_producers == 0 && load->audits > 0 &&
           load->audit_started >= since_us;
}

static void wait_for_rest(struct node_world *w, const char *when)
{
    struct sim *sim = w->app.sim;
    int64_t since_us = sim_now_us(sim);
    for (int i = 0; i < 1200 && !at_rest(w, since_us) && !sim_failure(sim); i++)
        sim_run_until(sim, sim_now_us(sim) + 50 * SIM_MS);
    if (!at_rest(w, since_us) && !sim_failure(sim))
        sim_fail(sim,
                 "%s: no rest after a minute: node started %d, topics created %d, %d producers "
                 "wait, %lld audits",
                 when, w->app.started, w->workload.created, w->workload.busy_producers,
                 (long long)w->workload.audits);
}

/* Without faults: every acknowledged record is there, also after a stop and after a last cut. */
static void finish(struct node_world *w)
{
    struct sim *sim = w->app.sim;
    nemesis_end(&w->nemesis);
    w->workload.quiet = true;
    wait_for_rest(w, "at the end");
    if (sim_failure(sim))
        return;
    sim_node_power_cut(w->app.node);
    sim_node_start(w->app.node);
    wait_for_rest(w, "after the last power cut");
}

static void run(struct subject_run *run)
{
    struct node_world *w = mem_calloc(1, sizeof(*w));
    w->app.sim = run->sim;
    begin(w, run->mutations);
    sim_run_until(run->sim, run->seconds * SIM_SECOND);
    while (!sim_failure(run->sim) && w->nemesis.faults < 10)
        sim_run_until(run->sim, sim_now_us(run->sim) + SIM_SECOND);
    if (!sim_failure(run->sim) && !w->refused)
        finish(w);
    run->refused = w->refused;
    run->faults = w->nemesis.faults;
    run->steps = w->workload.checker.acknowledged;
    sim_log(run->sim, "images", "%lld seen, %lld of them twice", (long long)w->images.images,
            (long long)w->images.compared);
    sim_kill_all(run->sim);
    image_watch_release(&w->images);
    workload_release(&w->workload);
    free(w);
}

const struct subject subject_node = {
    .name = "node",
    .about = "a whole node with clients, faults of process, disk, clock and network",
    .seconds = 60,
    .run = run,
};
