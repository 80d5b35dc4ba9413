/*
 * Inside of quorum_peers: quorum_peers.c (whom we talk to), quorum_peers_send.c (what goes out),
 * quorum_peers_hello.c (who talks to us) and quorum_peers_outlook.c (who is missing).
 */
#ifndef KRAFTD_RAFT_QUORUM_PEERS_INTERNAL_H
#define KRAFTD_RAFT_QUORUM_PEERS_INTERNAL_H

#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "raft/quorum_outlook.h"
#include "raft/quorum_peers.h"

/* Nodes that are remembered; strangers must not fill the memory. */
#define QUORUM_REFUSALS_KEPT 16
#define QUORUM_PEERS_MAX     (2 * QUORUM_SERVERS_MAX)
#define QUORUM_REFUSAL_MAX   512

struct peer {
    struct quorum_peers *peers;
    struct quorum_peer_id id; /* raft_id 0: an end point whose node is not known yet */
    /* What we say to it. */
    bool wanted;
    bool is_known; /* an end point of this node, or of a peer that has its own entry */
    struct endpoint endpoint;
    struct quorum_link *link;
    struct endpoint found_at; /* a configured end point where it answered; port 0: none */
    unsigned place;           /* which of the places where it may be is tried */
    unsigned failures;        /* there, in a row */
    int last_status;
    uint64_t dropped; /* messages that could not go out */
    uint64_t said;    /* hash of the last failure that was logged */
    /* What it says to us. */
    uint64_t session; /* 0: none */
    struct uuid incarnation_id;
    char host[HOST_MAX + 1];
    int64_t heard_ms, gone_ms;
    int64_t asked_ms; /* when it last sent what wants a message for an answer; INT64_MIN: never */
    bool wants_to_vote;
    struct quorum_voters *self;
};

struct quorum_peers {
    struct quorum_peers_config config;
    struct env *env;
    char *listener;
    struct peer_hello_listener *listeners; /* ours, as a hello says them */
    struct uuid incarnation_id;
    struct quorum_transport transport;
    struct quorum_node *node;
    struct peer **items;
    size_t count, capacity;
    uint64_t last_session;
    struct timer timer;
    struct quorum_peer_id called; /* quorum_peers_call; raft_id 0: nobody */
    struct endpoint called_at;
    int32_t leading_epoch; /* in which we lead, since: */
    int64_t leading_ms;
    uint64_t step_said;               /* hash of what was logged last about members */
    int64_t leaderless_ms;            /* since when nobody leads, or when that was last not so */
    enum quorum_outlook_kind outlook; /* that was logged last, and when */
    int64_t outlook_ms;
    int64_t observes_ms; /* since when our node id's vote belongs to another disk, as above */
    bool said_whose_vote;
    bool running, stopping;
    int closing_links;
    struct task stop_task;
    char refusal[QUORUM_REFUSAL_MAX];
    struct {
        uint64_t hash;
        int64_t ms;
    } refusals[QUORUM_REFUSALS_KEPT]; /* that were logged last */
    size_t next_refusal;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

struct peer *peers_find(const struct quorum_peers *peers, uint64_t raft_id);
/* NULL when there are too many. */
struct peer *peers_meet(struct quorum_peers *peers, const struct quorum_peer_id *id);
/* On the leader, from time to time: the next step of quorum_replace.h. */
void peers_step_members(struct quorum_peers *peers);
/* From time to time: a sentence where no leader can be elected. */
void peers_say_outlook(struct quorum_peers *peers);
int peers_fetch(void *ctx, uint64_t raft_id, struct quorum_checkpoint_id id, int64_t position,
                void (*fetched)(void *fetch_ctx, int status, int64_t size, struct bytes data,
                                struct buf *frame),
                void *fetch_ctx);
void peers_send(void *ctx, const struct quorum_message *message);
/* A session that was silent for longer has lost its process or its network: peers ping. Its
 * connection may stay for ever: a machine without power does not close it. */
#define PEER_SILENCE_MS 1500
static inline bool peer_is_heard(const struct peer *peer)
{
    return peer->session != 0 && env_now_ms(peer->peers->env) - peer->heard_ms < PEER_SILENCE_MS;
}
static inline bool peer_is_connected(const struct peer *peer)
{
    return peer->session != 0 || (peer->link && quorum_link_is_ready(peer->link));
}

#endif
