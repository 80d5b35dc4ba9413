/*
 * image_watch: looks at every metadata image that a node publishes. All images of one offset must
 * be equal, whichever process made them and from what: deltas, or a checkpoint and the log's tail
 * after a restart. The leader epoch at an offset never changes either, and offsets that were
 * committed are never given away again.
 */
#ifndef KRAFTD_SIM_IMAGE_WATCH_H
#define KRAFTD_SIM_IMAGE_WATCH_H

#include "common/base/map.h"
#include "tests/sim/sim_env.h"

struct node;

struct image_watch {
    struct sim_node *node;
    const struct node *(*program)(struct sim_node *node); /* NULL while there is none */
    struct map digests;                                   /* by offset */
    int incarnation;                                      /* of the image looked at last */
    uint64_t version;
    int64_t highest;          /* offset of all images */
    int64_t images, compared; /* compared: seen before, by another process */
};

/* Watches from now on. */
void image_watch_begin(struct image_watch *w, struct sim_node *node,
                       const struct node *(*program)(struct sim_node *node));
void image_watch_release(struct image_watch *w);

#endif
