#include "common/base/check.h"
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/base/stream.h"
#include "tests/sim/sim_env.h"
#include "tests/sim/sim_net.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PORT 9092

/* A server that echoes, and a client that sends numbered bytes and checks what comes back. */
struct echo {
    struct env *env;
    struct stream *stream;
    uint8_t room[3000];
};

struct server {
    struct env *env;
    struct listener *listener;
    int accepted;
};

static void send_bytes(struct stream *stream, const void *data, size_t len)
{
    struct out_chunk chunk = {.buf = buf_copy(data, len), .len = len};
    stream_write(stream, &chunk, 1);
}

static void *echo_room(void *owner, size_t *ret_len)
{
    struct echo *e = owner;
    *ret_len = sizeof(e->room);
    return e->room;
}

static void echo_read(void *owner, size_t len)
{
    struct echo *e = owner;
    send_bytes(e->stream, e->room, len);
}

static void echo_closed(void *owner)
{
    free(owner);
}

static void echo_end(void *owner, int status)
{
    struct echo *e = owner;
    stream_close(e->env, e->stream, status == 0, echo_closed, e);
}

static const struct stream_handler echo_handler = {
    .read_room = echo_room,
    .on_read = echo_read,
    .on_end = echo_end,
};

static void accept_echo(void *owner, struct stream *stream)
{
    struct server *s = owner;
    s->accepted++;
    struct echo *e = mem_calloc(1, sizeof(*e));
    e->env = s->env;
    e->stream = stream;
    stream_start(stream, s->env->loops[0], &echo_handler, e);
}

static void *boot_server(struct env *env, void *ctx)
{
    struct server *s = mem_calloc(1, sizeof(*s));
    s->env = env;
    struct endpoint endpoint = {.port = PORT};
    CHECK(env->net->listen(env->loops[0], &endpoint, 10, accept_echo, s, &s->listener) == 0);
    CHECK(env->net->listener_port(s->listener) == PORT);
    struct listener *second;
    CHECK(env->net->listen(env->loops[0], &endpoint, 10, accept_echo, s, &second) == -EADDRINUSE);
    return s;
}

struct client {
    struct env *env;
    struct stream *stream;
    struct timer timer;
    int connect_status;
    bool connected, ended, closed, paused;
    int end_status;
    uint64_t sent, got;
    uint64_t to_send;
    int on_sent_calls;
    uint8_t room[5000];
};

static uint8_t byte_at(uint64_t position)
{
    return (uint8_t)(position * 31 + position / 256);
}

static void *client_room(void *owner, size_t *ret_len)
{
    struct client *c = owner;
    *ret_len = sizeof(c->room);
    return c->room;
}

static void client_read(void *owner, size_t len)
{
    struct client *c = owner;
    CHECK(!c->paused);
    for (size_t i = 0; i < len; i++)
        CHECK(c->room[i] == byte_at(c->got + i));
    c->got += len;
}

static void client_closed(void *owner)
{
    struct client *c = owner;
    c->closed = true;
    c->stream = NULL;
}

static void client_end(void *owner, int status)
{
    struct client *c = owner;
    CHECK(!c->ended);
    c->ended = true;
    c->end_status = status;
    stream_close(c->env, c->stream, false, client_closed, c);
}

static void client_sent(void *owner, size_t queued_bytes)
{
    struct client *c = owner;
    CHECK(queued_bytes == c->stream->queued_bytes);
    c->on_sent_calls++;
}

static const struct stream_handler client_handler = {
    .read_room = client_room,
    .on_read = client_read,
    .on_end = client_end,
    .on_sent = client_sent,
};

static void client_tick(struct timer *timer)
{
    struct client *c = CONTAINER_OF(timer, struct client, timer);
    if (c->ended || c->sent == c->to_send)
        return;
    uint8_t data[700];
    size_t len = (size_t)MIN(sizeof(data), c->to_send - c->sent);
    for (size_t i = 0; i < len; i++)
        data[i] = byte_at(c->sent + i);
    send_bytes(c->stream, data, len);
    c->sent += len;
    timer_start_in_ms(&c->timer, 1);
}

static void client_connected(void *owner, struct stream *stream, int status)
{
    struct client *c = owner;
    c->connected = true;
    c->connect_status = status;
    if (!stream)
        return;
    c->stream = stream;
    stream_start(stream, c->env->loops[0], &client_handler, c);
    timer_init(&c->timer, c->env->loops[0], client_tick);
    timer_start_in_ms(&c->timer, 0);
}

struct client_ctx {
    const char *host;
    uint16_t port;
    uint64_t to_send;
};

static void *boot_client(struct env *env, void *ctx)
{
    struct client_ctx *x = ctx;
    struct client *c = mem_calloc(1, sizeof(*c));
    struct endpoint endpoint = {.port = x->port};
    strncpy(endpoint.host, x->host, HOST_MAX);
    c->env = env;
    c->to_send = x->to_send;
    env->net->connect(env->loops[0], &endpoint, 3000, client_connected, c);
    return c;
}

