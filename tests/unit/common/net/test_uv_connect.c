#include "tests/unit/common/net/tcp_test.h"

#include <sys/resource.h>

static struct net_env n;
static struct listener *listener;
static struct endpoint bound;
static int listen_status;
static _Atomic int accept_count;

static int set_up(void **state)
{
    net_env_start(&n, 2);
    atomic_store(&accept_count, 0);
    return 0;
}

static int tear_down(void **state)
{
    net_env_stop(&n);
    return 0;
}

static void drop_accepted(void *owner, struct stream *stream)
{
    atomic_fetch_add(&accept_count, 1);
    stream_close(n.env, stream, false, NULL, NULL);
}

static void open_listener(void *arg)
{
    listen_status = n.env->net->listen(n.env->loops[0], &bound, 0, drop_accepted, NULL, &listener);
    if (listen_status == 0)
        bound.port = n.env->net->listener_port(listener);
}

static void close_listener(void *arg)
{
    n.env->net->listener_close(listener);
}

struct attempt {
    struct endpoint endpoint;
    int timeout_ms;
    _Atomic int calls;
    int status;
    char peer[HOST_MAX + 1];
};

static void connected(void *owner, struct stream *stream, int status)
{
    struct attempt *a = owner;
    a->status = status;
    CHECK((stream != NULL) == (status == 0));
    if (stream != NULL) {
        memcpy(a->peer, stream->peer.host, sizeof(a->peer));
        stream_close(n.env, stream, false, NULL, NULL);
    }
    atomic_fetch_add(&a->calls, 1);
}

static void start_connect(void *arg)
{
    struct attempt *a = arg;
    n.env->net->connect(n.env->loops[1], &a->endpoint, a->timeout_ms, connected, a);
    CHECK(atomic_load(&a->calls) == 0); /* never from inside the call */
}

static int try_connect(const char *host, uint16_t port, int timeout_ms, char *ret_peer)
{
    struct attempt a = {.timeout_ms = timeout_ms, .endpoint.port = port};
    memcpy(a.endpoint.host, host, strlen(host) + 1);
    on_loop(n.env->loops[1], start_connect, &a);
    WAIT_FOR(atomic_load(&a.calls) == 1);
    if (ret_peer != NULL)
        memcpy(ret_peer, a.peer, sizeof(a.peer));
    return a.status;
}

static void connects_by_address_and_by_name(void **state)
{
    char peer[HOST_MAX + 1];
    bound = (struct endpoint){.host = "127.0.0.1"};
    on_loop(n.env->loops[0], open_listener, NULL);
    assert_int_equal(listen_status, 0);
    assert_int_equal(try_connect("127.0.0.1", bound.port, PATIENCE_MS, peer), 0);
    assert_string_equal(peer, "127.0.0.1");
    /* Where the name has ::1 too, that address refuses and the next one is tried. */
    assert_int_equal(try_connect("localhost", bound.port, PATIENCE_MS, peer), 0);
    assert_string_equal(peer, "127.0.0.1");
    WAIT_FOR(atomic_load(&accept_count) == 2);
    uint16_t port = bound.port;
    on_loop(n.env->loops[0], close_listener, NULL);
    assert_int_equal(try_connect("127.0.0.1", port, PATIENCE_MS, NULL), -ECONNREFUSED);
}

static void all_addresses_means_both_families(void **state)
{
    bound = (struct endpoint){.host = "0.0.0.0"};
    on_loop(n.env->loops[0], open_listener, NULL);
    assert_int_equal(listen_status, 0);
    assert_int_equal(try_connect("127.0.0.1", bound.port, PATIENCE_MS, NULL), 0);
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    if (probe >= 0) {
        char peer[HOST_MAX + 1];
        close(probe);
        assert_int_equal(try_connect("::1", bound.port, PATIENCE_MS, peer), 0);
        assert_string_equal(peer, "::1");
    }
    on_loop(n.env->loops[0], close_listener, NULL);
}

