/*
 * Switches for the guards around libraft (raft/README.md lists them). In a test build each can be
 * switched off for one core, so that the tests prove that it is needed; a release knows no switch.
 */
#ifndef KRAFTD_RAFT_QUORUM_GUARD_H
#define KRAFTD_RAFT_QUORUM_GUARD_H

#include <stdbool.h>
#include <stdint.h>

enum quorum_guard {
    QUORUM_W1_STALE_TERM = 1,
    QUORUM_W2_COMPACTED_PREFIX,
    QUORUM_W3_STALE_REJECT,
    QUORUM_W4_PRE_VOTE_TERM,
    QUORUM_W5_CHANGE_AFTER_COMMIT,
    QUORUM_W6_CHANGE_FIRST,
    QUORUM_W7_CHANGE_MAJORITY,
    QUORUM_W8_COMMIT_MONOTONE,
    QUORUM_W10_PERSISTED_ORDER,
    QUORUM_W11_AMNESIAC,
    QUORUM_W12_LATE_VOTE,
    QUORUM_W14_LAST_SURVIVOR,
    QUORUM_W15_SOLE_VOTER_TERM,
    QUORUM_W17_WHOLE_BATCHES,
    QUORUM_W18_ECHO,
    QUORUM_W19_RESULT_BATCH_END,
    QUORUM_W20_UNKNOWN_TERM,
    QUORUM_BARRIER_OWN, /* a barrier of our own where the library submits none */
};

#define QUORUM_GUARDS 32

/* Bit 1 << guard: that guard is off. */
typedef uint64_t quorum_guards_off;

#ifdef KRAFTD_MUTATIONS
static inline bool quorum_guard_on(quorum_guards_off off, enum quorum_guard guard)
{
    return !(off >> guard & 1);
}
#else
static inline bool quorum_guard_on(quorum_guards_off off, enum quorum_guard guard)
{
    (void)off;
    (void)guard;
    return true;
}
#endif

#endif
