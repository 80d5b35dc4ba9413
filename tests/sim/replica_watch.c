#include "tests/sim/replica_watch.h"

#include "broker/replica/partition_internal.h"
#include "broker/server/node_internal.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/record_batch.h"
#include "common/storage/log_internal.h"
#include "metadata/image.h"
#include "tests/sim/deletion_watch.h"
#include "tests/sim/sim_heap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ORDER_STEPS 200

#define fail(p, at, format, ...)                                                                   \
    sim_fail((p)->watch->sim, "%s: %s-%d: " format, sim_node_name((p)->watch->nodes[at]),          \
             (p)->topic, (p)->index, __VA_ARGS__)

static int32_t number_of(const struct watched_replica *r, const struct watched_partition *p)
{
    return (int32_t)(r - p->of);
}

int64_t watched_partition_committed_end(const struct watched_partition *p)
{
    return MAX(p->count > 0 ? p->committed[p->count - 1].end : 0, p->goes_on_at);
}

bool watched_partition_is_absent(const struct watched_partition *p)
{
    return p->churns && uuid_is_zero(p->topic_id);
}

/* --- The promise --- */

/* All that is committed stands on its disk. Of one log a batch stands for all before it. */
static bool is_intact(struct watched_partition *p, int at)
{
    struct watched_log *there = &p->of[at].there;
    if (p->count == 0)
        return true;
    const struct watched_batch *last = &p->committed[p->count - 1];
    const struct watched_batch *own = watched_batch_find(there->batches, there->count, last->base);
    return own && watched_batch_same(own, last);
}

/* `epoch`: the last one of a leader who may have had all. */
static void judge_promise(struct watched_partition *p, int32_t epoch)
{
    uint32_t safe = p->isr | p->elr ? p->isr | p->elr : p->last_known;
    bool kept = false, wiped = false;
    for (int at = 0; at < p->watch->node_count; at++) {
        if ((safe >> at & 1) == 0)
            continue;
        bool intact = is_intact(p, at);
        if (intact)
            p->wiped &= ~(1u << at);
        kept |= intact;
        wiped |= p->wiped >> at & 1;
    }
    /* The last known leader has lost its disk: a person has to choose. */
    bool nobody = safe == 0 && p->replicas != 0 && p->leader < 0;
    if (p->broken || (!nobody && (kept || safe == 0 || (p->synced && !wiped))))
        return;
    p->broken = true;
    p->broken_epoch = epoch;
    p->losses++;
    sim_log(p->watch->sim, "promise", "of %s-%d ends in epoch %d: nobody of %x has all up to %lld",
            p->topic, p->index, epoch, safe, (long long)watched_partition_committed_end(p));
}

/* Who is in sync has synced what counts, where that is asked for. */
static void check_power_cut(struct watched_partition *p, int at, bool was_intact)
{
    struct watched_replica *r = &p->of[at];
    bool in_sync = p->isr >> at & p->leader_isr >> at & 1;
    if (p->synced && was_intact && in_sync && r->registered && !is_intact(p, at) &&
        !(p->wiped >> at & 1))
        fail(p, at, "the power took what had counted as synced: %zu batches of %zu are left",
             r->there.count, p->count);
}

static void power_was_cut(struct replica_watch *w, int at)
{
    for (int i = 0; i < w->partition_count; i++) {
        struct watched_partition *p = &w->partitions[i];
        bool was_intact = is_intact(p, at);
        watched_log_verify(&p->of[at].there, p->of[at].start);
        check_power_cut(p, at, was_intact);
        judge_promise(p, p->leader_epoch);
    }
}

bool replica_watch_may_wipe(const struct replica_watch *w, int at)
{
    for (int i = 0; i < w->partition_count; i++) {
        const struct watched_partition *p = &w->partitions[i];
        bool safe = (p->isr >> at & 1) == 0;
        for (int other = 0; other < w->node_count; other++)
            safe |=
                other != at && p->isr >> other & 1 && p->of[other].log && p->of[other].registered;
        if (!safe || p->broken)
            return false;
    }
    return true;
}

