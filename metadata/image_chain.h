/*
 * The chain of images: the published one, the newer ones that were proposed and may still be given
 * up, and the draft that is being built on the newest. It owns all of their memory.
 *
 *   published (readers hold it or an older one) -> proposed 1 -> proposed 2 -> ... -> draft
 *
 * A follower drafts each committed batch and publishes it at once. The active controller drafts
 * what it decides, seals it as proposed, decides the next thing on top of that, and publishes when
 * the quorum has committed; when it loses leadership, all proposed images are rolled back.
 *
 * Threads: everything on the metadata loop, but a reader's `version`, which its own loop stores
 * (image_reader_advance) and the metadata loop loads. A reader is handed each published image
 * through a message, with the delta; it may use the image it holds, and what that points to, until
 * it advances. Publishing frees what every reader is past (image_chain_reclaim).
 */
#ifndef KRAFTD_METADATA_IMAGE_CHAIN_H
#define KRAFTD_METADATA_IMAGE_CHAIN_H

#include "common/base/list.h"
#include "metadata/image.h"

#include <stdatomic.h>

struct image_chain;
struct image_delta;

struct image_draft {
    struct image *image; /* apply records to it with image_apply(draft->image, &draft->edit, ...) */
    struct image_edit edit;
};

/* index_hosted: keep what topics_image_hosted needs (controllers). Starts with an empty image. */
struct image_chain *image_chain_new(bool index_hosted);
/* All readers are gone by then. NULL is fine. */
void image_chain_free(struct image_chain *chain);

const struct image *image_chain_published(const struct image_chain *chain);
/* The newest one that is sealed: the published one when nothing is proposed. */
const struct image *image_chain_newest(const struct image_chain *chain);

/* A draft on the newest image. At most one exists; it ends with seal or abandon. */
struct image_draft *image_chain_draft(struct image_chain *chain);
/* The open draft, or NULL. */
struct image_draft *image_chain_open_draft(const struct image_chain *chain);
/* Makes the draft the newest proposed image; the log up to `offset` is in it. */
const struct image *image_chain_seal(struct image_chain *chain, int64_t offset, int32_t epoch,
                                     int64_t timestamp_ms);
void image_chain_abandon(struct image_chain *chain);

/*
 * Publishes the newest proposed image whose offset is at most `offset`, skipping those between.
 * Returns what changed since the image published before, or NULL when there is nothing to publish.
 * The delta lives until the next call, and as long as a reader may hold the image before.
 */
const struct image_delta *image_chain_publish(struct image_chain *chain, int64_t offset);
/* Gives up the draft and all proposed images. */
void image_chain_rollback(struct image_chain *chain);
/* Frees what no reader can see. */
void image_chain_reclaim(struct image_chain *chain);
/* Images and deltas that wait for readers; for tests and metrics. */
size_t image_chain_waiting(const struct image_chain *chain);

struct image_reader {
    _Atomic uint64_t version; /* of the image it holds */
    struct list link;
};

/* Metadata loop. The reader starts at the published image, which is returned. */
const struct image *image_reader_add(struct image_chain *chain, struct image_reader *reader);
void image_reader_remove(struct image_chain *chain, struct image_reader *reader);

/* The reader's own loop, after it let go of all that it held of older images. */
static inline void image_reader_advance(struct image_reader *reader, const struct image *image)
{
    atomic_store_explicit(&reader->version, image->version, memory_order_release);
}

#endif
