#include "common/net/connection.h"
#include "tests/unit/common/net/tcp_test.h"

#include <stdio.h>

/*
 * A server whose handler does what the first byte of a request says:
 *   e  echo it   d  keep the slot, the test answers later   n  no answer   f  fail
 *   b  answer with a megabyte   m  echo and mute   t  echo and throttle for 100 ms
 *   x  close at once   r  drain, then echo
 */

enum { KEPT_MAX = 2000, BIG = 1000000 };

static struct net_env n;
static struct connection_group group;
static struct listener *listener;
static uint16_t port;
static struct connection *_Atomic last;
static struct request_slot *kept[KEPT_MAX];
static _Atomic int kept_count, request_count, done_count, sent_count, disconnect_count,
    closed_count;
static char last_reason[200];
static struct connection_limits limits;
static int32_t frame_max_bytes;

static struct out_chunk frame_of(const void *data, size_t len)
{
    struct buf *buf = buf_new(4 + len);
    buf->data[0] = (uint8_t)(len >> 24);
    buf->data[1] = (uint8_t)(len >> 16);
    buf->data[2] = (uint8_t)(len >> 8);
    buf->data[3] = (uint8_t)len;
    memcpy(buf->data + 4, data, len);
    return (struct out_chunk){.buf = buf, .len = 4 + len};
}

static void echo(struct request_slot *slot, struct buf *frame)
{
    struct out_chunk chunk = frame_of(frame->data, frame->size_bytes);
    connection_respond(slot, &chunk, 1);
}

static void on_request(struct connection *c, struct request_slot *slot, struct buf *frame)
{
    char what = frame->size_bytes > 0 ? (char)frame->data[0] : 'e';
    atomic_fetch_add(&request_count, 1);
    if (what == 'd') {
        slot->ctx = buf_ref(frame);
        kept[atomic_load(&kept_count)] = slot;
        atomic_fetch_add(&kept_count, 1);
    } else if (what == 'n') {
        connection_respond(slot, NULL, 0);
    } else if (what == 'f') {
        connection_fail(slot, "failed by the test");
    } else if (what == 'b') {
        static char big[BIG];
        struct out_chunk chunk = frame_of(big, sizeof(big));
        connection_respond(slot, &chunk, 1);
    } else if (what == 'x') {
        connection_respond(slot, NULL, 0);
        connection_close(c, "closed by the test");
    } else {
        if (what == 'm')
            connection_mute(c);
        if (what == 't')
            connection_throttle(c, 100);
        if (what == 'r')
            connection_drain(c, "drained by the test");
        echo(slot, frame);
    }
    buf_unref(frame);
}

static void on_done(struct connection *c, struct request_slot *slot, bool sent)
{
    buf_unref(slot->ctx);
    CHECK(!sent || slot->responded_us >= slot->received_us);
    atomic_fetch_add(&done_count, 1);
    if (sent)
        atomic_fetch_add(&sent_count, 1);
}

static void on_disconnect(struct connection *c, const char *reason)
{
    snprintf(last_reason, sizeof(last_reason), "%s", reason);
    atomic_fetch_add(&disconnect_count, 1);
}

static void on_closed(struct connection *c)
{
    CHECK(connection_ctx(c) == &n);
    atomic_fetch_add(&closed_count, 1);
}

static void on_open(struct connection *c)
{
    connection_set_ctx(c, &n);
}

static const struct connection_handler handler = {on_open, on_request, on_done, on_disconnect,
                                                  on_closed};

struct hand_over {
    struct task task;
    struct stream *stream;
};

static void take_over(struct task *task)
{
    struct hand_over *h = CONTAINER_OF(task, struct hand_over, task);
    atomic_store(&last, connection_new(&group, h->stream, frame_max_bytes, NULL));
    free(h);
}

static void on_accept(void *owner, struct stream *stream)
{
    struct hand_over *h = mem_calloc(1, sizeof(*h));
    h->task.run = take_over;
    h->stream = stream;
    loop_post(group.loop, &h->task);
}

static void open_server(void *arg)
{
    struct endpoint endpoint = {.host = "127.0.0.1"};
    CHECK(n.env->net->listen(n.env->loops[0], &endpoint, 0, on_accept, NULL, &listener) == 0);
    port = n.env->net->listener_port(listener);
}

