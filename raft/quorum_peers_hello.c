/*
 * Who talks to us. A connection is a session of one peer from its hello on; of two sessions of one
 * peer only the newer is listened to, since what the older still brings was said before.
 */
#include "raft/quorum_peers_internal.h"

#define LOG_MODULE "quorum"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A refusal that goes on is repeated in the log now and then. */
#define REFUSAL_REPEAT_MS 60000

static bool is_news(struct quorum_peers *peers, uint64_t hash)
{
    int64_t now_ms = env_now_ms(peers->env);
    for (size_t i = 0; i < QUORUM_REFUSALS_KEPT; i++) {
        if (peers->refusals[i].hash != hash)
            continue;
        if (now_ms - peers->refusals[i].ms < REFUSAL_REPEAT_MS)
            return false;
        peers->refusals[i].ms = now_ms;
        return true;
    }
    size_t at = peers->next_refusal++ % QUORUM_REFUSALS_KEPT;
    peers->refusals[at].hash = hash;
    peers->refusals[at].ms = now_ms;
    return true;
}

__attribute__((format(printf, 3, 4))) static enum kafka_error
refuse(struct quorum_peers *peers, enum kafka_error error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(peers->refusal, sizeof(peers->refusal), format, args);
    va_end(args);
    if (is_news(peers, str_hash(str_of(peers->refusal))))
        log_warn(peers->env->logger, "Refused a connection of the quorum: %s", peers->refusal);
    return error;
}

struct names {
    char theirs[UUID_TEXT_LEN + 1], ours[UUID_TEXT_LEN + 1], other[UUID_TEXT_LEN + 1];
};

static enum kafka_error check_cluster(struct quorum_peers *peers, const struct peer_hello *hello,
                                      struct str host)
{
    if (str_eq_z(hello->cluster_id, peers->config.cluster_id))
        return KAFKA_ERROR_NONE;
    return refuse(peers, KAFKA_ERROR_INCONSISTENT_CLUSTER_ID,
                  "node %" PRId32 " at %.*s belongs to cluster %.*s, but node %" PRId32
                  " here to cluster %s: correct the addresses of the controllers",
                  hello->node_id, STR_FMT(host), STR_FMT(hello->cluster_id), peers->config.node_id,
                  peers->config.cluster_id);
}

/* It came to the right place. */
static enum kafka_error check_expectation(struct quorum_peers *peers,
                                          const struct peer_hello *hello, struct str host)
{
    struct names names;
    uuid_format(hello->peer_directory_id, names.other);
    uuid_format(peers->config.directory_id, names.ours);
    bool same_node = hello->peer_node_id < 0 || hello->peer_node_id == peers->config.node_id;
    bool same_directory = uuid_is_zero(hello->peer_directory_id) ||
                          uuid_eq(hello->peer_directory_id, peers->config.directory_id);
    if (same_node && same_directory)
        return KAFKA_ERROR_NONE;
    return refuse(peers, KAFKA_ERROR_INVALID_VOTER_KEY,
                  "node %" PRId32 " at %.*s looks for node %" PRId32 " with directory %s here, but "
                  "this is node %" PRId32 " with directory %s",
                  hello->node_id, STR_FMT(host), hello->peer_node_id, names.other,
                  peers->config.node_id, names.ours);
}

static enum kafka_error check_self(struct quorum_peers *peers, const struct peer_hello *hello,
                                   struct str host)
{
    struct names names;
    uuid_format(hello->directory_id, names.theirs);
    uuid_format(peers->config.directory_id, names.ours);
    if (uuid_eq(hello->incarnation_id, peers->incarnation_id))
        return KAFKA_ERROR_NONE; /* an end point of the list is this node: it asks who is there */
    if (uuid_eq(hello->directory_id, peers->config.directory_id))
        return refuse(peers, KAFKA_ERROR_DUPLICATE_VOTER,
                      "node %" PRId32 " at %.*s has the same directory %s as node %" PRId32
                      " here: one directory is a copy of the other; stop one of them and empty its "
                      "log directories",
                      hello->node_id, STR_FMT(host), names.ours, peers->config.node_id);
    if (hello->node_id == peers->config.node_id)
        return refuse(peers, KAFKA_ERROR_DUPLICATE_VOTER,
                      "another live node with node.id %" PRId32
                      " is at %.*s (directory %s; the one "
                      "here has %s): give each node its own node.id",
                      hello->node_id, STR_FMT(host), names.theirs, names.ours);
    return KAFKA_ERROR_NONE;
}

/* The disk that votes for a node id goes before one that was replaced and has come back. */
static bool has_the_vote(const struct quorum_peers *peers, struct uuid directory_id,
                         const struct peer *other)
{
    const struct quorum_voters *voters = peers->node ? quorum_node_voters(peers->node) : NULL;
    return voters && quorum_voters_is_voter(voters, quorum_raft_id(directory_id)) &&
           !quorum_voters_is_voter(voters, other->id.raft_id);
}

/* Nobody else who lives has its directory or its node id. */
static enum kafka_error check_others(struct quorum_peers *peers, const struct peer_hello *hello,
                                     struct str host)
{
    struct names names;
    uuid_format(hello->directory_id, names.theirs);
    for (size_t i = 0; i < peers->count; i++) {
        const struct peer *peer = peers->items[i];
        if (!peer_is_heard(peer) || uuid_eq(peer->incarnation_id, hello->incarnation_id))
            continue;
        uuid_format(peer->id.directory_id, names.other);
        if (uuid_eq(peer->id.directory_id, hello->directory_id))
            return refuse(peers, KAFKA_ERROR_DUPLICATE_VOTER,
                          "node %" PRId32
                          " at %.*s and the one at %s both run on the directory %s: "
                          "one is a copy of the other; stop one of them and empty its log "
                          "directories",
                          hello->node_id, STR_FMT(host), peer->host, names.other);
        if (peer->id.node_id == hello->node_id && !has_the_vote(peers, hello->directory_id, peer))
            return refuse(peers, KAFKA_ERROR_DUPLICATE_VOTER,
                          "two live nodes have node.id %" PRId32
                          ": one at %.*s (directory %s), one "
                          "at %s (directory %s): give each node its own node.id",
                          hello->node_id, STR_FMT(host), names.theirs, peer->host, names.other);
    }
    return KAFKA_ERROR_NONE;
}

