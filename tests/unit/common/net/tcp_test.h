/*
 * Plain blocking sockets for the other side of the network tests.
 */
#ifndef TEST_TCP_TEST_H
#define TEST_TCP_TEST_H

#include "tests/unit/common/net/net_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static inline int tcp_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static inline int tcp_listen(uint16_t *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static inline void tcp_send(int fd, const void *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = send(fd, (const char *)data + done, len - done, MSG_NOSIGNAL);
        assert_true(n > 0);
        done += (size_t)n;
    }
}

/* Bytes read before the peer's end (0) or its reset (also 0 when nothing came), at most len. */
static inline size_t tcp_recv(int fd, void *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        ssize_t n = recv(fd, (char *)data + done, len - done, 0);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

/* The connection has ended, without another byte. */
static inline bool tcp_at_end(int fd)
{
    char byte;
    return tcp_recv(fd, &byte, 1) == 0;
}

/* Frames: a length and text. */

static inline void put_length(uint8_t *at, uint32_t len)
{
    at[0] = (uint8_t)(len >> 24);
    at[1] = (uint8_t)(len >> 16);
    at[2] = (uint8_t)(len >> 8);
    at[3] = (uint8_t)len;
}

static inline void send_frame(int fd, const char *text)
{
    uint8_t frame[4 + 64];
    size_t len = strlen(text);
    put_length(frame, (uint32_t)len);
    memcpy(frame + 4, text, len);
    tcp_send(fd, frame, 4 + len);
}

static inline size_t recv_frame(int fd, char *ret_data, size_t room)
{
    uint8_t header[4];
    assert_int_equal(tcp_recv(fd, header, 4), 4);
    size_t len = (size_t)header[0] << 24 | (size_t)header[1] << 16 | (size_t)header[2] << 8 |
                 (size_t)header[3];
    assert_true(len <= room);
    assert_int_equal(tcp_recv(fd, ret_data, len), len);
    return len;
}

static inline void expect_frame(int fd, const char *text)
{
    char data[65];
    size_t len = recv_frame(fd, data, 64);
    data[len] = '\0';
    assert_string_equal(data, text);
}

#endif