struct world {
    struct sim *sim;
    struct sim_node *server, *client;
    struct client_ctx ctx;
};

static struct client *client(struct world *w)
{
    return sim_node_program(w->client);
}

static void world_start(struct world *w, uint64_t seed, const char *host, uint64_t to_send)
{
    w->sim = sim_new(seed, false);
    w->ctx = (struct client_ctx){host, PORT, to_send};
    w->server = sim_node_new(
        w->sim, &(struct sim_node_config){.name = "server", .loops = 1, .boot = boot_server});
    w->client = sim_node_new(
        w->sim, &(struct sim_node_config){
                    .name = "client", .loops = 1, .boot = boot_client, .ctx = &w->ctx});
    sim_node_start(w->server);
    sim_run_until(w->sim, 10 * SIM_MS);
    sim_node_start(w->client);
}

static void test_bytes_come_back_in_order(void **state)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct world w;
        world_start(&w, seed, "server", 500000);
        sim_run_until(w.sim, 30 * SIM_SECOND);
        assert_int_equal(client(&w)->got, 500000);
        assert_true(client(&w)->on_sent_calls > 10);
        assert_int_equal(client(&w)->stream->queued_bytes, 0);
        assert_string_equal(client(&w)->stream->peer.host, "10.0.0.1");
        assert_int_equal(client(&w)->stream->peer.port, PORT);
        sim_free(w.sim);
    }
}

static void test_nobody_there(void **state)
{
    struct world w;
    world_start(&w, 1, "nowhere", 10);
    sim_run_until(w.sim, SIM_SECOND);
    assert_int_equal(client(&w)->connect_status, -ENOENT);
    sim_free(w.sim);

    world_start(&w, 1, "localhost", 10);
    sim_run_until(w.sim, SIM_SECOND);
    assert_int_equal(client(&w)->connect_status, -ECONNREFUSED);
    sim_free(w.sim);

    world_start(&w, 1, "10.0.0.1", 10);
    sim_node_kill(w.server);
    sim_run_until(w.sim, SIM_SECOND);
    assert_int_equal(client(&w)->connect_status, -ECONNREFUSED);
    sim_node_kill(w.client);
    sim_node_power_cut(w.server);
    sim_node_start(w.client);
    sim_run_until(w.sim, 3 * SIM_SECOND);
    assert_false(client(&w)->connected);
    sim_run_until(w.sim, 5 * SIM_SECOND);
    assert_int_equal(client(&w)->connect_status, -ETIMEDOUT);
    sim_free(w.sim);
}

static void test_kill_ends_streams_and_power_cut_leaves_them_hanging(void **state)
{
    struct world w;
    world_start(&w, 1, "server", 1000000);
    sim_run_until(w.sim, 200 * SIM_MS);
    assert_true(client(&w)->got > 1000);
    sim_node_kill(w.server);
    sim_run_until(w.sim, 220 * SIM_MS);
    assert_true(client(&w)->ended && client(&w)->closed);
    sim_free(w.sim);

    /* Unanswered bytes end it after a while; with the machine back, at once. */
    for (int back = 0; back < 2; back++) {
        world_start(&w, 1, "server", 1000000);
        sim_run_until(w.sim, 200 * SIM_MS);
        sim_node_power_cut(w.server);
        sim_run_until(w.sim, 5 * SIM_SECOND);
        assert_false(client(&w)->ended);
        if (back)
            sim_node_start(w.server);
        sim_run_until(w.sim, 15 * SIM_SECOND);
        assert_int_equal(client(&w)->ended, back);
        sim_run_until(w.sim, 40 * SIM_SECOND);
        assert_int_equal(client(&w)->end_status, back ? -ECONNRESET : -ETIMEDOUT);
        sim_free(w.sim);
    }
}

static void test_a_short_cut_delays_and_loses_nothing(void **state)
{
    struct world w;
    world_start(&w, 3, "server", 300000);
    sim_run_until(w.sim, 100 * SIM_MS);
    sim_net_cut(w.server, w.client, true);
    sim_run_until(w.sim, 103 * SIM_MS);
    uint64_t got = client(&w)->got;
    assert_true(got < 300000);
    sim_run_until(w.sim, 3 * SIM_SECOND);
    assert_int_equal(client(&w)->got, got);
    sim_net_heal(w.sim);
    sim_run_until(w.sim, 15 * SIM_SECOND);
    assert_int_equal(client(&w)->got, 300000);
    assert_false(client(&w)->ended);
    assert_true(sim_net_reset_one(w.sim));
    sim_run_until(w.sim, 16 * SIM_SECOND);
    assert_int_equal(client(&w)->end_status, -ECONNRESET);
    assert_false(sim_net_reset_one(w.sim));
    sim_free(w.sim);
}

