/*
 * For tests: what the shell shows of the newest checkpoint, or of all records up to an offset, of a
 * directory that Kafka wrote.
 */
#ifndef KRAFTD_TESTS_SNAPSHOT_VIEW_H
#define KRAFTD_TESTS_SNAPSHOT_VIEW_H

#include "metadata/loader.h"
#include "metadata/shell/shell_node.h"
#include "tests/unit/metadata/metadata_dir.h"

struct snapshot_view {
    struct metadata_dir dir;
    struct image_chain *chain;
    struct loader loader;
    struct shell_view view;
};

/* The place of the last batch that is no control batch: what Kafka's shell calls provenance. */
static inline void snapshot_view_place(struct shell_view *view, struct bytes bytes)
{
    struct record_batches run = record_batches_of(bytes);
    struct record_batch batch;
    while (record_batches_next(&run, &batch) == 1) {
        if (batch.header.attributes & RECORD_BATCH_CONTROL)
            continue;
        view->offset = record_batch_last_offset(&batch.header);
        view->epoch = batch.header.partition_leader_epoch;
        view->timestamp_ms = batch.header.max_timestamp;
    }
}

/* False when there is no such directory. */
static inline bool snapshot_view_init(struct snapshot_view *v, const char *folder)
{
    const struct image_delta *delta;
    memset(v, 0, sizeof(*v));
    if (!metadata_dir_read(&v->dir, folder))
        return false;
    const struct checkpoint_file *newest = &v->dir.checkpoints[v->dir.count - 1];
    struct bytes bytes = bytebuf_bytes(&newest->bytes);
    v->chain = image_chain_new(false);
    loader_init(&v->loader, v->chain);
    CHECK(loader_snapshot_begin(&v->loader) == 0);
    CHECK(loader_snapshot_add(&v->loader, bytes) == 0);
    CHECK(loader_snapshot_end(&v->loader, newest->end_offset, newest->epoch, &delta) == 0);
    v->view = (struct shell_view){.image = image_chain_published(v->chain),
                                  .version = STR("4.4.0"),
                                  .commit_id = STR("unknown"),
                                  .last_offset = newest->end_offset - 1,
                                  .leader = -1,
                                  .leader_epoch = newest->epoch};
    snapshot_view_place(&v->view, bytes);
    return true;
}

static inline void snapshot_view_release(struct snapshot_view *v)
{
    loader_release(&v->loader);
    image_chain_free(v->chain);
    metadata_dir_release(&v->dir);
}

/* The node of an absolute path without patterns. */
static inline bool node_at(const struct shell_view *view, const char *path,
                           struct shell_node *ret_node)
{
    struct str rest = str_of(path), part;
    shell_root(view, ret_node);
    while (!str_is_null(rest)) {
        struct shell_node child;
        str_split(&rest, '/', &part);
        if (part.len == 0)
            continue;
        if (!shell_child(ret_node, part, &child))
            return false;
        *ret_node = child;
    }
    return true;
}

#endif