static void close_listener(void *arg)
{
    n.env->net->listener_close(listener);
}

static int set_up(void **state)
{
    net_env_start(&n, 2);
    limits = (struct connection_limits){
        .request_max_bytes = 4 << 20, .in_flight_max = 100, .buffered_max_bytes = 8 << 20};
    frame_max_bytes = 0;
    _Atomic int *counters[] = {&kept_count, &request_count,    &done_count,
                               &sent_count, &disconnect_count, &closed_count};
    for (size_t i = 0; i < ARRAY_LEN(counters); i++)
        atomic_store(counters[i], 0);
    atomic_store(&last, NULL);
    last_reason[0] = '\0';
    connection_group_init(&group, n.env->loops[1], &handler, &limits, NULL);
    on_loop(n.env->loops[0], open_server, NULL);
    return 0;
}

static void answer_kept(void *arg)
{
    for (int i = 0; i < atomic_load(&kept_count); i++)
        if (kept[i] != NULL)
            connection_respond(kept[i], NULL, 0);
}

static void close_all(void *arg)
{
    connection_group_close(&group, "the test ends");
}

static void release_group(void *arg)
{
    connection_group_release(&group);
}

static int tear_down(void **state)
{
    on_loop(group.loop, close_all, NULL);
    on_loop(group.loop, answer_kept, NULL);
    WAIT_FOR(atomic_load(&group.stats.created_total) == atomic_load(&closed_count));
    assert_int_equal(atomic_load(&done_count), atomic_load(&request_count));
    assert_int_equal(atomic_load(&group.stats.open_count), 0);
    on_loop(n.env->loops[0], close_listener, NULL);
    on_loop(group.loop, release_group, NULL);
    net_env_stop(&n);
    return 0;
}

static void set_limits(void *arg)
{
    group.limits = limits;
}

static void use_limits(void)
{
    on_loop(group.loop, set_limits, NULL);
}

static void fragments_of_every_length_make_the_same_requests(void **state)
{
    uint8_t input[200];
    size_t len = 0;
    static const char *const texts[] = {"e first", "e", "", "e a longer one that is in the way"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        put_length(input + len, (uint32_t)strlen(texts[i]));
        memcpy(input + len + 4, texts[i], strlen(texts[i]));
        len += 4 + strlen(texts[i]);
    }
    int fd = tcp_connect(port);
    for (size_t cut = 1; cut < len; cut++) {
        tcp_send(fd, input, cut);
        if (cut % 7 == 0)
            sleep_ms(1);
        tcp_send(fd, input + cut, len - cut);
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
            expect_frame(fd, texts[i]);
    }
    for (size_t i = 0; i < len; i++) {
        tcp_send(fd, input + i, 1);
        sleep_ms(1);
    }
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        expect_frame(fd, texts[i]);
    close(fd);
}

static void large_frames_arrive_whole(void **state)
{
    enum { SIZE = 3000000 };
    uint8_t *sent = mem_alloc(SIZE + 4);
    char *got = mem_alloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        sent[4 + i] = (uint8_t)(i * 31 % 255);
    sent[4] = 'e';
    put_length(sent, SIZE);
    int fd = tcp_connect(port);
    for (int round = 0; round < 3; round++) {
        send_frame(fd, "e before");
        tcp_send(fd, sent, SIZE + 4);
        send_frame(fd, "e after");
        expect_frame(fd, "e before");
        assert_int_equal(recv_frame(fd, got, SIZE), SIZE);
        assert_memory_equal(got, sent + 4, SIZE);
        expect_frame(fd, "e after");
    }
    close(fd);
    free(sent);
    free(got);
}

static void answer_in_reverse(void *arg)
{
    for (int i = atomic_load(&kept_count) - 1; i >= 0; i--) {
        struct request_slot *slot = kept[i];
        kept[i] = NULL;
        if (slot != NULL)
            echo(slot, slot->ctx);
    }
}

