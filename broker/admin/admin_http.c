#include "broker/admin/admin_http.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/net/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 64,
    GREETINGS_MAX = 16, /* connections that have not said enough to tell what they speak */
    GREETING_MS = 5000, /* to say it */
    LOOK_AGAIN_MS = 20,
    HTTP_TIMEOUT_S = 15,      /* of an HTTP connection without progress */
    MEMORY_BYTES = 16 * 1024, /* of one HTTP connection */
};

/* A new connection whose first four bytes are awaited. */
struct greeting {
    int fd;
    int64_t deadline_ms;
    int64_t
        look_again_ms; /* a part of "ruok" is there, so that being readable says nothing; or 0 */
    struct sockaddr_storage peer;
    socklen_t peer_len;
};

struct admin_http {
    struct admin_http_handlers handlers;
    struct MHD_Daemon *daemon;
    int listen_fd, wake_fd, epoll_fd;
    uint16_t port;
    struct greeting greetings[GREETINGS_MAX];
    int greeting_count;
    _Atomic bool stopping;
    pthread_t thread;
};

static int64_t clock_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status,
                              const char *content_type, struct bytebuf *body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_COPY);
    bytebuf_release(body);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static unsigned status_of(bool good)
{
    return good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static enum MHD_Result on_http(void *ctx, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_len, void **request)
{
    static const char text_plain[] = "text/plain; charset=utf-8";
    struct admin_http *http = ctx;
    const struct admin_http_handlers *h = &http->handlers;
    if (*request == NULL) { /* the header only; called again when the body is there */
        *request = ctx;     /* any mark */
        return MHD_YES;
    }
    if (*upload_len > 0) { /* nobody wants it */
        *upload_len = 0;
        return MHD_YES;
    }
    struct bytebuf body;
    bytebuf_init(&body);
    unsigned status = MHD_HTTP_OK;
    const char *content_type = text_plain;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        status = MHD_HTTP_METHOD_NOT_ALLOWED;
        bytebuf_printf(&body, "only GET and HEAD\n");
    } else if (strcmp(url, "/healthz") == 0) {
        status = status_of(h->is_healthy(h->ctx, &body));
    } else if (strcmp(url, "/readyz") == 0) {
        status = status_of(h->is_ready(h->ctx, &body));
    } else if (strcmp(url, "/metrics") == 0) {
        content_type = "text/plain; version=0.0.4; charset=utf-8";
        h->metrics(h->ctx, &body);
    } else if (strcmp(url, "/ruok") == 0) {
        struct bytebuf ignored;
        bytebuf_init(&ignored);
        bool healthy = h->is_healthy(h->ctx, &ignored);
        bytebuf_release(&ignored);
        status = status_of(healthy);
        if (healthy)
            bytebuf_printf(&body, "imok");
    } else {
        status = MHD_HTTP_NOT_FOUND;
        bytebuf_printf(&body, "not found; there are /healthz /readyz /metrics /ruok\n");
    }
    return answer(connection, status, content_type, &body);
}

static void answer_ruok(struct admin_http *http, int fd)
{
    struct bytebuf ignored;
    bytebuf_init(&ignored);
    if (http->handlers.is_healthy(http->handlers.ctx, &ignored))
        (void)send(fd, "imok", 4, MSG_NOSIGNAL);
    bytebuf_release(&ignored);
    char rest[64]; /* a line end that stays unread would turn our end into a reset */
    (void)recv(fd, rest, sizeof(rest), MSG_DONTWAIT);
    close(fd);
}

/* Looks at what came without taking it. True when the connection was given away. */
static bool look_at(struct admin_http *http, struct greeting *g)
{
    char bytes[4];
    ssize_t n = recv(g->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        close(g->fd);
        return true;
    }
    if (memcmp(bytes, "ruok", (size_t)n) != 0) {
        /* On failure it has closed the socket. */
        (void)MHD_add_connection(http->daemon, g->fd, (struct sockaddr *)&g->peer, g->peer_len);
        return true;
    }
    if (n < 4) {
        g->look_again_ms = clock_ms() + LOOK_AGAIN_MS;
        return false;
    }
    answer_ruok(http, g->fd);
    return true;
}

