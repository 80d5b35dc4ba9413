#include "tests/sim/nemesis.h"

#include "tests/sim/sim_internal.h"

static const char *const names[NEMESIS_FAULT_COUNT] = {
    "kill",
    "power cut",
    "kill in a disk call",
    "power cut in a disk call",
    "kill, restart, power cut",
    "stop",
    "stop unheard",
    "freeze",
    "clock jump",
    "slow disk",
    "full disk",
    "write errors",
    "fsync errors",
    "read errors",
    "resets",
    "cut links",
    "delays",
};

/* Mean latencies of a disk that is well. */
static const struct sim_disk_faults healthy = {.latency_us = 20, .fsync_latency_us = 500};

const char *nemesis_fault_name(enum nemesis_fault fault)
{
    return names[fault];
}

static void strike(void *ctx);
static void recover(void *ctx);
static void watch_death(void *ctx);
static void watch_stop(void *ctx);
static void end_silence(void *ctx);

static int64_t draw(struct nemesis *n, int64_t low, int64_t high)
{
    return sim_random_range(sim_random_of(n->sim), low, high);
}

static void later(struct nemesis *n, int64_t low_ms, int64_t high_ms, void (*run)(void *ctx))
{
    sim_at(n->sim, sim_now_us(n->sim) + draw(n, low_ms, high_ms) * SIM_MS, run, n);
}

static void heal_volume(struct nemesis *n, const char *volume)
{
    sim_disk_set_faults(sim_node_disk(n->node), volume, &healthy);
    sim_disk_set_capacity(sim_node_disk(n->node), volume, 0);
}

static void heal_links(struct nemesis *n)
{
    for (size_t i = 0; i < n->sim->node_count; i++) {
        struct sim_node *other = n->sim->nodes[i];
        if (other == n->node)
            continue;
        sim_net_cut(n->node, other, false);
        sim_net_cut(other, n->node, false);
    }
}

static void heal(struct nemesis *n)
{
    heal_volume(n, "/");
    for (size_t i = 0; i < ARRAY_LEN(n->volumes) && n->volumes[i]; i++)
        heal_volume(n, n->volumes[i]);
    sim_disk_crash_at(sim_node_disk(n->node), 0);
    heal_links(n);
    sim_net_set_delay_spikes(n->sim, 0);
}

static void set_disk(struct nemesis *n, const struct sim_disk_faults *faults)
{
    sim_disk_set_faults(sim_node_disk(n->node), n->volume, faults);
}

static void choose_volume(struct nemesis *n)
{
    int64_t count = 0;
    n->volume = "/";
    for (size_t i = 0; i < ARRAY_LEN(n->volumes) && n->volumes[i]; i++)
        if (draw(n, 0, count++) == 0)
            n->volume = n->volumes[i];
}

static void next(struct nemesis *n)
{
    n->busy = false;
    if (n->ended || n->strike_pending)
        return;
    n->strike_pending = true;
    later(n, n->pause_ms / 4, n->pause_ms * 7 / 4, strike);
}

static void start_node(struct nemesis *n)
{
    if (sim_node_is_up(n->node))
        return;
    if (n->before_start)
        n->before_start(n->ctx);
    if (n->fault == NEMESIS_UNHEARD)
        heal_links(n);
    sim_node_start(n->node);
}

static void start(void *ctx)
{
    struct nemesis *n = ctx;
    start_node(n);
    if (n->again_with_power && !n->ended) {
        later(n, 50, 3000, recover);
        return;
    }
    n->again_with_power = false;
    next(n);
}

static void cut_links(struct nemesis *n)
{
    int64_t ways = draw(n, 1, 3);
    for (size_t i = 0; i < n->sim->node_count; i++) {
        struct sim_node *other = n->sim->nodes[i];
        if (other == n->node)
            continue;
        sim_net_cut(n->node, other, ways & 1);
        sim_net_cut(other, n->node, ways & 2);
    }
}

