#include "raft/quorum_replicas.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <stdlib.h>

void quorum_replicas_release(struct quorum_replicas *replicas)
{
    free(replicas->items);
    *replicas = (struct quorum_replicas){0};
}

void quorum_replicas_clear(struct quorum_replicas *replicas)
{
    quorum_replicas_release(replicas);
}

static struct quorum_replica *find(struct quorum_replicas *replicas, int32_t node_id,
                                   struct uuid directory_id)
{
    for (size_t i = 0; i < replicas->count; i++) {
        struct quorum_replica *replica = &replicas->items[i];
        if (replica->node_id == node_id && uuid_eq(replica->directory_id, directory_id))
            return replica;
    }
    return NULL;
}

static void remove_at(struct quorum_replicas *replicas, size_t at)
{
    replicas->items[at] = replicas->items[--replicas->count];
}

static void make_room(struct quorum_replicas *replicas)
{
    size_t oldest = 0;
    if (replicas->count < QUORUM_REPLICAS_MAX)
        return;
    for (size_t i = 1; i < replicas->count; i++)
        if (replicas->items[i].fetched_ms < replicas->items[oldest].fetched_ms)
            oldest = i;
    remove_at(replicas, oldest);
}

void quorum_replicas_note(struct quorum_replicas *replicas, int32_t node_id,
                          struct uuid directory_id, int64_t fetch_offset, int64_t end_offset,
                          int64_t now_ms)
{
    struct quorum_replica *replica = find(replicas, node_id, directory_id);
    if (!replica) {
        make_room(replicas);
        replica = &VEC_PUSH(replicas->items, replicas->count, replicas->capacity);
        *replica = (struct quorum_replica){.node_id = node_id,
                                           .directory_id = directory_id,
                                           .fetched_ms = now_ms,
                                           .caught_up_ms = -1,
                                           .end_offset = -1};
    }
    /* What it had asked for last time was all there was then: it was up to date at that time. */
    if (fetch_offset >= end_offset)
        replica->caught_up_ms = now_ms;
    else if (replica->end_offset > 0 && fetch_offset >= replica->end_offset)
        replica->caught_up_ms = MAX(replica->caught_up_ms, replica->fetched_ms);
    replica->end_offset = end_offset;
    replica->fetched_ms = now_ms;
    replica->fetch_offset = fetch_offset;
}

void quorum_replicas_expire(struct quorum_replicas *replicas, int64_t now_ms)
{
    for (size_t i = replicas->count; i-- > 0;)
        if (now_ms - replicas->items[i].fetched_ms > QUORUM_REPLICAS_TIMEOUT_MS)
            remove_at(replicas, i);
}
