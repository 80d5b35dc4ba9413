#include "common/net/uv_stream_internal.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/net/resolve.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READS_PER_TURN = 16,
    FLUSH_MS = 10000,
    /* Closing a socket that holds unread bytes resets the connection, and the reset may overtake
     * the last answer. So the rest is read away, for no longer than this. */
    LINGER_MS = 500,
};

static void on_poll(uv_poll_t *handle, int status, int events);

static void set_option(int fd, int level, int option, int value)
{
    /* None of these can fail on a connected TCP socket in a way that matters. */
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

struct stream *uv_stream_new(struct uv_env *env, int fd, const struct sockaddr *peer)
{
    struct uv_stream *s = mem_calloc(1, sizeof(*s));
    s->env = env;
    s->fd = fd;
    list_init(&s->dirty);
    endpoint_of_address(peer, &s->base.peer);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    return &s->base;
}

void stream_mark_dirty(struct uv_stream *s)
{
    struct uv_env_loop *loop = uv_env_loop_of(s->base.loop);
    if (list_empty(&s->dirty))
        list_push_back(&loop->dirty, &s->dirty);
}

static bool wants_read(const struct uv_stream *s)
{
    return !s->read_ended &&
           ((s->state == STREAM_OPEN && !s->read_paused) || s->state == STREAM_LINGERING);
}

/* Watches for what is needed. Each change costs two system calls, so that a paused stream stays
 * watched until it is in fact readable. */
static void update_poll(struct uv_stream *s, bool keep_reading)
{
    int events = 0;
    if (s->error == 0 && s->state != STREAM_CLOSED) {
        if (wants_read(s) || (keep_reading && (s->polled_events & UV_READABLE)))
            events |= UV_READABLE;
        if (s->blocked)
            events |= UV_WRITABLE;
    }
    if (events == s->polled_events)
        return;
    int rv = events != 0 ? uv_poll_start(&s->poll, events, on_poll) : uv_poll_stop(&s->poll);
    s->polled_events = events;
    if (rv != 0)
        stream_break(s, rv);
}

void stream_break(struct uv_stream *s, int error)
{
    if (s->error != 0)
        return;
    s->error = error;
    s->blocked = false;
    stream_queue_drop(s);
    stream_mark_dirty(s);
}

static void finish_destroy(struct task *task)
{
    struct uv_stream *s = CONTAINER_OF(task, struct uv_stream, destroy_task);
    uv_env_loop_of(s->base.loop)->open_count--;
    if (s->closed != NULL)
        s->closed(s->closed_owner);
    free(s);
}

static void on_handle_closed(uv_handle_t *handle)
{
    finish_destroy(&CONTAINER_OF((uv_poll_t *)handle, struct uv_stream, poll)->destroy_task);
}

static void destroy(struct uv_stream *s)
{
    if (s->state == STREAM_CLOSED)
        return;
    s->state = STREAM_CLOSED;
    list_remove(&s->dirty);
    timer_stop(&s->close_timer);
    stream_queue_drop(s);
    if (s->pollable) {
        uv_close((uv_handle_t *)&s->poll, on_handle_closed);
    } else {
        s->destroy_task.run = finish_destroy;
        loop_post(s->base.loop, &s->destroy_task);
    }
    close(s->fd);
}

static void close_timer_fired(struct timer *timer)
{
    destroy(CONTAINER_OF(timer, struct uv_stream, close_timer));
}

/* The output is gone. Lets the peer finish if it has sent more than we read. */
static void finish_close(struct uv_stream *s)
{
    int unread = 0;
    if (s->read_ended || shutdown(s->fd, SHUT_WR) != 0 || ioctl(s->fd, FIONREAD, &unread) != 0 ||
        unread == 0) {
        destroy(s);
        return;
    }
    s->state = STREAM_LINGERING;
    timer_start_in_ms(&s->close_timer, LINGER_MS);
    update_poll(s, false);
}

/* Throws away what arrives; the peer's end, an error or the timer ends it. */
static void read_away(struct uv_stream *s)
{
    char *scratch = (char *)uv_env_loop_of(s->base.loop)->scratch;
    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = read(s->fd, scratch, SCRATCH_BYTES);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            destroy(s);
            return;
        }
    }
}