static void stop(struct nemesis *n)
{
    n->stops = n->faults;
    if (sim_node_is_up(n->node))
        n->stop(n->ctx);
    later(n, 15000, 15000, watch_stop);
}

/* Requests are served and nobody learns of it: what they did must be known to the next process. */
static void fall_silent(struct nemesis *n)
{
    for (size_t i = 0; i < n->sim->node_count; i++)
        if (n->sim->nodes[i] != n->node)
            sim_net_cut(n->node, n->sim->nodes[i], true);
    later(n, 50, 2500, end_silence);
}

static void end_silence(void *ctx)
{
    struct nemesis *n = ctx;
    if (n->ended)
        return;
    if (draw(n, 0, 2) > 0 && n->stop) {
        stop(n);
        return;
    }
    sim_node_kill(n->node);
    later(n, 0, 500, start);
}

static void resets(struct nemesis *n)
{
    for (int64_t left = draw(n, 1, 4); left > 0; left--)
        sim_net_reset_one(n->sim);
}

static void disk_errors(struct nemesis *n)
{
    struct sim_disk_faults faults = healthy;
    int32_t rate = (int32_t)draw(n, 1, 4) * 50000;
    if (n->fault == NEMESIS_WRITE_ERRORS)
        faults.write_error = rate;
    else if (n->fault == NEMESIS_FSYNC_ERRORS)
        faults.fsync_error = rate * 2;
    else
        faults.read_error = rate;
    set_disk(n, &faults);
}

static void fill_disk(struct nemesis *n)
{
    struct disk_usage usage;
    struct disk *disk = sim_disk_base(sim_node_disk(n->node));
    if (disk->ops->usage(disk, n->volume, &usage) == 0)
        sim_disk_set_capacity(sim_node_disk(n->node), n->volume,
                              usage.total_bytes - usage.usable_bytes + draw(n, 1, 64) * 4096);
}

/* Deaths end in `start`, all else in `recover`. */
static void jump(struct nemesis *n)
{
    int64_t most_ms = n->jump_ms > 0 && draw(n, 0, 1) == 0 ? n->jump_ms : 60000;
    sim_node_jump_clock(n->node, draw(n, -most_ms, most_ms));
}

static void apply(struct nemesis *n)
{
    int64_t now = sim_now_us(n->sim);
    switch (n->fault) {
    case NEMESIS_KILL:
        sim_node_kill(n->node);
        later(n, 0, 2000, start);
        return;
    case NEMESIS_POWER_CUT:
        sim_node_power_cut(n->node);
        later(n, 0, 3000, start);
        return;
    case NEMESIS_KILL_THEN_POWER:
        n->again_with_power = true;
        sim_node_kill(n->node);
        later(n, 0, 500, start);
        return;
    case NEMESIS_KILL_IN_CALL:
    case NEMESIS_POWER_IN_CALL:
        sim_node_die_at_disk_call(n->node, draw(n, 1, draw(n, 0, 1) ? 20 : 400),
                                  n->fault == NEMESIS_POWER_IN_CALL);
        if (n->fragile && draw(n, 0, 1) == 0)
            sim_disk_crash_after_rename(sim_node_disk(n->node), n->fragile, draw(n, 1, 6));
        later(n, 0, 100, watch_death);
        return;
    case NEMESIS_STOP:
        stop(n);
        return;
    case NEMESIS_UNHEARD:
        fall_silent(n);
        return;
    case NEMESIS_FREEZE:
        sim_node_freeze(n->node, now + draw(n, 100, 4000) * SIM_MS);
        break;
    case NEMESIS_CLOCK_JUMP:
        jump(n);
        break;
    case NEMESIS_SLOW_DISK:
        set_disk(n, &(struct sim_disk_faults){.latency_us = draw(n, 100, 2000),
                                              .fsync_latency_us = draw(n, 5000, 300000)});
        break;
    case NEMESIS_DISK_FULL:
        fill_disk(n);
        break;
    case NEMESIS_WRITE_ERRORS:
    case NEMESIS_FSYNC_ERRORS:
    case NEMESIS_READ_ERRORS:
        disk_errors(n);
        break;
    case NEMESIS_RESETS:
        resets(n);
        break;
    case NEMESIS_CUT_LINKS:
        cut_links(n);
        break;
    case NEMESIS_DELAYS:
        sim_net_set_delay_spikes(n->sim, draw(n, 10, 1000) * SIM_MS);
        break;
    case NEMESIS_FAULT_COUNT:
        UNREACHABLE();
    }
    later(n, 200, 3000, recover);
}

