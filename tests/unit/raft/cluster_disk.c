#include "tests/unit/raft/cluster_internal.h"

#include <stdlib.h>

static void batch_ref(const struct entry_batch *batch)
{
    if (batch->batch.voters)
        quorum_voters_ref(batch->batch.voters);
}

void batches_push(struct batches *b, const struct entry_batch *batch)
{
    batch_ref(batch);
    VEC_PUSH(b->items, b->count, b->capacity) = *batch;
}

void batches_truncate(struct batches *b, uint64_t index)
{
    while (b->count > 0 && b->items[b->count - 1].batch.base >= index)
        quorum_voters_unref(b->items[--b->count].batch.voters);
}

void batches_drop_prefix(struct batches *b, uint64_t first)
{
    size_t dropped = 0;
    while (dropped < b->count && b->items[dropped].batch.base < first)
        quorum_voters_unref(b->items[dropped++].batch.voters);
    if (dropped > 0)
        memmove(b->items, b->items + dropped, (b->count - dropped) * sizeof(b->items[0]));
    b->count -= dropped;
}

void batches_clear(struct batches *b)
{
    batches_truncate(b, 0);
}

void batches_copy(struct batches *to, const struct batches *from)
{
    /* Mostly an append: keep what is equal. */
    size_t same = 0;
    while (same < to->count && same < from->count &&
           to->items[same].batch.base == from->items[same].batch.base &&
           to->items[same].batch.term == from->items[same].batch.term)
        same++;
    while (to->count > same)
        quorum_voters_unref(to->items[--to->count].batch.voters);
    while (to->count < from->count)
        batches_push(to, &from->items[to->count]);
}

void batches_release(struct batches *b)
{
    batches_clear(b);
    free(b->items);
    *b = (struct batches){0};
}

const struct entry_batch *batches_at(const struct batches *b, uint64_t base)
{
    size_t low = 0, high = b->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (b->items[middle].batch.base < base)
            low = middle + 1;
        else
            high = middle;
    }
    return low < b->count && b->items[low].batch.base == base ? &b->items[low] : NULL;
}

void disk_format_voter(struct disk_image *disk, struct quorum_voters *voters)
{
    struct entry_batch bootstrap = {
        .batch = {.base = 1, .count = 1, .term = 1, .kind = QUORUM_CHANGE, .voters = voters}};
    batches_push(&disk->log, &bootstrap);
    batches_push(&disk->durable, &bootstrap);
}

/* Either nothing of what was not synced is left, or a prefix of it; never half a truncation. */
void disk_power_cut(struct cluster *c, struct disk_image *disk)
{
    size_t same = 0;
    while (same < disk->log.count && same < disk->durable.count &&
           disk->log.items[same].batch.base == disk->durable.items[same].batch.base &&
           disk->log.items[same].batch.term == disk->durable.items[same].batch.term)
        same++;
    size_t unsynced = disk->log.count - same;
    if (unsynced == 0 || same < disk->durable.count || cluster_random(c, 3) == 0) {
        batches_copy(&disk->log, &disk->durable);
    } else {
        size_t kept = same + cluster_random(c, unsynced + 1);
        if (kept < disk->log.count)
            batches_truncate(&disk->log, disk->log.items[kept].batch.base);
    }
    disk->lazy_term = disk->term;
    disk->lazy_vote = disk->vote;
}

void disk_release(struct disk_image *disk)
{
    batches_release(&disk->log);
    batches_release(&disk->durable);
    quorum_voters_unref(disk->snapshot.voters);
    *disk = (struct disk_image){0};
}

struct uuid disk_new_directory(struct cluster *c)
{
    struct uuid id;
    for (size_t i = 0; i < sizeof(id.b); i++)
        id.b[i] = (uint8_t)(1 + cluster_random(c, 255));
    return id;
}
