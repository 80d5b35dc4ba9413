#include "raft/quorum_peers_internal.h"

#define LOG_MODULE "quorum"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TICK_MS        50
#define BACKOFF_MAX_MS 500
/* A connection that says nothing for so long is tested. */
#define PING_MS         250
#define TRIES_PER_PLACE 2

static void tick(struct timer *timer);

static void fill_listeners(struct quorum_peers *peers)
{
    const struct quorum_server *self = &peers->config.self->servers[0];
    peers->listeners = mem_calloc((size_t)self->listener_count + 1, sizeof(*peers->listeners));
    for (int i = 0; i < self->listener_count; i++) {
        peers->listeners[i].name = str_of(self->listeners[i].name);
        peers->listeners[i].host = str_of(self->listeners[i].host);
        peers->listeners[i].port = self->listeners[i].port;
    }
}

struct quorum_peers *quorum_peers_new(const struct quorum_peers_config *config)
{
    struct quorum_peers *peers = mem_calloc(1, sizeof(*peers));
    peers->config = *config;
    peers->env = config->loop->env;
    peers->listener = str_dup_z(config->listener);
    peers->config.self = quorum_voters_copy(config->self);
    if (config->first)
        peers->config.first = quorum_voters_copy(config->first);
    struct endpoint *contacts = mem_calloc((size_t)config->contact_count + 1, sizeof(*contacts));
    if (config->contact_count > 0)
        memcpy(contacts, config->contacts, (size_t)config->contact_count * sizeof(*contacts));
    peers->config.contacts = contacts;
    fill_listeners(peers);
    peers->incarnation_id = env_random_uuid(peers->env);
    peers->transport =
        (struct quorum_transport){.send = peers_send, .fetch = peers_fetch, .ctx = peers};
    peers->leading_epoch = -1;
    timer_init(&peers->timer, config->loop, tick);
    return peers;
}

void quorum_peers_bind(struct quorum_peers *peers, struct quorum_node *node)
{
    peers->node = node;
}

const struct quorum_transport *quorum_peers_transport(struct quorum_peers *peers)
{
    return &peers->transport;
}

struct peer *peers_find(const struct quorum_peers *peers, uint64_t raft_id)
{
    for (size_t i = 0; i < peers->count; i++) {
        if (peers->items[i]->id.raft_id == raft_id)
            return peers->items[i];
    }
    return NULL;
}

static void peer_free(struct peer *peer)
{
    CHECK(!peer->link);
    quorum_voters_unref(peer->self);
    free(peer);
}

static void init(struct peer *peer, struct quorum_peers *peers, const struct quorum_peer_id *id)
{
    *peer = (struct peer){.peers = peers,
                          .id = *id,
                          .heard_ms = INT64_MIN,
                          .gone_ms = INT64_MIN,
                          .asked_ms = INT64_MIN};
}

static struct peer *add(struct quorum_peers *peers, const struct quorum_peer_id *id)
{
    struct peer *peer = mem_alloc(sizeof(*peer));
    init(peer, peers, id);
    VEC_PUSH(peers->items, peers->count, peers->capacity) = peer;
    return peer;
}

struct peer *peers_meet(struct quorum_peers *peers, const struct quorum_peer_id *id)
{
    struct peer *peer = peers_find(peers, id->raft_id);
    if (peer || peers->count < QUORUM_PEERS_MAX)
        return peer ? peer : add(peers, id);
    for (size_t i = 0; i < peers->count; i++) {
        peer = peers->items[i];
        if (peer->wanted || peer->session != 0)
            continue;
        quorum_voters_unref(peer->self);
        init(peer, peers, id);
        return peer;
    }
    return NULL;
}

static void link_closed(void *owner)
{
    struct quorum_peers *peers = owner;
    peers->closing_links--;
    if (peers->stopping && peers->closing_links == 0 && peers->stopped) {
        void (*stopped)(void *) = peers->stopped;
        peers->stopped = NULL;
        stopped(peers->stopped_ctx);
    }
}

static void unlink_peer(struct peer *peer)
{
    if (!peer->link)
        return;
    bool was_connected = peer_is_connected(peer);
    peer->peers->closing_links++;
    quorum_link_close(peer->link, link_closed, peer->peers);
    peer->link = NULL;
    if (was_connected && !peer_is_connected(peer))
        peer->gone_ms = env_now_ms(peer->peers->env);
}

