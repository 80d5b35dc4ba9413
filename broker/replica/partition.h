/*
 * A partition as this node holds it: its log, its part in leadership, and who waits for it.
 *
 * Thread: a partition lives on one loop (the shard's) and is touched there only; opening, flushing
 * and deleting its log run as work items between which the loop goes on. The partition, not the
 * image, decides leadership: the image tells it (partition_apply), and what it answers follows its
 * own state.
 *
 * States: OPENING -> ONLINE -> CLOSING -> freed; any -> OFFLINE when its log directory failed;
 * ONLINE -> AWAY -> ONLINE while a worker has the log: to cut that of a follower that parted from
 * its leader, or to replace it by the one in another directory. While OPENING or AWAY, calls are
 * kept (partition_wait_open) and run again when the log is there or lost.
 *
 * Leading is partition_lead.h's, following partition_follow.h's, DeleteRecords
 * partition_delete.h's, moves between directories partition_move.h's.
 *
 * Invariants: high watermark <= end offset; where records are synced before they are acknowledged
 * (flush.messages=1) high watermark <= durable end; an ack is given only at or below the high
 * watermark.
 */
#ifndef KRAFTD_BROKER_REPLICA_PARTITION_H
#define KRAFTD_BROKER_REPLICA_PARTITION_H

#include "broker/replica/partition_role.h"
#include "broker/server/shard_call.h"
#include "common/base/list.h"
#include "common/base/uuid.h"
#include "common/protocol/kafka_error.h"
#include "common/storage/log.h"

struct partition;
struct replica_host;

enum partition_state {
    PARTITION_OPENING,
    PARTITION_ONLINE,
    PARTITION_AWAY,
    PARTITION_OFFLINE,
    PARTITION_CLOSING,
};

/* Waits for all that is asked of `offset`, the end of what was appended. */
struct ack_wait {
    struct list link;
    int64_t offset;
    bool committed; /* at or below the high watermark (acks=all) */
    bool durable;   /* synced by this node */
    void (*done)(struct ack_wait *, enum kafka_error);
};

/* Waits for anything to read: woken once, then no longer in the list. */
struct data_wait {
    struct list link;
    void (*wake)(struct data_wait *);
};

struct partition_new_args {
    struct replica_host *host;
    struct str topic;
    struct uuid topic_id;
    int32_t index;
    const struct partition_role *role;
    const struct log_config *config;
    int32_t min_isr; /* min.insync.replicas */
};

/* Starts opening (and, where the disk holds nothing, creating) the log. */
struct partition *partition_new(const struct partition_new_args *args);
/* New leadership or ISR from the metadata. Waiters of a lost leadership get NOT_LEADER_OR_FOLLOWER.
 */
void partition_apply(struct partition *p, const struct partition_role *role);
void partition_set_config(struct partition *p, const struct log_config *config, int32_t min_isr);

/* Ends it: wakes all waiters, waits for jobs in flight, closes the log (clean: with all that a
 * start without recovery needs), renames the directory away when `remove`, then calls `closed` and
 * is freed. */
void partition_close(struct partition *p, bool clean, bool remove, void (*closed)(void *ctx),
                     void *ctx);

/* Whether its replication is throttled where the broker's rates say so (KIP-73). */
struct throttled {
    bool as_leader, as_follower;
};
void partition_set_throttled(struct partition *p, struct throttled throttled);
struct throttled partition_throttled(const struct partition *p);

struct str partition_topic(const struct partition *p);
struct uuid partition_topic_id(const struct partition *p);
int32_t partition_index(const struct partition *p);
enum partition_state partition_get_state(const struct partition *p);
const struct partition_role *partition_get_role(const struct partition *p);
/* NULL unless ONLINE. */
struct log *partition_log(const struct partition *p);

/* The log in any state; NULL when it was never opened. */
struct log *partition_any_log(const struct partition *p);

/* False while OPENING or AWAY: the call was queued and its run() is called again later. run()
 * must not have done anything yet. */
bool partition_wait_open(struct partition *p, struct shard_call *call);

/*
 * NONE when this node leads it and the client's epoch (-1: none given) is this one;
 * NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, KAFKA_STORAGE_ERROR.
 */
enum kafka_error partition_check_leader(const struct partition *p, int32_t client_epoch);

/* For a consumer that may read from any replica (KIP-392): as above, but NONE also when it follows.
 */
enum kafka_error partition_check_reader(const struct partition *p, int32_t client_epoch);

struct partition_appended {
    struct log_append_info info;
    bool sync_first; /* flush.messages asks that it be on the disk before it is acknowledged */
};

/* Appends as leader (batches validated; offsets are assigned). Wakes readers. */
enum kafka_error partition_append(struct partition *p, struct bytes batches,
                                  enum log_append_origin origin, struct partition_appended *ret);
/* True when it holds already; otherwise done() is called later. */
bool partition_wait_ack(struct partition *p, struct ack_wait *wait);
/* Woken by a new high watermark; a replica also by new records. */
void partition_wait_data(struct partition *p, struct data_wait *wait, bool replica);

/* True when reading there waits for nothing. Else brings the bytes into the page cache on a worker
 * and runs the call again; a second attempt for the same read goes ahead whatever this says. */
bool partition_warm(struct partition *p, int64_t offset, int32_t max_bytes,
                    struct shard_call *call);

/* What a reader may see: the end for replicas, the high watermark, or the last stable offset. */
int64_t partition_read_bound(const struct partition *p, bool read_committed);
/* False while a new leader does not know yet how much of its log is committed: its high watermark
 * may be lower than one that clients have seen (KIP-207). */
bool partition_knows_end(const struct partition *p);

/* Periodic work of the owner loop: flush.ms, retention, delayed deletion. */
void partition_tick(struct partition *p, bool retention);
void partition_expire_producers(struct partition *p);
/* The background flusher: starts syncing when more than `bytes` are unsynced. */
void partition_checkpoint_flush(struct partition *p, int64_t above_bytes);

#endif
