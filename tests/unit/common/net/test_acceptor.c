#include "common/net/acceptor.h"
#include "tests/unit/common/net/tcp_test.h"

#include <stdio.h>

/* Every request is echoed; one that begins with 'd' waits until the test answers. */

static struct net_env n;
static struct acceptor *acceptor;
static struct acceptor_limits limits;
static struct acceptor_listener_options options[2];
static int listener_count;
static struct address_override overrides[1];
static _Atomic int drained, closed, open_on_loop[4];
static struct request_slot *_Atomic kept;
static struct buf *kept_frame;

static void answer(struct request_slot *slot, struct buf *frame)
{
    struct buf *buf = buf_new(4 + frame->size_bytes);
    put_length(buf->data, (uint32_t)frame->size_bytes);
    memcpy(buf->data + 4, frame->data, frame->size_bytes);
    struct out_chunk chunk = {.buf = buf, .len = buf->size_bytes};
    connection_respond(slot, &chunk, 1);
    buf_unref(frame);
}

static void on_open(struct connection *c)
{
    atomic_fetch_add(&open_on_loop[connection_group_of(c)->loop->index], 1);
}

static void on_request(struct connection *c, struct request_slot *slot, struct buf *frame)
{
    if (frame->data[0] == 'd') {
        kept_frame = frame;
        atomic_store(&kept, slot);
    } else {
        answer(slot, frame);
    }
}

static void on_closed(struct connection *c)
{
}

static const struct connection_handler handler = {
    .on_open = on_open, .on_request = on_request, .on_closed = on_closed};

static void open_acceptor(void *arg)
{
    acceptor = acceptor_new(n.env->loops[0], &limits);
    for (int i = 0; i < listener_count; i++) {
        int index = -1;
        CHECK(acceptor_listen(acceptor, &options[i], &index) == 0 && index == i);
    }
}

static void start(void)
{
    on_loop(n.env->loops[0], open_acceptor, NULL);
}

static void note(void *ctx)
{
    atomic_fetch_add((_Atomic int *)ctx, 1);
}

static void close_acceptor(void *arg)
{
    acceptor_close(acceptor, "the test ends", note, &closed);
}

static void drain_acceptor(void *arg)
{
    acceptor_drain(acceptor, "the test drains", note, &drained);
}

static int set_up(void **state)
{
    net_env_start(&n, 3);
    limits = (struct acceptor_limits){.connections_per_address_max = INT32_MAX};
    listener_count = 1;
    for (int i = 0; i < 2; i++)
        options[i] = (struct acceptor_listener_options){
            .name = i == 0 ? "PLAINTEXT" : "INTERNAL",
            .endpoint.host = "127.0.0.1",
            .connection_limits = {.request_max_bytes = 1000,
                                  .in_flight_max = 10,
                                  .buffered_max_bytes = 10000},
            .handler = &handler,
        };
    atomic_store(&drained, 0);
    atomic_store(&closed, 0);
    atomic_store(&kept, NULL);
    for (int i = 0; i < 4; i++)
        atomic_store(&open_on_loop[i], 0);
    return 0;
}

static int tear_down(void **state)
{
    if (atomic_load(&closed) == 0)
        on_loop(n.env->loops[0], close_acceptor, NULL);
    WAIT_FOR(atomic_load(&closed) == 1);
    net_env_stop(&n);
    return 0;
}

/* False where it is closed instead. */
static bool is_served(int fd)
{
    char byte;
    send_frame(fd, "e");
    return tcp_recv(fd, &byte, 1) == 1 && tcp_recv(fd, (char[4]){0}, 4) == 4;
}

/* Its request stays unanswered for a while. */
static bool is_held(int fd)
{
    send_frame(fd, "e");
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 300) == 0;
}

static void connections_are_spread_over_the_loops(void **state)
{
    int fds[9];
    start();
    assert_string_equal(acceptor_listener_name(acceptor, 0), "PLAINTEXT");
    for (int i = 0; i < 9; i++) {
        fds[i] = tcp_connect(acceptor_port(acceptor, 0));
        assert_true(is_served(fds[i]));
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(atomic_load(&open_on_loop[i]), 3);
        assert_int_equal(atomic_load(&acceptor_group(acceptor, 0, i)->stats.open_count), 3);
    }
    for (int i = 0; i < 9; i++)
        close(fds[i]);
}

