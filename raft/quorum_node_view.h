/*
 * What can be asked of a quorum node, on its loop. Included by quorum_node.h.
 */
#ifndef KRAFTD_RAFT_QUORUM_NODE_VIEW_H
#define KRAFTD_RAFT_QUORUM_NODE_VIEW_H

#include "common/base/stream.h"
#include "common/storage/log.h"
#include "raft/quorum_checkpoint.h"
#include "raft/quorum_core.h"

struct quorum_node;

/* NULL until `opened`, and where this node is no voter. For terms, voters and progress
 * (DescribeQuorum); never changed from outside.
 */
const struct quorum_core *quorum_node_core(const struct quorum_node *node);
/* The newest voters in the log, or those it begins with; NULL: none, or before `opened`. */
struct quorum_voters *quorum_node_voters(const struct quorum_node *node);
bool quorum_node_is_open(const struct quorum_node *node); /* after `opened` */
/* It failed because its disk has lost something (quorum_aside.h). */
bool quorum_node_is_damaged(const struct quorum_node *node);
/* We lead and on_leader was called. */
bool quorum_node_is_active(const struct quorum_node *node);
int32_t quorum_node_epoch(const struct quorum_node *node);
int32_t quorum_node_leader_id(const struct quorum_node *node); /* -1: unknown */

/* Who leads, and where its controller listener is. */
struct quorum_leader {
    int32_t id, epoch;
    struct endpoint endpoint;
};
/* False: not known, or not where. */
bool quorum_node_leader(const struct quorum_node *node, struct quorum_leader *ret_leader);

int64_t quorum_node_log_start(const struct quorum_node *node);
int64_t quorum_node_log_end(const struct quorum_node *node);
/* Of the last batch, or the checkpoint that the log begins with; after `opened`. */
int32_t quorum_node_log_end_epoch(const struct quorum_node *node);
/* Behind the last committed batch, and behind the last that was given out. */
int64_t quorum_node_high_watermark(const struct quorum_node *node);
int64_t quorum_node_given_out(const struct quorum_node *node);
/* Bytes that were committed since the newest checkpoint (metadata.log.max.record.bytes...). */
int64_t quorum_node_bytes_since_snapshot(const struct quorum_node *node);

/* The newest checkpoint; false when there is none (the bootstrap one does not count). */
bool quorum_node_newest_snapshot(const struct quorum_node *node,
                                 struct quorum_checkpoint_id *ret_id);
/* Where a checkpoint that is kept lies, fresh memory; NULL: it is not, or not any more. */
char *quorum_node_checkpoint_path(const struct quorum_node *node, struct quorum_checkpoint_id id);
/* Committed bytes for observers: log_read below the high watermark. */
int quorum_node_read(struct quorum_node *node, int64_t offset, int32_t max_bytes,
                     struct log_read_result *ret);
/* Any bytes of the log, for the transport. */
int quorum_node_read_log(struct quorum_node *node, int64_t offset, int64_t end_offset,
                         int32_t max_bytes, struct log_read_result *ret);

#endif