/* Its listeners, as a set of one server; NULL when they make none. */
static struct quorum_voters *self_of(const struct peer_hello *hello)
{
    struct quorum_voters *self = quorum_voters_new();
    if (quorum_voters_add(self, hello->node_id, hello->directory_id, QUORUM_VOTER) != 0) {
        quorum_voters_unref(self);
        return NULL;
    }
    self->servers[0].kraft_version_max = 1;
    for (int32_t i = 0; i < hello->listeners_count; i++) {
        const struct peer_hello_listener *listener = &hello->listeners[i];
        if (listener->host.len > 0 && listener->host.len <= HOST_MAX && listener->name.len > 0)
            quorum_voters_add_listener(self, listener->name, listener->host, listener->port);
    }
    return self;
}

static enum kafka_error admit(struct quorum_peers *peers, const struct peer_hello *hello,
                              struct str host, uint64_t *ret_session)
{
    struct quorum_voters *self = self_of(hello);
    struct quorum_peer_id id = {hello->node_id, hello->directory_id,
                                quorum_raft_id(hello->directory_id)};
    if (!self)
        return refuse(peers, KAFKA_ERROR_INVALID_REQUEST,
                      "a node at %.*s names no node id or no directory", STR_FMT(host));
    struct peer *peer = peers_meet(peers, &id);
    if (!peer) {
        quorum_voters_unref(self);
        return refuse(peers, KAFKA_ERROR_POLICY_VIOLATION,
                      "too many nodes are connected: node %" PRId32 " at %.*s has to wait",
                      hello->node_id, STR_FMT(host));
    }
    quorum_voters_unref(peer->self);
    peer->self = self;
    peer->id = id;
    peer->incarnation_id = hello->incarnation_id;
    peer->wants_to_vote = hello->wants_to_vote;
    snprintf(peer->host, sizeof(peer->host), "%.*s", STR_FMT(host));
    peer->heard_ms = env_now_ms(peers->env);
    peer->session = *ret_session = ++peers->last_session;
    return KAFKA_ERROR_NONE;
}

uint64_t quorum_peers_hello(struct quorum_peers *peers, const struct peer_hello *hello,
                            struct str host, struct peer_hello_answer *answer)
{
    uint64_t session = 0;
    enum kafka_error error = KAFKA_ERROR_NONE;
    message_init(&peer_hello_answer_desc, answer);
    if (!peers->running)
        error = KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS;
    if (!error)
        error = check_cluster(peers, hello, host);
    if (!error)
        error = check_self(peers, hello, host);
    if (!error)
        error = check_expectation(peers, hello, host);
    bool is_self = uuid_eq(hello->incarnation_id, peers->incarnation_id);
    if (!error && !is_self)
        error = check_others(peers, hello, host);
    if (!error && !is_self)
        error = admit(peers, hello, host, &session);
    answer->error_code = (int16_t)error;
    if (error)
        answer->error_message = str_of(peers->refusal);
    answer->node_id = peers->config.node_id;
    answer->directory_id = peers->config.directory_id;
    answer->max_version = QUORUM_WIRE_VERSION_MAX;
    return session;
}

static struct peer *peer_of(const struct quorum_peers *peers, uint64_t session)
{
    for (size_t i = 0; i < peers->count; i++) {
        if (session != 0 && peers->items[i]->session == session)
            return peers->items[i];
    }
    return NULL;
}

bool quorum_peers_knows(const struct quorum_peers *peers, uint64_t session)
{
    return peers->running && peer_of(peers, session) != NULL;
}

static bool wants_answer(enum quorum_message_type type)
{
    return type == QUORUM_APPEND || type == QUORUM_VOTE || type == QUORUM_INSTALL;
}

enum kafka_error quorum_peers_receive(struct quorum_peers *peers, uint64_t session,
                                      const struct quorum_wire_header *header, struct bytes body,
                                      struct buf *frame)
{
    struct peer *peer = peers->running ? peer_of(peers, session) : NULL;
    if (!peer)
        return KAFKA_ERROR_UNKNOWN_LEADER_EPOCH;
    peer->heard_ms = env_now_ms(peers->env);
    if (header->key == QUORUM_WIRE_PING)
        return KAFKA_ERROR_NONE;
    struct quorum_message message;
    int rv = quorum_wire_decode(header, body, frame, &message);
    if (rv != 0) {
        log_warn(peers->env->logger,
                 "Node %" PRId32 " at %s sent a message of the quorum that cannot be read: %s",
                 peer->id.node_id, peer->host, strerror(-rv));
        return KAFKA_ERROR_INVALID_REQUEST;
    }
    message.peer = peer->id;
    if (wants_answer(message.type))
        peer->asked_ms = peer->heard_ms;
    if (peers->node)
        quorum_node_receive(peers->node, &message);
    quorum_wire_release(&message);
    return KAFKA_ERROR_NONE;
}

void quorum_peers_closed(struct quorum_peers *peers, uint64_t session)
{
    struct peer *peer = peer_of(peers, session);
    if (!peer)
        return;
    peer->session = 0;
    if (!peer_is_connected(peer))
        peer->gone_ms = env_now_ms(peers->env);
}
