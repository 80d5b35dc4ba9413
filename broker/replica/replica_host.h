/*
 * What a partition needs from the node around it: loop, clocks, directories, and whom to tell.
 * One per loop, filled by the shard; constant but for what the log manager guards itself.
 */
#ifndef KRAFTD_BROKER_REPLICA_REPLICA_HOST_H
#define KRAFTD_BROKER_REPLICA_REPLICA_HOST_H

#include "common/base/env.h"
#include "common/base/str.h"
#include "common/base/uuid.h"
#include "common/storage/log_config.h"

struct file_cache;
struct isr_proposal;
struct log;
struct log_recovery;
struct metric;
struct partition;
struct partition_moves;

/* The log that a partition needs. */
struct log_wanted {
    struct str topic;
    struct uuid topic_id;
    int32_t index;
    int32_t leader_epoch; /* which this node leads; -1: it does not lead */
    struct log_config config;
    struct uuid directory; /* as partition_role.directory */
};

/* A log that was opened, and where. */
struct log_opened {
    struct log *log;       /* NULL: none */
    size_t dir;            /* number of the log manager */
    struct uuid directory; /* its id; zero: it has none */
};

struct replica_host {
    struct env *env;
    struct loop *loop;
    int32_t node_id;
    struct file_cache *files;
    struct metric *flush_times; /* NULL: not measured */
    void *owner;
    /* On a worker: opens or creates the log of a partition, in `directory` where it is new. 0, or
     * an errno: the partition is offline. ret_copy: one in another directory, of a move that did
     * not come to its end; else it stays as it is. */
    int (*open_log)(void *owner, struct file_cache *files, const struct log_wanted *wanted,
                    struct log_opened *ret_opened, struct log_opened *ret_copy);
    /* On a worker: makes a future log in that directory. */
    int (*open_future)(void *owner, struct file_cache *files, const struct log_wanted *wanted,
                       size_t dir, struct log_opened *ret_opened);
    /* On a worker: the future log becomes the log, which is closed and goes; both are detached.
     * After an error nothing has changed. */
    int (*replace_log)(void *owner, struct log *log, struct log *future);
    /* A move that does not get on, for this reason. */
    void (*move_stuck)(void *owner, const struct log *log, int status);
    struct partition_moves *moves;
    /* On a worker: closes the log; with `remove` renames its directory away for deletion. */
    int (*close_log)(void *owner, struct log *log, bool clean, bool remove);
    /* On the loop: a log failed with this errno; its directory goes offline. */
    void (*log_failed)(void *owner, struct log *log, int status);
    /* On the loop: it is open (0), offline (errno), or closed before it was open (0). */
    void (*opened)(void *owner, struct partition *p, int status);
    /* On a worker: cuts the log to end at `end`, or, with restart, to be empty and start there;
     * makes sure that no recovery point is left above it. 0, or an errno: the log has failed. */
    int (*cut_log)(void *owner, struct log *log, bool restart, int64_t end);

    /* What replication needs, all on the loop. */
    int64_t lag_max_ms; /* replica.lag.time.max.ms */
    /* The epoch that a broker is registered with, -1: none; live: not fenced, not shutting down. */
    int64_t (*broker_epoch)(struct replica_host *host, int32_t id, bool *ret_live);
    /* It is registered and not fenced; it may be shutting down. */
    bool (*broker_alive)(struct replica_host *host, int32_t id);
    /* The controller was not heard of late: leaders here may be none any more and not know it. */
    bool (*out_of_touch)(struct replica_host *host);
    /* What p fetches, or from whom, may have changed: see partition_follow_at. Never from inside a
     * call of partition_follow.h. */
    void (*follow)(struct replica_host *host, struct partition *p);
    /* It is about to be freed. */
    void (*unfollow)(struct replica_host *host, struct partition *p);
    /* The controller is to be asked; the answer goes to partition_isr_answered. */
    void (*propose_isr)(struct replica_host *host, struct partition *p,
                        const struct isr_proposal *proposal);
    /* The metadata has a place for directories of replicas. */
    bool (*names_directories)(struct replica_host *host);
    /* The controller is to be told that its replica lies there. */
    void (*tell_directory)(struct replica_host *host, struct partition *p, struct uuid directory);
};

#endif