void replica_watch_wiped(struct replica_watch *w, int at)
{
    for (int i = 0; i < w->partition_count; i++)
        w->partitions[i].wiped |= 1u << at;
}

/* --- What is committed --- */

/* A producer's batches follow each other; once something was lost there may be gaps. */
static void check_order(struct watched_partition *p, int at)
{
    const struct watched_batch *b = &p->committed[p->count - 1];
    if (!map_get(&p->sent, map_key_u64(b->crc)))
        fail(p, at, "nobody sent the batch at %" PRId64, b->base);
    for (size_t i = p->count - 1, steps = 0; i-- > 0 && steps < ORDER_STEPS; steps++) {
        const struct watched_batch *o = &p->committed[i];
        if (o->producer_id != b->producer_id || o->producer_epoch != b->producer_epoch)
            continue;
        /* Who began with a later one may not know the producer: it takes any sequence of it. */
        if (o->base < p->asked_start)
            return;
        int32_t next = record_sequence_add(o->sequence, (int32_t)(o->end - o->base));
        if (p->losses == 0 ? b->sequence != next : b->sequence < next)
            fail(p, at,
                 "producer %" PRId64 " has sequence %d at %" PRId64
                 " behind sequence %d at %" PRId64,
                 b->producer_id, b->sequence, b->base, o->sequence, o->base);
        return;
    }
}

/* It does not follow the leader that decided what is left; or it has just opened its log to follow,
 * with the high watermark that was written down before that one made it cut. Who leads as it opens
 * its log decides. */
static bool may_have_lost(const struct watched_partition *p, const struct watched_replica *r)
{
    return p->losses > 0 &&
           (r->epoch <= p->broken_epoch || (r->high_watermark < 0 && r->commits_in < 0));
}

/* Its log has the committed batch, or it was deleted. *at begins with 0 at the first batch. */
static bool holds(const struct watched_replica *r, const struct watched_batch *batch, size_t *at)
{
    while (*at < r->there.count && r->there.batches[*at].base < batch->base)
        ++*at;
    return (*at < r->there.count && watched_batch_same(&r->there.batches[*at], batch)) ||
           batch->end <= r->start;
}

static void check_has_all(struct watched_partition *p, int at, int32_t epoch)
{
    const struct watched_replica *r = &p->of[at];
    size_t own = 0;
    for (size_t i = 0; i < p->count && !sim_failure(p->watch->sim); i++) {
        if (holds(r, &p->committed[i], &own))
            continue;
        fail(p, at,
             "leads in epoch %d without the batch at %" PRId64 " of epoch %d, which was committed",
             epoch, p->committed[i].base, p->committed[i].epoch);
    }
}

/* False: the batch is of a log that is no longer ours to judge. */
static bool commit(struct watched_partition *p, struct watched_replica *r,
                   const struct watched_batch *b)
{
    int at = number_of(r, p);
    int64_t end = watched_partition_committed_end(p);
    const struct watched_batch *known = watched_batch_find(p->committed, p->count, b->base);
    if (known && watched_batch_same(known, b))
        return true;
    if (may_have_lost(p, r))
        return false;
    if (known || b->base != end || r->commits_in < 0) {
        fail(p, at, "has a batch of epoch %d at %" PRId64 " below its high watermark, %s", b->epoch,
             b->base, known ? "where another was committed" : "which nobody committed");
        return false;
    }
    VEC_PUSH(p->committed, p->count, p->capacity) = *b;
    p->watch->committed++;
    check_order(p, at);
    return true;
}

/* What an old leader commits late, the new one has to have. */
static void check_newer_leaders(struct watched_partition *p, int32_t epoch)
{
    for (int at = 0; at < p->watch->node_count; at++)
        if (p->of[at].log && p->of[at].led_epoch > epoch)
            check_has_all(p, at, p->of[at].led_epoch);
}