static void an_address_has_its_own_limit(void **state)
{
    limits.connections_per_address_max = 2;
    start();
    uint16_t port = acceptor_port(acceptor, 0);
    int first = tcp_connect(port), second = tcp_connect(port);
    assert_true(is_served(first) && is_served(second));
    int third = tcp_connect(port);
    assert_true(tcp_at_end(third));
    assert_int_equal(acceptor_stats(acceptor, 0).refused_total, 1);
    close(third);
    close(first);
    for (int i = 0; i < 500; i++) { /* until its end was noticed */
        third = tcp_connect(port);
        if (is_served(third))
            break;
        close(third);
    }
    assert_true(is_served(third));
    close(second);
    close(third);
}

static void set_limits(void *arg)
{
    acceptor_set_limits(acceptor, &limits);
}

static void an_override_replaces_the_limit(void **state)
{
    limits.connections_per_address_max = 0;
    overrides[0] = (struct address_override){"127.0.0.1", 1};
    limits.overrides = overrides;
    limits.override_count = 1;
    start();
    uint16_t port = acceptor_port(acceptor, 0);
    int first = tcp_connect(port);
    assert_true(is_served(first));
    int second = tcp_connect(port);
    assert_true(tcp_at_end(second));
    close(second);
    overrides[0].connections_max = 2;
    on_loop(n.env->loops[0], set_limits, NULL);
    second = tcp_connect(port);
    assert_true(is_served(second));
    limits.override_count = 0;
    on_loop(n.env->loops[0], set_limits, NULL);
    int third = tcp_connect(port);
    assert_true(tcp_at_end(third));
    close(first);
    close(second);
    close(third);
}

static void above_the_nodes_limit_connections_wait(void **state)
{
    limits.connections_max = 2;
    start();
    uint16_t port = acceptor_port(acceptor, 0);
    int first = tcp_connect(port), second = tcp_connect(port);
    assert_true(is_served(first) && is_served(second));
    int third = tcp_connect(port);
    assert_true(is_held(third));
    assert_int_equal(acceptor_stats(acceptor, 0).held_count, 1);
    close(first);
    expect_frame(third, "e");
    assert_int_equal(acceptor_stats(acceptor, 0).held_count, 0);
    close(second);
    close(third);
}

static int64_t open_connections(void)
{
    int64_t count = 0;
    for (int i = 0; i < 3; i++)
        count += atomic_load(&acceptor_group(acceptor, 0, i)->stats.open_count);
    return count;
}

static void a_lowered_limit_closes_the_longest_inactive(void **state)
{
    int fds[4];
    start();
    for (int i = 0; i < 4; i++) {
        fds[i] = tcp_connect(acceptor_port(acceptor, 0));
        assert_true(is_served(fds[i]));
    }
    limits.connections_max = 1;
    on_loop(n.env->loops[0], set_limits, NULL);
    WAIT_FOR(open_connections() == 1);
    int served = 0;
    for (int i = 0; i < 4; i++)
        served += is_served(fds[i]);
    assert_int_equal(served, 1);
    limits.connections_max = 2;
    on_loop(n.env->loops[0], set_limits, NULL);
    int more = tcp_connect(acceptor_port(acceptor, 0));
    assert_true(is_served(more));
    close(more);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}

static void an_essential_listener_takes_the_place_of_another(void **state)
{
    limits.connections_max = 2;
    listener_count = 2;
    options[1].essential = true;
    start();
    int first = tcp_connect(acceptor_port(acceptor, 0));
    assert_true(is_served(first));
    int second = tcp_connect(acceptor_port(acceptor, 0));
    assert_true(is_served(second));
    int internal = tcp_connect(acceptor_port(acceptor, 1));
    assert_true(is_served(internal));
    assert_true(tcp_at_end(first) || tcp_at_end(second));
    close(first);
    close(second);
    close(internal);
}

static void alone_an_essential_listener_keeps_to_the_common_limits(void **state)
{
    limits.connections_max = 1;
    options[0].essential = true;
    start();
    int first = tcp_connect(acceptor_port(acceptor, 0));
    assert_true(is_served(first));
    int second = tcp_connect(acceptor_port(acceptor, 0));
    assert_true(is_held(second));
    close(first);
    expect_frame(second, "e");
    close(second);
}

