/*
 * What a follower does with what its leader says: where it cuts its log when the two have parted
 * (KIP-101, KIP-279, KIP-595), and where its high watermark may go (KAFKA-14704). Sans-I/O: the
 * caller looks into the log and at the clock.
 */
#ifndef KRAFTD_BROKER_REPLICA_FOLLOWER_STATE_H
#define KRAFTD_BROKER_REPLICA_FOLLOWER_STATE_H

#include "common/storage/log_epochs.h"

/* What the follower's own log says. */
struct follower_log {
    int64_t start_offset, end_offset, durable_end, high_watermark;
    bool sync_first; /* what it has counts once it is durable */
};

/* The leader's largest epoch that is not above our last one, and where it ends there (the diverging
 * epoch of a Fetch); `own` is the answer of our log to the same question about that epoch. Where to
 * cut: below it both logs agree, or the next fetch tells of an earlier epoch. */
int64_t follower_truncation_offset(const struct follower_log *log, struct log_epoch_end leader,
                                   struct log_epoch_end own);

enum follower_reset {
    FOLLOWER_FETCH_ON, /* from the end of the own log */
    FOLLOWER_TRUNCATE, /* the leader's log is shorter: cut to *ret_offset */
    FOLLOWER_START_AT, /* nothing in common: begin empty at *ret_offset */
};

/* The leader says OFFSET_OUT_OF_RANGE, and that its log spans these offsets. */
enum follower_reset follower_out_of_range(const struct follower_log *log, int64_t leader_start,
                                          int64_t leader_end, int64_t *ret_offset);

/*
 * The same for a copy of a log in another directory, whose last record is of last_epoch (-1: it
 * has none). `end`: the log's answer about that epoch, with its end where there is none; `own`: the
 * copy's about the epoch that `end` names.
 */
enum follower_reset follower_copy_cut(const struct follower_log *copy, int32_t last_epoch,
                                      int64_t log_start, struct log_epoch_end end,
                                      struct log_epoch_end own, int64_t *ret_offset);

/* The follower's high watermark after an answer whose records were appended. */
int64_t follower_high_watermark(const struct follower_log *log, int64_t leader_high_watermark);

/* How long to leave a partition alone after an error: longer each time, at most max_ms. */
int64_t follower_backoff_ms(unsigned errors, int64_t max_ms);

#endif