static void follow_watermark(struct watched_partition *p, struct watched_replica *r,
                             int64_t high_watermark)
{
    struct watched_log *there = &r->there;
    size_t before = p->count;
    bool opened = r->high_watermark < 0;
    if (high_watermark < r->high_watermark &&
        !(p->losses > 0 && r->watermark_epoch <= p->broken_epoch))
        fail(p, number_of(r, p),
             "its high watermark goes back from %" PRId64 " to %" PRId64 " in epoch %d",
             r->high_watermark, high_watermark, r->epoch);
    /* A leader commits what its high watermark covered when it only followed, too. */
    int64_t from = r->commits_in < 0 ? r->high_watermark
                                     : MIN(r->high_watermark, watched_partition_committed_end(p));
    /* Where the leader's log begins, a follower that ends there cannot compare what it has before.
     */
    from = MAX(from, MIN(r->start, watched_partition_committed_end(p)));
    size_t at = there->count;
    while (at > 0 && there->batches[at - 1].end > from)
        at--;
    for (; at < there->count && there->batches[at].end <= high_watermark; at++)
        if (!commit(p, r, &there->batches[at]))
            break;
    r->high_watermark = high_watermark;
    r->watermark_epoch = opened ? -1 : r->epoch;
    if (p->count == before)
        return;
    p->commit_epoch = MAX(p->commit_epoch, r->commits_in);
    if (p->broken && r->commits_in > p->broken_epoch)
        p->broken = false;
    check_newer_leaders(p, r->commits_in);
}

/* The promise has ended: what this one has is what there is. */
static void decide(struct watched_partition *p, struct watched_replica *r)
{
    size_t kept = 0, own = 0;
    while (kept < p->count && holds(r, &p->committed[kept], &own))
        kept++;
    sim_log(p->watch->sim, "promise", "%s decides on %s-%d: %zu batches of %zu are left",
            sim_node_name(r->there.node), p->topic, p->index, kept, p->count);
    p->watch->lost += (int64_t)(p->count - kept);
    p->count = kept;
    p->goes_on_at = r->start; /* maybe within a batch that is gone */
}

static void begins_to_lead(struct watched_partition *p, struct watched_replica *r)
{
    if (p->broken && r->led_epoch > p->broken_epoch)
        decide(p, r);
    /* A leader that comes too late may lack what a later one had committed. */
    else if (p->commit_epoch <= r->led_epoch && !may_have_lost(p, r))
        check_has_all(p, number_of(r, p), r->led_epoch);
}

/* --- Replicas in sync --- */

static void check_isr(struct watched_partition *p)
{
    p->isr_changed = false;
    if (p->broken || p->leader < 0)
        return;
    const struct watched_replica *leader = &p->of[p->leader];
    if (!leader->log || leader->led_epoch != p->leader_epoch)
        return;
    for (int at = 0; at < p->watch->node_count; at++) {
        const struct watched_replica *r = &p->of[at];
        if (!(p->isr >> at & 1) || !r->log || !r->registered)
            continue;
        int64_t has = p->synced ? MAX(r->durable_end, MIN(r->synced_from, r->end)) : r->end;
        if (has < leader->high_watermark)
            fail(p, at,
                 "is in sync with what ends at %" PRId64 " (%s), below the high watermark %" PRId64
                 " of %s",
                 has, p->synced ? "synced" : "written", leader->high_watermark,
                 sim_node_name(leader->there.node));
    }
}

/* --- After every event --- */

static void found(void *ctx, const struct watched_batch *b)
{
    struct watched_replica *r = ctx;
    struct watched_partition *p = r->partition;
    watched_batch_note(&p->seen, &r->there, b);
    if (p->churns && !map_get(&p->sent, map_key_u64(b->crc)))
        fail(p, number_of(r, p), "has a batch at %" PRId64 " that nobody sent to this topic",
             b->base);
}

/* Its partition there; NULL: none. Looking it up after each event would cost much: one whose log is
 * open takes events of its own to go, and says so first. */
static const struct partition *partition_at(struct watched_partition *p, int at,
                                            const struct node *node)
{
    struct watched_replica *r = &p->of[at];
    int incarnation = sim_node_incarnation(p->watch->nodes[at]);
    if (r->log && r->incarnation == incarnation && r->part->state != PARTITION_CLOSING)
        return r->part;
    r->incarnation = incarnation;
    r->part = shard_partition(shard_of(node, p->topic_id, p->index), p->topic_id, p->index);
    return r->part;
}