static void the_common_rate_spares_an_essential_listener(void **state)
{
    int fds[4];
    limits.creations_per_s_max = 1;
    listener_count = 2;
    options[1].essential = true;
    start();
    for (int i = 0; i < 4; i++) {
        fds[i] = tcp_connect(acceptor_port(acceptor, 1));
        assert_true(is_served(fds[i]));
    }
    int other = tcp_connect(acceptor_port(acceptor, 0));
    assert_true(is_served(other)); /* nor did they take anything of it */
    close(other);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}

static void set_listener_limits(void *arg)
{
    acceptor_set_listener_limits(acceptor, 0, arg);
}

static void a_listener_has_a_limit_of_its_own(void **state)
{
    struct acceptor_listener_limits own = {.connections_max = 1};
    listener_count = 2;
    options[0].limits.connections_max = 2;
    start();
    int first = tcp_connect(acceptor_port(acceptor, 0));
    int second = tcp_connect(acceptor_port(acceptor, 0));
    assert_true(is_served(first) && is_served(second));
    int third = tcp_connect(acceptor_port(acceptor, 0));
    int other = tcp_connect(acceptor_port(acceptor, 1));
    assert_true(is_served(other));
    assert_true(is_held(third));
    on_loop(n.env->loops[0], set_listener_limits, &own);
    assert_true(is_served(first) && is_served(second)); /* who is in stays */
    close(first);
    assert_true(is_held(third));
    own.connections_max = 0;
    on_loop(n.env->loops[0], set_listener_limits, &own);
    expect_frame(third, "e");
    close(second);
    close(third);
    close(other);
}

static void answer_kept(void *arg)
{
    answer(atomic_exchange(&kept, NULL), kept_frame);
}

static void unlisten(void *arg)
{
    acceptor_unlisten(acceptor, 0, "the test closes it", note, arg);
}

static void listen_again(void *arg)
{
    CHECK(acceptor_listen(acceptor, &options[0], arg) == 0);
}

static bool is_refused(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool refused = connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0;
    close(fd);
    return refused;
}

/* One that waits for a place, one that waits for its answer, one that is idle. */
static void a_listener_goes_while_others_serve(void **state)
{
    _Atomic int gone = 0;
    int index = -1;
    listener_count = 2;
    options[0].limits.connections_max = 2;
    start();
    uint16_t port = acceptor_port(acceptor, 0);
    int idle = tcp_connect(port), busy = tcp_connect(port);
    assert_true(is_served(idle));
    send_frame(busy, "d");
    WAIT_FOR(atomic_load(&kept) != NULL);
    int waits = tcp_connect(port), other = tcp_connect(acceptor_port(acceptor, 1));
    assert_true(is_served(other));
    WAIT_FOR(acceptor_stats(acceptor, 0).held_count == 1);
    struct loop *loop = connection_group_of(atomic_load(&kept)->connection)->loop;
    on_loop(n.env->loops[0], unlisten, &gone);
    assert_true(is_refused(port));
    assert_true(tcp_at_end(waits) && tcp_at_end(idle) && tcp_at_end(busy));
    assert_true(is_served(other));
    assert_int_equal(atomic_load(&gone), 0); /* a request is still out */
    on_loop(loop, answer_kept, NULL);
    WAIT_FOR(atomic_load(&gone) == 1);
    on_loop(n.env->loops[0], listen_again, &index);
    assert_int_equal(index, 0);
    int again = tcp_connect(acceptor_port(acceptor, 0));
    assert_true(is_served(again) && is_served(other));
    close(idle);
    close(busy);
    close(waits);
    close(other);
    close(again);
}

/* The end of all takes along what was on its way out. */
static void the_end_comes_before_a_listener_is_gone(void **state)
{
    _Atomic int gone = 0;
    start();
    int fd = tcp_connect(acceptor_port(acceptor, 0));
    send_frame(fd, "d");
    WAIT_FOR(atomic_load(&kept) != NULL);
    struct loop *loop = connection_group_of(atomic_load(&kept)->connection)->loop;
    on_loop(n.env->loops[0], unlisten, &gone);
    on_loop(n.env->loops[0], close_acceptor, NULL);
    on_loop(loop, answer_kept, NULL);
    WAIT_FOR(atomic_load(&closed) == 1);
    assert_int_equal(atomic_load(&gone), 0);
    close(fd);
}

