#include "tests/sim/deletion_watch.h"

#include "common/base/check.h"
#include "common/base/disk.h"
#include "common/storage/log_names.h"
#include "common/storage/small_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define fail(p, at, format, ...)                                                                   \
    sim_fail((p)->watch->sim, "%s: %s-%d: " format, sim_node_name((p)->watch->nodes[at]),          \
             (p)->topic, (p)->index, __VA_ARGS__)

/* --- Lives of topics --- */

static void forget_all(struct watched_partition *p)
{
    for (int at = 0; at < p->watch->node_count; at++) {
        struct watched_replica *r = &p->of[at];
        struct watched_log there = r->there;
        there.count = 0;
        *r = (struct watched_replica){
            .partition = p, .there = there, .led_epoch = -1, .elected_epoch = -1};
    }
    MAP_FOR_EACH (entry, &p->seen)
        free(entry->value);
    map_clear(&p->seen);
    map_clear(&p->sent);
    p->count = 0;
    p->goes_on_at = 0;
    p->leader = p->commit_epoch = -1;
    p->leader_epoch = 0;
    p->replicas = p->isr = p->elr = p->last_known = p->leader_isr = p->wiped = 0;
    for (int i = 0; i < REPLICA_WATCH_NODES; i++)
        p->preferred[i] = -1;
    p->broken = p->isr_changed = p->same_starts = false;
    p->losses = 0;
    p->start_promise = 0;
}

void deletion_watch_topic(struct watched_partition *p, struct uuid topic_id)
{
    if (uuid_eq(p->topic_id, topic_id) || !p->churns)
        return;
    if (!uuid_is_zero(p->topic_id)) {
        sim_log(p->watch->sim, "life", "%d of %s-%d ends with %zu batches", p->life, p->topic,
                p->index, p->count);
        forget_all(p);
        p->life++;
    }
    p->topic_id = topic_id;
}

/* --- Where logs start --- */

void deletion_watch_start(struct watched_partition *p, int at, int64_t start, bool opened)
{
    struct watched_replica *r = &p->of[at];
    if (!opened && start < r->start && p->losses == 0)
        fail(p, at, "its log starts at %" PRId64 " again, after %" PRId64, start, r->start);
    if (start > p->asked_start && p->losses == 0)
        fail(p, at, "its log starts at %" PRId64 ", nobody asked for more than %" PRId64, start,
             p->asked_start);
    r->start = start;
    p->same_starts &= !opened;
    if (opened && start < p->start_promise)
        deletion_watch_promise(p);
    if (r->led_epoch == p->leader_epoch && p->leader == at && start < p->start_promise)
        fail(p, at,
             "leads with a log that starts at %" PRId64 ", though %" PRId64 " was deleted up to",
             start, p->start_promise);
}

void deletion_watch_promise(struct watched_partition *p)
{
    uint32_t may_lead = p->isr | p->elr ? p->isr | p->elr : p->last_known;
    for (int at = 0; at < p->watch->node_count; at++)
        if (may_lead >> at & 1 && (!p->of[at].log || p->of[at].start < p->start_promise))
            p->start_promise = 0;
}

struct deletion watched_partition_deletes(struct watched_partition *p, int64_t offset)
{
    p->asked_start = MAX(p->asked_start, offset);
    return (struct deletion){.offset = offset, .life = p->life, .changes = p->changes};
}

void watched_partition_deleted(struct watched_partition *p, const struct deletion *deletion,
                               int64_t low_watermark)
{
    struct sim *sim = p->watch->sim;
    if (low_watermark < deletion->offset)
        sim_fail(sim,
                 "%s-%d: records up to %" PRId64
                 " are said to be deleted, the low watermark is %" PRId64,
                 p->topic, p->index, deletion->offset, low_watermark);
    /* Who came into sync since, or was elected, may not have heard of it yet. */
    if (deletion->life != p->life || deletion->changes != p->changes || p->losses > 0)
        return;
    for (int at = 0; at < p->watch->node_count; at++) {
        const struct watched_replica *r = &p->of[at];
        if (p->isr >> at & 1 && r->log && r->registered && r->start < low_watermark)
            fail(p, at, "starts at %" PRId64 ", below the low watermark %" PRId64 " that was told",
                 r->start, low_watermark);
    }
    p->start_promise = MAX(p->start_promise, low_watermark);
    deletion_watch_promise(p);
}

void deletion_watch_log(const struct watched_partition *p)
{
    sim_log(p->watch->sim, "watch",
            "%s-%d: leader %d, ISR %x of %x, committed to %" PRId64 ", %d losses, broken %d",
            p->topic, p->index, p->leader + 1, p->isr, p->replicas,
            watched_partition_committed_end(p), p->losses, p->broken);
    for (int at = 0; at < p->watch->node_count; at++) {
        const struct watched_replica *r = &p->of[at];
        if (p->replicas >> at & 1)
            sim_log(p->watch->sim, sim_node_name(p->watch->nodes[at]),
                    "  log %d, %" PRId64 "..%" PRId64 ", high watermark %" PRId64, r->log != NULL,
                    r->start, r->end, r->high_watermark);
    }
}

/* --- What is left on the disks --- */

struct search {
    const struct replica_watch *watch;
    int at;
    int logs[REPLICA_WATCH_PARTITIONS]; /* in all directories of that node */
    const char *found;
};

static int partition_of(const struct replica_watch *w, struct str topic, int32_t index)
{
    for (int i = 0; i < w->partition_count; i++)
        if (w->partitions[i].index == index && str_eq_z(topic, w->partitions[i].topic))
            return i;
    return -1;
}

static int look_at_name(void *ctx, const char *name)
{
    struct search *search = ctx;
    struct log_dir_name parsed;
    if (!log_dir_name_parse(name, &parsed))
        return 0;
    int i = partition_of(search->watch, parsed.topic, parsed.partition);
    if (i < 0)
        return 0;
    const struct watched_partition *p = &search->watch->partitions[i];
    if (!p->churns && !search->watch->has_dirs)
        return 0;
    if (parsed.kind == LOG_DIR_DELETE && p->churns)
        search->found = "has the directory of a deleted topic";
    if (parsed.kind == LOG_DIR_DELETE || parsed.kind == LOG_DIR_STRAY)
        return 0;
    if (!(p->replicas >> search->at & 1))
        search->found = "has a directory for a partition that it does not host";
    else if (parsed.kind == LOG_DIR_FUTURE)
        search->found = "has a copy that nobody asks for any more";
    else if (++search->logs[i] > 1)
        search->found = "has a partition in two directories";
    return 0;
}

const char *deletion_watch_leftovers(const struct replica_watch *w, int *ret_node)
{
    struct search search = {.watch = w};
    bool wanted = w->has_dirs;
    for (int i = 0; i < w->partition_count; i++)
        wanted |= w->partitions[i].churns;
    for (; wanted && !search.found && search.at < w->node_count; search.at++) {
        struct disk *disk = sim_disk_base(sim_node_disk(w->nodes[search.at]));
        memset(search.logs, 0, sizeof(search.logs));
        for (int i = 0; i < (w->has_dirs ? WATCHED_DIRS : 1); i++)
            (void)disk->ops->list(disk, watched_dirs[i], look_at_name, &search);
    }
    *ret_node = search.at;
    return search.found;
}
