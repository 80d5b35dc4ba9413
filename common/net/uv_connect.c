/*
 * Connecting: the name is resolved on a resolver thread (a literal address at once), then its
 * addresses are tried one after the other, each with its share of the time that is left. The owner
 * hears of it exactly once; a resolver that is still busy then keeps the struct until it is done.
 */
#include "common/net/uv_env_internal.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/net/resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct connector {
    struct uv_env_loop *loop;
    struct list link; /* in the loop's connects until the owner was told */
    struct endpoint endpoint;
    void (*connected)(void *owner, struct stream *, int status);
    void *owner;
    struct work resolve;
    struct addrinfo *list, *next;
    int resolve_status;
    int64_t deadline_us;
    int last_error;
    int fd; /* of the attempt under way, or -1 */
    struct addrinfo *address;
    uv_poll_t *poll; /* its own memory: libuv frees it later */
    struct timer timer;
    bool resolving;
    bool told;
};

static void maybe_free(struct connector *c)
{
    if (!c->told || c->resolving)
        return;
    if (c->list != NULL)
        freeaddrinfo(c->list);
    free(c);
}

static void free_poll(uv_handle_t *handle)
{
    free(handle);
}

static void abandon_attempt(struct connector *c, int error)
{
    c->last_error = error;
    if (c->poll != NULL)
        uv_close((uv_handle_t *)c->poll, free_poll);
    c->poll = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static void tell(struct connector *c, struct stream *stream, int status)
{
    CHECK(!c->told);
    c->told = true;
    timer_stop(&c->timer);
    list_remove(&c->link);
    abandon_attempt(c, status);
    c->loop->open_count--;
    c->connected(c->owner, stream, status);
    maybe_free(c);
}

static void attempt_succeeded(struct connector *c)
{
    int fd = c->fd;
    c->fd = -1;
    abandon_attempt(c, 0); /* before another handle watches the descriptor */
    tell(c, uv_stream_new(uv_env_of(c->loop->base.env), fd, c->address->ai_addr), 0);
}

static void on_writable(uv_poll_t *handle, int status, int events);

static void arm(struct connector *c)
{
    int left = 0;
    for (struct addrinfo *at = c->address; at != NULL; at = at->ai_next)
        left++;
    int64_t now_us = env_now_us(c->loop->base.env);
    timer_start_at_us(&c->timer, now_us + (c->deadline_us - now_us) / MAX(left, 1));
}

static int start_attempt(struct connector *c)
{
    const struct uv_env_options *options = &uv_env_of(c->loop->base.env)->options;
    c->fd = socket(c->address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -errno;
    if (options->send_buffer_bytes > 0)
        (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &options->send_buffer_bytes, sizeof(int));
    if (options->receive_buffer_bytes > 0)
        (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &options->receive_buffer_bytes, sizeof(int));
    if (connect(c->fd, c->address->ai_addr, c->address->ai_addrlen) != 0 && errno != EINPROGRESS)
        return -errno;
    uv_poll_t *poll = mem_alloc(sizeof(*poll));
    int rv = uv_poll_init(&c->loop->uv, poll, c->fd);
    if (rv != 0) {
        free(poll);
        return rv;
    }
    poll->data = c;
    c->poll = poll;
    return uv_poll_start(poll, UV_WRITABLE, on_writable);
}

static void try_next(struct connector *c)
{
    while ((c->address = c->next) != NULL) {
        c->next = c->address->ai_next;
        int rv = start_attempt(c);
        if (rv == 0) {
            arm(c);
            return;
        }
        abandon_attempt(c, rv);
    }
    tell(c, NULL, c->last_error);
}

static void on_writable(uv_poll_t *handle, int status, int events)
{
    struct connector *c = handle->data;
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error != 0 || status < 0) {
        abandon_attempt(c, error != 0 ? -error : status);
        try_next(c);
    } else {
        attempt_succeeded(c);
    }
}

static void timed_out(struct timer *timer)
{
    struct connector *c = CONTAINER_OF(timer, struct connector, timer);
    if (c->resolving || env_now_us(c->loop->base.env) >= c->deadline_us) {
        tell(c, NULL, -ETIMEDOUT);
    } else {
        abandon_attempt(c, -ETIMEDOUT);
        try_next(c);
    }
}

static void resolve_run(struct work *work)
{
    struct connector *c = CONTAINER_OF(work, struct connector, resolve);
    c->resolve_status = resolve_endpoint(&c->endpoint, false, false, &c->list);
}

static void resolve_done(struct work *work)
{
    struct connector *c = CONTAINER_OF(work, struct connector, resolve);
    c->resolving = false;
    c->next = c->list;
    c->last_error = c->resolve_status;
    if (c->told)
        maybe_free(c);
    else
        try_next(c);
}

/* On a later turn, because the owner must not be called from inside its own call. */
static void begin(struct timer *timer)
{
    struct connector *c = CONTAINER_OF(timer, struct connector, timer);
    c->timer.fire = timed_out;
    c->resolve_status = resolve_endpoint(&c->endpoint, true, false, &c->list);
    if (c->resolve_status == 0) {
        c->next = c->list;
        try_next(c);
        return;
    }
    c->resolving = true;
    timer_start_at_us(&c->timer, c->deadline_us);
    c->resolve = (struct work){resolve_run, resolve_done, &c->loop->base};
    worker_pool_submit(&uv_env_of(c->loop->base.env)->pools[POOL_RESOLVER], &c->resolve);
}

void uv_connect(struct loop *base, const struct endpoint *endpoint, int timeout_ms,
                void (*connected)(void *owner, struct stream *, int status), void *owner)
{
    struct connector *c = mem_calloc(1, sizeof(*c));
    c->loop = uv_env_loop_of(base);
    c->endpoint = *endpoint;
    c->connected = connected;
    c->owner = owner;
    c->fd = -1;
    c->deadline_us = env_now_us(base->env) + (int64_t)timeout_ms * 1000;
    list_push_back(&c->loop->connects, &c->link);
    c->loop->open_count++;
    timer_init(&c->timer, base, begin);
    timer_start_in_ms(&c->timer, 0);
}

void uv_connect_cancel_all(struct uv_env_loop *loop)
{
    while (!list_empty(&loop->connects))
        tell(LIST_ITEM(loop->connects.next, struct connector, link), NULL, -ECANCELED);
}
