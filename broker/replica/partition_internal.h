/*
 * Inside of a partition, shared by partition.c (states, roles, waiters), partition_lead.c (appends,
 * high watermark, followers), partition_follow.c (appending what was fetched, cutting),
 * partition_delete.c (DeleteRecords), partition_move.c (to another directory) and
 * partition_jobs.c (work that runs beside the loop: opening, retention, closing).
 */
#ifndef KRAFTD_BROKER_REPLICA_PARTITION_INTERNAL_H
#define KRAFTD_BROKER_REPLICA_PARTITION_INTERNAL_H

#include "broker/replica/leader_state.h"
#include "broker/replica/partition.h"
#include "broker/replica/partition_follow.h"
#include "broker/replica/partition_lead.h"
#include "broker/replica/replica_feed.h"
#include "broker/replica/replica_host.h"
#include "common/base/disk.h"
#include "common/base/mutation.h"

struct followed;
struct partition_move;
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
    int32_t min_isr;
    struct throttled throttled;
    int32_t led_epoch;          /* the epoch the log knows us to lead; -1 */
    struct leader_state leader; /* while led_epoch is the role's */
    int64_t leader_watermark;   /* the high watermark that the leader last told; 0 */
    int64_t leader_log_start;   /* and where its log began; 0 */
    struct followed *followed;  /* the fetcher's; NULL */
    struct log_config config;
    bool sync_first;     /* flush.messages=1 */
    int64_t synced_from; /* the promise of sync_first holds from this offset on */
    struct log *log;     /* NULL until it was opened */
    struct list ack_waits, data_waits, replica_waits, low_waits;
    struct list feed_members;                   /* of feed_member.of_partition */
    struct task *opening_calls, *warming_calls; /* first come first */

    struct log_flush *flush; /* in flight */
    struct log_deletion *deletion;
    struct log_warm *warm;
    struct log_snapshot *snapshot;
    int64_t flush_us; /* what the last one took */
    struct work flush_work, deletion_work, warm_work, snapshot_work,
        log_work;            /* log_work: open, then close */
    struct timer open_timer; /* to try again */
    int log_work_status;
    int64_t no_room_until_ms; /* an append found none a moment ago */
    struct {
        bool restart;
        int64_t end;
    } cut;
    void (*away_run)(struct work *);       /* while AWAY: what the worker does with log_work, */
    void (*away_done)(struct partition *); /* and what comes then */
    int failed_dir, failed_status;         /* a directory that failed meanwhile; -1 */
    struct partition_move *move;           /* to another directory; NULL */
    struct log_wanted wanted;              /* the worker's, while it opens */
    struct log_opened opened, opened_copy; /* what it opened */
    size_t dir;                            /* where that lies, */
    struct uuid log_directory;             /* and the id of it; zero: unknown */
    struct uuid told_directory;            /* what the controller was told; zero: nothing */
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
void partition_enter(struct partition *p, enum partition_state to);
void partition_check_invariants(const struct partition *p);
/* The role and the state of the log say that it leads. */
bool partition_leads(const struct partition *p);
void partition_take_leadership(struct partition *p);
/* As leader: as far as followers, ISR and disk allow. */
void partition_advance(struct partition *p);
/* As follower, likewise. */
void partition_follow_watermark(struct partition *p);
/* New high watermark: whoever waits for it. */
void partition_wake_readers(struct partition *p);
void partition_wake_replicas(struct partition *p);
void partition_answer_acks(struct partition *p, enum kafka_error error);
/* Starts to delete what lies below the log's start and what is old, unless a deletion is in flight.
 * Which segments these are may be read from the disk: the partition may have failed then. */
void partition_start_retention(struct partition *p);
/* Whoever waits for the low watermark: it may have risen; or all, because it will not. */
void partition_check_low(struct partition *p);
void partition_end_low_waits(struct partition *p, enum kafka_error error);
/* The log is there again: the role may have changed meanwhile. */
void partition_settle(struct partition *p);
/* What KIP-101 did away with; for MUTATED. */
void partition_mutated_cut(struct partition *p);
/* Gives the log to a worker once no job is in flight; `done` begins what comes then, and ends with
 * partition_back unless it is CLOSING. */
void partition_send_away(struct partition *p, void (*run)(struct work *),
                         void (*done)(struct partition *));
void partition_away_step(struct partition *p);
/* status: of the work, when the log is not usable after it. */
void partition_back(struct partition *p, int status);
/* partition_move.c: what a start found of a move goes on; it ends (remove: without a trace); what
 * it waits for may be there. */
void partition_resume_move(struct partition *p, const struct log_opened *copy);
void partition_end_move(struct partition *p, bool clean, bool remove);
void partition_kick_move(struct partition *p);
/* The controller is told where the replica lies, where it knows otherwise. */
void partition_tell_directory(struct partition *p);
/* Goes on with closing once no job is in flight. */
void partition_close_step(struct partition *p);

#endif
