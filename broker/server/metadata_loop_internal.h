/*
 * Inside of the metadata loop: metadata_loop.c (decisions, commits, leadership) and
 * metadata_snapshot.c (checkpoints of the image).
 */
#ifndef KRAFTD_BROKER_SERVER_METADATA_LOOP_INTERNAL_H
#define KRAFTD_BROKER_SERVER_METADATA_LOOP_INTERNAL_H

#include "broker/server/metadata_loop.h"
#include "common/base/list.h"
#include "metadata/controller/controller.h"
#include "raft/quorum_node.h"

struct metadata_loop {
    struct node *node;
    struct image_chain *chain;
    struct loader loader;
    struct quorum_node *quorum; /* from start to stop */
    struct controller_config controller_config;
    struct controller *controller;
    struct arena bootstrap_arena;
    struct metadata_records bootstrap; /* what an empty log begins with */
    int32_t epoch;
    _Atomic int32_t leader_id; /* -1: unknown */
    int32_t former_leader_id;  /* who led last before this node; -1: nobody */
    struct list waiting;       /* controller_call by offset */
    struct timer timer;        /* what the controller does by itself */
    bool stopping;

    /* The checkpoint that is being written. */
    bool snapshotting;
    struct quorum_snapshot snapshot;
    struct image_reader snapshot_reader; /* holds the image for the worker */
    const struct image *snapshot_image;
    int64_t snapshot_ms; /* of the last one, or of the start; monotonic */

    void (*started)(void *ctx, int status);
    void *started_ctx;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

/* After each commit: begins a checkpoint when enough was written since the last. */
void metadata_snapshot_if_due(struct metadata_loop *ml);
/* Adds the records of a run of batches to the list; they live in the arena. */
int metadata_records_collect(struct bytes batches, struct arena *arena,
                             struct metadata_records *records);

#endif
