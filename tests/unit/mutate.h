/*
 * KRAFTD_MUTATE=NAME makes unit tests run with that fault (common/base/mutation.h) or without that
 * guard of the quorum (raft/quorum_guard.h): the tests that stand for it have to fail then.
 * tests/sim/test_mutations.py says which these are.
 */
#ifndef KRAFTD_TESTS_MUTATE_H
#define KRAFTD_TESTS_MUTATE_H

#include "common/base/mutation.h"
#include "raft/quorum_guard.h"

#include <stdlib.h>
#include <string.h>

static inline struct mutations mutate(void)
{
    struct mutations mutations = {{false}};
    const char *wanted = getenv("KRAFTD_MUTATE");
    if (!wanted)
        return mutations;
#define MUTATE_FAULT(id, name, effect) mutations.on[MUTATION_##id] = strcmp(wanted, name) == 0;
    MUTATION_LIST(MUTATE_FAULT)
#undef MUTATE_FAULT
#define MUTATE_GUARD(id, number, name, effect)                                                     \
    if (strcmp(wanted, name) == 0)                                                                 \
        mutations.guards_off = (quorum_guards_off)1 << (number);
    QUORUM_GUARD_LIST(MUTATE_GUARD)
#undef MUTATE_GUARD
    return mutations;
}

static inline const struct mutations *mutate_for_good(void)
{
    static struct mutations mutations;
    mutations = mutate();
    return &mutations;
}

#endif