static void connections_come_no_faster_than_allowed(void **state)
{
    options[0].limits.creations_per_s_max = 5;
    start();
    uint16_t port = acceptor_port(acceptor, 0);
    int fds[7];
    int64_t began_ms = env_now_ms(n.env);
    for (int i = 0; i < 7; i++) {
        fds[i] = tcp_connect(port);
        send_frame(fds[i], "e");
    }
    for (int i = 0; i < 7; i++)
        expect_frame(fds[i], "e");
    /* Five at once, two more at a fifth of a second each. */
    assert_true(env_now_ms(n.env) - began_ms >= 350);
    for (int i = 0; i < 7; i++)
        close(fds[i]);
}

static void a_drain_lets_requests_finish(void **state)
{
    start();
    uint16_t port = acceptor_port(acceptor, 0);
    int idle = tcp_connect(port), waiting = tcp_connect(port);
    assert_true(is_served(idle));
    send_frame(waiting, "d");
    WAIT_FOR(atomic_load(&kept) != NULL);
    struct loop *loop = connection_group_of(atomic_load(&kept)->connection)->loop;
    on_loop(n.env->loops[0], drain_acceptor, NULL);
    assert_true(tcp_at_end(idle));
    sleep_ms(20);
    assert_int_equal(atomic_load(&drained), 0);
    on_loop(loop, answer_kept, NULL);
    expect_frame(waiting, "d");
    assert_true(tcp_at_end(waiting));
    WAIT_FOR(atomic_load(&drained) == 1);
    close(idle);
    close(waiting);
    assert_true(is_refused(port));
}

static void a_close_cuts_a_drain_short(void **state)
{
    start();
    int fd = tcp_connect(acceptor_port(acceptor, 0));
    send_frame(fd, "d");
    WAIT_FOR(atomic_load(&kept) != NULL);
    struct loop *loop = connection_group_of(atomic_load(&kept)->connection)->loop;
    on_loop(n.env->loops[0], drain_acceptor, NULL);
    on_loop(n.env->loops[0], close_acceptor, NULL);
    assert_true(tcp_at_end(fd));
    sleep_ms(20);
    assert_int_equal(atomic_load(&closed), 0); /* the slot is still out */
    on_loop(loop, answer_kept, NULL);
    WAIT_FOR(atomic_load(&closed) == 1);
    assert_int_equal(atomic_load(&drained), 0);
    close(fd);
}

static void without_listeners_it_just_closes(void **state)
{
    listener_count = 0;
    start();
    on_loop(n.env->loops[0], drain_acceptor, NULL);
    WAIT_FOR(atomic_load(&drained) == 1);
}

static void open_doors(void *arg)
{
    acceptor_open_doors(acceptor);
}

static void at_a_closed_door_connections_wait(void **state)
{
    char byte;
    listener_count = 2;
    options[0].closed_door = true;
    start();
    int waits = tcp_connect(acceptor_port(acceptor, 0));
    int other = tcp_connect(acceptor_port(acceptor, 1));
    assert_true(is_served(other));
    assert_true(is_held(waits));
    on_loop(n.env->loops[0], open_doors, NULL);
    /* What it sent meanwhile is answered. */
    assert_true(tcp_recv(waits, &byte, 1) == 1 && tcp_recv(waits, (char[4]){0}, 4) == 4);
    int later = tcp_connect(acceptor_port(acceptor, 0));
    assert_true(is_served(later));
    close(waits);
    close(other);
    close(later);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(connections_are_spread_over_the_loops),
        T(an_address_has_its_own_limit),
        T(an_override_replaces_the_limit),
        T(above_the_nodes_limit_connections_wait),
        T(a_lowered_limit_closes_the_longest_inactive),
        T(at_a_closed_door_connections_wait),
        T(an_essential_listener_takes_the_place_of_another),
        T(alone_an_essential_listener_keeps_to_the_common_limits),
        T(the_common_rate_spares_an_essential_listener),
        T(a_listener_has_a_limit_of_its_own),
        T(a_listener_goes_while_others_serve),
        T(the_end_comes_before_a_listener_is_gone),
        T(connections_come_no_faster_than_allowed),
        T(a_drain_lets_requests_finish),
        T(a_close_cuts_a_drain_short),
        T(without_listeners_it_just_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