/* True when the newcomer waits among the greetings. */
static bool accept_one(struct admin_http *http)
{
    struct greeting g = {.peer_len = sizeof(g.peer), .deadline_ms = clock_ms() + GREETING_MS};
    g.fd = accept4(http->listen_fd, (struct sockaddr *)&g.peer, &g.peer_len,
                   SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (g.fd < 0) {
        /* Out of descriptors: not at full speed round and round. */
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        return false;
    }
    if (look_at(http, &g))
        return false;
    http->greetings[http->greeting_count++] = g;
    return true;
}

/* Serves greetings; returns when the next one is to be looked at. */
static int64_t serve_greetings(struct admin_http *http, const struct pollfd *polls)
{
    int64_t now_ms = clock_ms(), next_ms = INT64_MAX;
    int kept = 0;
    for (int i = 0; i < http->greeting_count; i++) {
        struct greeting *g = &http->greetings[i];
        bool due = g->look_again_ms > 0 ? g->look_again_ms <= now_ms : polls[i].revents != 0;
        if (due && look_at(http, g))
            continue;
        if (g->deadline_ms <= now_ms) {
            close(g->fd);
            continue;
        }
        next_ms = MIN(next_ms, g->look_again_ms > 0 ? g->look_again_ms : g->deadline_ms);
        http->greetings[kept++] = *g;
    }
    http->greeting_count = kept;
    return next_ms;
}

static int wait_ms_until(struct admin_http *http, int64_t next_ms)
{
    int64_t wait_ms = next_ms == INT64_MAX ? INT32_MAX : MAX(next_ms - clock_ms(), 0);
    MHD_UNSIGNED_LONG_LONG http_ms;
    if (MHD_get_timeout(http->daemon, &http_ms) == MHD_YES)
        wait_ms = MIN(wait_ms, (int64_t)MIN(http_ms, (unsigned long long)INT32_MAX));
    return (int)wait_ms;
}

static void *admin_main(void *arg)
{
    struct admin_http *http = arg;
    int64_t next_ms = INT64_MAX;
    while (!atomic_load(&http->stopping)) {
        struct pollfd polls[3 + GREETINGS_MAX] = {
            {.fd = http->wake_fd, .events = POLLIN},
            {.fd = http->epoll_fd, .events = POLLIN},
            /* Full: the next ones wait in the listener's queue. */
            {.fd = http->greeting_count < GREETINGS_MAX ? http->listen_fd : -1, .events = POLLIN},
        };
        for (int i = 0; i < http->greeting_count; i++) {
            const struct greeting *g = &http->greetings[i];
            polls[3 + i] =
                (struct pollfd){.fd = g->look_again_ms > 0 ? -1 : g->fd, .events = POLLIN};
        }
        poll(polls, (nfds_t)(3 + http->greeting_count), wait_ms_until(http, next_ms));
        next_ms = serve_greetings(http, polls + 3);
        if (polls[2].revents != 0 && accept_one(http))
            next_ms = 0; /* work out the deadlines with the new one */
        MHD_run(http->daemon);
    }
    return NULL;
}

static int listen_on(const struct endpoint *endpoint, int *ret_fd)
{
    struct addrinfo *list;
    int rv = resolve_endpoint(endpoint, false, true, &list);
    if (rv != 0)
        return rv;
    int one = 1;
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    rv = fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
                 bind(fd, list->ai_addr, list->ai_addrlen) != 0 || listen(fd, 64) != 0
             ? -errno
             : 0;
    freeaddrinfo(list);
    if (rv != 0 && fd >= 0)
        close(fd);
    else if (rv == 0)
        *ret_fd = fd;
    return rv;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    struct endpoint endpoint;
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    endpoint_of_address((struct sockaddr *)&address, &endpoint);
    return endpoint.port;
}

int admin_http_start(const struct endpoint *endpoint, const struct admin_http_handlers *handlers,
                     struct admin_http **ret_http)
{
    struct admin_http *http = mem_calloc(1, sizeof(*http));
    http->handlers = *handlers;
    int rv = listen_on(endpoint, &http->listen_fd);
    if (rv != 0)
        goto err_http;
    http->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (http->wake_fd < 0) {
        rv = -errno;
        goto err_listen;
    }
    http->daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_http, http,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_TIMEOUT_S,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_BYTES, MHD_OPTION_END);
    if (http->daemon == NULL) {
        rv = -ENOMEM;
        goto err_wake;
    }
    http->epoll_fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    http->port = port_of(http->listen_fd);
    rv = -pthread_create(&http->thread, NULL, admin_main, http);
    if (rv != 0)
        goto err_daemon;
    pthread_setname_np(http->thread, "admin-http");
    *ret_http = http;
    return 0;
err_daemon:
    MHD_stop_daemon(http->daemon);
err_wake:
    close(http->wake_fd);
err_listen:
    close(http->listen_fd);
err_http:
    free(http);
    return rv;
}

uint16_t admin_http_port(const struct admin_http *http)
{
    return http->port;
}

void admin_http_stop(struct admin_http *http)
{
    if (http == NULL)
        return;
    uint64_t one = 1;
    atomic_store(&http->stopping, true);
    CHECK(write(http->wake_fd, &one, sizeof(one)) == sizeof(one));
    pthread_join(http->thread, NULL);
    for (int i = 0; i < http->greeting_count; i++)
        close(http->greetings[i].fd);
    MHD_stop_daemon(http->daemon);
    close(http->wake_fd);
    close(http->listen_fd);
    free(http);
}
