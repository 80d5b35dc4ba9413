/*
 * The metadata loop: where the quorum node, the loader, the chain of images and the controller
 * meet. All on loop 0.
 *
 * Committed batches become images; every image goes to every shard, in order, and only then are the
 * requests answered that waited for it. While this node leads the quorum it decides requests and
 * proposes their records; what was proposed and is not committed when leadership is lost gets
 * "outcome unknown".
 *
 * Invariant: an answer never leaves before its image is on its way to all shards.
 */
#ifndef KRAFTD_BROKER_SERVER_METADATA_LOOP_H
#define KRAFTD_BROKER_SERVER_METADATA_LOOP_H

#include "common/base/str.h"
#include "common/base/stream.h"
#include "common/base/uuid.h"

#include <stdint.h>

struct controller_call;
struct image;
struct image_reader;
struct metadata_loop;
struct node;
struct quorum_node;
struct quorum_node_config;

struct metadata_loop *metadata_loop_new(struct node *node);
/* NULL is fine. After stopped came, and all readers are gone. */
void metadata_loop_free(struct metadata_loop *loop);

/* Loads the log and begins to take part in the quorum. `started` (0, or an errno whose reason was
 * logged) comes when the log on the disk is loaded and the first image went to the shards. */
void metadata_loop_start(struct metadata_loop *loop, const struct quorum_node_config *config,
                         void (*started)(void *ctx, int status), void *ctx);
/* `started` was held back for a repair (node_repair.h), which came to nothing. */
void metadata_loop_give_up(struct metadata_loop *loop);
/* Fetches of the metadata log are answered with what there is, from now on. */
void metadata_loop_end_waits(struct metadata_loop *loop);
/* Answers what waits with NOT_CONTROLLER and closes the log. */
void metadata_loop_stop(struct metadata_loop *loop, void (*stopped)(void *ctx), void *ctx);

/* Decides it now and answers it when its records are committed. */
void metadata_loop_decide(struct metadata_loop *loop, struct controller_call *call);

/* The process of this incarnation of a broker is known to be gone: fences it. False when that is no
 * news, or not this node's matter. */
bool metadata_loop_broker_gone(struct metadata_loop *loop, int32_t broker, int64_t epoch);
/* What decisions are made on while this node is the active controller; else NULL. Valid until the
 * next turn of the loop. */
const struct image *metadata_loop_decided(const struct metadata_loop *loop);

struct quorum_node *metadata_loop_quorum(const struct metadata_loop *loop);
bool metadata_loop_is_active(const struct metadata_loop *loop);
/* Who leads the quorum as far as this node knows, and where its controller listener is. */
struct metadata_leader {
    int32_t id, epoch;
    struct endpoint endpoint;
};
/* False: not known, or not where. */
bool metadata_loop_leader(const struct metadata_loop *loop, struct metadata_leader *ret_leader);
/* Its id alone, -1 when it is not known. Any thread. */
int32_t metadata_loop_leader_id(const struct metadata_loop *loop);
/* A shard's place in the line of readers; before the loops run. */
const struct image *metadata_loop_add_reader(struct metadata_loop *loop,
                                             struct image_reader *reader);
void metadata_loop_remove_reader(struct metadata_loop *loop, struct image_reader *reader);

#endif
