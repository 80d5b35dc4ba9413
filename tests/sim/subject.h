/*
 * What the simulation runs: a subject puts processes into a fresh world, lets them work under
 * faults for at least `seconds` virtual seconds, and calls sim_fail when something does not hold.
 */
#ifndef KRAFTD_SIM_SUBJECT_H
#define KRAFTD_SIM_SUBJECT_H

#include "common/base/mutation.h"
#include "tests/sim/sim.h"

struct subject_run {
    struct sim *sim;
    const struct mutations *mutations; /* for the processes under test */
    int64_t seconds;
    /* Out: */
    int faults;
    int64_t steps; /* of work that was checked, in the subject's own terms */
    bool refused;  /* the run ended early: the process refuses a disk, as it may (README.md) */
};

struct subject {
    const char *name, *about;
    int64_t seconds; /* virtual ones of a seed, unless others are asked for */
    void (*run)(struct subject_run *run);
};

extern const struct subject subject_log, subject_node, subject_cluster;

#endif
