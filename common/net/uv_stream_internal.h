/*
 * A socket as a stream: what its reading and closing (uv_stream.c) and its output queue
 * (uv_stream_output.c) share.
 */
#ifndef KRAFTD_NET_UV_STREAM_INTERNAL_H
#define KRAFTD_NET_UV_STREAM_INTERNAL_H

#include "common/net/uv_env_internal.h"

enum stream_state {
    STREAM_NEW,       /* belongs to no loop */
    STREAM_OPEN,      /* has an owner */
    STREAM_FLUSHING,  /* closed by its owner, output is still going out */
    STREAM_LINGERING, /* our side is shut down; what the peer still sends is thrown away */
    STREAM_CLOSED,
};

struct uv_stream {
    struct stream base;
    struct uv_env *env;
    uv_poll_t poll;
    bool pollable;
    int fd;
    int polled_events; /* what the descriptor is watched for */
    enum stream_state state;
    bool read_paused;
    bool read_ended; /* the peer's end was seen */
    bool blocked;    /* the socket takes no more; wait until it is writable */
    int error;       /* broken: nothing goes in or out any more */
    bool error_told;
    struct out_chunk *queue; /* a ring */
    size_t queue_first, queue_count, queue_capacity;
    struct list dirty;
    struct timer close_timer;
    struct task destroy_task;
    void (*closed)(void *owner);
    void *closed_owner;
};

static inline struct uv_stream *uv_stream_of(struct stream *s)
{
    return CONTAINER_OF(s, struct uv_stream, base);
}

/* Has the end of the turn look at the stream. */
void stream_mark_dirty(struct uv_stream *s);
/* Notes the error and drops the output; the owner hears of it at the end of the turn. */
void stream_break(struct uv_stream *s, int error);

/* uv_stream_output.c */
void stream_queue_push(struct uv_stream *s, struct out_chunk *chunks, int count);
void stream_queue_drop(struct uv_stream *s);
/* Sends what the socket takes. Sets `blocked`, or breaks the stream. True when anything went out.
 */
bool stream_queue_send(struct uv_stream *s);

#endif
