#include "tests/sim/quorum_watch.h"

#include "broker/server/metadata_loop.h"
#include "broker/server/node_internal.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/record_batch.h"
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

/* The batch that ends there or holds that offset; NULL when there is none. */
static struct watched_batch *find(struct watched_batch *batches, size_t count, int64_t offset)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (batches[middle].end <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && batches[low].base <= offset ? &batches[low] : NULL;
}

/* --- The logs --- */

/* Reads the batch that stands at the place of `b` from the node's disk. */
static bool read_batch(struct quorum_watch *w, struct watched_node *n, const struct log *log,
                       struct watched_batch *b, int64_t position)
{
    char path[256];
    uint8_t header[RECORD_BATCH_HEADER_SIZE];
    struct record_batch_header h;
    size_t size;
    snprintf(path, sizeof(path), "%s/%020" PRId64 ".log", log_path(log), b->segment);
    struct sim_disk *disk = sim_node_disk(n->node);
    if (sim_disk_peek(disk, path, header, sizeof(header), position) != sizeof(header) ||
        record_batch_peek_size(header, sizeof(header), INT32_MAX, &size) != 0) {
        fail(w, n, "no batch at %" PRId64 " of %s", position, path);
        return false;
    }
    uint8_t *bytes = mem_alloc(size);
    bool whole = sim_disk_peek(disk, path, bytes, size, position) == (ssize_t)size;
    record_batch_header_decode(header, &h);
    b->base = h.base_offset;
    b->end = record_batch_next_offset(&h);
    b->epoch = h.partition_leader_epoch;
    b->hash = hash_bytes(bytes, size);
    b->next_position = position + (int64_t)size;
    free(bytes);
    if (!whole)
        fail(w, n, "half a batch at %" PRId64 " of %s", position, path);
    return whole;
}

static bool same_batch(const struct watched_batch *a, const struct watched_batch *b)
{
    return a->base == b->base && a->end == b->end && a->epoch == b->epoch && a->hash == b->hash;
}

/* One epoch has one leader, so an offset and an epoch name one batch. */
static void note_batch(struct quorum_watch *w, struct watched_node *n,
                       const struct watched_batch *b)
{
    struct map_key key = map_key_u64((uint64_t)b->base << 24 | (uint32_t)b->epoch);
    struct watched_batch *known = map_get(&w->seen, key);
    if (!known) {
        known = mem_alloc(sizeof(*known));
        *known = *b;
        map_put(&w->seen, key, known);
    } else if (!same_batch(known, b)) {
        fail(w, n, "the batch at %" PRId64 " of epoch %d is not the one that was there before",
             b->base, b->epoch);
    }
}

static void commit_batch(struct quorum_watch *w, struct watched_node *n,
                         const struct watched_batch *b)
{
    int64_t end = quorum_watch_committed_end(w);
    if (b->base == end) {
        VEC_PUSH(w->committed, w->committed_count, w->committed_capacity) = *b;
        return;
    }
    const struct watched_batch *known = find(w->committed, w->committed_count, b->base);
    if (!known)
        fail(w, n, "commits the batch at %" PRId64 ", all that was committed ends at %" PRId64,
             b->base, end);
    else if (!same_batch(known, b))
        fail(w, n,
             "commits a batch of epoch %d at %" PRId64 ", where one of epoch %d was committed",
             b->epoch, b->base, known->epoch);
}

static void forget(struct watched_node *n)
{
    n->count = 0;
    n->high_watermark = -1;
    n->led_epoch = -1;
    n->epoch_checked = false;
}

/* Brings our list in line with the log. */
static void follow_log(struct quorum_watch *w, struct watched_node *n,
                       const struct quorum_node *quorum)
{
    const struct log *log = quorum->log;
    int64_t end = log_end_offset(log), start = log->segments[0]->base_offset;
    while (n->count > 0 && n->batches[n->count - 1].end > end)
        n->count--;
    /* Segments that went, or a checkpoint that took the place of all that was there. */
    size_t gone = 0;
    while (gone < n->count && n->batches[gone].base < start)
        gone++;
    n->count -= gone;
    if (gone > 0)
        memmove(n->batches, n->batches + gone, n->count * sizeof(n->batches[0]));
    int64_t offset = n->count > 0 ? n->batches[n->count - 1].end : start;
    while (offset < end && !sim_failure(w->sim)) {
        struct watched_batch b = {0};
        const struct watched_batch *last = n->count > 0 ? &n->batches[n->count - 1] : NULL;
        b.segment = log->segments[log_segment_at(log, offset)]->base_offset;
        int64_t position = last && last->segment == b.segment ? last->next_position : 0;
        if (!read_batch(w, n, log, &b, position))
            return;
        if (b.base != offset)
            fail(w, n, "the batch at %" PRId64 " stands where %" PRId64 " is due", b.base, offset);
        note_batch(w, n, &b);
        /* Who follows from outside gets nothing else; who told it may have died since. */
        if (quorum->observer)
            commit_batch(w, n, &b);
        VEC_PUSH(n->batches, n->count, n->capacity) = b;
        offset = b.end;
    }
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
    size_t at = n->count;
    while (at > 0 && n->batches[at - 1].end > n->high_watermark)
        at--;
    for (; at < n->count && n->batches[at].base < high_watermark; at++) {
        if (n->batches[at].end > high_watermark)
            fail(w, n, "the commit offset %" PRId64 " is inside of a batch", high_watermark);
        commit_batch(w, n, &n->batches[at]);
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
        if (n->count == 0 || c->base < n->batches[0].base)
            continue;
        while (at < n->count && n->batches[at].base < c->base)
            at++;
        if (at == n->count || !same_batch(&n->batches[at], c))
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
    const struct watched_batch *b = find(w->committed, w->committed_count, image->offset);
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
        follow_log(w, n, quorum);
        if (quorum->high_watermark != n->high_watermark)
            follow_commits(w, n, quorum);
        follow_epoch(w, n, quorum);
        follow_leader(w, n, quorum);
    }
    if (!sim_failure(w->sim))
        follow_image(w, at);
}

static void look(void *ctx, const struct sim_node *ran)
{
    struct quorum_watch *w = ctx;
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
    sim_observe(sim, look, w);
}

void quorum_watch_add(struct quorum_watch *w, struct sim_node *node)
{
    CHECK(w->count < QUORUM_WATCH_NODES);
    w->nodes[w->count++] = (struct watched_node){.node = node, .incarnation = -1};
}

static void release_map(struct map *map)
{
    MAP_FOR_EACH (entry, map)
        free(entry->value);
    map_release(map);
}

void quorum_watch_release(struct quorum_watch *w)
{
    sim_observe(w->sim, NULL, NULL);
    for (int i = 0; i < w->count; i++)
        free(w->nodes[i].batches);
    release_map(&w->seen);
    release_map(&w->leaders);
    release_map(&w->images);
    release_map(&w->disks);
    free(w->committed);
}
