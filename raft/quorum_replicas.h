/*
 * What the leader knows of the nodes that fetch the metadata log from it, which are its observers:
 * how far each is and when it was last heard (KIP-836). The leader keeps them in memory for its
 * epoch; one that has not fetched for five minutes is forgotten, and of too many the one that was
 * heard longest ago. Times are monotonic. One loop, no I/O.
 */
#ifndef KRAFTD_RAFT_QUORUM_REPLICAS_H
#define KRAFTD_RAFT_QUORUM_REPLICAS_H

#include "common/base/uuid.h"

#include <stddef.h>
#include <stdint.h>

#define QUORUM_REPLICAS_MAX        4096
#define QUORUM_REPLICAS_TIMEOUT_MS 300000

struct quorum_replica {
    int32_t node_id;
    struct uuid directory_id;
    int64_t fetch_offset; /* it has all below */
    int64_t fetched_ms;   /* its last fetch */
    int64_t caught_up_ms; /* when it last had all there was; -1: never */
    int64_t end_offset;   /* where the committed log ended at its last fetch */
};

struct quorum_replicas {
    struct quorum_replica *items;
    size_t count, capacity;
};

void quorum_replicas_release(struct quorum_replicas *replicas);
/* Another epoch begins: nothing is known of anybody. */
void quorum_replicas_clear(struct quorum_replicas *replicas);
/* A fetch at `fetch_offset`, while the committed log ends at `end_offset`. */
void quorum_replicas_note(struct quorum_replicas *replicas, int32_t node_id,
                          struct uuid directory_id, int64_t fetch_offset, int64_t end_offset,
                          int64_t now_ms);
/* Forgets those that are silent. */
void quorum_replicas_expire(struct quorum_replicas *replicas, int64_t now_ms);

#endif
