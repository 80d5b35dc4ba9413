/*
 * session: one simulated client's conversation with a node in the Kafka protocol: connects,
 * connects again after every fault, encodes requests and decodes answers (common/net/client.h).
 *
 * Belongs to its loop; callbacks run there, never from inside session_call.
 */
#ifndef KRAFTD_SIM_SESSION_H
#define KRAFTD_SIM_SESSION_H

#include "common/base/env.h"
#include "common/protocol/codec.h"

struct session;
struct sim_node;

struct session_options {
    struct loop *loop;
    struct sim_node *server; /* by its name */
    uint16_t port;
    const char *client_id;
    /* May be NULL. Connected, or not any more: calls under way were completed before. */
    void (*changed)(void *owner, bool up);
    void *owner;
};

struct session *session_new(const struct session_options *options);
bool session_is_up(const struct session *s);
/* How often the server's power had been cut when this connection began: what comes over it is from
 * before the next cut. */
int session_power_cuts(const struct session *s);

/*
 * Sends a request of `api` in that version; `done` comes once: status 0 and the decoded answer,
 * which lives during the call, or a negative errno (-EPROTO: the answer cannot be decoded). Without
 * a connection it returns -ENOTCONN and nothing follows.
 */
int session_call(struct session *s, enum api_key api, int16_t version, const void *request,
                 int timeout_ms, void (*done)(void *ctx, int status, const void *response),
                 void *ctx);

#endif