/* The log that the node has open; NULL: none, or nothing can be said of it now. */
static const struct log *open_log(const struct partition *part)
{
    const struct log *log = part && part->state == PARTITION_ONLINE ? part->log : NULL;
    return log && !log_failed(log) && log->segment_count > 0 ? log : NULL;
}

static bool is_registered(const struct replica_watch *w, int at, const struct node *node)
{
    return node_broker_epoch(node) >= 0 && node_broker_epoch(node) == w->broker_epochs[at];
}

static uint32_t mask_of(struct node_list list)
{
    uint32_t mask = 0;
    for (int32_t i = 0; i < list.count; i++)
        mask |= 1u << (list.ids[i] - 1);
    return mask;
}

static void open_replica(struct watched_replica *r, const struct log *log)
{
    r->log = log;
    r->there.count = 0;
    r->end = r->durable_end = r->high_watermark = -1;
    r->led_epoch = r->commits_in = -1;
    r->synced_from = log_end_offset(log);
}

static void look_at_replica(struct watched_partition *p, int at, const struct node *node,
                            const struct partition *part)
{
    struct watched_replica *r = &p->of[at];
    const struct log *log = open_log(part);
    bool opened = log && log != r->log;
    bool moved = opened && r->away && strcmp(r->there.path, log_path(log)) != 0;
    r->away = part && part->state == PARTITION_AWAY;
    opened &= !moved;
    if (opened)
        open_replica(r, log);
    r->log = log;
    if (!log) {
        r->led_epoch = -1;
        return;
    }
    int64_t end = log_end_offset(log), high_watermark = log_high_watermark(log);
    int32_t led_epoch = partition_leads(part) ? part->led_epoch : -1;
    bool registered = is_registered(p->watch, at, node);
    p->isr_changed |= end < r->end || registered != r->registered;
    r->durable_end = log_durable_end_offset(log);
    r->registered = registered;
    r->directory = part->log_directory;
    int32_t epoch_before = r->epoch;
    r->epoch = part->role.leader_epoch;
    if (led_epoch >= 0)
        p->leader_isr = mask_of(part->role.isr);
    /* What lies below the log start that was written down nobody reads: a power cut may have torn
     * it. */
    size_t first = log_segment_at(log, log_start_offset(log));
    if (moved)
        watched_log_moved(&r->there, log, first, found, r);
    else if (end != r->end || log->segments[0]->base_offset != r->begin)
        watched_log_follow(&r->there, log, first, found, r);
    p->watch->moved += moved;
    r->end = end;
    r->begin = log->segments[0]->base_offset;
    r->synced_from = MIN(r->synced_from, end);
    bool begins = led_epoch >= 0 && led_epoch != r->led_epoch;
    /* It may have committed something and ceased to lead in one event, or all of its epoch. */
    bool passed = !opened && r->elected_epoch > epoch_before && r->elected_epoch < r->epoch;
    r->commits_in = led_epoch >= 0 ? led_epoch : passed ? r->elected_epoch : r->led_epoch;
    r->led_epoch = led_epoch;
    deletion_watch_start(p, at, log_start_offset(log), opened);
    if (begins)
        begins_to_lead(p, r);
    if (begins || high_watermark != r->high_watermark) {
        follow_watermark(p, r, high_watermark);
        p->isr_changed = true;
    }
    if (p->isr_changed && !sim_failure(p->watch->sim))
        check_isr(p);
}

