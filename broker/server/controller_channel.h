/*
 * The way from this node to the active controller: at most one connection, to the controller
 * listener of the node that leads the quorum as far as this one knows (metadata_loop_leader). The
 * controller is asked for its versions first; then calls go out in order, many at a time.
 *
 * A call is sent again when the connection broke or the controller was not the active one, to
 * whoever leads then, until its time is over (REQUEST_TIMED_OUT). So what a call asks for may have
 * been done twice, as with Kafka's clients; the controller's decisions bear that. Where this node
 * becomes the active controller itself, what waits is decided here.
 *
 * Loop 0, but for controller_channel_versions.
 */
#ifndef KRAFTD_BROKER_SERVER_CONTROLLER_CHANNEL_H
#define KRAFTD_BROKER_SERVER_CONTROLLER_CHANNEL_H

#include "common/base/env.h"

struct controller_call;
struct controller_channel;
struct node;

struct controller_channel *controller_channel_new(struct node *node);
/* After controller_channel_stop called back. NULL is fine. */
void controller_channel_free(struct controller_channel *channel);

/* A call that this node cannot decide. False: the channel has been stopped, and the call is still
 * the caller's. */
bool controller_channel_take(struct controller_channel *channel, struct controller_call *call);
/* Who leads has changed, or where it listens. */
void controller_channel_leader_changed(struct controller_channel *channel);
/* From now on no call looks for a controller for longer than this. */
void controller_channel_hurry(struct controller_channel *channel, int64_t timeout_ms);
/* Ends what is on its way with NOT_CONTROLLER and closes the connection. */
void controller_channel_stop(struct controller_channel *channel, void (*stopped)(void *ctx),
                             void *ctx);

/* The versions of an API that the controller serves, as it last said; false where it has not said
 * anything yet. min > max: none. Any thread. */
bool controller_channel_versions(const struct controller_channel *channel, int16_t api_key,
                                 int16_t *ret_min, int16_t *ret_max);

#endif
