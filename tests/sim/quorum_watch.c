#include "tests/sim/quorum_watch.h"

#include "broker/server/metadata_loop.h"
#include "broker/server/node_internal.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/storage/log_internal.h"
#include "metadata/image.h"
#include "raft/quorum_node_internal.h"
#include "tests/sim/image_hash.h"

#include <inttypes.h>
#include <stdlib.h>

struct watched_leader {
    uint64_t raft_id;
};

struct watched_disk {
    int32_t epoch;
};

struct watched_image {
    uint64_t hash;
    int32_t epoch;
    int node, incarnation;
};

#define fail(w, n, format, ...)                                                                    \
    sim_fail((w)->sim, "%s: " format, sim_node_name((n)->node), __VA_ARGS__)

/* --- Looking in --- */

static const struct node *node_at(const struct quorum_watch *w, int at)
{
    struct sim_node *node = w->nodes[at].node;
    return sim_node_is_up(node) ? w->program(node) : NULL;
}

const struct quorum_node *quorum_watch_quorum(const struct quorum_watch *w, int at)
{
    const struct node *node = node_at(w, at);
    const struct metadata_loop *loop = node ? node_metadata_loop(node) : NULL;
    const struct quorum_node *quorum = loop ? metadata_loop_quorum(loop) : NULL;
    /* Also one that failed just now: what it published before counts. */
    bool open = quorum && quorum->phase == QUORUM_RUNNING && quorum->log;
    /* A log that failed in the middle of a cut has no shape. */
    return open && quorum->log->segment_count > 0 ? quorum : NULL;
}

const struct image *quorum_watch_image(const struct quorum_watch *w, int at)
{
    const struct node *node = node_at(w, at);
    const struct shard *shard = node && node->state < NODE_STOPPING ? node_shard(node, 0) : NULL;
    return shard ? shard->image : NULL;
}

int64_t quorum_watch_committed_end(const struct quorum_watch *w)
{
    return w->committed_count > 0 ? w->committed[w->committed_count - 1].end : 0;
}

/* --- The logs --- */

static void commit_batch(struct quorum_watch *w, struct watched_node *n,
                         const struct watched_batch *b)
{
    int64_t end = quorum_watch_committed_end(w);
    if (b->base == end) {
        VEC_PUSH(w->committed, w->committed_count, w->committed_capacity) = *b;
        return;
    }
    const struct watched_batch *known =
        watched_batch_find(w->committed, w->committed_count, b->base);
    if (!known)
        fail(w, n, "commits the batch at %" PRId64 ", all that was committed ends at %" PRId64,
             b->base, end);
    else if (!watched_batch_same(known, b))
        fail(w, n,
             "commits a batch of epoch %d at %" PRId64 ", where one of epoch %d was committed",
             b->epoch, b->base, known->epoch);
}

static void forget(struct watched_node *n)
{
    n->there.count = 0;
    n->high_watermark = -1;
    n->led_epoch = -1;
    n->epoch_checked = false;
}

struct finding {
    struct quorum_watch *watch;
    struct watched_node *node;
    bool observes;
};

static void found(void *ctx, const struct watched_batch *b)
{
    struct finding *f = ctx;
    watched_batch_note(&f->watch->seen, &f->node->there, b);
    /* Who follows from outside gets nothing else; who told it may have died since. */
    if (f->observes)
        commit_batch(f->watch, f->node, b);
}

/* --- What is committed, so to be there for ever --- */

static void follow_commits(struct quorum_watch *w, struct watched_node *n,
                           const struct quorum_node *quorum)
{
    int64_t high_watermark = quorum->high_watermark;
    if (high_watermark < n->high_watermark)
        fail(w, n, "the commit offset goes back from %" PRId64 " to %" PRId64, n->high_watermark,
             high_watermark);
    if (high_watermark > log_end_offset(quorum->log))
        fail(w, n, "the commit offset %" PRId64 " is beyond the log's end %" PRId64, high_watermark,
             log_end_offset(quorum->log));
    if (high_watermark <= n->high_watermark || sim_failure(w->sim))
        return;
    size_t at = n->there.count;
    while (at > 0 && n->there.batches[at - 1].end > n->high_watermark)
        at--;
    for (; at < n->there.count && n->there.batches[at].base < high_watermark; at++) {
        if (n->there.batches[at].end > high_watermark)
            fail(w, n, "the commit offset %" PRId64 " is inside of a batch", high_watermark);
        commit_batch(w, n, &n->there.batches[at]);
    }
    n->high_watermark = high_watermark;
    const struct node *node = w->program(n->node);
    struct str id = node_cluster_id(node);
    if (w->cluster_id[0] == '\0')
        snprintf(w->cluster_id, sizeof(w->cluster_id), "%.*s", (int)id.len, id.data);
    else if (!str_eq(id, str_of(w->cluster_id)))
        fail(w, n, "commits in cluster %.*s, others in %s", (int)id.len, id.data, w->cluster_id);
}

