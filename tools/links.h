/*
 * The connections on which records travel, one per node, apart from those of the client
 * (client.h): many requests are on their way on one at once, and their answers come in the order of
 * the requests. Also waits for any of them and for descriptors of the caller's.
 *
 * A link that fails is dropped; whoever sent requests on it takes them back first (link_lost). It
 * is connected again on demand, with growing pauses. One thread.
 */
#ifndef KRAFTD_TOOLS_LINKS_H
#define KRAFTD_TOOLS_LINKS_H

#include "tools/client.h"

/* A request whose answer has not come. */
struct link_request {
    void *what; /* the sender's */
    int16_t version;
    int64_t sent_ms;
};

struct link {
    int32_t node;
    struct peer *peer; /* NULL: not connected */
    int64_t retry_at_ms, backoff_ms;
    struct link_request *requests; /* oldest first */
    size_t request_count, request_capacity;
};

struct links {
    struct client *client;
    const struct client_config *config;
    struct link **items;
    size_t count, capacity;
};

void links_init(struct links *links, struct client *client, const struct client_config *config);
/* Requests that are on their way are the caller's to take back before. */
void links_release(struct links *links);

/* The link to a node, connected; NULL: not now. */
struct link *links_get(struct links *links, int32_t node);
/* When links_get would try again what failed; INT64_MAX: nothing failed. */
int64_t links_retry_at(const struct links *links);

/* Negative errno: the link is broken (or -EINVAL, -EPROTONOSUPPORT: the request cannot be said). An
 * answer is awaited unless the request has none. */
int link_send(struct link *link, const struct links *links, enum api_key key, int16_t version,
              const void *request, bool answered, void *what);
/* The answer to the oldest request, once something has arrived. Negative errno: broken. */
int link_receive(struct link *link, const struct links *links, enum api_key key,
                 struct arena *arena, void *ret_response, void **ret_what);
/* Ends the connection. Its requests remain in the list, to be taken back with link_lost. */
void link_drop(struct link *link, const struct links *links);
/* What the oldest request of a dropped link was for; NULL: no more. */
void *link_lost(struct link *link);

/* Descriptors of the caller's to wait for as well; -1: none. */
struct links_wait {
    int fds[2];
    bool ready[2];
};

/* Until a link or a descriptor is readable or the time is up. */
void links_wait(struct links *links, struct links_wait *wait, int64_t timeout_ms);
/* An answer, or the end of the connection, is there to be read. */
bool link_readable(const struct link *link);

#endif
