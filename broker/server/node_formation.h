/*
 * How the node comes to its cluster: what is listed in its configuration, the formation that runs
 * over it (raft/formation_driver.h), and the disks. Loop 0; the controller listener is open.
 */
#ifndef KRAFTD_BROKER_SERVER_NODE_FORMATION_H
#define KRAFTD_BROKER_SERVER_NODE_FORMATION_H

#include "common/base/stream.h"
#include "common/protocol/messages/quorum_peer.h"
#include "raft/formation.h"

struct node;
struct server_config;

/* The listed end points: the voters', else the bootstrap servers, else this node alone. Returns how
 * many; *ret_self: which of them is this node, -1 when that is not known. */
int node_formation_list(const struct server_config *config,
                        struct endpoint listed[FORMATION_LISTED_MAX], int *ret_self);

/* `formed` comes once: 0 when the disks belong to a cluster, at once or when all listed nodes were
 * there; else an errno whose reason was logged. The node goes on answering those that are blank. */
void node_formation_start(struct node *node, void (*formed)(struct node *node, int status));
/* A node asks. The answer's strings live until the next call. */
void node_formation_receive(struct node *node, const struct peer_formation *message,
                            struct peer_formation *ret_answer);
void node_formation_stop(struct node *node, void (*stopped)(void *ctx), void *ctx);
void node_formation_free(struct node *node);

#endif
