/*
 * A controller whose metadata log is damaged at the start: it asks the other controllers whether
 * somebody leads them. Where the quorum goes on without this disk, the log is set aside
 * (raft/quorum_aside.h) and the process begins anew, as a disk that never voted. Where nobody leads
 * for long, a majority may have lost its disks: the node ends with what to do, and has touched
 * nothing. Loop 0.
 */
#ifndef KRAFTD_BROKER_SERVER_NODE_REPAIR_H
#define KRAFTD_BROKER_SERVER_NODE_REPAIR_H

#include <stdbool.h>

struct node;

/* `sentence` says what is damaged. False: nobody is there to ask. Otherwise the node restarts, or
 * metadata_loop_give_up is called. */
bool node_repair_start(struct node *node, const char *sentence);
/* On a worker, when all logs are closed. 0 or a negative errno, which was logged. */
int node_repair_disk(struct node *node);
/* `stopped` on a later turn, or at once where nothing was started. */
void node_repair_stop(struct node *node, void (*stopped)(void *ctx), void *ctx);
void node_repair_free(struct node *node);

#endif
