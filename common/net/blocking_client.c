#include "common/net/blocking_client.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/net/frame_reader.h"
#include "common/net/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct blocking_client {
    int fd;
    struct endpoint peer;
};

static int64_t clock_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Until the socket is ready or the deadline has passed. */
static int wait_ready(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left_ms = deadline_ms - clock_ms();
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, (int)MAX(left_ms, 0));
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0 && left_ms <= 0)
            return -ETIMEDOUT;
    }
}

static int connect_address(const struct addrinfo *address, int64_t deadline_ms, int *ret_fd)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rv = 0;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        rv = -errno;
        if (rv == -EINPROGRESS)
            rv = wait_ready(fd, POLLOUT, deadline_ms);
        int error = 0;
        socklen_t len = sizeof(error);
        if (rv == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
            error = errno;
        if (rv == 0)
            rv = -error;
    }
    if (rv != 0) {
        close(fd);
        return rv;
    }
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    *ret_fd = fd;
    return 0;
}

int blocking_client_connect(const struct endpoint *endpoint, int timeout_ms,
                            struct blocking_client **ret_client)
{
    int64_t deadline_ms = clock_ms() + timeout_ms;
    struct addrinfo *list;
    int fd = -1;
    int rv = resolve_endpoint(endpoint, false, false, &list);
    if (rv != 0)
        return rv;
    int left = 0;
    for (struct addrinfo *at = list; at != NULL; at = at->ai_next)
        left++;
    for (struct addrinfo *at = list; at != NULL && fd < 0; at = at->ai_next, left--) {
        /* Each address gets its share of what time is left. */
        int64_t now_ms = clock_ms();
        rv = connect_address(at, now_ms + (deadline_ms - now_ms) / left, &fd);
        if (rv != 0)
            continue;
        struct blocking_client *client = mem_calloc(1, sizeof(*client));
        client->fd = fd;
        endpoint_of_address(at->ai_addr, &client->peer);
        *ret_client = client;
    }
    freeaddrinfo(list);
    return rv;
}

void blocking_client_free(struct blocking_client *client)
{
    if (client == NULL)
        return;
    close(client->fd);
    free(client);
}

int blocking_client_send(struct blocking_client *client, const void *frame, size_t len,
                         int timeout_ms)
{
    int64_t deadline_ms = clock_ms() + timeout_ms;
    for (size_t done = 0; done < len;) {
        ssize_t n = send(client->fd, (const char *)frame + done, len - done, MSG_NOSIGNAL);
        if (n > 0) {
            done += (size_t)n;
        } else if (errno == EAGAIN) {
            int rv = wait_ready(client->fd, POLLOUT, deadline_ms);
            if (rv != 0)
                return rv;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

static int receive_all(struct blocking_client *client, void *data, size_t len, int64_t deadline_ms)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = recv(client->fd, (char *)data + done, len - done, 0);
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0) {
            return -ECONNRESET;
        } else if (errno == EAGAIN) {
            int rv = wait_ready(client->fd, POLLIN, deadline_ms);
            if (rv != 0)
                return rv;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int blocking_client_receive(struct blocking_client *client, int32_t max_bytes, int timeout_ms,
                            struct buf **ret_frame)
{
    int64_t deadline_ms = clock_ms() + timeout_ms;
    struct frame_reader reader = {.header_len = 4};
    int rv = receive_all(client, reader.header, 4, deadline_ms);
    if (rv != 0)
        return rv;
    int32_t len = frame_reader_length(&reader);
    if (len < 0)
        return -EPROTO;
    if (len > max_bytes)
        return -EMSGSIZE;
    if (!frame_reader_begin_body(&reader))
        return -ENOMEM;
    rv = receive_all(client, reader.body->data, (size_t)len, deadline_ms);
    if (rv != 0) {
        frame_reader_release(&reader);
        return rv;
    }
    *ret_frame = reader.body;
    return 0;
}

int blocking_client_fd(const struct blocking_client *client)
{
    return client->fd;
}

const struct endpoint *blocking_client_peer(const struct blocking_client *client)
{
    return &client->peer;
}
