/*
 * The loader: committed batches of the metadata log, and checkpoints, into images.
 *
 * Committed batches come in order, without gaps. Those at or below the newest image of the chain
 * are what this node proposed itself as the active controller: they are only published. Records
 * between BeginTransaction and EndTransaction (KIP-868) become visible together at the end, or not
 * at all.
 *
 * A record that this build cannot read, or that does not fit, ends it: -EBADMSG (damaged, does not
 * fit), -EPROTONOSUPPORT (an unknown kind or version), with offset and reason in loader_error. The
 * images stay at the last good one, and every later call fails the same way.
 *
 * Sans-I/O, on the metadata loop (or any one thread that owns the chain).
 */
#ifndef KRAFTD_METADATA_LOADER_H
#define KRAFTD_METADATA_LOADER_H

#include "metadata/image_chain.h"

#include "common/protocol/record_iter.h"

struct loader {
    struct image_chain *chain;
    int64_t next_offset;
    int64_t transaction_offset; /* of the open BeginTransaction record, or -1 */
    bool loading_snapshot;
    int64_t snapshot_timestamp_ms;
    struct arena arena;
    struct record_scratch scratch;
    int error; /* sticky */
    char error_text[384];
};

/* Starts behind the chain's published image. */
void loader_init(struct loader *loader, struct image_chain *chain);
void loader_release(struct loader *loader);

/*
 * Applies a run of whole committed batches and publishes. *ret_delta gets what changed, NULL when
 * nothing was published (all of it inside an open transaction).
 */
int loader_commit(struct loader *loader, struct bytes batches,
                  const struct image_delta **ret_delta);

/* Becoming the active controller: an open transaction of the last one is given up (it will write
 * the AbortTransaction). True when there was one. */
bool loader_drop_transaction(struct loader *loader);
/* After proposals were rolled back: goes back behind the published image. The caller reads the log
 * from loader->next_offset again. */
void loader_resume(struct loader *loader);

/*
 * A checkpoint replaces the image: begin, then its bytes in runs of whole batches, then end with
 * the offset after its last contained record and that record's epoch. On an error, or with
 * loader_snapshot_abort, the image stays what it was.
 */
int loader_snapshot_begin(struct loader *loader);
int loader_snapshot_add(struct loader *loader, struct bytes batches);
int loader_snapshot_end(struct loader *loader, int64_t end_offset, int32_t epoch,
                        const struct image_delta **ret_delta);
void loader_snapshot_abort(struct loader *loader);

/* Says where and why it failed. */
const char *loader_error(const struct loader *loader);

#endif
