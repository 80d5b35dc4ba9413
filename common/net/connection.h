/*
 * The server's side of a client connection: Kafka's framing, answers in the order of the requests,
 * and the bounds that keep a peer from taking the node's memory. Only env and stream are used, so
 * that it is the same in production and in the simulation.
 *
 *   frame: int32 length (big endian, without itself) | length bytes
 *
 * Many requests of one connection may be outstanding. Each gets a slot; answers are given to slots
 * in any order and leave in the order of the requests. Reading pauses while in_flight_max slots are
 * not sent out, or their requests and answers hold more than buffered_max_bytes (one request
 * always may), or while the connection is muted or throttled.
 *
 * A connection belongs to the loop of its group; everything here is called on it. Bad framing
 * closes the connection after the answers to all requests before it.
 */
#ifndef KRAFTD_NET_CONNECTION_H
#define KRAFTD_NET_CONNECTION_H

#include "common/base/list.h"
#include "common/base/stream.h"

struct connection;

/* A request on its way. Valid from on_request to on_done. */
struct request_slot {
    struct connection *connection;
    int64_t received_us;  /* the frame was complete (env's clock) */
    int64_t responded_us; /* connection_respond was called */
    int64_t written_us;   /* its turn came: the answer was given to the stream */
    size_t request_bytes, response_bytes;
    void *ctx; /* the handler's */
};

struct connection_handler {
    /* Before anything is read: the place for connection_set_ctx. May be NULL. */
    void (*on_open)(struct connection *);
    /* The frame without its length; the handler owns the reference. Each slot must sooner or later
     * be given to connection_respond or connection_fail, also after on_disconnect. */
    void (*on_request)(struct connection *, struct request_slot *, struct buf *frame);
    /* The answer has gone out to the network, or never will. Once per slot; may come from inside
     * connection_respond. May be NULL. */
    void (*on_done)(struct connection *, struct request_slot *, bool sent);
    /* The peer is gone or was cut off: cancel what waits for it. May be NULL. */
    void (*on_disconnect)(struct connection *, const char *reason);
    /* The last callback: disconnected, and all slots are done. */
    void (*on_closed)(struct connection *);
};

/* May be changed at any time on the loop; holds from the next frame on. */
struct connection_limits {
    int32_t request_max_bytes; /* socket.request.max.bytes */
    int in_flight_max;
    size_t buffered_max_bytes;
    int64_t idle_max_ms;     /* connections.max.idle.ms; 0 or less: never */
    int64_t group_max_bytes; /* of all requests in a group (queued.max.request.bytes); 0: any */
};

/* Written by the group's loop, read by any thread. */
struct connection_stats {
    _Atomic int64_t open_count, created_total, closed_total, expired_total;
    _Atomic int64_t in_bytes_total, out_bytes_total, request_total, response_total;
};

/* The connections of one listener on one loop. Embedded; all fields but limits and stats private.
 */
struct connection_group {
    struct loop *loop;
    const struct connection_handler *handler;
    void *ctx;
    struct connection_limits limits;
    struct connection_stats stats;
    /* After on_closed, with the token given to connection_new: the acceptor's. May be NULL. */
    void (*on_gone)(struct connection_group *, void *token);
    int64_t held_bytes;      /* requests being read or handled */
    uint8_t *staging;        /* where all connections read, while they are between large frames */
    struct list by_activity; /* all connections, least recently active first */
    struct list waiting;     /* for group_max_bytes */
    struct list resumed;     /* go on with what is read already */
    struct task resume_task;
    bool resume_posted;
    struct timer idle_timer;
};

void connection_group_init(struct connection_group *group, struct loop *loop,
                           const struct connection_handler *handler,
                           const struct connection_limits *limits, void *ctx);
/* On its loop, a turn or more after on_closed of its last connection. */
void connection_group_release(struct connection_group *group);
/* Drains (see below) every connection. */
void connection_group_drain(struct connection_group *group, const char *reason);
/* Closes every connection at once. */
void connection_group_close(struct connection_group *group, const char *reason);
/* Closes the connection that was inactive for longest; false when there is none. */
bool connection_group_close_oldest(struct connection_group *group, const char *reason);

/* Starts reading from an accepted stream. Frames above frame_max_bytes are refused; 0: only the
 * limits hold. For unauthenticated peers that is a small bound, lifted when they are known. */
struct connection *connection_new(struct connection_group *group, struct stream *stream,
                                  int32_t frame_max_bytes, void *token);
void connection_set_frame_max(struct connection *connection, int32_t frame_max_bytes);

/* The answer: a whole frame, length first, whose references are taken over; count 0 when the
 * request has none (acks=0). The slot may be gone afterwards. */
void connection_respond(struct request_slot *slot, struct out_chunk *chunks, int count);
/* Instead of an answer the connection ends, after the answers to all requests before. */
void connection_fail(struct request_slot *slot, const char *reason);

/* Nothing more is read until unmute. Calls do not nest. */
void connection_mute(struct connection *connection);
void connection_unmute(struct connection *connection);
/* Nothing more is read for this time from now; the later end of several holds. */
void connection_throttle(struct connection *connection, int64_t throttle_ms);
/* Stops reading, answers what is outstanding, sends it and closes. */
void connection_drain(struct connection *connection, const char *reason);
/* Closes at once and drops what was not sent. */
void connection_close(struct connection *connection, const char *reason);

void connection_set_ctx(struct connection *connection, void *ctx);
void *connection_ctx(const struct connection *connection); /* NULL unless set */
struct connection_group *connection_group_of(const struct connection *connection);
const struct endpoint *connection_peer(const struct connection *connection);
bool connection_is_closed(const struct connection *connection);

#endif
