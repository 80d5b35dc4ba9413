#include "common/base/map.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <stdlib.h>

enum { CAPACITY_MIN = 8 };

void map_init(struct map *map, enum map_kind kind)
{
    *map = (struct map){.kind = kind};
}

static void key_release(const struct map *map, struct map_entry *entry)
{
    if (map->kind == MAP_STR && entry->value != NULL) {
        char *text;
        memcpy(&text, &entry->key.str.data, sizeof(text)); /* ours, though a str is const */
        free(text);
    }
}

void map_release(struct map *map)
{
    for (size_t i = map->first; i < map->used; i++)
        key_release(map, &map->entries[i]);
    free(map->entries);
    free(map->index);
    map_init(map, map->kind);
}

void map_clear(struct map *map)
{
    for (size_t i = map->first; i < map->used; i++)
        key_release(map, &map->entries[i]);
    map->count = map->used = map->first = 0;
    if (map->index != NULL)
        memset(map->index, 0, (map->index_mask + 1) * sizeof(*map->index));
}

static uint32_t hash_of(const struct map *map, const struct map_key *key)
{
    uint64_t hash;
    switch (map->kind) {
    case MAP_U64:
        hash = hash_u64(key->u64);
        break;
    case MAP_UUID:
        hash = hash_bytes(key->uuid.b, sizeof(key->uuid.b));
        break;
    default:
        hash = str_hash(key->str);
        break;
    }
    return (uint32_t)hash_u64(hash + (uint64_t)(uint32_t)key->number);
}

static bool key_eq(const struct map *map, const struct map_key *a, const struct map_key *b)
{
    if (a->number != b->number)
        return false;
    switch (map->kind) {
    case MAP_U64:
        return a->u64 == b->u64;
    case MAP_UUID:
        return uuid_eq(a->uuid, b->uuid);
    default:
        return str_eq(a->str, b->str);
    }
}

/* Slot of the index that names the entry of this key. A hole never matches, and it keeps its slot,
 * so that probing goes on past it. */
static bool find(const struct map *map, const struct map_key *key, uint32_t hash, size_t *ret_place)
{
    if (map->index == NULL)
        return false;
    for (size_t slot = hash & map->index_mask;; slot = (slot + 1) & map->index_mask) {
        uint32_t place = map->index[slot];
        if (place == 0)
            return false;
        const struct map_entry *entry = &map->entries[place - 1];
        if (entry->value != NULL && entry->hash == hash && key_eq(map, &entry->key, key)) {
            *ret_place = place - 1;
            return true;
        }
    }
}

static void index_add(struct map *map, size_t place)
{
    size_t slot = map->entries[place].hash & map->index_mask;
    while (map->index[slot] != 0)
        slot = (slot + 1) & map->index_mask;
    map->index[slot] = (uint32_t)place + 1;
}

/* Closes the holes; doubles the room when most of it is in use, halves it when little is. */
static void rebuild(struct map *map)
{
    size_t capacity = CAPACITY_MIN;
    while (capacity < map->count * 2)
        capacity *= 2;
    CHECK(capacity < UINT32_MAX / 2);
    struct map_entry *entries = mem_alloc(capacity * sizeof(*entries));
    size_t used = 0;
    for (size_t i = map->first; i < map->used; i++)
        if (map->entries[i].value != NULL)
            entries[used++] = map->entries[i];
    CHECK(used == map->count);
    free(map->entries);
    free(map->index);
    map->entries = entries;
    map->capacity = capacity;
    map->used = used;
    map->first = 0;
    map->index_mask = capacity * 2 - 1; /* at most half full, holes included */
    map->index = mem_calloc(capacity * 2, sizeof(*map->index));
    for (size_t i = 0; i < used; i++)
        index_add(map, i);
}

void *map_get(const struct map *map, struct map_key key)
{
    size_t place;
    return find(map, &key, hash_of(map, &key), &place) ? map->entries[place].value : NULL;
}

void *map_put(struct map *map, struct map_key key, void *value)
{
    CHECK(value != NULL);
    uint32_t hash = hash_of(map, &key);
    size_t place;
    if (find(map, &key, hash, &place)) {
        struct map_entry *entry = &map->entries[place];
        void *old = entry->value;
        entry->value = value;
        /* The old text usually dies with the old value. */
        if (map->kind == MAP_STR_BORROWED)
            entry->key = key;
        return old;
    }
    if (map->used == map->capacity)
        rebuild(map);
    if (map->kind == MAP_STR && key.str.data != NULL)
        key.str.data = mem_strndup(key.str.data, key.str.len > 0 ? (size_t)key.str.len : 0);
    map->entries[map->used] = (struct map_entry){.key = key, .hash = hash, .value = value};
    index_add(map, map->used++);
    map->count++;
    return NULL;
}

void *map_remove(struct map *map, struct map_key key)
{
    size_t place;
    if (!find(map, &key, hash_of(map, &key), &place))
        return NULL;
    struct map_entry *entry = &map->entries[place];
    void *value = entry->value;
    key_release(map, entry);
    entry->value = NULL;
    map->count--;
    while (map->first < map->used && map->entries[map->first].value == NULL)
        map->first++;
    return value;
}

struct map_entry *map_next(const struct map *map, size_t at)
{
    for (; at < map->used; at++)
        if (map->entries[at].value != NULL)
            return &map->entries[at];
    return NULL;
}
