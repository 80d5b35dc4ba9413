/*
 * Streams: ordered byte connections between nodes and clients, behind the env so that the
 * simulation can delay, cut and reset them. No framing and no protocol here: that is
 * common/net/connection.h.
 *
 * A stream belongs to one loop. Its callbacks run there, never from inside a call on the stream.
 * Memory of the owner must live until the closed() callback.
 */
#ifndef KRAFTD_BASE_STREAM_H
#define KRAFTD_BASE_STREAM_H

#include "common/base/buf.h"
#include "common/base/env.h"

struct disk_file;
struct listener;

#define HOST_MAX 255

/* A host name or literal address (IPv6 without brackets; "" or "0.0.0.0" or "::" binds to all). */
struct endpoint {
    char host[HOST_MAX + 1];
    uint16_t port;
};

/* A piece of output: bytes of a buf, or bytes of a file sent without copying them. The stream owns
 * the reference (buf or file) once stream_write was called and drops it when sent. */
struct out_chunk {
    struct buf *buf;        /* or NULL: */
    struct disk_file *file; /* the range [position, position + len) of this file */
    int64_t position;       /* in buf or in file */
    size_t len;
};

struct stream_handler {
    /* Room for the next bytes; *ret_len > 0. on_read follows at once or the room is not touched, so
     * that all streams of a loop may share it. */
    void *(*read_room)(void *owner, size_t *ret_len);
    void (*on_read)(void *owner, size_t len);
    /* 0: the peer ended its side in order; nothing more is read, output may still be written. A
     * negative errno: broken, the output is dropped; it may follow a 0, and nothing follows it. In
     * the end the owner calls stream_close. */
    void (*on_end)(void *owner, int status);
    /* Output went out; queued_bytes are still waiting. May be NULL. */
    void (*on_sent)(void *owner, size_t queued_bytes);
};

struct stream {
    struct loop *loop;
    const struct stream_handler *handler;
    void *owner;
    struct endpoint peer; /* literal address */
    size_t queued_bytes;  /* output not yet given to the network */
};

struct net_ops {
    /* Binds and listens. on_accept runs on `loop` with a stream that belongs to no loop yet: start
     * it with stream_start on any loop (from that loop's thread) or drop it with stream_close.
     * -EADDRINUSE, -EACCES, -EADDRNOTAVAIL, -ENOENT (unknown host). Port 0 picks one. May wait for
     * a name server: at start only, or with literal addresses. */
    int (*listen)(struct loop *, const struct endpoint *, int backlog,
                  void (*on_accept)(void *owner, struct stream *), void *owner,
                  struct listener **ret_listener);
    uint16_t (*listener_port)(struct listener *);
    void (*listener_close)(struct listener *); /* no on_accept after it; frees */
    /* Resolves (on a worker) and connects; `connected` runs on `loop` once, with the stream (not
     * started) or NULL and a negative errno (-ETIMEDOUT after timeout_ms, -ENOENT unknown host,
     * -ECANCELED when the env ends). */
    void (*connect)(struct loop *, const struct endpoint *, int timeout_ms,
                    void (*connected)(void *owner, struct stream *, int status), void *owner);
    void (*start)(struct stream *, struct loop *, const struct stream_handler *, void *owner);
    void (*read_pause)(struct stream *);
    void (*read_resume)(struct stream *);
    void (*write)(struct stream *, struct out_chunk *chunks, int count);
    void (*close)(struct stream *, bool flush, void (*closed)(void *owner), void *owner);
};

static inline void stream_start(struct stream *s, struct loop *loop,
                                const struct stream_handler *handler, void *owner)
{
    loop->env->net->start(s, loop, handler, owner);
}

/* Queues in order and sends as the network takes it. Cannot fail: a broken stream reports on_end.
 */
static inline void stream_write(struct stream *s, struct out_chunk *chunks, int count)
{
    s->loop->env->net->write(s, chunks, count);
}

static inline void stream_read_pause(struct stream *s)
{
    s->loop->env->net->read_pause(s);
}

static inline void stream_read_resume(struct stream *s)
{
    s->loop->env->net->read_resume(s);
}

/* No callback but `closed` (may be NULL) after it, on a later turn; then the stream is freed. With
 * flush, what is queued is sent first (bounded by ten seconds). On a started stream only on its
 * loop. A stream that was never started is dropped at once, without `closed`. */
void stream_close(struct env *env, struct stream *s, bool flush, void (*closed)(void *owner),
                  void *owner);

/* "host:port", "[v6]:port"; -EINVAL. Port -1 is refused unless a default (> 0) is given. */
int endpoint_parse(struct str text, int default_port, struct endpoint *ret_endpoint);
/* Brackets around IPv6. text has room for HOST_MAX + 9. */
void endpoint_format(const struct endpoint *endpoint, char *text);

#endif