static void strike(void *ctx)
{
    struct nemesis *n = ctx;
    n->strike_pending = false;
    if (n->ended || n->busy)
        return;
    do
        n->fault = (enum nemesis_fault)draw(n, 0, NEMESIS_FAULT_COUNT - 1);
    while (!n->wanted[n->fault]);
    n->busy = true;
    n->faults++;
    n->counts[n->fault]++;
    choose_volume(n);
    sim_log(n->sim, "nemesis", "%s", names[n->fault]);
    apply(n);
}

/* Waits for the call in which it dies; there may be none. */
static void watch_death(void *ctx)
{
    struct nemesis *n = ctx;
    if (n->ended)
        return;
    if (sim_node_is_up(n->node)) {
        if (draw(n, 0, 20) > 0) {
            later(n, 0, 200, watch_death);
            return;
        }
        sim_disk_crash_at(sim_node_disk(n->node), 0);
        next(n);
        return;
    }
    later(n, 0, 2000, start);
}

/* A disk that failed leaves a process that may have given up on it. */
static bool leaves_damage(enum nemesis_fault fault)
{
    return fault == NEMESIS_WRITE_ERRORS || fault == NEMESIS_FSYNC_ERRORS ||
           fault == NEMESIS_READ_ERRORS || fault == NEMESIS_DISK_FULL;
}

/* The end of a process whose disk was ill. */
static void put_down(struct nemesis *n)
{
    if (draw(n, 0, 1) == 0)
        sim_node_power_cut(n->node);
    else
        sim_node_kill(n->node);
}

static void recover(void *ctx)
{
    struct nemesis *n = ctx;
    if (n->ended)
        return;
    heal(n);
    if (n->again_with_power) {
        n->again_with_power = false;
        sim_log(n->sim, "nemesis", "and now the power");
        sim_node_power_cut(n->node);
        later(n, 0, 2000, start);
        return;
    }
    if (!leaves_damage(n->fault)) {
        next(n);
        return;
    }
    put_down(n);
    later(n, 0, 1000, start);
}

/* A stop that does not come to its end, or found nothing to stop. */
static void watch_stop(void *ctx)
{
    struct nemesis *n = ctx;
    if (n->busy && n->faults == n->stops)
        nemesis_stopped(n);
}

void nemesis_begin(struct nemesis *n)
{
    heal(n);
    n->busy = false;
    n->ended = false;
    next(n);
}

static void revive(void *ctx)
{
    start_node(ctx);
}

void nemesis_end(struct nemesis *n)
{
    n->ended = true;
    heal(n);
    if (n->busy && leaves_damage(n->fault))
        put_down(n);
    if (!sim_node_is_up(n->node))
        later(n, 1, 10, revive);
}

void nemesis_stopped(struct nemesis *n)
{
    /* It stopped by itself, to begin anew: whatever goes wrong meanwhile goes on. */
    if (!n->busy || n->faults != n->stops) {
        nemesis_restart(n);
        return;
    }
    sim_node_kill(n->node);
    later(n, 0, 1000, start);
}

void nemesis_restart(struct nemesis *n)
{
    if (!sim_node_is_up(n->node))
        return;
    if (n->busy && leaves_damage(n->fault))
        put_down(n);
    else
        sim_node_kill(n->node);
    later(n, 0, 1000, revive);
}
