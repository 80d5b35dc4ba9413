/*
 * Where the metadata shell reads the metadata log from: a snapshot, a segment, the directory of a
 * node, or a cluster. Everything is only read, no lock is taken: a directory may belong to a node
 * that runs, so files may grow, appear and go.
 *
 * Functions that return bool fill *failure and return false when they fail. One thread.
 */
#ifndef KRAFTD_TOOLS_METADATA_SOURCE_H
#define KRAFTD_TOOLS_METADATA_SOURCE_H

#include "common/base/str.h"
#include "tools/client.h"

struct metadata_source;

/* Gets a run of whole batches, which lives during the call. */
typedef bool (*metadata_take_fn)(void *ctx, struct bytes batches, struct failure *failure);

struct metadata_snapshot {
    int64_t end_offset; /* 0: there is none that is needed, the log begins at 0 */
    int32_t epoch;
    bool alone; /* a lone file: its offsets count within the file, there is no log behind it */
};

struct metadata_source_ops {
    /* Where the log begins. *ret_alone: there is no log but a lone snapshot. */
    bool (*start)(struct metadata_source *source, int64_t *ret_offset, bool *ret_alone,
                  struct failure *failure);
    /* The newest snapshot whose end is at most `limit`, from header to footer. */
    bool (*snapshot)(struct metadata_source *source, int64_t limit, metadata_take_fn take,
                     void *ctx, struct metadata_snapshot *ret_snapshot, struct failure *failure);
    /*
     * A run of whole committed batches, the first of which holds the offset; it lives until the
     * next call. No bytes: none came within wait_ms. An offset that the log has no more is a
     * failure with error OFFSET_OUT_OF_RANGE.
     */
    bool (*read)(struct metadata_source *source, int64_t offset, int wait_ms,
                 struct bytes *ret_batches, struct failure *failure);
    /* Who leads in which epoch, as far as the source knows beside the log; NULL: not at all. */
    bool (*leader)(const struct metadata_source *source, int32_t *ret_id, int32_t *ret_epoch);
    /* What to say of the end of what is there, such as a torn tail; NULL: nothing. */
    const char *(*warning)(const struct metadata_source *source);
    void (*free)(struct metadata_source *source);
};

struct metadata_source {
    const struct metadata_source_ops *ops;
    bool live; /* more may come */
};

/* A checkpoint, a segment, or a directory: of the metadata log, or one that has it. */
bool metadata_files_open(const char *path, struct metadata_source **ret_source,
                         struct failure *failure);
/* The controllers behind the client, which outlives the source. */
bool metadata_cluster_open(struct client *client, enum client_kind kind,
                           struct metadata_source **ret_source, struct failure *failure);
/* NULL is fine. */
void metadata_source_free(struct metadata_source *source);

#endif
