/*
 * A partition that follows another broker: from where it fetches and what it does with the answers.
 * Owner loop; the fetcher (broker/server/replica_fetcher.h) asks and calls.
 */
#ifndef KRAFTD_BROKER_REPLICA_PARTITION_FOLLOW_H
#define KRAFTD_BROKER_REPLICA_PARTITION_FOLLOW_H

#include "broker/replica/partition.h"
#include "common/storage/log_epochs.h"

struct followed;

/* Where a follower stands: what its next fetch says. */
struct follow_at {
    int32_t leader_id, leader_epoch;
    int64_t offset;
    int32_t last_epoch; /* of the last record; -1 */
    int64_t log_start_offset;
};

enum follow_status {
    FOLLOW_NOBODY, /* it leads, nobody leads, or there is no log */
    FOLLOW_BUSY,   /* not now: its log is being opened, cut or synced; host->follow tells when */
    FOLLOW_READY,
};

/* *ret_at is set but for FOLLOW_NOBODY; while BUSY only the leader in it counts. */
enum follow_status partition_follow_at(const struct partition *p, struct follow_at *ret_at);
/* A place for the fetcher's own state. */
struct followed **partition_followed(struct partition *p);

/* One partition's part of a Fetch answer without an error. */
struct follow_answer {
    struct bytes records; /* the last batch may be cut off */
    int64_t high_watermark, log_start_offset;
    struct log_epoch_end diverging; /* epoch -1: the logs agree */
};

enum follow_result {
    FOLLOW_TAKEN,
    FOLLOW_STALE,   /* an answer to a question of earlier; nothing was done */
    FOLLOW_CORRUPT, /* what came is no run of right batches: nothing of the bad one was taken */
    FOLLOW_FAILED,  /* the disk */
};

/* The answer to a fetch at `at`. Appends byte for byte, moves the watermarks, or begins to cut. */
enum follow_result partition_follow(struct partition *p, const struct follow_at *at,
                                    const struct follow_answer *answer, int64_t *ret_bytes);
/* OFFSET_OUT_OF_RANGE at `at`, and what the leader's log spans then. */
enum follow_result partition_follow_reset(struct partition *p, const struct follow_at *at,
                                          int64_t leader_start, int64_t leader_end);

#endif
