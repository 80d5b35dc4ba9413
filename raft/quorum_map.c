#include "raft/quorum_map.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

struct quorum_run {
    uint64_t base;    /* index of the first entry */
    uint64_t term;    /* of all of them */
    uint32_t size;    /* entries in each batch */
    uint32_t batches; /* how many of that size */
};

static uint64_t run_next(const struct quorum_run *run)
{
    return run->base + (uint64_t)run->size * run->batches;
}

void quorum_map_init(struct quorum_map *map, uint64_t first)
{
    *map = (struct quorum_map){.first = first, .next = first};
}

void quorum_map_release(struct quorum_map *map)
{
    free(map->runs);
    *map = (struct quorum_map){0};
}

void quorum_map_reset(struct quorum_map *map, uint64_t first)
{
    quorum_map_release(map);
    quorum_map_init(map, first);
}

static void make_room(struct quorum_map *map)
{
    if (map->front > 0 && map->front >= map->count / 2) {
        map->count -= map->front;
        memmove(map->runs, map->runs + map->front, map->count * sizeof(map->runs[0]));
        map->front = 0;
    }
    if (map->count < map->capacity)
        return;
    map->capacity = map->capacity ? map->capacity * 2 : 16;
    map->runs = mem_realloc(map->runs, map->capacity * sizeof(map->runs[0]));
}

void quorum_map_append(struct quorum_map *map, uint32_t count, uint64_t term)
{
    CHECK(count > 0 && term > 0);
    struct quorum_run *last = map->count > map->front ? &map->runs[map->count - 1] : NULL;
    if (last && last->term == term && last->size == count && last->batches < UINT32_MAX) {
        last->batches++;
    } else {
        CHECK(!last || last->term <= term);
        make_room(map);
        map->runs[map->count++] =
            (struct quorum_run){.base = map->next, .term = term, .size = count, .batches = 1};
    }
    map->next += count;
}

/* Position of the run that holds `index`; the map holds it. */
static size_t run_of(const struct quorum_map *map, uint64_t index)
{
    size_t low = map->front, high = map->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (map->runs[middle].base <= index)
            low = middle;
        else
            high = middle;
    }
    CHECK(index >= map->runs[low].base && index < run_next(&map->runs[low]));
    return low;
}

static bool holds(const struct quorum_map *map, uint64_t index)
{
    return index >= map->first && index < map->next;
}

void quorum_map_truncate(struct quorum_map *map, uint64_t index)
{
    if (index >= map->next)
        return;
    CHECK(index >= map->first);
    size_t at = run_of(map, index);
    struct quorum_run *run = &map->runs[at];
    CHECK((index - run->base) % run->size == 0);
    run->batches = (uint32_t)((index - run->base) / run->size);
    map->count = run->batches > 0 ? at + 1 : at;
    map->next = index;
}

void quorum_map_drop_prefix(struct quorum_map *map, uint64_t index)
{
    if (index <= map->first)
        return;
    CHECK(index <= map->next);
    if (index == map->next) {
        map->front = map->count = 0;
    } else {
        size_t at = run_of(map, index);
        struct quorum_run *run = &map->runs[at];
        CHECK((index - run->base) % run->size == 0);
        run->batches -= (uint32_t)((index - run->base) / run->size);
        run->base = index;
        map->front = at;
    }
    map->first = index;
}

bool quorum_map_find(const struct quorum_map *map, uint64_t index, struct quorum_extent *ret)
{
    if (!holds(map, index))
        return false;
    const struct quorum_run *run = &map->runs[run_of(map, index)];
    uint64_t base = index - (index - run->base) % run->size;
    *ret = (struct quorum_extent){.base = base, .end = base + run->size - 1, .term = run->term};
    return true;
}

uint64_t quorum_map_term(const struct quorum_map *map, uint64_t index)
{
    return holds(map, index) ? map->runs[run_of(map, index)].term : 0;
}
