/*
 * Where the replicas of new partitions go: striped over racks and, within a rack, over brokers, so
 * that leaders and replicas come out even, starting from random places (Kafka's default placement).
 * Pure; randomness is passed in. Brokers without a rack count as one rack.
 *
 * Each partition takes the next rack for its first replica, and the racks after it in turn for the
 * others. Within a rack the brokers are taken in turn, those that are not fenced first, each at
 * most once per partition; the place to start from moves on with each partition. Racks and brokers
 * are in random order; after as many partitions as there are unfenced brokers they are shuffled
 * anew, because the pattern would repeat. The first replica is always an unfenced one.
 */
#ifndef KRAFTD_METADATA_REPLICA_PLACER_H
#define KRAFTD_METADATA_REPLICA_PLACER_H

#include "common/base/arena.h"
#include "metadata/controller/controller.h"

struct placer_broker {
    int32_t id;
    struct str rack; /* null: none */
    bool fenced;
};

/* Fills in assignments[partition * replication_factor + i]. Needs at least replication_factor
 * brokers, one of them unfenced. Sorts the brokers. */
void replica_placer_place(struct placer_broker *brokers, int32_t broker_count,
                          int32_t partition_count, int32_t replication_factor,
                          const struct random_source *random, struct arena *arena,
                          int32_t *assignments);

#endif
