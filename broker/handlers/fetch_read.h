/*
 * Reading for Fetch: the part that runs on the loops that own the partitions. A read names bytes in
 * a segment, it does not copy them.
 */
#ifndef KRAFTD_BROKER_HANDLERS_FETCH_READ_H
#define KRAFTD_BROKER_HANDLERS_FETCH_READ_H

#include "broker/replica/fetch_session.h"
#include "broker/replica/partition_lead.h"
#include "broker/server/shard_call.h"
#include "common/storage/log_txn.h"

struct fetch_group;
struct fetch_op;
struct fetch_response_partition_data;
struct shard;

/* One partition of a Fetch: what is asked, and what was found at the last read. */
struct fetch_entry {
    struct fetch_partition at;
    struct fetch_group *group; /* NULL: answered without a partition (error below) */
    struct data_wait wait;
    bool warmed;

    enum kafka_error error;
    int64_t high_watermark, last_stable_offset, log_start_offset; /* -1: not known */
    int64_t end_offset;                                           /* likewise */
    int32_t diverging_epoch;                                      /* -1: none */
    int64_t diverging_end_offset;
    int32_t leader_id, leader_epoch; /* of a partition that is led elsewhere; -1 */
    int32_t preferred_replica;       /* whom the reader is to ask; -1: read here */
    struct log_read_result read;     /* holds a reference to the file */
    struct log_aborted_txn *aborted; /* malloc'd */
    size_t aborted_count;
};

/* How the whole request reads. */
struct fetch_params {
    int16_t version;
    int32_t replica_id; /* -1 consumer, -2 debugging consumer */
    int64_t replica_epoch;
    int32_t max_bytes;
    int8_t isolation_level;
    bool read_committed;
    bool any_replica; /* it may read from a follower (KIP-392) */
    struct str rack;  /* the reader's, where it is to read from the closest replica; else empty */
    struct str listener;
};

static inline bool fetch_is_by_replica(const struct fetch_params *params)
{
    return params->replica_id >= 0;
}

/* The entries that one loop owns. Between a send and its answer it belongs to that loop. */
struct fetch_group {
    struct shard_call call;
    struct shard *shard; /* the owner */
    struct fetch_op *op; /* the asker's */
    const struct fetch_params *params;
    struct fetch_entry **entries;
    int32_t count;
    bool wait;        /* also wait for data at entries that had none */
    bool woken;       /* owner's: the task below is posted */
    struct task wake; /* to the asker's loop: something may be there */
    /* The task is on its way, where both are the same loop: calls do not queue up behind it there,
     * so the op may be through before it arrives. */
    bool wake_queued;
    struct loop *asker;
};

/* Reads all entries of the group, again after earlier reads; a shard_call's run. */
void fetch_group_read(struct shard_call *call);
/* Then: begin (or stop, when wait is false) to wait for data. A shard_call's run. */
void fetch_group_wait(struct shard_call *call);
/* One entry, without waiting for anything; on the owner's loop. */
void fetch_entry_read(struct fetch_entry *entry, struct shard *shard,
                      const struct fetch_params *params);
/* What the last read says, as the answer has it; records of size_bytes. Any loop. */
void fetch_entry_fill(const struct fetch_entry *entry, const struct fetch_params *params,
                      int32_t size_bytes, struct fetch_response_partition_data *ret);
/* Drops the references of the last read. Any loop. */
void fetch_entry_clear(struct fetch_entry *entry);

#endif
