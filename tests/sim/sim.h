/*
 * sim: a world in virtual time. It holds simulated processes (sim_env.h), the network between them
 * (sim_net.h) and a queue of events; nothing happens but by an event, and every choice comes from
 * the seed, so a seed replays exactly: the hash over all that happened says so.
 *
 * Single-threaded; one world at a time in a process.
 */
#ifndef KRAFTD_SIM_H
#define KRAFTD_SIM_H

#include "tests/sim/sim_random.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct sim;
struct sim_node;

#define SIM_MS     ((int64_t)1000)
#define SIM_SECOND ((int64_t)1000000)

/* With `trace` every event is a line on standard error. */
struct sim *sim_new(uint64_t seed, bool trace);
uint64_t sim_seed(const struct sim *sim);
/* All processes die first. */
void sim_free(struct sim *sim);

/* All processes die. */
void sim_kill_all(struct sim *sim);

/* Runs events until the time is reached or something failed. */
void sim_run_until(struct sim *sim, int64_t until_us);
int64_t sim_now_us(const struct sim *sim);
/* Numbers for the scenario (which faults, what load), apart from those of the world itself. */
struct sim_random *sim_random_of(struct sim *sim);
/* Calls `run` at that time, outside of any process. */
void sim_at(struct sim *sim, int64_t due_us, void (*run)(void *ctx), void *ctx);

/* Calls `look` after every event, outside of any process; NULL ends it. It must not change
 * anything. `ran` is the node whose event it was; NULL: the world's, any node may have changed. */
void sim_observe(struct sim *sim, void (*look)(void *ctx, const struct sim_node *ran), void *ctx);

/* The first failure is kept; the run ends with the event under way. */
__attribute__((format(printf, 2, 3))) void sim_fail(struct sim *sim, const char *format, ...);
/* NULL while all is well. */
const char *sim_failure(const struct sim *sim);
/* A line in the ring of what happened last (with --trace on standard error too). */
__attribute__((format(printf, 3, 4))) void sim_log(struct sim *sim, const char *who,
                                                   const char *format, ...);
void sim_print_log(const struct sim *sim, FILE *to);
/* Some line in the ring holds the text. */
bool sim_log_has(const struct sim *sim, const char *text);

/* Mixes an event into the hash. `what` is a constant; `who` may be NULL. */
void sim_trace(struct sim *sim, const char *what, const struct sim_node *who, int64_t a, int64_t b);
uint64_t sim_hash(const struct sim *sim);
int64_t sim_event_count(const struct sim *sim);

#endif
