/*
 * Following: the partitions of one loop that follow other brokers, and the fetchers that fetch for
 * them, some for each broker (num.replica.fetchers, at least one). A fetcher works for partitions
 * of its own loop only, so what it fetched is appended where it arrived.
 *
 * On the shard's loop. Partitions say through replica_host when something of theirs has changed; it
 * is looked at together, on the loop's next turn.
 */
#ifndef KRAFTD_BROKER_SERVER_REPLICATION_H
#define KRAFTD_BROKER_SERVER_REPLICATION_H

#include <stdint.h>

struct image;
struct image_delta;
struct partition;
struct replication;
struct shard;

struct replication *replication_new(struct shard *shard);
/* After replication_stop called back, or when it was never used. NULL is fine. */
void replication_free(struct replication *replication);

/* Sets what partitions of this shard need for replication. */
void replication_fill_host(struct shard *shard);

/* Brokers came, went or moved: whoever could not reach them tries again. */
void replication_brokers_changed(struct replication *replication, const struct image_delta *delta);

/* Another number of fetchers, where the configuration of brokers says so: partitions change over.
 */
void replication_configs_changed(struct replication *replication, const struct image *image);

/* What the fetchers see of themselves, for the metrics. */
struct replication_lag {
    int64_t max_lag; /* records that the partition furthest behind lacked at its last answer */
    int64_t fetchers, unreachable, paused_partitions;
};
void replication_lag(const struct replication *replication, struct replication_lag *ret_lag);

/* Ends all fetching; calls stopped on the loop. */
void replication_stop(struct replication *replication, void (*stopped)(void *ctx), void *ctx);

#endif
