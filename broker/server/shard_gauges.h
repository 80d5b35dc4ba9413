/*
 * Sets the gauges of a loop: its partitions and fetch sessions, and on loop 0 what the metadata and
 * the quorum say.
 */
#ifndef KRAFTD_BROKER_SERVER_SHARD_GAUGES_H
#define KRAFTD_BROKER_SERVER_SHARD_GAUGES_H

struct shard;

/* On its loop, now and then: costs a look at each partition. */
void shard_gauges_refresh(struct shard *shard);

#endif
