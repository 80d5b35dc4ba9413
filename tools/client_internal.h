/*
 * The client's own memory, shared by client.c (calls and retries) and client_nodes.c (who the nodes
 * are, connections to them).
 */
#ifndef KRAFTD_TOOLS_CLIENT_INTERNAL_H
#define KRAFTD_TOOLS_CLIENT_INTERNAL_H

#include "tools/client.h"

struct client_slot {
    struct client_node node; /* the rack is freed with the slot */
    struct peer *peer;       /* NULL: not connected */
};

struct client {
    const struct client_config *config;
    enum client_kind kind;
    struct client_slot *bootstrap; /* as given, without ids */
    size_t bootstrap_count, bootstrap_capacity;
    struct client_slot *nodes;
    size_t nodes_count, nodes_capacity;
    bool nodes_known;
    int32_t controller_id; /* -1: nobody said */
    int open_error;        /* of the last connection that could not be opened; 0: none */
};

/* Waits before the next try. False: the time is up. */
bool client_backoff(struct client_op *op);
bool client_timed_out(const struct client_op *op, struct failure *failure);

/* The time for a call is no shorter than that for an answer. */
bool client_check_timeouts(const struct client *client, struct failure *failure);
/* Nodes: parses and checks the bootstrap list. */
bool client_parse_bootstrap(struct client *client, const char *bootstrap, struct failure *failure);
void client_release_nodes(struct client *client);
/* A connection to `node`, or to any where that is CLIENT_ANY_NODE; one attempt per candidate. NULL
 * with failure->error NONE: try again later. */
struct peer *client_connect(struct client_op *op, int32_t node, struct failure *failure);
/* One exchange on a connection. False with failure->error NONE: the connection is gone, another
 * try may help. */
bool client_exchange(struct client_op *op, struct peer *peer, const struct api *api,
                     const void *request, void *ret_response, struct failure *failure);

#endif
