/*
 * bench_net: what the network layer costs.
 *
 *   bench_net echo [DEPTH [SIZE [SECONDS [CONNECTIONS]]]]
 *       a server on one loop echoes requests of SIZE bytes, DEPTH of them under way per connection;
 *       a child process is the client. Prints requests/s and the server's CPU per request. For
 *       system calls per request: strace -f -c -e trace=all bench_net echo ... , where the server's
 *       calls are epoll_wait (epoll_pwait), read, sendmsg and the client's are recvfrom, sendto.
 *   bench_net file
 *       sends pieces of a cached file by pread+sendmsg and by sendfile, for each length, to see
 *       where they cross (SENDFILE_MIN_BYTES in uv_stream_output.c).
 *   bench_net post
 *       posts between two loops.
 */
#include "common/base/check.h"
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/net/connection.h"
#include "common/net/uv_env.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_s(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
    return fd;
}

static int listen_loopback(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* echo */

static struct connection_group group;
static struct env *env;

static void on_request(struct connection *c, struct request_slot *slot, struct buf *frame)
{
    struct buf *buf = buf_new(4 + frame->size_bytes);
    uint32_t len = htonl((uint32_t)frame->size_bytes);
    memcpy(buf->data, &len, 4);
    memcpy(buf->data + 4, frame->data, frame->size_bytes);
    struct out_chunk chunk = {.buf = buf, .len = buf->size_bytes};
    connection_respond(slot, &chunk, 1);
    buf_unref(frame);
}

static void on_closed(struct connection *c)
{
    if (atomic_load(&group.stats.open_count) == 0)
        uv_env_stop(env);
}

static const struct connection_handler handler = {.on_request = on_request, .on_closed = on_closed};

static void on_accept(void *owner, struct stream *stream)
{
    connection_new(&group, stream, 0, NULL);
}

/* Sends DEPTH requests in one go and reads their answers, again and again. */
static void run_client(uint16_t port, int depth, size_t size, double seconds, int connections)
{
    size_t batch = (size_t)depth * (4 + size);
    char *out = mem_calloc(1, batch), *in = mem_alloc(batch);
    int *fds = mem_calloc((size_t)connections, sizeof(*fds));
    uint32_t len = htonl((uint32_t)size);
    for (int i = 0; i < depth; i++)
        memcpy(out + (size_t)i * (4 + size), &len, 4);
    for (int i = 0; i < connections; i++)
        fds[i] = connect_to(port);
    for (double end = now_s(CLOCK_MONOTONIC) + seconds; now_s(CLOCK_MONOTONIC) < end;) {
        for (int i = 0; i < connections; i++)
            for (size_t done = 0; done < batch;)
                done += (size_t)send(fds[i], out + done, batch - done, 0);
        for (int i = 0; i < connections; i++)
            CHECK(recv(fds[i], in, batch, MSG_WAITALL) == (ssize_t)batch);
    }
    for (int i = 0; i < connections; i++)
        close(fds[i]);
}

static void bench_echo(int depth, size_t size, double seconds, int connections)
{
    struct disk *disk = disk_posix_new();
    struct uv_env_options options = {.loop_count = 1, .disk = disk};
    struct connection_limits limits = {
        .request_max_bytes = 100 << 20, .in_flight_max = 1000, .buffered_max_bytes = 100 << 20};
    struct endpoint endpoint = {.host = "127.0.0.1"};
    struct listener *listener;
    CHECK(uv_env_new(&options, &env) == 0);
    connection_group_init(&group, env->loops[0], &handler, &limits, NULL);
    CHECK(env->net->listen(env->loops[0], &endpoint, 0, on_accept, NULL, &listener) == 0);
    pid_t child = fork();
    if (child == 0) {
        run_client(env->net->listener_port(listener), depth, size, seconds, connections);
        _exit(0);
    }
    double cpu = now_s(CLOCK_PROCESS_CPUTIME_ID), wall = now_s(CLOCK_MONOTONIC);
    uv_env_run(env);
    cpu = now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = now_s(CLOCK_MONOTONIC) - wall;
    waitpid(child, NULL, 0);
    int64_t requests = atomic_load(&group.stats.request_total);
    printf("echo depth=%d size=%zu connections=%d: %lld requests, %.0f/s, %.2f us CPU each\n",
           depth, size, connections, (long long)requests, (double)requests / wall,
           cpu * 1e6 / (double)requests);
    env->net->listener_close(listener);
    connection_group_release(&group);
    uv_env_free(env);
    disk_posix_free(disk);
}

/* file */

static void *swallow(void *arg)
{
    char *room = mem_alloc(1 << 20);
    while (recv(*(int *)arg, room, 1 << 20, 0) > 0)
        ;
    free(room);
    return NULL;
}

static double send_pieces(int out, int file, size_t piece, bool by_sendfile, size_t total)
{
    char *room = mem_alloc(piece);
    char head[64] = {0};
    double cpu = now_s(CLOCK_THREAD_CPUTIME_ID);
    for (size_t done = 0; done < total; done += piece) {
        off_t at = (off_t)(done % (64 << 20));
        if (by_sendfile) {
            CHECK(send(out, head, sizeof(head), MSG_MORE) == sizeof(head));
            for (size_t left = piece; left > 0;)
                left -= (size_t)sendfile(out, file, &at, left);
        } else {
            CHECK(pread(file, room, piece, at) == (ssize_t)piece);
            struct iovec iov[2] = {{head, sizeof(head)}, {room, piece}};
            struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
            ssize_t n = sendmsg(out, &message, 0);
            CHECK(n == (ssize_t)(piece + sizeof(head)));
        }
    }
    cpu = now_s(CLOCK_THREAD_CPUTIME_ID) - cpu;
    free(room);
    return cpu * 1e6 / ((double)total / (double)piece);
}

static void bench_file(void)
{
    uint16_t port;
    int listener = listen_loopback(&port), out = connect_to(port);
    int in = accept(listener, NULL, NULL);
    char path[] = "/tmp/bench_net.XXXXXX";
    int file = mkstemp(path);
    char *block = mem_calloc(1, 1 << 20);
    pthread_t thread;
    unlink(path);
    for (int i = 0; i < 80; i++)
        CHECK(write(file, block, 1 << 20) == 1 << 20);
    pthread_create(&thread, NULL, swallow, &in);
    printf("%10s %18s %18s   CPU us per piece of the sending thread\n", "bytes", "pread+sendmsg",
           "sendfile");
    for (size_t piece = 1024; piece <= 1 << 20; piece *= 2) {
        size_t total = MIN(piece * 20000, (size_t)1 << 30);
        double best[2] = {1e9, 1e9};
        for (int round = 0; round < 3; round++)
            for (int way = 0; way < 2; way++) {
                double us = send_pieces(out, file, piece, way == 1, total);
                best[way] = MIN(best[way], us);
            }
        printf("%10zu %18.2f %18.2f\n", piece, best[0], best[1]);
    }
    shutdown(out, SHUT_WR);
    pthread_join(thread, NULL);
    free(block);
}

/* post */

struct ball {
    struct task task;
    int64_t left;
};

static void ball_run(struct task *task)
{
    struct ball *ball = CONTAINER_OF(task, struct ball, task);
    if (--ball->left == 0)
        uv_env_stop(env);
    else
        loop_post(env->loops[ball->left % 2], &ball->task);
}

static void bench_post(void)
{
    struct disk *disk = disk_posix_new();
    struct uv_env_options options = {.loop_count = 2, .disk = disk};
    struct ball ball = {.task.run = ball_run, .left = 200000};
    CHECK(uv_env_new(&options, &env) == 0);
    loop_post(env->loops[0], &ball.task);
    double wall = now_s(CLOCK_MONOTONIC), cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
    uv_env_run(env);
    printf("post between loops: %.2f us each way, %.2f us CPU\n",
           (now_s(CLOCK_MONOTONIC) - wall) * 1e6 / 200000,
           (now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e6 / 200000);
    uv_env_free(env);
    disk_posix_free(disk);
}

static double number(int argc, char **argv, int index, double otherwise)
{
    return argc > index ? strtod(argv[index], NULL) : otherwise;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "echo";
    if (strcmp(what, "file") == 0)
        bench_file();
    else if (strcmp(what, "post") == 0)
        bench_post();
    else if (strcmp(what, "echo") == 0)
        bench_echo((int)number(argc, argv, 2, 1), (size_t)number(argc, argv, 3, 100),
                   number(argc, argv, 4, 2), (int)number(argc, argv, 5, 1));
    else {
        fprintf(stderr, "usage: bench_net echo|file|post\n");
        return 2;
    }
    return 0;
}