static void fill_hello(void *owner, struct peer_hello *hello)
{
    const struct peer *peer = owner;
    const struct quorum_peers *peers = peer->peers;
    hello->cluster_id = str_of(peers->config.cluster_id);
    hello->node_id = peers->config.node_id;
    hello->directory_id = peers->config.directory_id;
    hello->incarnation_id = peers->incarnation_id;
    hello->peer_node_id = peer->id.raft_id ? peer->id.node_id : -1;
    hello->peer_directory_id = peer->id.directory_id;
    hello->wants_to_vote = peers->config.wants_to_vote;
    hello->listeners = peers->listeners;
    hello->listeners_count = peers->config.self->servers[0].listener_count;
}

/* An end point turned out to be this node: nobody to talk to, or somebody who is known already. */
static void learn(struct peer *peer, const struct peer_hello_answer *answer)
{
    struct quorum_peers *peers = peer->peers;
    uint64_t raft_id = quorum_raft_id(answer->directory_id);
    struct peer *known = peers_find(peers, raft_id);
    if (known)
        known->found_at = peer->endpoint;
    /* It called first, and nobody but this end point says where to answer it. */
    if (known && !known->link)
        known->endpoint = peer->endpoint;
    if (known || raft_id == quorum_raft_id(peers->config.directory_id)) {
        peer->is_known = true;
        return;
    }
    peer->id = (struct quorum_peer_id){answer->node_id, answer->directory_id, raft_id};
}

static void on_ready(void *owner, const struct peer_hello_answer *answer)
{
    struct peer *peer = owner;
    char where[HOST_MAX + 16];
    endpoint_format(quorum_link_endpoint(peer->link), where);
    peer->last_status = 0;
    peer->failures = 0;
    peer->said = 0;
    log_info(peer->peers->env->logger, "Connected to node %" PRId32 " of the quorum at %s",
             answer->node_id, where);
    if (peer->id.raft_id == 0)
        learn(peer, answer);
}

static const char *text_of(int status)
{
    return status == -EAGAIN ? "it is starting" : strerror(-status);
}

/* Each failure once, until it changes. */
static void on_down(void *owner, int status, struct str refusal)
{
    struct peer *peer = owner;
    struct logger *logger = peer->peers->env->logger;
    char where[HOST_MAX + 16];
    endpoint_format(quorum_link_endpoint(peer->link), where);
    peer->last_status = status;
    peer->failures++;
    if (status == -ECONNREFUSED && peer->id.raft_id != 0 && !peer->peers->stopping)
        quorum_node_peer_gone(peer->peers->node, peer->id.raft_id);
    if (!peer_is_connected(peer) && peer->heard_ms > peer->gone_ms)
        peer->gone_ms = env_now_ms(peer->peers->env);
    uint64_t said = status == -EPERM ? str_hash(refusal) : (uint64_t)(int64_t)status;
    if (said == peer->said || status == -ECANCELED)
        return;
    peer->said = said;
    if (status == -EPERM)
        log_warn(logger, "The node at %s refuses to talk to this one: %.*s", where,
                 STR_FMT(refusal));
    else if (peer->id.raft_id != 0)
        log_info(logger, "No connection to node %" PRId32 " of the quorum at %s: %s",
                 peer->id.node_id, where, text_of(status));
    else
        log_info(logger, "No connection to the controller at %s: %s", where, text_of(status));
}

static const struct quorum_link_handler link_handler = {fill_hello, on_ready, on_down};

static void link_peer(struct peer *peer)
{
    const struct quorum_peers_config *config = &peer->peers->config;
    struct quorum_link_options options = {
        .loop = config->loop,
        .endpoint = peer->endpoint,
        .request_timeout_ms = config->request_timeout_ms,
        .backoff_min_ms = config->backoff_ms,
        .backoff_max_ms = MAX(BACKOFF_MAX_MS, config->backoff_ms),
        .handler = &link_handler,
        .owner = peer,
    };
    peer->link = quorum_link_new(&options);
}

static bool same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

static void want(struct peer *peer, const struct endpoint *endpoint)
{
    peer->wanted = true;
    if (peer->link && same_endpoint(&peer->endpoint, endpoint))
        return;
    unlink_peer(peer);
    peer->endpoint = *endpoint;
    link_peer(peer);
}

