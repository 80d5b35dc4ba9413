#include "metadata/image_chain.h"

#include "common/base/mem.h"
#include "metadata/delta.h"

#include <stdlib.h>

/* One sealed image, newer than the published one or kept because a reader may hold the one before.
 */
struct link {
    struct list in_chain; /* by version */
    struct image *image;
    struct pmap_retired retired; /* what it does not share with the image before it */
    struct image_delta *delta;   /* NULL until it is published, or when it was skipped */
};

struct image_chain {
    bool index_hosted;
    uint64_t last_version;
    struct image *published, *newest;
    struct list proposed; /* links newer than the published image */
    struct list waiting;  /* published links whose retired blocks a reader may still see */
    size_t waiting_count;
    struct list readers;
    bool drafting;
    struct image_draft draft;
};

struct image_chain *image_chain_new(bool index_hosted)
{
    struct image_chain *chain = mem_calloc(1, sizeof(*chain));
    chain->index_hosted = index_hosted;
    chain->last_version = 1;
    list_init(&chain->proposed);
    list_init(&chain->waiting);
    list_init(&chain->readers);
    struct image *empty = mem_calloc(1, sizeof(*empty));
    empty->version = chain->last_version;
    empty->offset = -1;
    empty->epoch = -1;
    empty->timestamp_ms = -1;
    empty->topics.index_hosted = index_hosted;
    chain->published = chain->newest = empty;
    return chain;
}

static void link_free(struct link *link)
{
    list_remove(&link->in_chain);
    image_delta_free(link->delta);
    free(link);
}

void image_chain_free(struct image_chain *chain)
{
    if (!chain)
        return;
    CHECK(list_empty(&chain->readers));
    image_chain_rollback(chain);
    image_chain_reclaim(chain);
    CHECK(list_empty(&chain->waiting));
    image_discard(chain->published, 0);
    free(chain->published);
    free(chain);
}

const struct image *image_chain_published(const struct image_chain *chain)
{
    return chain->published;
}

const struct image *image_chain_newest(const struct image_chain *chain)
{
    return chain->newest;
}

/* --- drafts ------------------------------------------------------------------------------- */

struct image_draft *image_chain_draft(struct image_chain *chain)
{
    CHECK(!chain->drafting);
    struct image_draft *draft = &chain->draft;
    *draft = (struct image_draft){.edit.pmap.version = ++chain->last_version};
    draft->image = mem_alloc(sizeof(*draft->image));
    *draft->image = *chain->newest;
    draft->image->version = chain->last_version;
    chain->drafting = true;
    return draft;
}

struct image_draft *image_chain_open_draft(const struct image_chain *chain)
{
    return chain->drafting ? (struct image_draft *)(uintptr_t)&chain->draft : NULL;
}

const struct image *image_chain_seal(struct image_chain *chain, int64_t offset, int32_t epoch,
                                     int64_t timestamp_ms)
{
    CHECK(chain->drafting);
    struct image_draft *draft = &chain->draft;
    pmap_edit_retire(&draft->edit.pmap, chain->newest);
    struct link *link = mem_calloc(1, sizeof(*link));
    link->image = draft->image;
    link->retired = draft->edit.pmap.retired;
    link->image->offset = offset;
    link->image->epoch = epoch;
    link->image->timestamp_ms = timestamp_ms;
    list_push_back(&chain->proposed, &link->in_chain);
    chain->newest = link->image;
    chain->drafting = false;
    return link->image;
}

void image_chain_abandon(struct image_chain *chain)
{
    CHECK(chain->drafting);
    struct image_draft *draft = &chain->draft;
    uint64_t kept = draft->edit.pmap.version - 1;
    pmap_retired_undo(&draft->edit.pmap.retired, kept);
    image_discard(draft->image, kept);
    free(draft->image);
    chain->drafting = false;
}

void image_chain_rollback(struct image_chain *chain)
{
    if (chain->drafting)
        image_chain_abandon(chain);
    uint64_t kept = chain->published->version;
    if (chain->newest == chain->published)
        return;
    /* Images between are in the retired lists of those that follow them. */
    image_discard(chain->newest, kept);
    free(chain->newest);
    while (!list_empty(&chain->proposed)) {
        struct link *last = LIST_ITEM(chain->proposed.prev, struct link, in_chain);
        pmap_retired_undo(&last->retired, kept);
        link_free(last);
    }
    chain->newest = chain->published;
}

/* --- publishing --------------------------------------------------------------------------- */

const struct image_delta *image_chain_publish(struct image_chain *chain, int64_t offset)
{
    struct link *last = NULL;
    image_chain_reclaim(chain);
    LIST_FOR_EACH (node, &chain->proposed) {
        struct link *link = LIST_ITEM(node, struct link, in_chain);
        if (link->image->offset > offset)
            break;
        last = link;
    }
    if (!last)
        return NULL;
    last->delta = image_delta_new(chain->published, last->image);
    for (struct link *link = NULL; link != last;) {
        link = LIST_ITEM(list_pop_front(&chain->proposed), struct link, in_chain);
        list_push_back(&chain->waiting, &link->in_chain);
        chain->waiting_count++;
    }
    chain->published = last->image;
    return last->delta;
}

static uint64_t oldest_held(const struct image_chain *chain)
{
    uint64_t oldest = chain->published->version;
    LIST_FOR_EACH (node, &chain->readers) {
        struct image_reader *reader = LIST_ITEM(node, struct image_reader, link);
        uint64_t held = atomic_load_explicit(&reader->version, memory_order_acquire);
        oldest = MIN(oldest, held);
    }
    return oldest;
}

void image_chain_reclaim(struct image_chain *chain)
{
    uint64_t oldest = oldest_held(chain);
    LIST_FOR_EACH (node, &chain->waiting) {
        struct link *link = LIST_ITEM(node, struct link, in_chain);
        if (link->image->version > oldest)
            break;
        pmap_retired_free(&link->retired);
        link_free(link);
        chain->waiting_count--;
    }
}

size_t image_chain_waiting(const struct image_chain *chain)
{
    return chain->waiting_count;
}

const struct image *image_reader_add(struct image_chain *chain, struct image_reader *reader)
{
    atomic_store_explicit(&reader->version, chain->published->version, memory_order_relaxed);
    list_push_back(&chain->readers, &reader->link);
    return chain->published;
}

void image_reader_remove(struct image_chain *chain, struct image_reader *reader)
{
    list_remove(&reader->link);
}
