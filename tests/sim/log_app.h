/*
 * log_app: a process that keeps a few partition logs, the way a broker does: every log on the loop
 * that owns it, flushes, checkpoints and deletions on workers, checkpoints and marks of a log
 * directory, and a client of its own per log that works at random and tells the models
 * (log_model.h) what it did and what was acknowledged.
 */
#ifndef KRAFTD_SIM_LOG_APP_H
#define KRAFTD_SIM_LOG_APP_H

#include "tests/sim/log_model.h"
#include "tests/sim/sim_env.h"

#define LOG_APP_PARTITIONS 4
#define LOG_APP_LOOPS      3
#define LOG_APP_DIR        "/data/logs"

/* What outlives the process; given to its boot as ctx. */
struct log_app_world {
    struct sim *sim;
    struct sim_node *node;
    struct log_model models[LOG_APP_PARTITIONS];
    struct log_config configs[LOG_APP_PARTITIONS];
    int64_t appends;
    bool quiet; /* no more appends: what is there is to be acknowledged and checked */
    /* Faults of the disk are on: errors of it are no failures. */
    bool (*disk_is_sick)(void *ctx);
    /* The process cannot go on, or has stopped in order. On loop 0; the process lives on until
     * it is killed. */
    void (*gave_up)(void *ctx);
    void (*stopped)(void *ctx);
    void *ctx;
};

void *log_app_boot(struct env *env, void *world);
/* Stops in order; from outside of the process. `stopped` follows. */
void log_app_stop(struct sim_node *node);
/* Every log is open and all that was appended is durable. */
bool log_app_settled(struct sim_node *node);
/* Fails the run, saying why it is not. */
void log_app_fail_unsettled(struct sim_node *node);

#endif
