/*
 * Sets the gauges of a loop: its partitions and fetch sessions, and on loop 0 what the metadata and
 * the quorum say.
 */
#ifndef KRAFTD_BROKER_SERVER_SHARD_GAUGES_H
#define KRAFTD_BROKER_SERVER_SHARD_GAUGES_H

#include <stdint.h>

struct shard;

/* On its loop, at every tick: when the metadata changed, and every few seconds, it takes a look at
 * each partition. */
void shard_gauges_tick(struct shard *shard, int64_t now_ms);

#endif
