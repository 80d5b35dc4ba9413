/*
 * Hash map from a string, a number, an id, or one of these with a small number (topic and
 * partition), to a pointer. Iteration goes in order of insertion, whatever the hash says, so that a
 * simulated run replays. Owns its keys' text unless it is a MAP_STR_BORROWED; never the values.
 * Single-threaded.
 *
 * An index of 32-bit places, open addressing with linear probing, over a dense array of entries in
 * order of insertion; a removed entry leaves a hole, closed when the array is rebuilt.
 */
#ifndef KRAFTD_BASE_MAP_H
#define KRAFTD_BASE_MAP_H

#include "common/base/str.h"
#include "common/base/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum map_kind {
    MAP_STR,          /* copies the text of its keys */
    MAP_STR_BORROWED, /* the text lives as long as the entry, usually inside the value */
    MAP_U64,
    MAP_UUID,
};

struct map_key {
    union {
        struct str str;
        uint64_t u64;
        struct uuid uuid;
    };
    int32_t number; /* 0 where none is used */
};

struct map_entry {
    struct map_key key;
    uint32_t hash;
    void *value; /* NULL: a hole */
};

struct map {
    enum map_kind kind;
    size_t count; /* live entries */
    struct map_entry *entries;
    size_t used;     /* entries and holes */
    size_t capacity; /* of entries */
    size_t first;    /* no live entry before it */
    uint32_t *index; /* place + 1, or 0 */
    size_t index_mask;
};

void map_init(struct map *map, enum map_kind kind);
/* Frees keys and tables, not the values. */
void map_release(struct map *map);
/* Forgets all entries. */
void map_clear(struct map *map);

/* NULL when it is not there. */
void *map_get(const struct map *map, struct map_key key);
/* The value is not NULL. Returns the value it replaced, or NULL; the new one takes over its
 * place in the order. Not while iterating. */
void *map_put(struct map *map, struct map_key key, void *value);
/* Returns the value, or NULL when it was not there. Also while iterating. */
void *map_remove(struct map *map, struct map_key key);

static inline struct map_key map_key_str(struct str s)
{
    return (struct map_key){.str = s};
}

static inline struct map_key map_key_str_int(struct str s, int32_t number)
{
    return (struct map_key){.str = s, .number = number};
}

static inline struct map_key map_key_u64(uint64_t n)
{
    return (struct map_key){.u64 = n};
}

static inline struct map_key map_key_uuid(struct uuid id)
{
    return (struct map_key){.uuid = id};
}

static inline struct map_key map_key_uuid_int(struct uuid id, int32_t number)
{
    return (struct map_key){.uuid = id, .number = number};
}

/* The next entry from place `at` on, or NULL. */
struct map_entry *map_next(const struct map *map, size_t at);

/* MAP_FOR_EACH(entry, &map) { entry->key, entry->value }; entries may be removed meanwhile. */
#define MAP_FOR_EACH(entry, map)                                                                   \
    for (struct map_entry *entry = map_next((map), (map)->first); entry != NULL;                   \
         entry = map_next((map), (size_t)(entry - (map)->entries) + 1))

#endif
