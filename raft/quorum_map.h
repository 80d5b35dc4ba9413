/*
 * The batches of the metadata log, as libraft counts them: which raft index lies in which batch,
 * and of which term it is. libraft knows single entries only; batches are never split on disk or on
 * the wire, so everything that leaves or enters it is rounded with this map.
 *
 * Mapping (part of the formats): raft index = offset + 2, raft term = leader epoch + 1; a batch of
 * n records is n entries. Index 1 is the bootstrap checkpoint's voters, index 2 is offset 0.
 *
 * Held as runs of equal batches, so that a log of single NoOp records costs nothing. Plain data of
 * one owner; no errors.
 */
#ifndef KRAFTD_RAFT_QUORUM_MAP_H
#define KRAFTD_RAFT_QUORUM_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUORUM_INDEX_BOOTSTRAP 1
#define QUORUM_TERM_BOOTSTRAP  1

static inline uint64_t quorum_index_of(int64_t offset)
{
    return (uint64_t)(offset + 2);
}

static inline int64_t quorum_offset_of(uint64_t index)
{
    return (int64_t)index - 2;
}

static inline uint64_t quorum_term_of(int32_t epoch)
{
    return (uint64_t)((int64_t)epoch + 1);
}

static inline int32_t quorum_epoch_of(uint64_t term)
{
    return (int32_t)((int64_t)term - 1);
}

/* Where a batch lies: indexes base to end, both inclusive. */
struct quorum_extent {
    uint64_t base, end, term;
};

struct quorum_run; /* equal batches that follow each other */

struct quorum_map {
    struct quorum_run *runs;
    size_t front, count, capacity; /* used: [front, count) */
    uint64_t first, next;          /* next - first entries are held */
};

/* Empty; the first batch appended will be at index `first`. */
void quorum_map_init(struct quorum_map *map, uint64_t first);
void quorum_map_release(struct quorum_map *map);
/* Forgets all; the next batch will be at index `first`. */
void quorum_map_reset(struct quorum_map *map, uint64_t first);

static inline uint64_t quorum_map_last(const struct quorum_map *map)
{
    return map->next - 1; /* first - 1 when empty */
}

static inline bool quorum_map_empty(const struct quorum_map *map)
{
    return map->next == map->first;
}

/* Appends a batch of `count` entries behind the last. */
void quorum_map_append(struct quorum_map *map, uint32_t count, uint64_t term);
/* Removes the entries from `index`, the base of a batch, on. */
void quorum_map_truncate(struct quorum_map *map, uint64_t index);
/* Removes the entries below `index`, the base of a batch or the end of the map + 1. */
void quorum_map_drop_prefix(struct quorum_map *map, uint64_t index);

/* The batch that holds `index`. */
bool quorum_map_find(const struct quorum_map *map, uint64_t index, struct quorum_extent *ret);
/* Term of the entry; 0 when it is not held. */
uint64_t quorum_map_term(const struct quorum_map *map, uint64_t index);

#endif
