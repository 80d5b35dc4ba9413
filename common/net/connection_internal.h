/*
 * What connection.c (reading frames, closing), connection_response.c (slots and answers) and
 * connection_group.c (bounds of a group, idle connections) share.
 */
#ifndef KRAFTD_NET_CONNECTION_INTERNAL_H
#define KRAFTD_NET_CONNECTION_INTERNAL_H

#include "common/net/connection.h"
#include "common/net/frame_reader.h"

enum { STAGING_BYTES = 32 * 1024 };

/* Why no further frame may begin; reading is paused while any of these holds. */
enum connection_block {
    BLOCK_LIMIT = 1,
    BLOCK_GROUP = 2,
    BLOCK_MUTED = 4,
    BLOCK_THROTTLED = 8,
    BLOCK_ENDING = 16,
};

enum slot_state {
    SLOT_WAITING,
    SLOT_READY,   /* its answer waits for the ones before */
    SLOT_FAILED,  /* the connection ends when its turn comes */
    SLOT_SENDING, /* given to the stream */
};

struct slot {
    struct request_slot base;
    struct list link; /* connection.slots: in order of the requests */
    enum slot_state state;
    struct out_chunk *chunks; /* while READY */
    int chunk_count;
    size_t memory_bytes; /* of the answer: files do not count */
    uint64_t end_offset; /* of the answer in all that the connection wrote */
    const char *fail_reason;
};

struct connection {
    struct connection_group *group;
    struct stream *stream; /* NULL once it is closed */
    void *ctx;
    void *token;
    struct endpoint peer;
    int32_t frame_max_bytes;
    unsigned blocked;
    bool parsing; /* on_read is on the stack: it settles the flow itself */
    bool reading_paused;
    bool disconnected; /* stream_close was called */
    bool flushing;     /* what it has been given is still sent */
    const char *end_reason;

    struct frame_reader reader; /* its body is charged to held_bytes */
    struct bytebuf leftover;    /* read, but held back while blocked */

    struct list slots;
    int in_flight;         /* slots in the list */
    struct slot *next_out; /* the first that is not SENDING, or NULL */
    size_t buffered_bytes; /* of requests that are not answered and answers that are not sent */
    uint64_t written_bytes;

    struct list activity_link;
    struct list wait_link;
    int64_t active_ms;
    struct timer throttle_timer;
};

static inline void stat_add(_Atomic int64_t *stat, int64_t n)
{
    /* One writer: no locked instruction needed. */
    atomic_store_explicit(stat, atomic_load_explicit(stat, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* connection.c */
/* Sets and clears reasons, then goes on reading or stops. */
void connection_block(struct connection *c, unsigned set, unsigned clear);
/* Reads on from what was held back. */
void connection_continue(struct connection *c);
void connection_disconnect(struct connection *c, bool flush, const char *reason);
void connection_maybe_free(struct connection *c);

/* connection_response.c */
struct slot *slot_new(struct connection *c, size_t request_bytes);
/* Completes what has gone out; queued_bytes are still in the stream. */
void slots_sent(struct connection *c, size_t queued_bytes);
/* Disconnects a connection that ends, once everything it answers was given to the stream. */
void slots_end_if_answered(struct connection *c);
/* The stream is gone: completes all slots that were answered. */
void slots_drop(struct connection *c);
bool connection_within_limits(const struct connection *c, size_t more_bytes);

/* connection_group.c */
void group_touch(struct connection *c);
/* False: the group holds too much; the connection is called by connection_block when it may. */
bool group_hold(struct connection *c, size_t bytes);
void group_unhold(struct connection_group *group, size_t bytes);
void group_resume_later(struct connection *c);

#endif
