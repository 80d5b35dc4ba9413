/*
 * The asynchronous side of a conversation: one connection to a node, requests sent on it, answers
 * matched by order and correlation id. Between nodes, and for clients in the simulation. Only env
 * and stream are used. It does not reconnect: whoever owns it makes a new one after a back-off of
 * its own.
 *
 * A client belongs to its loop; all callbacks run there, never from inside client_new or
 * client_send. A request that is not answered in time breaks the connection, as its answer could
 * otherwise be taken for that of a later one.
 */
#ifndef KRAFTD_NET_CLIENT_H
#define KRAFTD_NET_CLIENT_H

#include "common/base/list.h"
#include "common/base/stream.h"

struct client;

struct client_options {
    struct endpoint endpoint;
    int connect_timeout_ms;
    int in_flight_max;
    int32_t response_max_bytes;
};

struct client_handler {
    /* Once: ready to send, or -ETIMEDOUT, -ECONNREFUSED, -ENOENT ...; then only client_close. */
    void (*on_connected)(void *owner, int status);
    /* Once after a good on_connected, unless the owner closed it: -ECONNRESET (also for an orderly
     * end), -ETIMEDOUT, -EPROTO (an answer to nothing), -EMSGSIZE, -ENOMEM. All requests were
     * completed before; then only client_close. */
    void (*on_disconnected)(void *owner, int status);
};

/* Embedded by the caller, alive until done. */
struct client_request {
    /* Once. Status 0: the answer, without its length; the callee owns the reference. Else NULL:
     * why the connection broke, or -ECANCELED after client_close. */
    void (*done)(struct client_request *, int status, struct buf *frame);
    struct client *client; /* this and all below are the client's */
    int32_t correlation_id;
    struct list link;
    struct timer timer;
};

/* Begins to connect. */
struct client *client_new(struct loop *loop, const struct client_options *options,
                          const struct client_handler *handler, void *owner);
bool client_is_connected(const struct client *client);
/* Numbers for the headers of requests, from 0 up. */
int32_t client_next_correlation_id(struct client *client);
/* Sends a whole frame, length first, whose header has this correlation id. -ENOTCONN, -EBUSY
 * (in_flight_max are under way): nothing was taken over. */
int client_send(struct client *client, struct client_request *request, struct out_chunk *chunks,
                int count, int32_t correlation_id, int timeout_ms);
/* The same for a request that has no answer (Produce with acks=0). */
int client_send_unanswered(struct client *client, struct out_chunk *chunks, int count);
/* Completes the requests under way with -ECANCELED, then calls closed (may be NULL), both on a
 * later turn; nothing follows. */
void client_close(struct client *client, void (*closed)(void *owner), void *owner);

#endif