/* Its listener of our name, or its first. */
static bool endpoint_of(const struct quorum_peers *peers, const struct quorum_server *server,
                        struct endpoint *ret)
{
    const struct quorum_listener *found = NULL;
    for (int i = 0; i < server->listener_count; i++) {
        if (!found || strcmp(server->listeners[i].name, peers->listener) == 0)
            found = &server->listeners[i];
    }
    if (!found || found->port == 0 || strlen(found->host) > HOST_MAX)
        return false;
    *ret = (struct endpoint){.port = found->port};
    memcpy(ret->host, found->host, strlen(found->host) + 1);
    return true;
}

/* Where a member may be: where the log says, where it said that it is, and where a configured end
 * point led to it. One after the other, each tried twice, as long as it is nowhere. */
static struct endpoint place_of(struct peer *peer, const struct endpoint *recorded)
{
    struct endpoint places[3] = {*recorded}, said;
    unsigned count = 1;
    if (peer->self && endpoint_of(peer->peers, &peer->self->servers[0], &said) &&
        !same_endpoint(&said, recorded))
        places[count++] = said;
    if (peer->found_at.port != 0 && !same_endpoint(&peer->found_at, recorded))
        places[count++] = peer->found_at;
    if (peer->failures >= TRIES_PER_PLACE) {
        peer->failures = 0;
        peer->place++;
    }
    return places[peer->place % count];
}

/* Returns whether all of them are connected. */
static bool want_voters(struct quorum_peers *peers, const struct quorum_voters *voters)
{
    bool all = true;
    uint64_t self = quorum_raft_id(peers->config.directory_id);
    for (int i = 0; i < voters->count; i++) {
        const struct quorum_server *server = &voters->servers[i];
        struct quorum_peer_id id = {server->node_id, server->directory_id, server->raft_id};
        struct endpoint endpoint;
        /* Our own node id with another directory is the disk that this one replaces. */
        bool is_self = server->raft_id == self || server->node_id == peers->config.node_id;
        struct peer *peer = is_self ? NULL : peers_meet(peers, &id);
        if (!peer)
            continue;
        /* A static quorum's records have no end points: those of the configuration hold on. */
        const struct quorum_server *first =
            peers->config.first ? quorum_voters_find(peers->config.first, id.raft_id) : NULL;
        if (endpoint_of(peers, server, &endpoint) ||
            (first && endpoint_of(peers, first, &endpoint))) {
            endpoint = place_of(peer, &endpoint);
            want(peer, &endpoint);
            all = all && quorum_link_is_ready(peer->link);
        }
    }
    return all;
}

static void want_contacts(struct quorum_peers *peers)
{
    static const struct quorum_peer_id unknown = {.node_id = -1};
    for (int i = 0; i < peers->config.contact_count; i++) {
        const struct endpoint *endpoint = &peers->config.contacts[i];
        struct peer *found = NULL;
        for (size_t k = 0; k < peers->count; k++) {
            if (same_endpoint(&peers->items[k]->endpoint, endpoint) && (!found || found->is_known))
                found = peers->items[k];
        }
        if (!found && peers->count < QUORUM_PEERS_MAX)
            want(add(peers, &unknown), endpoint);
        else if (found && !found->is_known)
            want(found, endpoint);
    }
}

/* A leader or candidate may have become a voter in a part of the log that is not here yet: that
 * part comes only when its appends are answered. */
static void want_askers(struct quorum_peers *peers)
{
    int64_t now_ms = env_now_ms(peers->env);
    for (size_t i = 0; i < peers->count; i++) {
        struct peer *peer = peers->items[i];
        struct endpoint endpoint;
        if (!peer->wanted && peer->asked_ms != INT64_MIN &&
            now_ms - peer->asked_ms < PEER_SILENCE_MS && peer->self &&
            endpoint_of(peers, &peer->self->servers[0], &endpoint))
            want(peer, &endpoint);
    }
}

static void want_called(struct quorum_peers *peers)
{
    struct peer *peer = peers->called.raft_id != 0 ? peers_meet(peers, &peers->called) : NULL;
    if (peer && !peer->wanted)
        want(peer, &peers->called_at);
}

void quorum_peers_call(struct quorum_peers *peers, const struct quorum_server *server)
{
    peers->called = (struct quorum_peer_id){0};
    if (!server || !endpoint_of(peers, server, &peers->called_at) ||
        server->raft_id == quorum_raft_id(peers->config.directory_id))
        return;
    peers->called = (struct quorum_peer_id){server->node_id, server->directory_id, server->raft_id};
}

