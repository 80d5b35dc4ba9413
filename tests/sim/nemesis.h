/*
 * nemesis: what goes wrong with one process, when, at random: deaths of every kind, disks, clocks,
 * and the network around it. It restarts what it killed.
 *
 * Belongs to the world's side: never called from inside a process.
 */
#ifndef KRAFTD_SIM_NEMESIS_H
#define KRAFTD_SIM_NEMESIS_H

#include "tests/sim/sim_env.h"

enum nemesis_fault {
    NEMESIS_KILL,
    NEMESIS_POWER_CUT,
    NEMESIS_KILL_IN_CALL, /* inside one of its next disk calls */
    NEMESIS_POWER_IN_CALL,
    NEMESIS_KILL_THEN_POWER, /* killed, restarted, at work again, and only then the power is cut */
    NEMESIS_STOP,            /* in order, by the subject */
    NEMESIS_UNHEARD,         /* answers do not arrive for a while; then it stops or is killed */
    NEMESIS_FREEZE,
    NEMESIS_CLOCK_JUMP,
    NEMESIS_SLOW_DISK,
    NEMESIS_DISK_FULL,
    NEMESIS_WRITE_ERRORS,
    NEMESIS_FSYNC_ERRORS,
    NEMESIS_READ_ERRORS,
    NEMESIS_RESETS,
    NEMESIS_CUT_LINKS, /* one way or both */
    NEMESIS_DELAYS,
    NEMESIS_FAULT_COUNT,
};

struct nemesis {
    struct sim *sim;
    struct sim_node *node;
    const char *volumes[4]; /* that fail one at a time; none: all is one */
    bool wanted[NEMESIS_FAULT_COUNT];
    /* Stops the process in order; calls nemesis_stopped when it is down (NULL: no NEMESIS_STOP). */
    void (*stop)(void *ctx);
    /* The process is about to start; may cut the power first. May be NULL. */
    void (*before_start)(void *ctx);
    void *ctx;
    /* Some deaths in a disk call follow the rename of such a file. A constant; NULL: none do. */
    const char *fragile;
    int64_t pause_ms; /* mean, from the end of one fault to the next */
    int64_t jump_ms;  /* the largest jump of its clock; 0: a minute */
    int faults, counts[NEMESIS_FAULT_COUNT];
    /* Inside. */
    bool ended, busy, strike_pending;
    bool again_with_power; /* the second half of NEMESIS_KILL_THEN_POWER */
    int stops;             /* the number of the fault that is a stop */
    enum nemesis_fault fault;
    const char *volume; /* that the fault is on */
};

/* Fill in sim, node, wanted, pause_ms and the callbacks first. The process is running. */
void nemesis_begin(struct nemesis *n);
/* No further faults; disks and network are whole again at once, and the process is up or starts. */
void nemesis_end(struct nemesis *n);
void nemesis_stopped(struct nemesis *n);
/* The process cannot go on (a failed disk): it is killed and started again. Harmless when it is
 * down. */
void nemesis_restart(struct nemesis *n);
const char *nemesis_fault_name(enum nemesis_fault fault);

#endif