static void read_some(struct uv_stream *s)
{
    for (int i = 0; i < READS_PER_TURN; i++) {
        size_t room_len = 0;
        void *room = s->base.handler->read_room(s->base.owner, &room_len);
        CHECK(room_len > 0);
        ssize_t n = read(s->fd, room, room_len);
        if (n > 0) {
            s->base.handler->on_read(s->base.owner, (size_t)n);
            /* Less than there was room for: the socket is empty, asking again would be in vain. */
            if ((size_t)n < room_len || s->state != STREAM_OPEN || s->read_paused)
                return;
        } else if (n == 0) {
            s->read_ended = true;
            s->base.handler->on_end(s->base.owner, 0);
            return;
        } else if (errno != EINTR) {
            if (errno != EAGAIN)
                stream_break(s, -errno);
            return;
        }
    }
}

static void send_now(struct uv_stream *s)
{
    s->blocked = false;
    bool any = stream_queue_send(s);
    if (s->state == STREAM_FLUSHING) {
        if (s->queue_count == 0)
            s->error != 0 ? destroy(s) : finish_close(s);
    } else if (any && s->state == STREAM_OPEN && s->base.handler->on_sent != NULL) {
        s->base.handler->on_sent(s->base.owner, s->base.queued_bytes);
    }
}

static void tell_error(struct uv_stream *s)
{
    if (s->state == STREAM_OPEN && !s->error_told) {
        s->error_told = true;
        s->base.handler->on_end(s->base.owner, s->error);
    } else if (s->state == STREAM_FLUSHING || s->state == STREAM_LINGERING) {
        destroy(s);
    }
}

/* Ends an event: the socket is watched for what it needs now. */
static void settle(struct uv_stream *s)
{
    if (s->state != STREAM_CLOSED)
        update_poll(s, true);
}

void uv_stream_end_of_turn(struct list *dirty_node)
{
    struct uv_stream *s = CONTAINER_OF(dirty_node, struct uv_stream, dirty);
    if (s->error == 0 && !s->blocked && s->state <= STREAM_FLUSHING)
        send_now(s);
    if (s->error != 0)
        tell_error(s);
    settle(s);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct uv_stream *s = CONTAINER_OF(handle, struct uv_stream, poll);
    if (status < 0) {
        /* libuv has stopped watching; the socket knows what went wrong. */
        int error = 0;
        socklen_t len = sizeof(error);
        getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        s->polled_events = 0;
        stream_break(s, error != 0 ? -error : -ECONNRESET);
        return;
    }
    if ((events & UV_READABLE) && s->error == 0) {
        if (s->state == STREAM_LINGERING)
            read_away(s);
        else if (wants_read(s))
            read_some(s);
        else
            update_poll(s, false);
    }
    if ((events & UV_WRITABLE) && s->error == 0 && s->state != STREAM_CLOSED)
        send_now(s);
    settle(s);
}

void uv_stream_start(struct stream *base, struct loop *loop, const struct stream_handler *handler,
                     void *owner)
{
    struct uv_stream *s = uv_stream_of(base);
    CHECK(s->state == STREAM_NEW);
    base->loop = loop;
    base->handler = handler;
    base->owner = owner;
    s->state = STREAM_OPEN;
    timer_init(&s->close_timer, loop, close_timer_fired);
    uv_env_loop_of(loop)->open_count++;
    int rv = uv_poll_init(&uv_env_loop_of(loop)->uv, &s->poll, s->fd);
    s->pollable = rv == 0;
    if (rv == 0)
        update_poll(s, false);
    else
        stream_break(s, rv); /* the kernel watches no more descriptors */
}

void uv_stream_read_pause(struct stream *base)
{
    uv_stream_of(base)->read_paused = true;
}

void uv_stream_read_resume(struct stream *base)
{
    struct uv_stream *s = uv_stream_of(base);
    s->read_paused = false;
    if (s->state == STREAM_OPEN)
        update_poll(s, true);
}

void uv_stream_write(struct stream *base, struct out_chunk *chunks, int count)
{
    struct uv_stream *s = uv_stream_of(base);
    CHECK(s->state == STREAM_OPEN);
    stream_queue_push(s, chunks, count);
    if (s->queue_count > 0 && !s->blocked)
        stream_mark_dirty(s);
}

void uv_stream_close(struct stream *base, bool flush, void (*closed)(void *owner), void *owner)
{
    struct uv_stream *s = uv_stream_of(base);
    if (s->state == STREAM_NEW) {
        close(s->fd);
        free(s);
        return;
    }
    CHECK(s->state == STREAM_OPEN);
    s->closed = closed;
    s->closed_owner = owner;
    if (!flush || s->error != 0) {
        destroy(s);
        return;
    }
    s->state = STREAM_FLUSHING;
    timer_start_in_ms(&s->close_timer, FLUSH_MS);
    stream_mark_dirty(s);
    update_poll(s, true);
}