static void drop_unwanted(struct quorum_peers *peers)
{
    size_t kept = 0;
    for (size_t i = 0; i < peers->count; i++) {
        struct peer *peer = peers->items[i];
        if (!peer->wanted)
            unlink_peer(peer);
        if (!peer->wanted && peer->id.raft_id == 0 && !peer->is_known)
            peer_free(peer);
        else
            peers->items[kept++] = peer;
    }
    peers->count = kept;
}

static void refresh(struct quorum_peers *peers)
{
    if (!peers->node || !quorum_node_is_open(peers->node))
        return;
    const struct quorum_voters *voters = quorum_node_voters(peers->node);
    if (!voters)
        voters = peers->config.first;
    for (size_t i = 0; i < peers->count; i++)
        peers->items[i]->wanted = false;
    if (!voters || !want_voters(peers, voters))
        want_contacts(peers);
    want_askers(peers);
    want_called(peers);
    drop_unwanted(peers);
}

static void ping(struct peer *peer, int64_t now_ms)
{
    if (!peer->link || !quorum_link_is_ready(peer->link) ||
        now_ms - quorum_link_sent_ms(peer->link) < PING_MS)
        return;
    struct peer_ping message;
    message_init(&peer_ping_desc, &message);
    message.unsent_messages = (int64_t)peer->dropped;
    (void)quorum_link_ask(peer->link, QUORUM_WIRE_PING, &message, NULL, NULL);
}

static void tick(struct timer *timer)
{
    struct quorum_peers *peers = CONTAINER_OF(timer, struct quorum_peers, timer);
    int64_t now_ms = env_now_ms(peers->env);
    refresh(peers);
    for (size_t i = 0; i < peers->count; i++)
        ping(peers->items[i], now_ms);
    peers_step_members(peers);
    peers_say_outlook(peers);
    timer_start_in_ms(&peers->timer, TICK_MS);
}

void quorum_peers_start(struct quorum_peers *peers)
{
    peers->running = true;
    peers->leaderless_ms = env_now_ms(peers->env);
    refresh(peers);
    timer_start_in_ms(&peers->timer, TICK_MS);
}

static void no_links(struct task *task)
{
    link_closed(CONTAINER_OF(task, struct quorum_peers, stop_task));
}

void quorum_peers_stop(struct quorum_peers *peers, void (*stopped)(void *ctx), void *ctx)
{
    CHECK(!peers->stopping);
    peers->running = false;
    peers->stopping = true;
    peers->stopped = stopped;
    peers->stopped_ctx = ctx;
    timer_stop(&peers->timer);
    for (size_t i = 0; i < peers->count; i++)
        unlink_peer(peers->items[i]);
    peers->closing_links++;
    peers->stop_task.run = no_links;
    loop_post(peers->config.loop, &peers->stop_task);
}

void quorum_peers_free(struct quorum_peers *peers)
{
    if (!peers)
        return;
    CHECK(!peers->running && peers->closing_links == 0);
    for (size_t i = 0; i < peers->count; i++)
        peer_free(peers->items[i]);
    free(peers->items);
    quorum_voters_unref((struct quorum_voters *)(uintptr_t)peers->config.self);
    quorum_voters_unref((struct quorum_voters *)(uintptr_t)peers->config.first);
    free((struct endpoint *)(uintptr_t)peers->config.contacts);
    free(peers->listeners);
    free(peers->listener);
    free(peers);
}

static void view_of(const struct peer *peer, struct quorum_peer_view *ret)
{
    *ret = (struct quorum_peer_view){
        .id = peer->id,
        .connected = peer_is_heard(peer) || (peer->link && quorum_link_is_ready(peer->link)),
        .gone_ms = MAX(peer->gone_ms, peer->heard_ms),
        .heard_ms = peer->heard_ms,
        .last_status = peer->last_status,
        .wants_to_vote = peer->wants_to_vote,
        .self = peer->self,
    };
}

bool quorum_peers_at(const struct quorum_peers *peers, size_t at, struct quorum_peer_view *ret)
{
    if (at >= peers->count)
        return false;
    view_of(peers->items[at], ret);
    return true;
}

bool quorum_peers_find(const struct quorum_peers *peers, uint64_t raft_id,
                       struct quorum_peer_view *ret)
{
    const struct peer *peer = peers_find(peers, raft_id);
    if (!peer || raft_id == 0)
        return false;
    view_of(peer, ret);
    return true;
}

struct quorum_link *quorum_peers_link(struct quorum_peers *peers, uint64_t raft_id)
{
    struct peer *peer = peers_find(peers, raft_id);
    return peer && peer->link && quorum_link_is_ready(peer->link) ? peer->link : NULL;
}
