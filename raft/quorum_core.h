/*
 * The consensus of the metadata log without disk, network or clock: libraft, driven by raft_step,
 * behind the mapping to Kafka's batches and the guards W1 to W21 (raft/README.md). Events go in;
 * actions come out in a queue and must be carried out one after the other in its order:
 *
 *   STORE_STATE   make term and vote durable before anything behind it is begun
 *   TRUNCATE      drop the log from an index on
 *   APPEND        append a batch; not yet durable, report it with quorum_core_persisted
 *   INSTALL       fetch this snapshot and replace log and state by it
 *   SEND          give a message to the transport (drop it when the peer is not connected)
 *   ROLE          we lead, follow or stand; who leads
 *   COMMIT        all up to this index is committed and durable here
 *   FAIL          an invariant of the library broke, or it refused: stop the node
 *
 * One loop; no call blocks. now_ms is monotonic. What is taken out with an action belongs to the
 * caller: quorum_action_release. Errors are negative errno: -EPERM we do not lead (or are handing
 * over), -EAGAIN not now, try again after a commit or a heartbeat, -EINVAL it makes no sense.
 */
#ifndef KRAFTD_RAFT_QUORUM_CORE_H
#define KRAFTD_RAFT_QUORUM_CORE_H

#include "raft/quorum_guard.h"
#include "raft/quorum_message.h"

struct quorum_core;

struct quorum_core_config {
    int32_t node_id;
    struct uuid directory_id;
    unsigned election_timeout_ms;
    unsigned heartbeat_ms;
    unsigned install_timeout_ms; /* more than a snapshot's transfer takes */
    unsigned seed;
    quorum_guards_off guards_off; /* mutations, for tests; 0 */
};

enum quorum_action_type {
    QUORUM_STORE_STATE,
    QUORUM_TRUNCATE,
    QUORUM_APPEND_BATCH,
    QUORUM_INSTALL_SNAPSHOT,
    QUORUM_SEND,
    QUORUM_ROLE,
    QUORUM_COMMIT,
    QUORUM_FAIL,
};

enum quorum_role { QUORUM_FOLLOWER, QUORUM_CANDIDATE, QUORUM_LEADER };

struct quorum_action {
    enum quorum_action_type type;
    union {
        struct {
            uint64_t term;
            struct quorum_peer_id voted; /* raft_id 0: nobody; node_id -1: not known by name */
        } state;
        uint64_t index; /* TRUNCATE: the first that goes; COMMIT: the last committed */
        struct {
            struct quorum_batch
                batch; /* a BARRIER has no bytes: write a LeaderChange with these: */
            struct quorum_voters *voters; /* the voters of the new leader, for a BARRIER */
            uint64_t granted;             /* bit i: voters->servers[i] voted for us */
            uint64_t write_id;            /* for quorum_core_persisted */
        } append;
        struct {
            uint64_t index, term;
            struct quorum_voters *voters;
            struct quorum_peer_id from;
        } install;
        struct quorum_message message;
        struct {
            enum quorum_role role;
            uint64_t term;
            struct quorum_peer_id leader; /* raft_id 0: unknown */
        } role;
        const char *reason;
    };
};

void quorum_action_release(struct quorum_action *action);

struct quorum_core *quorum_core_new(const struct quorum_core_config *config);
void quorum_core_free(struct quorum_core *core); /* NULL is fine */

/* What the disk holds, told in this order before quorum_core_start: state, snapshot, batches from
 * the start of the log on (the bootstrap voters are the batch at index 1). References are taken. */
void quorum_core_load_state(struct quorum_core *core, uint64_t term, uint64_t voted_raft_id);
void quorum_core_load_snapshot(struct quorum_core *core, uint64_t index, uint64_t term,
                               struct quorum_voters *voters);
/* -EINVAL: it does not follow the one before it, or its term goes back. */
int quorum_core_load_batch(struct quorum_core *core, uint64_t base, uint32_t count, uint64_t term,
                           struct quorum_voters *voters);
/* -EINVAL: the log needs a snapshot or the bootstrap voters and has neither, or begins behind its
 * snapshot. See also quorum_core_log_forgotten. */
int quorum_core_start(struct quorum_core *core, int64_t now_ms);

/* The next action, false when there is none. */
bool quorum_core_take(struct quorum_core *core, struct quorum_action *ret_action);
/* The one that take would give, NULL when there is none; until the next call. */
const struct quorum_action *quorum_core_peek(const struct quorum_core *core);

/* Call quorum_core_tick at or after this time; reread it after every call. */
int64_t quorum_core_deadline_ms(const struct quorum_core *core);
void quorum_core_tick(struct quorum_core *core, int64_t now_ms);
/* The batches are borrowed. Anything malformed is dropped and counted. */
void quorum_core_receive(struct quorum_core *core, const struct quorum_message *message,
                         int64_t now_ms);
/* The process of this leader is known to be gone: no need to wait for a whole election timeout. */
void quorum_core_leader_gone(struct quorum_core *core, uint64_t raft_id, int64_t now_ms);
/* All writes up to this one are durable. */
void quorum_core_persisted(struct quorum_core *core, uint64_t write_id, int64_t now_ms);

/* A batch of `count` records (no voters). Its base index is final if it commits: the caller patches
 * offset and epoch into the bytes when the action comes. Takes a reference of bytes.buf. */
int quorum_core_submit(struct quorum_core *core, uint32_t count, struct quorum_bytes bytes,
                       int64_t now_ms, uint64_t *ret_base);

/* A checkpoint of all up to `index`, a committed batch end, is durable, and the log begins at
 * first_index now (whole segments; at most index + 1). -ESTALE: an installed snapshot is newer. */
int quorum_core_snapshot_taken(struct quorum_core *core, uint64_t index, uint64_t first_index,
                               int64_t now_ms);
/* The snapshot of the INSTALL action is durable and the log is empty behind it. */
void quorum_core_snapshot_installed(struct quorum_core *core, int64_t now_ms);

/*
 * One change of the voters (raft/quorum_change.c): at most one server differs from the newest set.
 * The bytes hold `count` control records with the VotersRecord. -EAGAIN: one is open, or not enough
 * of the new voters are alive and caught up (W5, W7), or proved to be so.
 */
int quorum_core_change(struct quorum_core *core, struct quorum_voters *voters, uint32_t count,
                       struct quorum_bytes bytes, int64_t now_ms, uint64_t *ret_base);
/* The change would be made, but it takes a voter out, and what is known of the others may be older
 * than the loss of a disk: the set as it is has to be changed into itself first. Those that have
 * stored that count. */
bool quorum_core_wants_proof(struct quorum_core *core, const struct quorum_voters *voters,
                             int64_t now_ms);
/* Begins to bring a standby up to date; done when quorum_core_caught_up says so. */
int quorum_core_catch_up(struct quorum_core *core, uint64_t raft_id, int64_t now_ms);
bool quorum_core_caught_up(const struct quorum_core *core, uint64_t raft_id);
/* Hands leadership to that voter, 0: to the one that can take it over soonest (-EAGAIN: nobody is
 * alive). */
int quorum_core_transfer(struct quorum_core *core, uint64_t raft_id, int64_t now_ms);

#include "raft/quorum_core_view.h"

#endif