/* --- Who leads --- */

static void check_has_all(struct quorum_watch *w, struct watched_node *n, int32_t epoch)
{
    for (size_t i = 0, at = 0; i < w->committed_count && !sim_failure(w->sim); i++) {
        const struct watched_batch *c = &w->committed[i];
        if (n->there.count == 0 || c->base < n->there.batches[0].base)
            continue;
        while (at < n->there.count && n->there.batches[at].base < c->base)
            at++;
        if (at == n->there.count || !watched_batch_same(&n->there.batches[at], c))
            fail(w, n,
                 "leads in epoch %d without the batch at %" PRId64
                 " of epoch %d, which was committed",
                 epoch, c->base, c->epoch);
    }
}

/* What a node has acted on in an epoch it knows after any restart: the epoch was durable first. */
static void follow_epoch(struct quorum_watch *w, struct watched_node *n,
                         const struct quorum_node *quorum)
{
    if (!quorum->core || (quorum->epoch == n->epoch && n->epoch_checked))
        return;
    struct map_key key = map_key_u64(quorum_core_raft_id(quorum->core));
    struct watched_disk *disk = map_get(&w->disks, key);
    if (!disk) {
        disk = mem_alloc(sizeof(*disk));
        disk->epoch = quorum->epoch;
        map_put(&w->disks, key, disk);
    }
    int64_t term = (int64_t)quorum_core_term(quorum->core);
    if (term - 1 < disk->epoch)
        fail(w, n, "comes back in epoch %lld, and was in epoch %d before", (long long)term - 1,
             disk->epoch);
    disk->epoch = MAX(disk->epoch, quorum->epoch);
    n->epoch = quorum->epoch;
    n->epoch_checked = true;
}

static void follow_leader(struct quorum_watch *w, struct watched_node *n,
                          const struct quorum_node *quorum)
{
    if (!quorum->core || quorum->role != QUORUM_LEADER || quorum->epoch == n->led_epoch)
        return;
    n->led_epoch = quorum->epoch;
    uint64_t raft_id = quorum_core_raft_id(quorum->core);
    struct map_key key = map_key_u64((uint64_t)(uint32_t)quorum->epoch);
    struct watched_leader *known = map_get(&w->leaders, key);
    sim_log(w->sim, sim_node_name(n->node), "leads in epoch %d", quorum->epoch);
    if (known && known->raft_id != raft_id)
        fail(w, n, "leads in epoch %d, which had another leader", quorum->epoch);
    if (!known) {
        known = mem_alloc(sizeof(*known));
        known->raft_id = raft_id;
        map_put(&w->leaders, key, known);
        w->elections++;
    }
    /* A leader that comes too late may lack what a later one had committed. */
    if (w->committed_count == 0 || w->committed[w->committed_count - 1].epoch <= quorum->epoch)
        check_has_all(w, n, quorum->epoch);
}

/* --- Images --- */

static bool is_live(const struct image *image, int32_t id)
{
    const struct broker_image *broker = cluster_image_broker(&image->cluster, id);
    return broker && !broker->fenced;
}

/* A fenced broker is in no set of replicas in sync; but the last one stays, without leading. */
static void check_isr(struct quorum_watch *w, struct watched_node *n, const struct image *image,
                      const struct topic_image *topic, const struct partition_image *p)
{
    struct node_list isr = partition_isr(p);
    for (int i = 0; i < isr.count; i++)
        if (!is_live(image, isr.ids[i]) && (isr.count > 1 || p->leader != PARTITION_NO_LEADER))
            fail(w, n,
                 "the image at %" PRId64 " has %.*s-%d with broker %d in sync, which is fenced",
                 image->offset, STR_FMT(topic_name(topic)), p->id, isr.ids[i]);
}

static void check_leaders(struct quorum_watch *w, struct watched_node *n, const struct image *image)
{
    struct pmap_iter topics, partitions;
    const struct topic_image *topic;
    const struct partition_image *p;
    pmap_iter_first(&topics, image->topics.by_name);
    while ((topic = pmap_iter_next(&topics)) != NULL) {
        pmap_iter_first(&partitions, topic->partitions);
        while ((p = pmap_iter_next(&partitions)) != NULL) {
            if (p->leader != PARTITION_NO_LEADER && !is_live(image, p->leader))
                fail(w, n, "the image at %" PRId64 " has %.*s-%d led by broker %d, which is fenced",
                     image->offset, STR_FMT(topic_name(topic)), p->id, p->leader);
            check_isr(w, n, image, topic, p);
        }
    }
}

