/*
 * Requests of the quorum's other nodes (raft/quorum_wire.h) on controller listeners: read on their
 * connection's loop, handled on the metadata loop, in the order in which they came. A connection's
 * hello makes it a session; any other request before it, or one that cannot be read, ends the
 * connection. A connection over which a broker reports to this controller is remembered too, and
 * its loss told to broker_watch.h.
 */
#ifndef KRAFTD_BROKER_SERVER_PEER_REQUESTS_H
#define KRAFTD_BROKER_SERVER_PEER_REQUESTS_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct connection;
struct listener_info;
struct request_slot;
struct shard;

/* The frame is one of these, and may come on this listener. */
bool peer_request_is(const struct buf *frame, const struct listener_info *listener);
/* Takes over the frame's reference. */
void peer_request_receive(struct shard *shard, struct request_slot *slot, struct buf *frame);

/* A registration or a heartbeat of this incarnation came over the connection, and was right. */
void peer_connection_of_broker(struct shard *shard, struct connection *connection, int32_t broker,
                               int64_t epoch);

/* The connection_handler's, for every connection. */
void peer_connection_lost(struct connection *connection);
void peer_connection_closed(struct connection *connection);

#endif
