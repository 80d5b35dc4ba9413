/*
 * replica_watch: looks into the replicas of some topics of a simulated cluster after every event,
 * from outside of all processes, and says when something does not hold that has to hold:
 *
 *   - a batch of one offset and leader epoch has the same bytes on every disk, for ever
 *   - what a leader's high watermark passed once is *committed*: it is what a client sent, once, in
 *     the order of its producer; every replica has it, byte for byte, below its own high watermark;
 *     who begins to lead has all of it; what is acknowledged or read is it
 *   - a high watermark never goes back while its replica is in one leader epoch
 *   - whoever is in sync by the metadata, in the life that the metadata knows, has all that is
 *     below the leader's high watermark: synced, where the topic asks for that
 *
 * The promise. Committed records stay as long as at every moment one replica that may be elected
 * has them all on its disk: one of the ISR or of the eligible leader replicas, or, where both are
 * empty, of the last known leaders. A power cut takes what was not synced; a disk that is wiped
 * takes all. Where a topic syncs before it acknowledges, power may be cut as one likes: its promise
 * ends with wiped disks only. What is on the disks is looked at, not assumed, when the power goes.
 * Once the promise has ended the next leader decides what is committed, and it begins anew.
 *
 * A replica may lie in either of two log directories (watched_dirs) and move to the other one. It
 * is one replica, wherever its log is: a move takes nothing away and nothing back. After a power
 * cut the one of two logs of that name counts which has more; the next start has to find it.
 *
 * Belongs to the world; clients may call in from any process.
 */
#ifndef KRAFTD_SIM_REPLICA_WATCH_H
#define KRAFTD_SIM_REPLICA_WATCH_H

#include "common/base/uuid.h"
#include "tests/sim/log_watch.h"

struct node;
struct partition;

#define REPLICA_WATCH_NODES      8
#define REPLICA_WATCH_PARTITIONS 8

struct watched_partition;

struct watched_replica {
    struct watched_partition *partition;
    struct watched_log there;
    int incarnation; /* of the process that has the partition */
    const struct partition *part;
    bool away;             /* a worker had its log at the last look */
    struct uuid directory; /* that its log lies in */
    /* Of the log that is open now; NULL: none is. */
    const struct log *log;
    int64_t end, durable_end, high_watermark;
    int64_t synced_from;     /* what was there when it was opened counts as synced */
    int32_t epoch;           /* of its role */
    int32_t watermark_epoch; /* that its high watermark moved in last */
    int32_t led_epoch;       /* that it leads in; -1 */
    int32_t commits_in;      /* likewise, or that it led in until, or only within, this event */
    int32_t elected_epoch;   /* the newest that an image gave it to lead; -1 */
    int64_t start, begin;    /* of the log, and of its first segment */
    bool registered;         /* in the life that the metadata knows */
};

struct watched_partition {
    struct replica_watch *watch;
    char topic[32];
    int32_t index;
    bool synced; /* before it is acknowledged */
    /* By the newest image of all nodes. Sets of nodes are masks, node n1 is bit 0. */
    struct uuid topic_id;
    int32_t leader, leader_epoch; /* leader: -1, or the number of the node from 0 */
    uint32_t replicas, isr, elr, last_known;
    int preferred[REPLICA_WATCH_NODES]; /* the replicas in order of preference; -1 behind */
    struct uuid directories[REPLICA_WATCH_NODES]; /* where they lie, by number of the node */
    uint32_t leader_isr;                          /* as the leader itself had it last */
    uint32_t wiped; /* lost their disk and have not got everything again */
    struct watched_replica of[REPLICA_WATCH_NODES];
    struct watched_batch *committed;
    size_t count, capacity;
    int64_t goes_on_at;   /* after a loss: what follows begins there or behind the last one */
    int32_t commit_epoch; /* of the newest leader that committed something */
    struct map seen;      /* struct watched_batch, by offset and epoch */
    struct map sent;      /* checksums of what clients sent */
    bool broken;          /* the promise has ended, and no leader has decided yet */
    int32_t broken_epoch; /* who is in an epoch up to that may have what was lost */
    int losses;           /* how often it ended */
    bool isr_changed;     /* look at the ISR once more */
    /* Of deletions (deletion_watch.h). */
    bool churns;           /* the topic is deleted and made again */
    int life;              /* how often it was */
    int changes;           /* how often its leader or ISR changed */
    int64_t asked_start;   /* the highest offset that records are to be deleted up to */
    int64_t start_promise; /* that they are for good; 0: none */
    bool same_starts;      /* all logs are to start alike */
};

struct replica_watch {
    struct sim *sim;
    const struct node *(*program)(struct sim_node *node); /* NULL while there is none */
    struct sim_node *nodes[REPLICA_WATCH_NODES];
    int power_cuts[REPLICA_WATCH_NODES];
    int64_t broker_epochs[REPLICA_WATCH_NODES]; /* by the newest image */
    int node_count, partition_count;
    struct watched_partition partitions[REPLICA_WATCH_PARTITIONS];
    int64_t image_offset;
    int64_t committed, lost; /* batches */
    int64_t moved;           /* replicas, to other log directories */
    bool has_dirs;           /* the nodes have all of watched_dirs */
};

void replica_watch_begin(struct replica_watch *w, struct sim *sim,
                         const struct node *(*program)(struct sim_node *node));
void replica_watch_add_node(struct replica_watch *w, struct sim_node *node);
struct watched_partition *replica_watch_add(struct replica_watch *w, const char *topic,
                                            int32_t index, bool synced);
void replica_watch_release(struct replica_watch *w);
/* To be called after every event (sim_observe). */
void replica_watch_look(struct replica_watch *w, const struct sim_node *ran);
/* The disk of that node may be lost without ending a promise. */
bool replica_watch_may_wipe(const struct replica_watch *w, int at);
void replica_watch_wiped(struct replica_watch *w, int at);
/* All replicas are in sync and have the same; NULL, or what is missing at which partition. */
const char *replica_watch_unrest(const struct replica_watch *w,
                                 const struct watched_partition **ret_partition);

/* What clients do. */
void watched_partition_sent(struct watched_partition *p, uint32_t crc);
void watched_partition_acknowledged(struct watched_partition *p, int64_t offset, uint32_t crc);
/* Whole batches as they came from a fetch at `offset`; returns the offset behind them. */
int64_t watched_partition_read(struct watched_partition *p, int64_t offset, struct bytes records);
int64_t watched_partition_committed_end(const struct watched_partition *p);
/* It is one that churns, and there is no such topic now, or not as many partitions. */
bool watched_partition_is_absent(const struct watched_partition *p);

#endif
