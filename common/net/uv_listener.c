#include "common/net/uv_env_internal.h"

#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/net/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG_MODULE "net"

enum { ACCEPTS_PER_TURN = 64, PAUSE_MS = 100, LOG_EVERY_MS = 10000 };

struct listener {
    struct uv_env_loop *loop;
    uv_poll_t poll;
    int fd;
    /* Given up when descriptors run out, so that a waiting client can be taken and turned away
     * instead of being left to hang. */
    int reserve_fd;
    struct timer resume;
    int64_t last_log_ms;
    uint64_t refused_count;
    void (*on_accept)(void *owner, struct stream *);
    void *owner;
    bool closing;
};

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_readable(uv_poll_t *handle, int status, int events);

static void resume(struct timer *timer)
{
    struct listener *l = CONTAINER_OF(timer, struct listener, resume);
    if (l->reserve_fd < 0)
        l->reserve_fd = open_reserve();
    CHECK(uv_poll_start(&l->poll, UV_READABLE, on_readable) == 0);
}

/* No descriptor or no memory for another connection: turn away who waits, then rest a little. */
static void run_dry(struct listener *l, int error)
{
    struct env *env = l->loop->base.env;
    if (l->reserve_fd >= 0) {
        close(l->reserve_fd);
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            close(fd);
            l->refused_count++;
        }
        l->reserve_fd = open_reserve();
    }
    int64_t now_ms = env_now_ms(env);
    if (now_ms - l->last_log_ms >= LOG_EVERY_MS) {
        l->last_log_ms = now_ms;
        log_error(env->logger,
                  "Cannot accept connections (%s); raise the limit of open files (ulimit -n) or "
                  "max.connections is set too high; refused so far: %llu",
                  strerror(error), (unsigned long long)l->refused_count);
    }
    uv_poll_stop(&l->poll);
    timer_start_in_ms(&l->resume, PAUSE_MS);
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    struct listener *l = CONTAINER_OF(handle, struct listener, poll);
    for (int i = 0; i < ACCEPTS_PER_TURN && !l->closing; i++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);
        int fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            l->on_accept(l->owner,
                         uv_stream_new(uv_env_of(l->loop->base.env), fd, (struct sockaddr *)&peer));
        } else if (errno == EAGAIN) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            run_dry(l, errno);
            return;
        }
        /* All else concerns one connection that is gone already. */
    }
    if (status < 0 && !l->closing) /* libuv has stopped watching */
        timer_start_in_ms(&l->resume, PAUSE_MS);
}

static int set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) != 0 ? -errno : 0;
}

static int open_socket(const struct uv_env_options *options, const struct sockaddr *address,
                       socklen_t len, int backlog, int *ret_fd)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rv = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (rv == 0 && address->sa_family == AF_INET6)
        rv = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    /* Accepted sockets inherit the buffers, and only so does the window scale fit them. */
    if (rv == 0 && options->send_buffer_bytes > 0)
        rv = set_option(fd, SOL_SOCKET, SO_SNDBUF, options->send_buffer_bytes);
    if (rv == 0 && options->receive_buffer_bytes > 0)
        rv = set_option(fd, SOL_SOCKET, SO_RCVBUF, options->receive_buffer_bytes);
    if (rv == 0 && bind(fd, address, len) != 0)
        rv = -errno;
    if (rv == 0 && listen(fd, backlog > 0 ? backlog : SOMAXCONN) != 0)
        rv = -errno;
    if (rv != 0) {
        close(fd);
        return rv;
    }
    *ret_fd = fd;
    return 0;
}

static bool means_any(const char *host)
{
    return host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

/* All addresses of both families where there is IPv6, else all of IPv4. */
static int bind_any(const struct uv_env_options *options, uint16_t port, int backlog, int *ret_fd)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int rv = open_socket(options, (struct sockaddr *)&v6, sizeof(v6), backlog, ret_fd);
    if (rv != -EAFNOSUPPORT && rv != -EADDRNOTAVAIL)
        return rv;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    return open_socket(options, (struct sockaddr *)&v4, sizeof(v4), backlog, ret_fd);
}

static int bind_host(const struct uv_env_options *options, const struct endpoint *endpoint,
                     int backlog, int *ret_fd)
{
    struct addrinfo *list;
    int rv = resolve_endpoint(endpoint, false, true, &list);
    if (rv != 0)
        return rv;
    /* One address, IPv4 first where a name has both, as a JVM does. */
    struct addrinfo *chosen = list;
    for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        if (at->ai_family == AF_INET) {
            chosen = at;
            break;
        }
    }
    rv = open_socket(options, chosen->ai_addr, chosen->ai_addrlen, backlog, ret_fd);
    freeaddrinfo(list);
    return rv;
}

int uv_listener_open(struct loop *base, const struct endpoint *endpoint, int backlog,
                     void (*on_accept)(void *owner, struct stream *), void *owner,
                     struct listener **ret_listener)
{
    struct uv_env_loop *loop = uv_env_loop_of(base);
    const struct uv_env_options *options = &uv_env_of(base->env)->options;
    int fd;
    int rv = means_any(endpoint->host) ? bind_any(options, endpoint->port, backlog, &fd)
                                       : bind_host(options, endpoint, backlog, &fd);
    if (rv != 0)
        return rv;
    struct listener *l = mem_calloc(1, sizeof(*l));
    rv = uv_poll_init(&loop->uv, &l->poll, fd);
    if (rv != 0) {
        close(fd);
        free(l);
        return rv;
    }
    l->loop = loop;
    l->fd = fd;
    l->reserve_fd = open_reserve();
    l->on_accept = on_accept;
    l->owner = owner;
    l->last_log_ms = INT64_MIN / 2;
    timer_init(&l->resume, base, resume);
    loop->open_count++;
    CHECK(uv_poll_start(&l->poll, UV_READABLE, on_readable) == 0);
    *ret_listener = l;
    return 0;
}

uint16_t uv_listener_port(struct listener *l)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    CHECK(getsockname(l->fd, (struct sockaddr *)&address, &len) == 0);
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *l = CONTAINER_OF((uv_poll_t *)handle, struct listener, poll);
    l->loop->open_count--;
    free(l);
}

void uv_listener_close(struct listener *l)
{
    l->closing = true;
    timer_stop(&l->resume);
    uv_close((uv_handle_t *)&l->poll, on_closed);
    close(l->fd);
    if (l->reserve_fd >= 0)
        close(l->reserve_fd);
}
