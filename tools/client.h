/*
 * A blocking client of a cluster for tools: a list of bootstrap servers, the nodes behind it, one
 * connection per node, and calls that are sent to the right node and retried until their time is
 * up. The texts of failures are those of Kafka's admin client.
 *
 * What a tool asks for is an operation (client_op), named as in Kafka's admin client ("listTopics")
 * because time-outs say so. It may take several requests; one deadline bounds them all. Answers
 * live in the operation's arena, which the caller gives.
 *
 * Functions that return bool fill *failure and return false when they fail. One thread.
 */
#ifndef KRAFTD_TOOLS_CLIENT_H
#define KRAFTD_TOOLS_CLIENT_H

#include "common/base/arena.h"
#include "common/base/stream.h"
#include "common/protocol/schema.h"
#include "tools/client_config.h"
#include "tools/failure.h"
#include "tools/peer.h"

struct client;

enum client_kind {
    CLIENT_OF_BROKERS,     /* --bootstrap-server */
    CLIENT_OF_CONTROLLERS, /* --bootstrap-controller */
};

/* `bootstrap` is host:port,...; connects to nobody yet. The config must outlive the client. */
bool client_new(const char *bootstrap, enum client_kind kind, const struct client_config *config,
                struct client **ret_client, struct failure *failure);
/* NULL is fine. */
void client_free(struct client *client);

struct client_op {
    struct client *client;
    const char *name;
    struct arena *arena;
    int64_t deadline_ms; /* of the monotonic clock */
    int64_t backoff_ms;  /* before the next retry */
    int tries;           /* requests that were sent and failed */
};

/* The monotonic clock that deadlines are of. */
int64_t client_now_ms(void);

void client_op_begin(struct client_op *op, struct client *client, const char *name,
                     struct arena *arena);

/* Where a request goes: the id of a node, or one of these. */
enum {
    CLIENT_ANY_NODE = -1,
    CLIENT_CONTROLLER = -2, /* the active one, or a broker that forwards to it */
};

/*
 * Sends the request in the highest version that both sides know and waits for the answer. What the
 * network loses is sent again. Failures: REQUEST_TIMED_OUT; UNSUPPORTED_VERSION; INVALID_REQUEST
 * (the agreed version cannot say it); UNKNOWN_SERVER_ERROR for an answer that is no answer. Error
 * codes inside the answer are the caller's.
 */
bool client_call(struct client_op *op, int32_t node, enum api_key key, const void *request,
                 void *ret_response, struct failure *failure);

/* The same with one try. False with failure->error NONE: nobody answered, another try may help. */
bool client_try(struct client_op *op, int32_t node, enum api_key key, const void *request,
                void *ret_response, struct failure *failure);

/*
 * After an answer with an error: true when the error is one that passes and the operation has time
 * left; then this has waited and the caller asks again. False with the error as the failure.
 */
bool client_retry(struct client_op *op, int16_t error, struct str message, struct failure *failure);
/* As client_retry where nobody was reached. */
bool client_try_later(struct client_op *op, struct failure *failure);

/* client_call, again while the answer has an error that passes. Where the answer says it is told:
 * `error` and `message` (NULL: it has none) are in *ret_response. */
bool client_ask(struct client_op *op, int32_t node, enum api_key key, const void *request,
                void *ret_response, const int16_t *error, const struct str *message,
                struct failure *failure);

/* The version that a call to this node would use, for requests that differ between versions. */
bool client_version(struct client_op *op, int32_t node, enum api_key key, int16_t *ret_version,
                    struct failure *failure);

/* What is left of the operation's time, at most limit_ms; 0: nothing. For the time-outs that
 * requests carry. */
int client_time_left(const struct client_op *op, int64_t limit_ms);

/* The connection to a node, opened where there is none: to send several requests before waiting. */
bool client_peer(struct client_op *op, int32_t node, struct peer **ret_peer,
                 struct failure *failure);
/* Ends the connection, after it failed. */
void client_drop_peer(struct client *client, const struct peer *peer);

/* A node of the cluster, as the last metadata said. */
struct client_node {
    int32_t id;
    struct endpoint endpoint;
    struct str rack; /* null: none */
};

/* All nodes in the order of the answer; asks for them where that has not happened yet. They are in
 * the operation's arena. */
bool client_nodes(struct client_op *op, struct client_node **ret_nodes, size_t *ret_count,
                  struct failure *failure);
/* Where a node listens; one try as in client_try. */
bool client_find_node(struct client_op *op, int32_t id, struct endpoint *ret_endpoint,
                      struct failure *failure);
/* The next look at the nodes asks for them again. */
void client_forget_nodes(struct client *client);

#endif
