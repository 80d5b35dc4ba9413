/*
 * Mutations: faults that test builds can switch on at run time, so that the simulation proves that
 * it would notice them. A release build (no KRAFTD_MUTATIONS) does not contain them at all.
 *
 * The switches of a node hang on its disk, which is at hand wherever they matter; there is no
 * process-wide state. At the place that has to be wrong:
 *
 *     if (!MUTATED(disk, RENAME_WITHOUT_DIR_FSYNC))
 *         rv = disk_sync_parent(disk, path);
 */
#ifndef KRAFTD_BASE_MUTATION_H
#define KRAFTD_BASE_MUTATION_H

#include <stdbool.h>
#include <stdint.h>

#define MUTATION_LIST(X)                                                                           \
    X(ACK_BEFORE_FSYNC, "ack-before-fsync", "the durable end advances when the fsync begins")      \
    X(SKIP_TORN_TAIL_CHECK, "skip-torn-tail-check", "recovery believes the end of the last file")  \
    X(FORGET_PRODUCER_SNAPSHOT, "forget-producer-snapshot", "producers start empty at open")       \
    X(RENAME_WITHOUT_DIR_FSYNC, "rename-without-dir-fsync", "a replaced file keeps its old name")  \
    X(VOTE_NOT_DURABLE, "vote-not-durable", "messages leave before term and vote are written")     \
    X(FETCH_PAST_COMMIT, "fetch-past-commit", "who follows by Fetch gets all that is in the log")  \
    X(PERSISTED_BEFORE_FSYNC, "persisted-before-fsync",                                            \
      "a voter acknowledges what it has written")                                                  \
    X(RETRY_FAILED_FSYNC, "retry-failed-fsync", "a failed fsync is tried again, and believed")     \
    X(FORMATION_MAJORITY, "formation-majority", "a majority of answers is enough to form")         \
    X(FORMATION_ONE_COLLECT, "formation-one-collect", "one round of answers is enough to form")    \
    X(FORMATION_NO_RESET, "formation-no-reset", "a stillborn formation is kept")                   \
    X(KEEP_RAFT_ID, "keep-raft-id", "a wiped disk comes back with its raft id")                    \
    X(STALE_BROKER_EPOCH, "stale-broker-epoch", "any epoch of a broker passes for its newest")     \
    X(FENCED_IN_ISR, "fenced-in-isr", "a fenced replica may come into an ISR (KIP-841)")           \
    X(FORMER_LIFE_IN_ISR, "former-life-in-isr", "an ISR takes any life of a replica (KIP-903)")    \
    X(UNFLUSHED_LEADS, "unflushed-leads", "who did not stop cleanly stays eligible (KIP-966)")     \
    X(CUT_TO_WATERMARK, "cut-to-watermark", "a new follower cuts what its high watermark lacks")   \
    X(CUT_WITHOUT_EPOCH, "cut-without-epoch", "a follower cuts by the leader's end alone")         \
    X(WATERMARK_BEFORE_CUT, "watermark-before-cut", "a follower that parts takes the watermark")   \
    X(ACK_BEFORE_ISR, "ack-before-isr", "the high watermark is the leader's end")                  \
    X(IGNORE_DURABLE_END, "ignore-durable-end", "followers count what they have not synced")       \
    X(DELETE_ALONE, "delete-alone", "DeleteRecords waits for no follower")                         \
    X(ADOPT_DIRECTORY, "adopt-directory", "a topic takes over the log of one that had its name")   \
    X(COPY_NOT_SYNCED, "copy-not-synced", "a moved log takes its place before it is synced")       \
    X(COPY_NOT_CUT, "copy-not-cut", "a copy in another directory is not cut with its log")

enum mutation {
#define MUTATION_ENUM(id, name, effect) MUTATION_##id,
    MUTATION_LIST(MUTATION_ENUM)
#undef MUTATION_ENUM
        MUTATION_COUNT,
};

struct mutations {
    bool on[MUTATION_COUNT];
    uint64_t guards_off; /* of the quorum (raft/quorum_guard.h) */
};

#ifdef KRAFTD_MUTATIONS
#define MUTATED(disk, id)    ((disk)->mutations != NULL && (disk)->mutations->on[MUTATION_##id])
#define MUTATIONS_OF(disk)   ((disk)->mutations)
#define MUTATED_GUARDS(disk) ((disk)->mutations != NULL ? (disk)->mutations->guards_off : 0)
#else
#define MUTATED(disk, id)    false
#define MUTATIONS_OF(disk)   NULL
#define MUTATED_GUARDS(disk) 0
#endif

#endif
