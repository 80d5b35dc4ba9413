/*
 * Switches for the guards around libraft (raft/README.md lists them). In a test build each can be
 * switched off for one core, so that the tests prove that it is needed; a release knows no switch.
 */
#ifndef KRAFTD_RAFT_QUORUM_GUARD_H
#define KRAFTD_RAFT_QUORUM_GUARD_H

#include <stdbool.h>
#include <stdint.h>

/* Number, name of the switch, and what is off then. */
#define QUORUM_GUARD_LIST(X)                                                                       \
    X(W1_STALE_TERM, 1, "w1", "a message of an older term is answered by libraft")                 \
    X(W2_COMPACTED_PREFIX, 2, "w2", "libraft gets appends that begin below the log")               \
    X(W3_STALE_REJECT, 3, "w3", "a rejection moves a follower below what it matched")              \
    X(W4_PRE_VOTE_TERM, 4, "w4", "a pre-vote is denied in the term it asked for")                  \
    X(W5_CHANGE_AFTER_COMMIT, 5, "w5", "voters change before the term has committed")              \
    X(W6_CHANGE_FIRST, 6, "w6", "a change comes in the middle of an append")                       \
    X(W7_CHANGE_MAJORITY, 7, "w7", "voters change without a live majority")                        \
    X(W8_COMMIT_MONOTONE, 8, "w8", "the commit index is libraft's")                                \
    X(W9_NO_DEMOTION, 9, "w9", "voters come and go in one step and are demoted")                   \
    X(W10_PERSISTED_ORDER, 10, "w10", "what was cut counts as stored")                             \
    X(W11_AMNESIAC, 11, "w11", "a server without a log votes")                                     \
    X(W12_LATE_VOTE, 12, "w12", "a vote counts for who is no candidate")                           \
    X(W14_LAST_SURVIVOR, 14, "w14", "who is no voter in its own set never votes")                  \
    X(W15_SOLE_VOTER_TERM, 15, "w15", "a sole voter goes on in its term after a restart")          \
    X(W16_LEADER_IS_VOTE, 16, "w16", "a leader that is named is no vote")                          \
    X(W17_WHOLE_BATCHES, 17, "w17", "appends begin and end inside of batches")                     \
    X(W18_ECHO, 18, "w18", "a rejection names what was received")                                  \
    X(W19_RESULT_BATCH_END, 19, "w19", "a success ends inside of a batch")                         \
    X(W20_UNKNOWN_TERM, 20, "w20", "an append claims a term that is not known")                    \
    X(W21_BOOTSTRAP, 21, "w21", "the bootstrap checkpoint is installed")                           \
    /* a barrier of our own where the library submits none */                                      \
    X(BARRIER_OWN, 22, "barrier", "a leader waits for somebody to write")

enum quorum_guard {
#define QUORUM_GUARD_ENUM(id, number, name, effect) QUORUM_##id = (number),
    QUORUM_GUARD_LIST(QUORUM_GUARD_ENUM)
#undef QUORUM_GUARD_ENUM
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