static void test_a_reader_that_pauses_stops_the_writer(void **state)
{
    struct world w;
    world_start(&w, 3, "server", 3000000);
    sim_run_until(w.sim, 100 * SIM_MS);
    client(&w)->paused = true;
    stream_read_pause(client(&w)->stream);
    sim_run_until(w.sim, 10 * SIM_SECOND);
    assert_true(client(&w)->got < 1000000);
    client(&w)->paused = false;
    stream_read_resume(client(&w)->stream);
    sim_run_until(w.sim, 20 * SIM_SECOND);
    assert_int_equal(client(&w)->got, 3000000);
    sim_free(w.sim);
}

/* --- Bytes of a file, and a close that flushes --- */

struct file_server {
    struct env *env;
    struct listener *listener;
    bool closed;
};

static void file_closed(void *owner)
{
    struct file_server *s = owner;
    s->closed = true;
}

/* The client sends nothing. */
static void *no_room(void *owner, size_t *ret_len)
{
    UNREACHABLE();
}

static void no_read(void *owner, size_t len)
{
}

static void no_end(void *owner, int status)
{
}

static const struct stream_handler file_handler = {
    .read_room = no_room,
    .on_read = no_read,
    .on_end = no_end,
};

static void accept_and_send_file(void *owner, struct stream *stream)
{
    struct file_server *s = owner;
    struct disk_file *file;
    CHECK(disk_open(s->env->disk, "/f", DISK_READ, &file) == 0);
    struct out_chunk chunks[] = {
        {.file = file, .position = 0, .len = 150000},
        {.file = disk_file_ref(file), .position = 150000, .len = 150000},
    };
    stream_start(stream, s->env->loops[0], &file_handler, s);
    stream_write(stream, chunks, 2);
    stream_close(s->env, stream, true, file_closed, s);
}

static void *boot_file_server(struct env *env, void *ctx)
{
    struct file_server *s = mem_calloc(1, sizeof(*s));
    uint8_t *data = mem_alloc(300000);
    for (size_t i = 0; i < 300000; i++)
        data[i] = byte_at(i);
    s->env = env;
    struct disk_file *file;
    CHECK(disk_open(env->disk, "/f", DISK_WRITE | DISK_CREATE, &file) == 0);
    CHECK(disk_pwrite(file, data, 300000, 0) == 0);
    disk_file_unref(file);
    free(data);
    struct endpoint endpoint = {.port = PORT};
    CHECK(env->net->listen(env->loops[0], &endpoint, 10, accept_and_send_file, s, &s->listener) ==
          0);
    return s;
}

static void test_a_file_goes_out_before_a_flushing_close(void **state)
{
    struct sim *sim = sim_new(5, false);
    struct client_ctx ctx = {"server", PORT, 0};
    struct sim_node *server = sim_node_new(
        sim, &(struct sim_node_config){.name = "server", .loops = 1, .boot = boot_file_server});
    struct sim_node *node = sim_node_new(
        sim,
        &(struct sim_node_config){.name = "client", .loops = 1, .boot = boot_client, .ctx = &ctx});
    sim_node_start(server);
    sim_run_until(sim, 10 * SIM_MS);
    sim_node_start(node);
    sim_run_until(sim, 5 * SIM_SECOND);
    struct client *c = sim_node_program(node);
    assert_int_equal(c->got, 300000);
    assert_true(c->ended && c->closed);
    assert_int_equal(c->end_status, 0);
    struct file_server *s = sim_node_program(server);
    assert_true(s->closed);
    sim_free(sim);
}

/* Deaths, resets and cuts at random, with connections all the time: nothing but order and memory is
 * checked, by the client's CHECKs and the sanitizers. */
static void test_storm(void **state)
{
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct world w;
        world_start(&w, seed, "server", 200000);
        struct sim_random *random = sim_random_of(w.sim);
        for (int i = 0; i < 60; i++) {
            sim_run_until(w.sim, sim_now_us(w.sim) + sim_random_below(random, SIM_SECOND));
            struct sim_node *node = sim_random_below(random, 2) ? w.server : w.client;
            switch (sim_random_below(random, 6)) {
            case 0:
                sim_node_kill(node);
                break;
            case 1:
                sim_node_power_cut(node);
                break;
            case 2:
                sim_net_reset_one(w.sim);
                break;
            case 3:
                sim_net_cut(w.client, w.server, sim_random_below(random, 2));
                sim_net_cut(w.server, w.client, sim_random_below(random, 2));
                break;
            case 4:
                sim_net_heal(w.sim);
                break;
            default:
                if (!sim_node_is_up(w.server))
                    sim_node_start(w.server);
                if (!sim_node_is_up(w.client))
                    sim_node_start(w.client);
            }
        }
        sim_free(w.sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_come_back_in_order),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_kill_ends_streams_and_power_cut_leaves_them_hanging),
        cmocka_unit_test(test_a_short_cut_delays_and_loses_nothing),
        cmocka_unit_test(test_a_reader_that_pauses_stops_the_writer),
        cmocka_unit_test(test_a_file_goes_out_before_a_flushing_close),
        cmocka_unit_test(test_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
