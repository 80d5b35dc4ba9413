/*
 * runner: takes seeds through a subject, in child processes, and reports.
 */
#ifndef KRAFTD_SIM_RUNNER_H
#define KRAFTD_SIM_RUNNER_H

#include "tests/sim/subject.h"

struct runner {
    const struct subject *subject;
    uint64_t first, last; /* seeds */
    bool single;          /* only `first`, in this process */
    bool trace, twice, hashes, expect_failure, mutated;
    struct mutations mutations;
    int64_t seconds; /* virtual, of a seed */
    int64_t jobs;    /* processes at a time */
};

/* The exit code. */
int runner_run(struct runner *runner);

#endif
