/*
 * quorum_watch: looks into every node of a simulated cluster after every event, from outside of all
 * processes, and says when something does not hold that has to hold at any moment:
 *
 *   - one leader per epoch; no node falls back into an epoch before one it acted in; who leads has
 * every batch that was ever committed
 *   - a batch of one offset and epoch has the same bytes on every disk, for ever
 *   - what was committed once is never lost, changed or given another offset
 *   - commit offsets, and the offsets of images, stand on batch ends and never go back while the
 *     process lives; an image never shows what is not committed
 *   - what somebody has who follows from outside of the quorum is committed
 *   - images of one offset are equal on all nodes, in all lives; none has a partition that is led
 *     by a broker that is fenced or not registered
 *   - there is one cluster: all that is committed belongs to one cluster id
 *
 * Belongs to the world; reads logs behind the disk's back (sim_disk_peek), so that looking changes
 * nothing.
 */
#ifndef KRAFTD_SIM_QUORUM_WATCH_H
#define KRAFTD_SIM_QUORUM_WATCH_H

#include "tests/sim/log_watch.h"

struct image;
struct log;
struct node;
struct quorum_node;

#define QUORUM_WATCH_NODES 8

struct watched_node {
    struct sim_node *node;
    /* Of this life, of this log. */
    int incarnation;
    const struct log *log;
    struct watched_log there;
    int64_t high_watermark;
    int32_t led_epoch, epoch;
    bool epoch_checked;
    uint64_t image_version;
    int64_t image_offset;
};

struct quorum_watch {
    struct sim *sim;
    const struct node *(*program)(struct sim_node *node); /* NULL while there is none */
    struct watched_node nodes[QUORUM_WATCH_NODES];
    int count;
    struct map seen;                 /* (offset, epoch) -> struct watched_batch, owned */
    struct map leaders;              /* epoch -> struct watched_leader, owned */
    struct map images;               /* offset -> hash and epoch, owned */
    struct map disks;                /* raft id -> the epoch its node was in, owned */
    struct watched_batch *committed; /* all of it, from offset 0 on */
    size_t committed_count, committed_capacity;
    char cluster_id[32];
    /* Counters. */
    int64_t elections, image_count, images_compared;
};

void quorum_watch_begin(struct quorum_watch *w, struct sim *sim,
                        const struct node *(*program)(struct sim_node *node));
void quorum_watch_add(struct quorum_watch *w, struct sim_node *node);
void quorum_watch_release(struct quorum_watch *w);
/* To be called after every event (sim_observe). */
void quorum_watch_look(struct quorum_watch *w, const struct sim_node *ran);

/* Behind the last batch that was committed anywhere. */
int64_t quorum_watch_committed_end(const struct quorum_watch *w);
/* NULL while the node is down or has not opened its log. Valid until the next event. */
const struct quorum_node *quorum_watch_quorum(const struct quorum_watch *w, int at);
const struct image *quorum_watch_image(const struct quorum_watch *w, int at);

#endif
