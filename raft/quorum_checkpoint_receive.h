/*
 * A checkpoint that comes piece by piece from another node: written under its name with ".part"
 * behind it, then synced, read from end to end, and only then given its name. Whatever the peer
 * sent, under its own name a checkpoint is whole.
 *
 * All of this blocks: on a worker, one thread at a time. Errors are negative errno; -EBADMSG: what
 * came is no whole checkpoint.
 */
#ifndef KRAFTD_RAFT_QUORUM_CHECKPOINT_RECEIVE_H
#define KRAFTD_RAFT_QUORUM_CHECKPOINT_RECEIVE_H

#include "raft/quorum_checkpoint.h"

struct quorum_checkpoint_receiver;

/* Begins anew, whatever an earlier attempt left. */
int quorum_checkpoint_receive(struct disk *disk, const char *directory,
                              struct quorum_checkpoint_id id,
                              struct quorum_checkpoint_receiver **ret_receiver);
/* The next bytes. */
int quorum_checkpoint_receiver_put(struct quorum_checkpoint_receiver *receiver, const void *data,
                                   size_t len);
/* Durable and under its name when it returns 0. The info's voters are one reference for the
 * caller. Frees the receiver, also on an error. */
int quorum_checkpoint_receiver_finish(struct quorum_checkpoint_receiver *receiver,
                                      struct quorum_checkpoint_info *ret_info);
/* Removes what came and frees. NULL is fine. */
void quorum_checkpoint_receiver_abort(struct quorum_checkpoint_receiver *receiver);

#endif
