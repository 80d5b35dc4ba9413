#include "metadata/controller/replica_placer.h"

#include "common/base/check.h"

#include <stdlib.h>

/* Brokers of one rack that are alike, in random order, taken from a rotating start. */
struct ring {
    struct placer_broker *brokers;
    int32_t count, start, taken;
    int64_t round; /* the partition that `taken` counts for */
};

struct rack {
    struct ring unfenced, fenced;
};

struct placer {
    struct rack *racks;
    int32_t rack_count, first_rack, unfenced_count;
    int64_t round;
    const struct random_source *random;
};

static uint32_t random_below(const struct random_source *random, uint32_t bound)
{
    uint32_t value;
    random->fill(random->ctx, &value, sizeof(value));
    return (uint32_t)(((uint64_t)value * bound) >> 32);
}

/* By rack, the unfenced ones first, then by id. */
static int broker_order(const void *a, const void *b)
{
    const struct placer_broker *x = a, *y = b;
    int by_rack = str_cmp(x->rack, y->rack);
    if (by_rack != 0)
        return by_rack;
    if (x->fenced != y->fenced)
        return x->fenced ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static void ring_shuffle(struct ring *ring, const struct random_source *random)
{
    for (int32_t i = ring->count - 1; i > 0; i--) {
        int32_t other = (int32_t)random_below(random, (uint32_t)i + 1);
        struct placer_broker moved = ring->brokers[i];
        ring->brokers[i] = ring->brokers[other];
        ring->brokers[other] = moved;
    }
    ring->start = ring->taken = 0;
    ring->round = 0;
}

/* The next one for this partition, or -1 when all are taken. */
static int32_t ring_take(struct ring *ring, int64_t round)
{
    if (ring->count == 0)
        return -1;
    if (ring->round != round) {
        ring->round = round;
        ring->start = (ring->start + 1) % ring->count;
        ring->taken = 0;
    }
    if (ring->taken == ring->count)
        return -1;
    return ring->brokers[(ring->start + ring->taken++) % ring->count].id;
}

/* The racks too: else one rack's leaders would all have their next replica on the same other one.
 */
static void shuffle_all(struct placer *placer)
{
    placer->round = 0;
    for (int32_t i = placer->rack_count - 1; i > 0; i--) {
        int32_t other = (int32_t)random_below(placer->random, (uint32_t)i + 1);
        struct rack moved = placer->racks[i];
        placer->racks[i] = placer->racks[other];
        placer->racks[other] = moved;
    }
    for (int32_t i = 0; i < placer->rack_count; i++) {
        ring_shuffle(&placer->racks[i].unfenced, placer->random);
        ring_shuffle(&placer->racks[i].fenced, placer->random);
    }
}

static void placer_init(struct placer *placer, struct placer_broker *brokers, int32_t count,
                        const struct random_source *random, struct arena *arena)
{
    qsort(brokers, (size_t)count, sizeof(*brokers), broker_order);
    *placer = (struct placer){.racks = ARENA_ARRAY(arena, struct rack, count), .random = random};
    for (int32_t i = 0; i < count; i++) {
        if (i == 0 || !str_eq(brokers[i].rack, brokers[i - 1].rack))
            placer->rack_count++;
        struct rack *rack = &placer->racks[placer->rack_count - 1];
        struct ring *ring = brokers[i].fenced ? &rack->fenced : &rack->unfenced;
        if (ring->count++ == 0)
            ring->brokers = &brokers[i];
        placer->unfenced_count += !brokers[i].fenced;
    }
    shuffle_all(placer);
}

static void place_one(struct placer *placer, int32_t replication_factor, int32_t *replicas)
{
    if (placer->round == placer->unfenced_count)
        shuffle_all(placer);
    int32_t leader_rack = placer->first_rack, count = 0;
    /* Some rack has an unfenced broker. */
    while ((replicas[0] = ring_take(&placer->racks[leader_rack].unfenced, placer->round)) < 0)
        leader_rack = (leader_rack + 1) % placer->rack_count;
    count++;
    bool leader_rack_passed = false;
    for (int32_t at = placer->first_rack; count < replication_factor;
         at = (at + 1) % placer->rack_count) {
        if (at == leader_rack && !leader_rack_passed) {
            leader_rack_passed = true; /* it has given the leader in this turn */
            continue;
        }
        int32_t id = ring_take(&placer->racks[at].unfenced, placer->round);
        if (id < 0)
            id = ring_take(&placer->racks[at].fenced, placer->round);
        if (id >= 0)
            replicas[count++] = id;
    }
    placer->round++;
    placer->first_rack = (placer->first_rack + 1) % placer->rack_count;
}

void replica_placer_place(struct placer_broker *brokers, int32_t broker_count,
                          int32_t partition_count, int32_t replication_factor,
                          const struct random_source *random, struct arena *arena,
                          int32_t *assignments)
{
    struct placer placer;
    placer_init(&placer, brokers, broker_count, random, arena);
    CHECK(replication_factor > 0 && replication_factor <= broker_count);
    CHECK(placer.unfenced_count > 0);
    for (int32_t p = 0; p < partition_count; p++)
        place_one(&placer, replication_factor,
                  assignments + (size_t)p * (size_t)replication_factor);
}