static void take_partition(struct watched_partition *p, const struct image *image)
{
    const struct topic_image *topic = topics_image_find(&image->topics, str_of(p->topic));
    const struct partition_image *part = topic ? topic_image_partition(topic, p->index) : NULL;
    deletion_watch_topic(p, part ? topic->id : UUID_ZERO);
    if (!part)
        return;
    /* Who was elected by what this image shows lost it before. */
    bool elected = part->leader >= 0 && part->leader_epoch > p->leader_epoch;
    p->changes += part->leader_epoch != p->leader_epoch || mask_of(partition_isr(part)) != p->isr;
    p->topic_id = topic->id;
    p->leader = part->leader >= 0 ? part->leader - 1 : -1;
    if (p->leader >= 0)
        p->of[p->leader].elected_epoch = part->leader_epoch;
    p->leader_epoch = part->leader_epoch;
    p->replicas = mask_of(partition_replicas(part));
    for (int i = 0; i < REPLICA_WATCH_NODES; i++)
        p->preferred[i] =
            i < partition_replicas(part).count ? partition_replicas(part).ids[i] - 1 : -1;
    for (int i = 0; i < partition_replicas(part).count; i++)
        p->directories[p->preferred[i]] = partition_directories(part)[i];
    p->isr = mask_of(partition_isr(part));
    p->elr = mask_of(partition_elr(part));
    p->last_known = mask_of(partition_last_known_elr(part));
    judge_promise(p, part->leader_epoch - elected);
    check_isr(p);
    deletion_watch_promise(p);
}

static void take_image(struct replica_watch *w, const struct image *image)
{
    if (!image || image->offset <= w->image_offset)
        return;
    w->image_offset = image->offset;
    for (int at = 0; at < w->node_count; at++) {
        const struct broker_image *broker = cluster_image_broker(&image->cluster, at + 1);
        w->broker_epochs[at] = broker ? broker->epoch : -1;
    }
    for (int i = 0; i < w->partition_count && !sim_failure(w->sim); i++)
        take_partition(&w->partitions[i], image);
}

static void look_at(struct replica_watch *w, int at)
{
    if (sim_node_power_cuts(w->nodes[at]) != w->power_cuts[at]) {
        w->power_cuts[at] = sim_node_power_cuts(w->nodes[at]);
        power_was_cut(w, at);
    }
    const struct node *node = sim_node_is_up(w->nodes[at]) ? w->program(w->nodes[at]) : NULL;
    bool there = node && node->shards;
    /* A loop shows what its partitions have learned. */
    for (int i = 0; there && i < node->env->loop_count; i++)
        take_image(w, node->shards[i].image);
    for (int i = 0; i < w->partition_count && !sim_failure(w->sim); i++) {
        struct watched_partition *p = &w->partitions[i];
        const struct partition *part = NULL;
        /* Also where a replica was moved away: the node may not know it yet. */
        if (there && !uuid_is_zero(p->topic_id))
            part = partition_at(p, at, node);
        if (part || p->of[at].log)
            look_at_replica(p, at, node, part);
    }
}

void replica_watch_look(struct replica_watch *w, const struct sim_node *ran)
{
    for (int at = 0; at < w->node_count && !sim_failure(w->sim); at++)
        if (!ran || w->nodes[at] == ran)
            look_at(w, at);
}

const char *replica_watch_unrest(const struct replica_watch *w,
                                 const struct watched_partition **ret_partition)
{
    for (int i = 0; i < w->partition_count; i++) {
        const struct watched_partition *p = *ret_partition = &w->partitions[i];
        int64_t end = watched_partition_committed_end(p);
        if (watched_partition_is_absent(p))
            continue;
        if (uuid_is_zero(p->topic_id))
            return "was not created";
        /* Whom the cluster waits for has lost something: a person has to decide. */
        if (p->broken && p->leader < 0)
            continue;
        if (p->leader < 0)
            return "has no leader";
        if (p->isr != p->replicas)
            return "has replicas out of sync";
        for (int at = 0; at < w->node_count; at++) {
            const struct watched_replica *r = &p->of[at];
            if (p->replicas >> at & 1 && (!r->log || r->end != end || r->high_watermark != end))
                return "has replicas that lag";
            if (w->has_dirs && p->replicas >> at & 1 && !uuid_eq(r->directory, p->directories[at]))
                return "lies elsewhere than the metadata says";
            if (p->replicas >> at & 1 && p->same_starts && r->start != p->of[p->leader].start)
                return "has replicas that start at different offsets";
        }
    }
    return NULL;
}

/* --- What clients saw --- */

void watched_partition_sent(struct watched_partition *p, uint32_t crc)
{
    struct sim_heap *outer = sim_heap_enter(NULL);
    map_put(&p->sent, map_key_u64(crc), p);
    sim_heap_enter(outer);
}

