/*
 * Inside of a partition, shared by partition.c (leadership, appends, waiters) and partition_jobs.c
 * (work that runs beside the loop: opening, retention, closing).
 */
#ifndef KRAFTD_BROKER_REPLICA_PARTITION_INTERNAL_H
#define KRAFTD_BROKER_REPLICA_PARTITION_INTERNAL_H

#include "broker/replica/partition.h"
#include "broker/replica/replica_host.h"

struct log_deletion;
struct log_flush;
struct log_warm;

struct partition {
    struct replica_host *host;
    struct str topic; /* owned */
    struct uuid topic_id;
    int32_t index;
    enum partition_state state;
    struct partition_role role;
    int32_t led_epoch; /* the epoch the log knows us to lead; -1 */
    int64_t led_from;  /* where the log ended when that epoch began */
    struct log_config config;
    bool sync_first;     /* flush.messages=1 */
    int64_t synced_from; /* the promise of sync_first holds from this offset on */
    struct log *log;     /* NULL until it was opened */
    struct list ack_waits, data_waits;
    struct task *opening_calls, *warming_calls; /* first come first */

    struct log_flush *flush; /* in flight */
    struct log_deletion *deletion;
    struct log_warm *warm;
    int64_t flush_us;                                           /* what the last one took */
    struct work flush_work, deletion_work, warm_work, log_work; /* log_work: open, then close */
    struct timer open_timer;                                    /* to try again */
    int log_work_status;
    struct log_config open_config; /* the worker's, while it opens */
    int32_t open_epoch;            /* likewise: led by this node; -1: it does not lead */
    struct log *opened_log;        /* what it opened */
    bool log_work_running;

    bool close_clean, close_remove;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

/* Appends a call to a queue of calls that run again together. */
void partition_keep_call(struct task **queue, struct shard_call *call);
void partition_run_calls(struct partition *p, struct task **queue);
void partition_fail(struct partition *p, int status);
void partition_start_flush(struct partition *p, bool checkpoint);
void partition_opened(struct partition *p, int status);
void partition_dismiss_waiters(struct partition *p);
/* Goes on with closing once no job is in flight. */
void partition_close_step(struct partition *p);

#endif