static void errors_are_told(void **state)
{
    uint16_t port;
    int fd = tcp_listen(&port);
    assert_int_equal(try_connect("no-such-host.invalid", 1, 5000, NULL) < 0, true);
    bound = (struct endpoint){.host = "127.0.0.1", .port = port};
    on_loop(n.env->loops[0], open_listener, NULL);
    assert_int_equal(listen_status, -EADDRINUSE);
    bound = (struct endpoint){.host = "192.0.2.1", .port = 0};
    on_loop(n.env->loops[0], open_listener, NULL);
    assert_int_equal(listen_status, -EADDRNOTAVAIL);
    close(fd);
}

/* A listener whose queue is full does not answer. */
static void a_silent_peer_times_out(void **state)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    uint16_t port = ntohs(address.sin_port);
    int filler = tcp_connect(port);
    int64_t began_ms = env_now_ms(n.env);
    assert_int_equal(try_connect("127.0.0.1", port, 100, NULL), -ETIMEDOUT);
    assert_true(env_now_ms(n.env) - began_ms >= 100);
    close(filler);
    close(fd);
}

static void connects_end_with_the_env(void **state)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    int filler = tcp_connect(ntohs(address.sin_port));
    struct attempt a = {.timeout_ms = 60000, .endpoint.port = ntohs(address.sin_port)};
    memcpy(a.endpoint.host, "127.0.0.1", 10);
    on_loop(n.env->loops[1], start_connect, &a);
    net_env_stop(&n);
    assert_int_equal(atomic_load(&a.calls), 1);
    assert_int_equal(a.status, -ECANCELED);
    net_env_start(&n, 1); /* for the tear-down */
    close(filler);
    close(fd);
}

/* Whoever ran the loops closes what is left when they stand still. */
static void closing_after_the_run_is_completed(void **state)
{
    struct endpoint endpoint = {.host = "127.0.0.1"};
    struct uv_env_options own_options = {.loop_count = 2, .disk = n.disk};
    struct env *own;
    struct listener *own_listener;
    assert_int_equal(uv_env_new(&own_options, &own), 0);
    assert_int_equal(
        own->net->listen(own->loops[0], &endpoint, 0, drop_accepted, NULL, &own_listener), 0);
    uv_env_stop(own);
    uv_env_run(own);
    own->net->listener_close(own_listener);
    uv_env_free(own);
}

static _Atomic int log_count;

static void count_sink(struct logger *logger, enum log_level level, const char *module,
                       const char *message)
{
    if (level == LOG_ERROR && strstr(message, "ulimit") != NULL)
        atomic_fetch_add(&log_count, 1);
}

/* Without descriptors, clients are turned away and not left to hang; later all is well again. */
static void running_out_of_descriptors_is_survived(void **state)
{
    enum { FILLERS = 64 };
    int fillers[FILLERS], count = 0;
    bound = (struct endpoint){.host = "127.0.0.1"};
    on_loop(n.env->loops[0], open_listener, NULL);
    assert_int_equal(listen_status, 0);
    n.logger.sink = count_sink;
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct rlimit before, tight;
    getrlimit(RLIMIT_NOFILE, &before);
    tight = before;
    tight.rlim_cur = (rlim_t)client + FILLERS / 2;
    setrlimit(RLIMIT_NOFILE, &tight);
    while (count < FILLERS && (fillers[count] = dup(client)) >= 0)
        count++;
    assert_true(count < FILLERS);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(bound.port)};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_true(tcp_at_end(client));
    assert_int_equal(atomic_load(&accept_count), 0);
    WAIT_FOR(atomic_load(&log_count) == 1);
    while (count > 0)
        close(fillers[--count]);
    close(client);
    setrlimit(RLIMIT_NOFILE, &before);
    client = tcp_connect(bound.port);
    WAIT_FOR(atomic_load(&accept_count) == 1);
    close(client);
    on_loop(n.env->loops[0], close_listener, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(connects_by_address_and_by_name),
        T(all_addresses_means_both_families),
        T(errors_are_told),
        T(a_silent_peer_times_out),
        T(connects_end_with_the_env),
        T(closing_after_the_run_is_completed),
        T(running_out_of_descriptors_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
