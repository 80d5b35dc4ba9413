/*
 * The other nodes of the quorum, as one node sees them: one ordered connection to each for what we
 * say (quorum_link.h), and a session for each connection that one of them opened to us. It is the
 * transport of a quorum node.
 *
 * Whom we talk to follows the newest voters in the log; before the log names any, those given at
 * the start, or end points whose nodes are not known yet. Besides, whoever sends appends or asks
 * for votes is answered: it may have become a voter while we were away. End points that change are
 * taken over, host names are resolved at every attempt. Messages to a peer that is not connected
 * are dropped.
 *
 * Who may talk to us is decided by the hello: the same cluster, looking for us and nobody else, and
 * not a second living node with a node id or a directory id that is taken. What is refused gets a
 * sentence that names both sides; each side logs it once per change.
 *
 * One loop.
 */
#ifndef KRAFTD_RAFT_QUORUM_PEERS_H
#define KRAFTD_RAFT_QUORUM_PEERS_H

#include "common/protocol/kafka_error.h"
#include "raft/quorum_link.h"
#include "raft/quorum_node.h"

struct quorum_peers;

struct quorum_peers_config {
    struct loop *loop;
    int32_t node_id;
    struct uuid directory_id;
    const char *cluster_id; /* lives as long as the peers */
    struct str listener;    /* controllers are reached on the listener of this name; copied */
    const struct quorum_voters *self; /* one server: our listeners; copied */
    bool wants_to_vote;               /* controller.quorum.auto.join.enable */
    int request_timeout_ms;           /* controller.quorum.request.timeout.ms */
    int backoff_ms;                   /* controller.quorum.retry.backoff.ms */
    int election_timeout_ms;
    const struct quorum_voters *first; /* until the log names voters; may be NULL; copied */
    const struct endpoint *contacts;   /* likewise, where not even these are known; copied */
    int contact_count;
};

struct quorum_peers *quorum_peers_new(const struct quorum_peers_config *config);
/* Whose messages these are; before start. */
void quorum_peers_bind(struct quorum_peers *peers, struct quorum_node *node);
const struct quorum_transport *quorum_peers_transport(struct quorum_peers *peers);
/* Begins to connect. */
void quorum_peers_start(struct quorum_peers *peers);
/* Closes all links; sessions are refused from then on. `stopped` on a later turn. */
void quorum_peers_stop(struct quorum_peers *peers, void (*stopped)(void *ctx), void *ctx);
void quorum_peers_free(struct quorum_peers *peers); /* stopped, or never started; NULL is fine */

/* A connection's hello. Returns its session, 0 when it is refused. The answer's texts live until
 * the next call. */
uint64_t quorum_peers_hello(struct quorum_peers *peers, const struct peer_hello *hello,
                            struct str host, struct peer_hello_answer *ret_answer);
/* A request of a session, but HELLO, FORMATION and CHECKPOINT. `body` lies in `frame`.
 * UNKNOWN_LEADER_EPOCH: the session is not the peer's newest; INVALID_REQUEST: malformed. */
enum kafka_error quorum_peers_receive(struct quorum_peers *peers, uint64_t session,
                                      const struct quorum_wire_header *header, struct bytes body,
                                      struct buf *frame);
bool quorum_peers_knows(const struct quorum_peers *peers, uint64_t session);
/* The connection is gone. */
void quorum_peers_closed(struct quorum_peers *peers, uint64_t session);

/* A controller that is no member yet: it is connected to as well, where this server's listeners
 * say, until the next call; NULL: nobody. Copied. */
void quorum_peers_call(struct quorum_peers *peers, const struct quorum_server *server);

/* What is known about the connections with one node. */
struct quorum_peer_view {
    struct quorum_peer_id id;
    bool connected;     /* it has a live session with us, or we with it */
    int64_t gone_ms;    /* since when it is not; INT64_MIN: it never was */
    int64_t heard_ms;   /* its last request; INT64_MIN: none */
    int last_status;    /* of our last attempt: -ECONNREFUSED: no process listens there */
    bool wants_to_vote; /* it said so */
    const struct quorum_voters *self; /* its listeners, as it said; NULL */
};
/* The at'th of them; false behind the last. Valid until the next event. */
bool quorum_peers_at(const struct quorum_peers *peers, size_t at, struct quorum_peer_view *ret);
bool quorum_peers_find(const struct quorum_peers *peers, uint64_t raft_id,
                       struct quorum_peer_view *ret);

/* For asking one of them beyond messages (a checkpoint): NULL when it is not connected. */
struct quorum_link *quorum_peers_link(struct quorum_peers *peers, uint64_t raft_id);

#endif