static void answers_leave_in_order_of_the_requests(void **state)
{
    int fd = tcp_connect(port);
    char text[16];
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof(text), "%c%02d", i % 3 == 0 ? 'e' : i % 3 == 1 ? 'd' : 'n', i);
        send_frame(fd, text);
    }
    WAIT_FOR(atomic_load(&request_count) == 20);
    expect_frame(fd, "e00");
    on_loop(group.loop, answer_in_reverse, NULL);
    for (int i = 1; i < 20; i++) {
        snprintf(text, sizeof(text), "%c%02d", i % 3 == 0 ? 'e' : 'd', i);
        if (i % 3 != 2)
            expect_frame(fd, text);
    }
    WAIT_FOR(atomic_load(&sent_count) == 20);
    close(fd);
}

static void check_refused(const void *bytes, size_t len, const char *reason)
{
    int fd = tcp_connect(port);
    int closed = atomic_load(&closed_count);
    tcp_send(fd, bytes, len);
    assert_true(tcp_at_end(fd));
    WAIT_FOR(atomic_load(&closed_count) == closed + 1);
    assert_non_null(strstr(last_reason, reason));
    close(fd);
}

static void bad_lengths_end_the_connection_and_say_why(void **state)
{
    check_refused("\xff\xff\xff\xff", 4, "negative");
    check_refused("\x80\x00\x00\x00", 4, "negative");
    check_refused("\x7f\xff\xff\xff", 4, "above the limit");
    check_refused("\x00\x40\x00\x01", 4, "above the limit");
    check_refused("GET / HTTP/1.1\r\n\r\n", 18, "HTTP");
    check_refused("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11, "TLS");
    assert_int_equal(atomic_load(&request_count), 0);
}

static void a_frame_at_the_limit_is_taken(void **state)
{
    limits.request_max_bytes = 20;
    use_limits();
    int fd = tcp_connect(port);
    send_frame(fd, "e2345678901234567890");
    expect_frame(fd, "e2345678901234567890");
    send_frame(fd, "e23456789012345678901");
    assert_true(tcp_at_end(fd));
    close(fd);
}

static void lift_frame_max(void *arg)
{
    connection_set_frame_max(atomic_load(&last), 0);
}

static void the_cap_before_authentication_is_lifted(void **state)
{
    frame_max_bytes = 10;
    int fd = tcp_connect(port);
    send_frame(fd, "e234567890");
    expect_frame(fd, "e234567890");
    on_loop(group.loop, lift_frame_max, NULL);
    send_frame(fd, "e2345678901");
    expect_frame(fd, "e2345678901");
    close(fd);
    WAIT_FOR(atomic_load(&closed_count) == 1);
    check_refused("\x00\x00\x00\x0b", 4, "before authentication");
}

/* Answers to what came before the garbage are still given, in order. */
static void requests_before_a_bad_one_are_answered(void **state)
{
    int fd = tcp_connect(port);
    send_frame(fd, "d1");
    send_frame(fd, "e2");
    tcp_send(fd, "\xff\xff\xff\xff", 4);
    send_frame(fd, "e3");
    WAIT_FOR(atomic_load(&request_count) == 2);
    sleep_ms(20);
    assert_int_equal(atomic_load(&disconnect_count), 0);
    on_loop(group.loop, answer_in_reverse, NULL);
    expect_frame(fd, "d1");
    expect_frame(fd, "e2");
    assert_true(tcp_at_end(fd));
    WAIT_FOR(atomic_load(&closed_count) == 1);
    assert_int_equal(atomic_load(&request_count), 2);
    assert_int_equal(atomic_load(&sent_count), 2);
    close(fd);
}

static void a_failed_request_ends_the_connection_in_its_turn(void **state)
{
    int fd = tcp_connect(port);
    send_frame(fd, "d1");
    send_frame(fd, "f2");
    send_frame(fd, "e3");
    WAIT_FOR(atomic_load(&request_count) == 2);
    on_loop(group.loop, answer_in_reverse, NULL);
    expect_frame(fd, "d1");
    assert_true(tcp_at_end(fd));
    WAIT_FOR(atomic_load(&closed_count) == 1);
    assert_string_equal(last_reason, "failed by the test");
    assert_int_equal(atomic_load(&sent_count), 1);
    close(fd);
}

static void a_drain_answers_and_closes(void **state)
{
    int fd = tcp_connect(port);
    send_frame(fd, "d1");
    send_frame(fd, "r2");
    send_frame(fd, "e3");
    WAIT_FOR(atomic_load(&request_count) == 2);
    on_loop(group.loop, answer_in_reverse, NULL);
    expect_frame(fd, "d1");
    expect_frame(fd, "r2");
    assert_true(tcp_at_end(fd));
    close(fd);
}

static void a_close_drops_at_once(void **state)
{
    int fd = tcp_connect(port);
    send_frame(fd, "d1");
    send_frame(fd, "x2");
    assert_true(tcp_at_end(fd));
    WAIT_FOR(atomic_load(&disconnect_count) == 1);
    assert_int_equal(atomic_load(&closed_count), 0); /* d1 still has its slot */
    on_loop(group.loop, answer_in_reverse, NULL);
    WAIT_FOR(atomic_load(&closed_count) == 1);
    assert_int_equal(atomic_load(&sent_count), 0);
    close(fd);
}

static void the_end_of_a_peer_that_waits_is_no_end(void **state)
{
    int fd = tcp_connect(port);
    send_frame(fd, "d1");
    shutdown(fd, SHUT_WR);
    WAIT_FOR(atomic_load(&request_count) == 1);
    sleep_ms(20);
    on_loop(group.loop, answer_in_reverse, NULL);
    expect_frame(fd, "d1");
    assert_true(tcp_at_end(fd));
    WAIT_FOR(atomic_load(&closed_count) == 1);
    assert_string_equal(last_reason, "closed by the peer");
    close(fd);
}

static void in_flight_is_bounded(void **state)
{
    limits.in_flight_max = 3;
    use_limits();
    int fd = tcp_connect(port);
    for (int i = 0; i < 10; i++)
        send_frame(fd, "d");
    WAIT_FOR(atomic_load(&request_count) == 3);
    sleep_ms(30);
    assert_int_equal(atomic_load(&request_count), 3);
    for (int round = 0; atomic_load(&sent_count) < 10 && round < 1000; round++) {
        on_loop(group.loop, answer_in_reverse, NULL);
        sleep_ms(5);
        assert_true(atomic_load(&request_count) - atomic_load(&sent_count) <= 3);
    }
    for (int i = 0; i < 10; i++)
        expect_frame(fd, "d");
    close(fd);
}

/* A client that asks and asks and never reads gets no more than the bound and what the kernel
 * holds. */
static void a_client_that_never_reads_is_held_off(void **state)
{
    limits.buffered_max_bytes = 3 * BIG;
    use_limits();
    int fd = tcp_connect(port);
    struct timeval patience = {.tv_usec = 300000};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    static uint8_t requests[1000 * 5];
    for (int i = 0; i < 1000; i++)
        memcpy(requests + i * 5, "\0\0\0\1b", 5);
    for (int i = 0; i < 1000; i++)
        if (send(fd, requests, sizeof(requests), MSG_NOSIGNAL) <= 0)
            break;
    WAIT_FOR(atomic_load(&request_count) >= 3);
    int requests_taken;
    do { /* until no more are taken */
        requests_taken = atomic_load(&request_count);
        sleep_ms(100);
    } while (atomic_load(&request_count) != requests_taken);
    WAIT_FOR(requests_taken - atomic_load(&sent_count) <= 4);
    assert_true(requests_taken < 60);
    static char got[BIG];
    for (int i = 0; i < requests_taken + 5; i++)
        assert_int_equal(recv_frame(fd, got, BIG), BIG);
    close(fd);
}

static void one_large_request_passes_whatever_the_bound(void **state)
{
    limits.buffered_max_bytes = 10;
    limits.group_max_bytes = 10;
    use_limits();
    int fd = tcp_connect(port);
    for (int i = 0; i < 5; i++)
        send_frame(fd, "e a request above the bound");
    for (int i = 0; i < 5; i++)
        expect_frame(fd, "e a request above the bound");
    close(fd);
}

static void a_group_shares_its_memory_in_turn(void **state)
{
    limits.group_max_bytes = 30;
    use_limits();
    int first = tcp_connect(port), second = tcp_connect(port), third = tcp_connect(port);
    send_frame(first, "d 3456789012345678901234");
    WAIT_FOR(atomic_load(&request_count) == 1);
    send_frame(second, "e 345678901234567890");
    sleep_ms(20);
    send_frame(third, "e");
    sleep_ms(20);
    assert_int_equal(atomic_load(&request_count), 1); /* nobody overtakes */
    on_loop(group.loop, answer_in_reverse, NULL);
    expect_frame(first, "d 3456789012345678901234");
    expect_frame(second, "e 345678901234567890");
    expect_frame(third, "e");
    close(first);
    close(second);
    close(third);
}

static void unmute_last(void *arg)
{
    connection_unmute(atomic_load(&last));
}

static void a_muted_connection_is_not_read(void **state)
{
    int fd = tcp_connect(port);
    send_frame(fd, "m1");
    send_frame(fd, "e2");
    send_frame(fd, "e3");
    expect_frame(fd, "m1");
    sleep_ms(30);
    assert_int_equal(atomic_load(&request_count), 1);
    on_loop(group.loop, unmute_last, NULL);
    expect_frame(fd, "e2");
    expect_frame(fd, "e3");
    close(fd);
}

static void a_throttled_connection_waits_its_time(void **state)
{
    int fd = tcp_connect(port);
    int64_t began_ms = env_now_ms(n.env);
    send_frame(fd, "t1");
    send_frame(fd, "e2");
    expect_frame(fd, "t1");
    expect_frame(fd, "e2");
    int64_t took_ms = env_now_ms(n.env) - began_ms;
    assert_true(took_ms >= 99);
    close(fd);
}

static void idle_connections_expire_and_busy_ones_stay(void **state)
{
    limits.idle_max_ms = 2500;
    use_limits();
    int idle = tcp_connect(port), waiting = tcp_connect(port), busy = tcp_connect(port);
    send_frame(waiting, "d");
    while (atomic_load(&closed_count) == 0) {
        send_frame(busy, "e");
        expect_frame(busy, "e");
        sleep_ms(100);
    }
    assert_true(tcp_at_end(idle));
    assert_int_equal(atomic_load(&group.stats.expired_total), 1);
    on_loop(group.loop, answer_in_reverse, NULL);
    expect_frame(waiting, "d");
    send_frame(busy, "e");
    expect_frame(busy, "e");
    WAIT_FOR(atomic_load(&closed_count) == 3);
    close(idle);
    close(waiting);
    close(busy);
}

static void a_thousand_connections_at_once(void **state)
{
    enum { COUNT = 1000 };
    uint64_t limit;
    static int fds[COUNT];
    assert_int_equal(uv_env_raise_descriptor_limit(4000, &limit), 0);
    if (limit < 2100)
        skip();
    for (int i = 0; i < COUNT; i++)
        fds[i] = tcp_connect(port);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++)
            send_frame(fds[i], "e hello");
        for (int i = 0; i < COUNT; i++)
            expect_frame(fds[i], "e hello");
    }
    assert_int_equal(atomic_load(&group.stats.open_count), COUNT);
    assert_int_equal(atomic_load(&group.stats.in_bytes_total), COUNT * 2 * 11);
    WAIT_FOR(atomic_load(&group.stats.response_total) == COUNT * 2);
    assert_int_equal(atomic_load(&group.stats.out_bytes_total), COUNT * 2 * 11);
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    WAIT_FOR(atomic_load(&closed_count) == COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(fragments_of_every_length_make_the_same_requests),
        T(large_frames_arrive_whole),
        T(answers_leave_in_order_of_the_requests),
        T(bad_lengths_end_the_connection_and_say_why),
        T(a_frame_at_the_limit_is_taken),
        T(the_cap_before_authentication_is_lifted),
        T(requests_before_a_bad_one_are_answered),
        T(a_failed_request_ends_the_connection_in_its_turn),
        T(a_drain_answers_and_closes),
        T(a_close_drops_at_once),
        T(the_end_of_a_peer_that_waits_is_no_end),
        T(in_flight_is_bounded),
        T(a_client_that_never_reads_is_held_off),
        T(one_large_request_passes_whatever_the_bound),
        T(a_group_shares_its_memory_in_turn),
        T(a_muted_connection_is_not_read),
        T(a_throttled_connection_waits_its_time),
        T(idle_connections_expire_and_busy_ones_stay),
        T(a_thousand_connections_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
