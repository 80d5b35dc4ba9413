/*
 * DeleteRecords at the leader (KIP-107): its log begins later from now on, and the request waits
 * until the others' do: until the low watermark, the lowest start among the replicas on brokers
 * that are not fenced, has reached the offset. Followers say where they start with each fetch.
 *
 * Owner loop. Waits may be ended from inside.
 */
#ifndef KRAFTD_BROKER_REPLICA_PARTITION_DELETE_H
#define KRAFTD_BROKER_REPLICA_PARTITION_DELETE_H

#include "broker/replica/partition.h"

/* *offset -1: up to the high watermark; it is set to that. The leader's own segments go in the
 * background. */
enum kafka_error partition_delete_records(struct partition *p, int64_t *offset);

/* -1 while some live follower has not fetched in this leader epoch. p leads. */
int64_t partition_low_watermark(const struct partition *p);

/* Waits for the low watermark to reach `offset`. */
struct low_wait {
    struct list link;
    int64_t offset;
    void (*done)(struct low_wait *, enum kafka_error, int64_t low_watermark);
};
/* True when it has; otherwise done() is called later. Whoever gives up takes it out of its list. */
bool partition_wait_low(struct partition *p, struct low_wait *wait);

#endif
