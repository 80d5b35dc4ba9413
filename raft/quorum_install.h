/*
 * Installing a checkpoint that the leader asks for, on a voter whose log ends before the leader's
 * begins. It comes piece by piece from the leader, or from any other voter that has it, straight to
 * the disk (quorum_checkpoint_receive.h); only when it is whole the log is emptied, libraft hears
 * of it, and the handler gets it in place of all before. Meanwhile the node votes and answers as
 * ever, but nothing is appended or committed.
 *
 * libraft has forgotten its log when it asks, the disk has not. Where nobody has that checkpoint
 * any more (its leader is gone) the node takes up what the disk holds, as after a restart, and the
 * next leader asks for what it has. Inside of the quorum node; its loop.
 */
#ifndef KRAFTD_RAFT_QUORUM_INSTALL_H
#define KRAFTD_RAFT_QUORUM_INSTALL_H

#include "raft/quorum_core.h"

struct quorum_installation;
struct quorum_node;

/* For an INSTALL_SNAPSHOT action. */
void install_begin(struct quorum_node *node, const struct quorum_action *action);
/* In the node's turn: goes on where it waited for the disk. */
void install_pump(struct quorum_node *node);
/* Something of it is under way. */
bool install_in_flight(const struct quorum_installation *install);
/* The node takes its log up again: nobody may use core or log now. */
bool install_reloads(const struct quorum_installation *install);
void install_free(struct quorum_installation *install); /* nothing is in flight; NULL is fine */

#endif
