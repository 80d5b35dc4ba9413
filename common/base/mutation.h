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

#define MUTATION_LIST(X)                                                                           \
    X(ACK_BEFORE_FSYNC, "ack-before-fsync", "the durable end advances when the fsync begins")      \
    X(SKIP_TORN_TAIL_CHECK, "skip-torn-tail-check", "recovery believes the end of the last file")  \
    X(FORGET_PRODUCER_SNAPSHOT, "forget-producer-snapshot", "producers start empty at open")       \
    X(RENAME_WITHOUT_DIR_FSYNC, "rename-without-dir-fsync", "a replaced file keeps its old name")  \
    X(VOTE_NOT_DURABLE, "vote-not-durable", "messages leave before term and vote are written")     \
    X(FETCH_PAST_COMMIT, "fetch-past-commit", "who follows by Fetch gets all that is in the log")

enum mutation {
#define MUTATION_ENUM(id, name, effect) MUTATION_##id,
    MUTATION_LIST(MUTATION_ENUM)
#undef MUTATION_ENUM
        MUTATION_COUNT,
};

struct mutations {
    bool on[MUTATION_COUNT];
};

#ifdef KRAFTD_MUTATIONS
#define MUTATED(disk, id) ((disk)->mutations != NULL && (disk)->mutations->on[MUTATION_##id])
#else
#define MUTATED(disk, id) false
#endif

#endif
