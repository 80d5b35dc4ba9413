#include "common/net/client.h"
#include "tests/unit/common/net/tcp_test.h"

/* The other side is a plain socket of the test, which sees what the client sends. */

enum { REQUESTS = 8 };

struct test_request {
    struct client_request base;
    _Atomic int done_count;
    int status;
    struct buf *frame;
};

static struct net_env n;
static struct client *client;
static struct client_options options;
static struct test_request requests[REQUESTS];
static _Atomic int connected_count, disconnected_count, closed_count;
static int connect_status, disconnect_status, send_status, timeout_ms;
static bool close_inside;
static int listen_fd;

static void on_connected(void *owner, int status)
{
    connect_status = status;
    atomic_fetch_add(&connected_count, 1);
}

static void on_disconnected(void *owner, int status)
{
    disconnect_status = status;
    atomic_fetch_add(&disconnected_count, 1);
}

static const struct client_handler handler = {on_connected, on_disconnected};

static void note_closed(void *owner)
{
    atomic_fetch_add((_Atomic int *)owner, 1);
}

static void request_done(struct client_request *base, int status, struct buf *frame)
{
    struct test_request *r = CONTAINER_OF(base, struct test_request, base);
    CHECK((status == 0) == (frame != NULL));
    r->status = status;
    buf_unref(r->frame);
    r->frame = frame;
    if (close_inside) {
        close_inside = false;
        client_close(client, note_closed, &closed_count);
        client = NULL;
    }
    atomic_fetch_add(&r->done_count, 1);
}

static void make_client(void *arg)
{
    client = client_new(n.env->loops[0], &options, &handler, NULL);
    CHECK(!client_is_connected(client));
}

static void close_client(void *arg)
{
    if (client != NULL)
        client_close(client, note_closed, &closed_count);
    client = NULL;
}

static int set_up(void **state)
{
    net_env_start(&n, 1);
    options = (struct client_options){.connect_timeout_ms = PATIENCE_MS,
                                      .in_flight_max = REQUESTS,
                                      .response_max_bytes = 10000000};
    memcpy(options.endpoint.host, "127.0.0.1", 10);
    listen_fd = tcp_listen(&options.endpoint.port);
    atomic_store(&connected_count, 0);
    atomic_store(&disconnected_count, 0);
    atomic_store(&closed_count, 0);
    memset(requests, 0, sizeof(requests));
    timeout_ms = PATIENCE_MS;
    return 0;
}

static int tear_down(void **state)
{
    on_loop(n.env->loops[0], close_client, NULL);
    WAIT_FOR(atomic_load(&closed_count) == 1);
    for (int i = 0; i < REQUESTS; i++)
        buf_unref(requests[i].frame);
    net_env_stop(&n);
    close(listen_fd);
    return 0;
}

static int accept_client(void)
{
    on_loop(n.env->loops[0], make_client, NULL);
    int fd = accept(listen_fd, NULL, NULL);
    assert_true(fd >= 0);
    WAIT_FOR(atomic_load(&connected_count) == 1);
    assert_int_equal(connect_status, 0);
    return fd;
}

/* A request of four bytes: its correlation id. */
static void send_request(void *arg)
{
    struct test_request *r = arg;
    int32_t id = client_next_correlation_id(client);
    struct buf *buf = buf_new(8);
    put_length(buf->data, 4);
    put_length(buf->data + 4, (uint32_t)id);
    struct out_chunk chunk = {.buf = buf, .len = 8};
    r->base.done = request_done;
    send_status = client_send(client, &r->base, &chunk, 1, id, timeout_ms);
    if (send_status != 0)
        buf_unref(buf);
    CHECK(atomic_load(&r->done_count) == 0);
}

static void send_requests(int count)
{
    for (int i = 0; i < count; i++) {
        on_loop(n.env->loops[0], send_request, &requests[i]);
        assert_int_equal(send_status, 0);
    }
}

static void answer(int fd, uint32_t id, size_t len)
{
    uint8_t *frame = mem_calloc(1, 8 + len);
    put_length(frame, (uint32_t)(4 + len));
    put_length(frame + 4, id);
    memset(frame + 8, 'x', len);
    tcp_send(fd, frame, 8 + len);
    free(frame);
}

