/*
 * A node that follows the quorum from outside: a broker without the controller's role, or a
 * controller that is no voter. It finds the leader among the configured controllers, fetches the
 * metadata log from it with Kafka's Fetch (KIP-595), and with FetchSnapshot (KIP-630) a checkpoint
 * where the leader's log begins behind its own end. It is the part of a quorum node that stands in
 * the core's place; log, checkpoints and what the handler gets are the same.
 *
 * Only what the leader calls committed is appended, so nothing is ever taken back: a leader that
 * does not have what this node knows as committed is of another history, and the node stops with a
 * sentence. The log is not synced batch by batch, as in Kafka: what a power cut takes is fetched
 * again. Not even an own log below which something is missing is a loss.
 *
 * Every answer is judged: epochs, offsets, checksums, sizes. One that contradicts itself or our log
 * breaks the connection; another controller is asked after a pause.
 *
 * Epoch and leader are kept in quorum-state, as Kafka's observers do. One loop.
 */
#ifndef KRAFTD_RAFT_QUORUM_OBSERVER_H
#define KRAFTD_RAFT_QUORUM_OBSERVER_H

#include "raft/quorum_opening.h"

struct quorum_observer;

/* Takes the voters over from the opening. */
struct quorum_observer *observer_new(struct quorum_node *node, struct quorum_opening *opening);
void observer_free(struct quorum_observer *observer); /* NULL is fine */
void observer_start(struct quorum_observer *observer);
/* In the node's turn: goes on where it waited for the disk or the loop. */
void observer_pump(struct quorum_observer *observer);
/* No more questions; what is in flight ends, and the node is told (node_close_if_idle). */
void observer_halt(struct quorum_observer *observer);
/* The log is not about to be replaced: what is in flight may end unseen. */
bool observer_may_halt(const struct quorum_observer *observer);
bool observer_in_flight(const struct quorum_observer *observer);

/* False: not known where it is. */
bool observer_leader_endpoint(const struct quorum_observer *observer,
                              struct endpoint *ret_endpoint);
/* What it knows of the voters, for the core that takes its place. */
void observer_hand_over(const struct quorum_observer *observer, struct quorum_opening *to);
int32_t observer_last_epoch(const struct quorum_observer *observer); /* of its log's end */
/* As of an offset; NULL: the log names none. Borrowed. */
struct quorum_voters *observer_voters_at(const struct quorum_observer *observer,
                                         int64_t end_offset);

/* One that only looks for a leader, beside a core. Then: who it is, and it turns into an observer:
 * what the core knows is taken over, and, when the core is gone, it follows. */
struct quorum_observer *observer_scout_new(struct quorum_node *node);
bool observer_found(const struct quorum_observer *scout);
int32_t observer_found_id(const struct quorum_observer *scout);
void observer_take_over(struct quorum_observer *scout);
void observer_follow(struct quorum_observer *scout);

/* quorum_step_back.c: in the turn of a node with a core. */
void step_back_pump(struct quorum_node *node);

/* quorum_promote.c: a message that came while the node observes; and, in the node's turn, the core
 * that takes the observer's place. */
struct quorum_message;
void promote_if_asked(struct quorum_node *node, const struct quorum_message *message);
void promote_go_on(struct quorum_node *node);

#endif