void watched_partition_acknowledged(struct watched_partition *p, int64_t offset, uint32_t crc)
{
    const struct watched_batch *b = watched_batch_find(p->committed, p->count, offset);
    if (p->losses == 0 && (!b || b->base != offset || b->crc != crc))
        sim_fail(p->watch->sim,
                 "%s-%d: acknowledged at %" PRId64 ", where %s (committed to %" PRId64 ")",
                 p->topic, p->index, offset, b ? "something else is" : "nothing is committed",
                 watched_partition_committed_end(p));
}

static bool may_be_read(struct watched_partition *p, const struct record_batch_header *h)
{
    const struct watched_batch *b = watched_batch_find(p->committed, p->count, h->base_offset);
    if (b && b->base == h->base_offset && b->epoch == h->partition_leader_epoch && b->crc == h->crc)
        return true;
    b = p->losses > 0 ? watched_batch_seen(&p->seen, h->base_offset, h->partition_leader_epoch)
                      : NULL;
    return b && b->crc == h->crc;
}

int64_t watched_partition_read(struct watched_partition *p, int64_t offset, struct bytes records)
{
    struct record_batches run = record_batches_of(records);
    struct record_batch batch;
    int64_t next = offset;
    while (record_batches_next(&run, &batch) == 1 && !sim_failure(p->watch->sim)) {
        const struct record_batch_header *h = &batch.header;
        if (h->base_offset != next &&
            !(next == offset && h->base_offset < next && record_batch_next_offset(h) > next))
            sim_fail(p->watch->sim, "%s-%d: a fetch at %" PRId64 " gives a batch at %" PRId64,
                     p->topic, p->index, next, h->base_offset);
        else if (!record_batch_crc_ok(&batch))
            sim_fail(p->watch->sim, "%s-%d: the batch at %" PRId64 " is broken", p->topic, p->index,
                     h->base_offset);
        else if (!may_be_read(p, h))
            sim_fail(p->watch->sim,
                     "%s-%d: a reader gets a batch of epoch %d at %" PRId64
                     ", which is not what was committed (to %" PRId64 ")",
                     p->topic, p->index, h->partition_leader_epoch, h->base_offset,
                     watched_partition_committed_end(p));
        next = record_batch_next_offset(h);
    }
    return next;
}

/* --- Begin and end --- */

void replica_watch_begin(struct replica_watch *w, struct sim *sim,
                         const struct node *(*program)(struct sim_node *node))
{
    *w = (struct replica_watch){.sim = sim, .program = program, .image_offset = -1};
}

void replica_watch_add_node(struct replica_watch *w, struct sim_node *node)
{
    CHECK(w->node_count < REPLICA_WATCH_NODES && w->partition_count == 0);
    w->nodes[w->node_count++] = node;
}

struct watched_partition *replica_watch_add(struct replica_watch *w, const char *topic,
                                            int32_t index, bool synced)
{
    CHECK(w->partition_count < REPLICA_WATCH_PARTITIONS);
    struct watched_partition *p = &w->partitions[w->partition_count++];
    *p = (struct watched_partition){
        .watch = w, .index = index, .synced = synced, .leader = -1, .commit_epoch = -1};
    snprintf(p->topic, sizeof(p->topic), "%s", topic);
    map_init(&p->seen, MAP_U64);
    map_init(&p->sent, MAP_U64);
    for (int at = 0; at < w->node_count; at++)
        p->of[at] = (struct watched_replica){.partition = p,
                                             .led_epoch = -1,
                                             .elected_epoch = -1,
                                             .there = {.sim = w->sim, .node = w->nodes[at]}};
    return p;
}

void replica_watch_release(struct replica_watch *w)
{
    for (int i = 0; i < w->partition_count; i++) {
        struct watched_partition *p = &w->partitions[i];
        for (int at = 0; at < w->node_count; at++)
            watched_log_release(&p->of[at].there);
        MAP_FOR_EACH (entry, &p->seen)
            free(entry->value);
        map_release(&p->seen);
        map_release(&p->sent);
        free(p->committed);
    }
}
