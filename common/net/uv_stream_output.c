/*
 * The output queue of a socket. Bytes of buffers and short pieces of files go out together in one
 * sendmsg; a long piece of a file goes by sendfile, and what stands before it is marked MSG_MORE so
 * that both share segments.
 */
#include "common/net/uv_stream_internal.h"

#include "common/base/check.h"
#include "common/base/disk.h"
#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

enum {
    IOV_MAX_PER_SEND = 64,
    /* From here on sendfile is cheaper than pread and a copy (bench_net file): for a piece alone
     * that begins at 4 KB, for one of many, which share their sendmsg, at about 24 KB. */
    SENDFILE_MIN_BYTES = 16 * 1024,
    /* Then other streams of the loop have their turn. */
    TURN_BYTES = 4 * 1024 * 1024,
};

static struct out_chunk *chunk_at(struct uv_stream *s, size_t index)
{
    return &s->queue[(s->queue_first + index) & (s->queue_capacity - 1)];
}

static void chunk_release(struct out_chunk *chunk)
{
    buf_unref(chunk->buf);
    disk_file_unref(chunk->file);
}

void stream_queue_push(struct uv_stream *s, struct out_chunk *chunks, int count)
{
    for (int i = 0; i < count; i++) {
        if (chunks[i].len == 0 || s->error != 0) {
            chunk_release(&chunks[i]);
            continue;
        }
        if (s->queue_count == s->queue_capacity) {
            size_t capacity = s->queue_capacity ? s->queue_capacity * 2 : 8;
            struct out_chunk *queue = mem_alloc(capacity * sizeof(*queue));
            for (size_t j = 0; j < s->queue_count; j++)
                queue[j] = *chunk_at(s, j);
            free(s->queue);
            s->queue = queue;
            s->queue_first = 0;
            s->queue_capacity = capacity;
        }
        *chunk_at(s, s->queue_count++) = chunks[i];
        s->base.queued_bytes += chunks[i].len;
    }
}

void stream_queue_drop(struct uv_stream *s)
{
    for (size_t i = 0; i < s->queue_count; i++)
        chunk_release(chunk_at(s, i));
    free(s->queue);
    s->queue = NULL;
    s->queue_first = s->queue_count = s->queue_capacity = 0;
    s->base.queued_bytes = 0;
}

static void queue_consume(struct uv_stream *s, size_t len)
{
    s->base.queued_bytes -= len;
    while (len > 0) {
        struct out_chunk *chunk = chunk_at(s, 0);
        size_t used = MIN(len, chunk->len);
        chunk->position += (int64_t)used;
        chunk->len -= used;
        len -= used;
        if (chunk->len == 0) {
            chunk_release(chunk);
            s->queue_first = (s->queue_first + 1) & (s->queue_capacity - 1);
            s->queue_count--;
        }
    }
}

static bool goes_by_sendfile(const struct out_chunk *chunk)
{
    return chunk->file != NULL && chunk->file->fd >= 0 && chunk->len >= SENDFILE_MIN_BYTES;
}

struct gathered {
    struct iovec iov[IOV_MAX_PER_SEND];
    int count;
    size_t bytes;
    bool more; /* something stands behind it */
};

/* Collects from the head of the queue until a piece for sendfile, or the room, ends it. */
static int gather(struct uv_stream *s, struct gathered *g)
{
    char *scratch = (char *)uv_env_loop_of(s->base.loop)->scratch;
    size_t scratch_used = 0, index = 0;
    g->count = 0;
    g->bytes = 0;
    for (; index < s->queue_count && g->count < IOV_MAX_PER_SEND; index++) {
        struct out_chunk *chunk = chunk_at(s, index);
        struct iovec *iov = &g->iov[g->count];
        if (goes_by_sendfile(chunk))
            break;
        *iov = (struct iovec){.iov_len = chunk->len};
        if (chunk->buf != NULL) {
            iov->iov_base = chunk->buf->data + chunk->position;
        } else {
            iov->iov_len = MIN(chunk->len, SCRATCH_BYTES - scratch_used);
            if (iov->iov_len == 0)
                break;
            iov->iov_base = scratch + scratch_used;
            ssize_t n = disk_pread(chunk->file, iov->iov_base, iov->iov_len, chunk->position);
            if (n < 0)
                return (int)n;
            if ((size_t)n < iov->iov_len)
                return -EIO; /* cut off under us: what was promised cannot be sent */
            scratch_used += iov->iov_len;
        }
        g->bytes += iov->iov_len;
        g->count++;
        if (iov->iov_len < chunk->len)
            break;
    }
    g->more = index < s->queue_count;
    return 0;
}

/* Bytes that went out, or a negative errno (-EAGAIN: the socket is full). */
static ssize_t send_some(struct uv_stream *s, size_t *ret_tried)
{
    struct out_chunk *head = chunk_at(s, 0);
    ssize_t n;
    if (goes_by_sendfile(head)) {
        off_t at = head->position;
        *ret_tried = MIN(head->len, (size_t)TURN_BYTES);
        n = sendfile(s->fd, head->file->fd, &at, *ret_tried);
        if (n == 0)
            return -EIO; /* the file ends before what was promised */
        return n < 0 ? -errno : n;
    }
    struct gathered g;
    int rv = gather(s, &g);
    if (rv != 0)
        return rv;
    *ret_tried = g.bytes;
    struct msghdr message = {.msg_iov = g.iov, .msg_iovlen = (size_t)g.count};
    n = sendmsg(s->fd, &message, MSG_NOSIGNAL | (g.more ? MSG_MORE : 0));
    return n < 0 ? -errno : n;
}

bool stream_queue_send(struct uv_stream *s)
{
    size_t sent = 0;
    while (s->queue_count > 0 && s->error == 0) {
        if (sent >= TURN_BYTES) {
            stream_mark_dirty(s);
            break;
        }
        size_t tried = 0;
        ssize_t n = send_some(s, &tried);
        if (n == -EINTR)
            continue;
        if (n == -EAGAIN) {
            s->blocked = true;
            break;
        }
        if (n < 0) {
            stream_break(s, (int)n);
            break;
        }
        queue_consume(s, (size_t)n);
        sent += (size_t)n;
    }
    return sent > 0;
}