static void check_place(struct quorum_watch *w, struct watched_node *n, const struct image *image)
{
    const struct watched_batch *b =
        watched_batch_find(w->committed, w->committed_count, image->offset);
    if (image->offset < n->image_offset)
        fail(w, n, "the image goes back from %" PRId64 " to %" PRId64, n->image_offset,
             image->offset);
    else if (!b)
        fail(w, n, "the image at %" PRId64 " shows what is not committed (up to %" PRId64 ")",
             image->offset, quorum_watch_committed_end(w));
    else if (b->end != image->offset + 1 || b->epoch != image->epoch)
        fail(w, n,
             "the image at %" PRId64 " of epoch %d does not end with the batch %" PRId64
             "..%" PRId64 " of epoch %d",
             image->offset, image->epoch, b->base, b->end - 1, b->epoch);
}

static void compare_image(struct quorum_watch *w, int at, const struct image *image)
{
    struct watched_node *n = &w->nodes[at];
    struct map_key key = map_key_u64((uint64_t)image->offset);
    struct watched_image *known = map_get(&w->images, key);
    uint64_t hash = image_hash(image);
    int incarnation = sim_node_incarnation(n->node);
    w->image_count++;
    if (!known) {
        known = mem_alloc(sizeof(*known));
        *known = (struct watched_image){hash, image->epoch, at, incarnation};
        map_put(&w->images, key, known);
        return;
    }
    w->images_compared += known->node != at || known->incarnation != incarnation;
    if (known->hash != hash || known->epoch != image->epoch)
        fail(w, n, "the image at %" PRId64 " is not the one that %s had", image->offset,
             sim_node_name(w->nodes[known->node].node));
}

/* Each third by its offset, which is the same on all nodes: what differs goes on to differ. And the
 * first of a life or from a checkpoint. */
static bool is_compared(const struct watched_node *n, const struct image *image)
{
    return n->image_offset < 0 || image->offset > n->image_offset + 100 ||
           hash_u64((uint64_t)image->offset) % 3 == 0;
}

static void follow_image(struct quorum_watch *w, int at)
{
    struct watched_node *n = &w->nodes[at];
    const struct image *image = quorum_watch_image(w, at);
    if (!image || image->offset < 0 || image->version == n->image_version)
        return;
    n->image_version = image->version;
    check_place(w, n, image);
    bool compared = is_compared(n, image);
    n->image_offset = image->offset;
    if (sim_failure(w->sim))
        return;
    if (compared)
        compare_image(w, at, image);
    check_leaders(w, n, image);
}

/* --- All of it, after every event: cheap while nothing happened --- */

static void look_at(struct quorum_watch *w, int at)
{
    struct watched_node *n = &w->nodes[at];
    const struct quorum_node *quorum = quorum_watch_quorum(w, at);
    int incarnation = sim_node_incarnation(n->node);
    if (incarnation != n->incarnation) {
        n->incarnation = incarnation;
        n->log = NULL;
        n->image_version = 0;
        n->image_offset = -1;
    }
    if (quorum && quorum->log != n->log) {
        n->log = quorum->log;
        forget(n);
    }
    if (quorum) {
        struct finding finding = {w, n, quorum->observer != NULL};
        watched_log_follow(&n->there, quorum->log, 0, found, &finding);
        if (quorum->high_watermark != n->high_watermark)
            follow_commits(w, n, quorum);
        follow_epoch(w, n, quorum);
        follow_leader(w, n, quorum);
    }
    if (!sim_failure(w->sim))
        follow_image(w, at);
}

void quorum_watch_look(struct quorum_watch *w, const struct sim_node *ran)
{
    for (int i = 0; i < w->count && !sim_failure(w->sim); i++)
        if (!ran || w->nodes[i].node == ran)
            look_at(w, i);
}

void quorum_watch_begin(struct quorum_watch *w, struct sim *sim,
                        const struct node *(*program)(struct sim_node *node))
{
    *w = (struct quorum_watch){.sim = sim, .program = program};
    map_init(&w->seen, MAP_U64);
    map_init(&w->leaders, MAP_U64);
    map_init(&w->images, MAP_U64);
    map_init(&w->disks, MAP_U64);
}

void quorum_watch_add(struct quorum_watch *w, struct sim_node *node)
{
    CHECK(w->count < QUORUM_WATCH_NODES);
    w->nodes[w->count++] = (struct watched_node){
        .node = node, .incarnation = -1, .there = {.sim = w->sim, .node = node}};
}

static void release_map(struct map *map)
{
    MAP_FOR_EACH (entry, map)
        free(entry->value);
    map_release(map);
}

void quorum_watch_release(struct quorum_watch *w)
{
    for (int i = 0; i < w->count; i++)
        watched_log_release(&w->nodes[i].there);
    release_map(&w->seen);
    release_map(&w->leaders);
    release_map(&w->images);
    release_map(&w->disks);
    free(w->committed);
}
