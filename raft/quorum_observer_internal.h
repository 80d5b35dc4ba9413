/*
 * Inside of an observer. quorum_observer.c: whom to ask, and the connection;
 * quorum_observer_take.c: answers to Fetch and the log; quorum_observer_snapshot.c: a checkpoint
 * from the leader.
 *
 *   IDLE -> CONNECTING -> VERSIONS -> FETCHING <-> PAUSED
 *    ^                                   | \-> TRUNCATING -> FETCHING
 *    |                                   \-> SNAPSHOT (asking, writing) -> INSTALLING -> FETCHING
 *    \-- from anywhere, when the connection breaks or the answer is bad
 */
#ifndef KRAFTD_RAFT_QUORUM_OBSERVER_INTERNAL_H
#define KRAFTD_RAFT_QUORUM_OBSERVER_INTERNAL_H

#include "common/net/client.h"
#include "common/protocol/frame.h"
#include "raft/quorum_checkpoint_receive.h"
#include "raft/quorum_node_internal.h"
#include "raft/quorum_observer.h"

/* What the leader may hold a fetch for. */
#define OBSERVER_MAX_WAIT_MS 500
/* A log that a leader offers in a checkpoint larger than this is no metadata. */
#define OBSERVER_SNAPSHOT_MAX_BYTES ((int64_t)64 << 30)

enum observer_state {
    OBSERVER_IDLE,
    OBSERVER_CONNECTING,
    OBSERVER_VERSIONS,
    OBSERVER_FETCHING,
    OBSERVER_PAUSED,
    OBSERVER_TRUNCATING,
    OBSERVER_SNAPSHOT,
    OBSERVER_INSTALLING,
    OBSERVER_HALTED,
};

/* The voters that a batch at this offset named; -1: the newest checkpoint did. */
struct observer_voters {
    int64_t offset;
    struct quorum_voters *voters;
};

struct quorum_observer {
    struct quorum_node *node;
    const struct quorum_follow_config *config; /* the node's */
    enum observer_state state;
    struct timer timer;
    struct client *client;
    int closing; /* connections that are not gone yet */
    struct endpoint target;
    struct client_request request;
    bool asking;
    int16_t fetch_version, snapshot_version, cluster_version;
    unsigned attempts; /* since the last good answer */
    size_t rotation;   /* whom to ask next beside the leader */
    bool news;         /* the last answer told of another leader */
    int64_t asked_ms;
    int64_t heard_ms; /* when a leader last answered as one */
    bool known_endpoint;
    struct endpoint leader_endpoint;
    int32_t last_epoch; /* of the last batch of the log, or the checkpoint's */
    struct observer_voters *voters;
    size_t voters_count, voters_capacity;
    bool job_mine; /* the node's job is a truncation or an installation of ours */
    bool state_dirty, storing_state;
    int64_t cut_offset; /* TRUNCATING */
    int64_t unsynced_bytes;

    struct quorum_checkpoint_id snapshot_id;
    struct quorum_checkpoint_receiver *receiver;
    struct quorum_checkpoint_info snapshot_info;
    int64_t snapshot_size, snapshot_position;
    struct work snapshot_work;
    bool writing;
    struct buf *piece_frame; /* holds the bytes of the piece */
    struct bytes piece;
    int snapshot_rv;

    bool scouting, found;
    int32_t scout_epoch, scout_leader;

    char said[QUORUM_SENTENCE_MAX];
    int64_t said_ms;
};

/* quorum_observer.c */
/* Sends a request of ours; the answer comes to `done`. */
void observer_ask(struct quorum_observer *o, int16_t api_key, int16_t version, const void *request,
                  void (*done)(struct client_request *, int status, struct buf *frame));
/* Takes the header off an answer and decodes the rest; false: it was not readable. */
bool observer_decode(struct quorum_observer *o, int16_t api_key, int16_t version, struct buf *frame,
                     struct arena *arena, void *ret_response);
/* The connection ends; the next controller is asked after a pause. */
void observer_retry(struct quorum_observer *o, int64_t pause_ms);
/* The request under way has ended: false, and the connection is seen to, where nothing came. */
bool observer_was_answered(struct quorum_observer *o, int status);
/* The same, and says why; nothing is said twice in a row within a minute. */
__attribute__((format(printf, 2, 3))) void observer_give_up(struct quorum_observer *o,
                                                            const char *format, ...);
__attribute__((format(printf, 2, 3))) void observer_say(struct quorum_observer *o,
                                                        const char *format, ...);
void observer_fetch(struct quorum_observer *o);
/* The controller is of another cluster: asks which one, and gives it up with a sentence that names
 * both. */
void observer_ask_cluster(struct quorum_observer *o);
/* Fetches again on this connection, after a pause. */
void observer_pause(struct quorum_observer *o, int64_t pause_ms);
/* What an answer says about the leader. False: it is a contradiction, or older than what we know;
 * the connection was given up. */
bool observer_learn(struct quorum_observer *o, int32_t epoch, int32_t leader_id,
                    const struct endpoint *endpoint);
/* The answer came from somebody who does not lead: to the leader, where that is known. */
void observer_go_to_leader(struct quorum_observer *o);

/* quorum_observer_take.c */
void observer_fetched(struct client_request *request, int status, struct buf *frame);
void observer_note_voters(struct quorum_observer *o, int64_t offset, struct quorum_voters *voters);
void observer_forget_voters(struct quorum_observer *o, int64_t from_offset);
void observer_sync(struct quorum_observer *o);

/* quorum_observer_snapshot.c */
void observer_take_snapshot(struct quorum_observer *o, struct quorum_checkpoint_id id);
/* The file is whole and durable, and nobody uses the log: it takes the log's place. */
void observer_install(struct quorum_observer *o);
void observer_installed(struct quorum_observer *o);

static inline struct quorum_observer *observer_of(struct client_request *request)
{
    return CONTAINER_OF(request, struct quorum_observer, request);
}

#endif
