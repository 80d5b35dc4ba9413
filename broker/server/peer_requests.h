/*
 * Requests of the quorum's other nodes (raft/quorum_wire.h) on controller listeners: read on their
 * connection's loop, handled on the metadata loop, in the order in which they came. A connection's
 * hello makes it a session; any other request before it, or one that cannot be read, ends the
 * connection.
 */
#ifndef KRAFTD_BROKER_SERVER_PEER_REQUESTS_H
#define KRAFTD_BROKER_SERVER_PEER_REQUESTS_H

#include <stdbool.h>

struct buf;
struct connection;
struct listener_info;
struct request_slot;
struct shard;

/* The frame is one of these, and may come on this listener. */
bool peer_request_is(const struct buf *frame, const struct listener_info *listener);
/* Takes over the frame's reference. */
void peer_request_receive(struct shard *shard, struct request_slot *slot, struct buf *frame);

/* The connection_handler's, for every connection. */
void peer_connection_lost(struct connection *connection);
void peer_connection_closed(struct connection *connection);

#endif
