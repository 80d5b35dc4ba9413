/*
 * Addresses of the hosts that listeners are opened on while a node runs. A name is looked up on a
 * worker: a name server that does not answer must not hold up the quorum, which has the same loop.
 *
 * Loop 0. Embedded; released when nothing is under way.
 */
#ifndef KRAFTD_BROKER_SERVER_LISTENER_HOSTS_H
#define KRAFTD_BROKER_SERVER_LISTENER_HOSTS_H

#include "common/base/env.h"
#include "common/base/list.h"
#include "common/base/stream.h"

struct listener_hosts {
    struct list known;   /* answers that were not fetched yet */
    struct list waiting; /* to be looked up when the worker comes back */
    struct list asked;   /* the worker's */
    struct work work;
    bool busy;
    void (*changed)(void *ctx);
    void *ctx;
};

/* `changed` comes after each look-up. */
void listener_hosts_init(struct listener_hosts *hosts, struct loop *loop,
                         void (*changed)(void *ctx), void *ctx);
void listener_hosts_release(struct listener_hosts *hosts);
/* The end point with an address for its host, or none at all where it means all of them.
 * -EINPROGRESS: ask again when `changed` comes. Other errors as resolve_endpoint. An answer is
 * given once, then the name is looked up anew. */
int listener_hosts_resolve(struct listener_hosts *hosts, const struct endpoint *endpoint,
                           struct endpoint *ret_endpoint);
/* A look-up is under way: `changed` will come. */
bool listener_hosts_busy(const struct listener_hosts *hosts);

#endif
