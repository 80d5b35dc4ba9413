/*
 * Listeners of a node: accepts connections on one loop, keeps Kafka's limits on their number and
 * rate, and spreads them over all loops in turn. Each listener has one connection_group per loop.
 *
 * Limits: an address above its own number of connections is refused. Where all listeners together
 * or one alone is full, or connections come too fast, a new one waits (at most ACCEPTOR_HELD_MAX
 * per listener, then it is refused) until there is room. A listener marked essential (inter-broker)
 * has to keep to its own limits only, as long as there are others; where all together have too
 * many, the longest inactive connection of another listener goes (KIP-402, KIP-612).
 *
 * Listeners come and go while others serve. A listener is named by its index, which is given to
 * another one once it is closed.
 *
 * All calls on the acceptor's loop, except those about counters.
 */
#ifndef KRAFTD_NET_ACCEPTOR_H
#define KRAFTD_NET_ACCEPTOR_H

#include "common/net/address_counts.h"
#include "common/net/connection.h"

enum { ACCEPTOR_HELD_MAX = 256 };

struct acceptor;

struct acceptor_limits {
    int connections_max;             /* max.connections; 0: any */
    int connections_per_address_max; /* max.connections.per.ip; 0: none, unless overridden */
    int creations_per_s_max;         /* max.connection.creation.rate; 0: any */
    const struct address_override *overrides; /* max.connections.per.ip.overrides; copied */
    size_t override_count;
};

/* Of one listener alone. */
struct acceptor_listener_limits {
    int connections_max;     /* 0: any */
    int creations_per_s_max; /* 0: any */
};

struct acceptor_listener_options {
    const char *name; /* of the listener; copied */
    struct endpoint endpoint;
    int backlog; /* socket.listen.backlog.size */
    bool essential;
    bool closed_door; /* its connections wait until acceptor_open_doors */
    struct acceptor_listener_limits limits;
    int32_t frame_max_bytes; /* of new connections, see connection_new */
    struct connection_limits connection_limits;
    const struct connection_handler *handler;
    void *ctx; /* of its groups */
};

struct acceptor_stats {
    int64_t refused_total; /* by a limit */
    int64_t held_count;    /* waiting now */
};

/* Nothing is open yet. */
struct acceptor *acceptor_new(struct loop *loop, const struct acceptor_limits *limits);
/* Opens a listener and gives its index. Errors of net_ops.listen. Connections are taken from the
 * next turn on. */
int acceptor_listen(struct acceptor *acceptor, const struct acceptor_listener_options *options,
                    int *ret_index);
/* Stops listening at once and closes all connections of this listener; `closed` comes when they are
 * gone and its groups are free, or never where the acceptor is closed before that. */
void acceptor_unlisten(struct acceptor *acceptor, int index, const char *reason,
                       void (*closed)(void *ctx), void *ctx);
/* Who waits at a closed door comes in, and from now on nobody waits there. */
void acceptor_open_doors(struct acceptor *acceptor);
/* Where more connections are open than the node may have now, the longest inactive ones of
 * listeners that are not essential are closed. */
void acceptor_set_limits(struct acceptor *acceptor, const struct acceptor_limits *limits);
/* Connections that are open stay: only the limits of all together close any. */
void acceptor_set_listener_limits(struct acceptor *acceptor, int index,
                                  const struct acceptor_listener_limits *limits);
/* Stops listening, then drains all connections; `drained` runs when the last one is gone. */
void acceptor_drain(struct acceptor *acceptor, const char *reason, void (*drained)(void *ctx),
                    void *ctx);
/* Stops listening, closes all connections at once and frees the acceptor; `closed` is its last
 * word. It comes when all slots of all connections are answered. Also during a drain, whose
 * `drained` then does not come. */
void acceptor_close(struct acceptor *acceptor, const char *reason, void (*closed)(void *ctx),
                    void *ctx);

const char *acceptor_listener_name(const struct acceptor *acceptor, int index);
uint16_t acceptor_port(const struct acceptor *acceptor, int index);
/* The group of a listener on a loop, one behind the other. They stay where they are until the
 * listener is closed; their stats are for any thread. */
struct connection_group *acceptor_group(const struct acceptor *acceptor, int index, int loop_index);
struct acceptor_stats acceptor_stats(const struct acceptor *acceptor, int index);

#endif
