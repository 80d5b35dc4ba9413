/*
 * The node's place in the quorum: the other controllers (quorum_peers.h) and the quorum node of the
 * metadata loop, started and stopped together. Loop 0.
 */
#ifndef KRAFTD_BROKER_SERVER_NODE_QUORUM_H
#define KRAFTD_BROKER_SERVER_NODE_QUORUM_H

struct node;
struct quorum_peers;

/* The disks are ours, the shards made, the controller listener open. `started` is that of
 * metadata_loop_start. */
void node_quorum_start(struct node *node, void (*started)(void *ctx, int status), void *ctx);
/* Hands the leadership of the quorum over, if this node has it and another one can take it; `done`
 * comes at once or after a bounded time. */
void node_quorum_resign(struct node *node, void (*done)(void *node));
/* We lead, or somebody else, or nobody. */
void node_quorum_leader_changed(struct node *node);
void node_quorum_stop(struct node *node, void (*stopped)(void *ctx), void *ctx);
void node_quorum_free(struct node *node);

/* NULL before start and after stop. */
struct quorum_peers *node_peers(const struct node *node);

#endif
