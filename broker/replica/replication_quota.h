/*
 * Bytes a second that may be replicated for throttled replicas (KIP-73), in one direction, over all
 * loops of a node. It tells whether more may be sent now; who is told no tries again later. As in
 * Kafka the rate is that of the last few samples, so a single large answer may go above it.
 *
 * Any thread; no lock. Loops that begin a sample at the same moment may lose some of its bytes.
 */
#ifndef KRAFTD_BROKER_REPLICA_REPLICATION_QUOTA_H
#define KRAFTD_BROKER_REPLICA_REPLICATION_QUOTA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define REPLICATION_QUOTA_SAMPLES_MAX 64

struct replication_quota {
    _Atomic int64_t bytes_per_second; /* INT64_MAX: no limit */
    int samples;                      /* that count */
    int64_t sample_ms;
    struct {
        _Atomic int64_t number, bytes; /* of the sample that was last kept here */
    } kept[REPLICATION_QUOTA_SAMPLES_MAX];
};

void replication_quota_init(struct replication_quota *quota, int64_t samples, int64_t sample_ms);
void replication_quota_set(struct replication_quota *quota, int64_t bytes_per_second);
void replication_quota_note(struct replication_quota *quota, int64_t now_ms, int64_t bytes);
bool replication_quota_exceeded(const struct replication_quota *quota, int64_t now_ms);

#endif
