/*
 * Replication throttles as they are configured (KIP-73): the rates of this broker, and which
 * replicas of a topic they hold back ("partition:broker" separated by commas, or "*").
 */
#ifndef KRAFTD_BROKER_SERVER_THROTTLES_H
#define KRAFTD_BROKER_SERVER_THROTTLES_H

#include "broker/replica/partition.h"
#include "broker/replica/replication_quota.h"
#include "common/base/str.h"

struct image;
struct server_config;
struct shard;

/* Of a node, for all loops. */
struct throttles {
    struct replication_quota leader, follower;
    struct replication_quota moves; /* between log directories (KIP-113) */
};

void throttles_init(struct throttles *throttles, const struct server_config *config);
/* Metadata loop: takes the rates from the image. */
void throttles_update(struct throttles *throttles, const struct server_config *config,
                      const struct image *image);

/* Whether the replica on that broker is held back as leader, as follower. */
struct throttled throttled_of(const struct image *image, struct str topic, int32_t partition,
                              int32_t broker);

#endif