static void answers_find_their_requests(void **state)
{
    int fd = accept_client();
    send_requests(3);
    char got[24];
    assert_int_equal(tcp_recv(fd, got, 24), 24);
    assert_memory_equal(got, "\0\0\0\4\0\0\0\0\0\0\0\4\0\0\0\1", 16);
    answer(fd, 0, 5);
    answer(fd, 1, 3000000);
    answer(fd, 2, 0);
    WAIT_FOR(atomic_load(&requests[2].done_count) == 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(requests[i].status, 0);
    assert_int_equal(requests[0].frame->size_bytes, 9);
    assert_int_equal(requests[1].frame->size_bytes, 3000004);
    assert_int_equal(requests[1].frame->data[3000003], 'x');
    assert_int_equal(requests[2].frame->size_bytes, 4);
    close(fd);
    WAIT_FOR(atomic_load(&disconnected_count) == 1);
    assert_int_equal(disconnect_status, -ECONNRESET);
    on_loop(n.env->loops[0], send_request, &requests[4]);
    assert_int_equal(send_status, -ENOTCONN);
}

static void in_flight_is_bounded(void **state)
{
    options.in_flight_max = 2;
    int fd = accept_client();
    send_requests(2);
    on_loop(n.env->loops[0], send_request, &requests[2]);
    assert_int_equal(send_status, -EBUSY);
    answer(fd, 0, 1);
    WAIT_FOR(atomic_load(&requests[0].done_count) == 1);
    on_loop(n.env->loops[0], send_request, &requests[2]);
    assert_int_equal(send_status, 0);
    close(fd);
    WAIT_FOR(atomic_load(&requests[2].done_count) == 1);
    assert_int_equal(requests[1].status, -ECONNRESET);
}

static void check_breaks(const void *bytes, size_t len, int status)
{
    int fd = accept_client();
    send_requests(2);
    tcp_send(fd, bytes, len);
    WAIT_FOR(atomic_load(&disconnected_count) == 1);
    assert_int_equal(disconnect_status, status);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(atomic_load(&requests[i].done_count), 1);
        assert_int_equal(requests[i].status, status);
    }
    close(fd);
}

static void a_wrong_correlation_id_breaks(void **state)
{
    check_breaks("\0\0\0\4\0\0\0\1", 8, -EPROTO);
}

static void a_short_answer_breaks(void **state)
{
    check_breaks("\0\0\0\3\0\0\0", 7, -EPROTO);
}

static void a_negative_length_breaks(void **state)
{
    check_breaks("\xff\xff\xff\xff", 4, -EPROTO);
}

static void a_huge_length_breaks(void **state)
{
    check_breaks("\x7f\xff\xff\xff", 4, -EMSGSIZE);
}

static void silence_times_out(void **state)
{
    int fd = accept_client();
    send_requests(1);
    timeout_ms = 50;
    on_loop(n.env->loops[0], send_request, &requests[1]);
    WAIT_FOR(atomic_load(&disconnected_count) == 1);
    assert_int_equal(disconnect_status, -ETIMEDOUT);
    assert_int_equal(requests[0].status, -ETIMEDOUT);
    assert_int_equal(requests[1].status, -ETIMEDOUT);
    close(fd);
}

static void refused_connections_are_told(void **state)
{
    close(listen_fd);
    on_loop(n.env->loops[0], make_client, NULL);
    WAIT_FOR(atomic_load(&connected_count) == 1);
    assert_int_equal(connect_status, -ECONNREFUSED);
    listen_fd = tcp_listen(&options.endpoint.port);
}

static void make_and_close(void *arg)
{
    make_client(NULL);
    close_client(NULL);
}

static void closing_while_connecting_is_quiet(void **state)
{
    on_loop(n.env->loops[0], make_and_close, NULL);
    WAIT_FOR(atomic_load(&closed_count) == 1);
    sleep_ms(20);
    assert_int_equal(atomic_load(&connected_count), 0);
}

static void closing_cancels_requests(void **state)
{
    int fd = accept_client();
    send_requests(2);
    on_loop(n.env->loops[0], close_client, NULL);
    WAIT_FOR(atomic_load(&closed_count) == 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(atomic_load(&requests[i].done_count), 1);
        assert_int_equal(requests[i].status, -ECANCELED);
    }
    assert_int_equal(atomic_load(&disconnected_count), 0);
    close(fd);
}

static void it_may_be_closed_from_its_callbacks(void **state)
{
    int fd = accept_client();
    close_inside = true;
    send_requests(3);
    answer(fd, 0, 100);
    answer(fd, 1, 100);
    WAIT_FOR(atomic_load(&closed_count) == 1);
    assert_int_equal(requests[0].status, 0);
    assert_int_equal(requests[1].status, -ECANCELED);
    assert_int_equal(requests[2].status, -ECANCELED);
    close(fd);
}

static void it_may_be_closed_while_it_breaks(void **state)
{
    int fd = accept_client();
    close_inside = true;
    send_requests(3);
    close(fd);
    WAIT_FOR(atomic_load(&closed_count) == 1);
    assert_int_equal(requests[0].status, -ECONNRESET);
    assert_int_equal(atomic_load(&requests[2].done_count), 1);
    assert_int_equal(atomic_load(&disconnected_count), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(answers_find_their_requests),
        T(in_flight_is_bounded),
        T(a_wrong_correlation_id_breaks),
        T(a_short_answer_breaks),
        T(a_negative_length_breaks),
        T(a_huge_length_breaks),
        T(silence_times_out),
        T(refused_connections_are_told),
        T(closing_while_connecting_is_quiet),
        T(closing_cancels_requests),
        T(it_may_be_closed_from_its_callbacks),
        T(it_may_be_closed_while_it_breaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
