/* Who may talk to a node of the quorum: hellos of friends, strangers, doubles and liars. */
#include "raft/quorum_node_internal.h"
#include "raft/quorum_peers_internal.h"

#include "common/base/check.h"
#include "common/base/logger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define CLUSTER "TheClusterAAAAAAAAAAAA"

static struct uuid uuid_of(uint8_t kind, uint8_t n)
{
    struct uuid uuid = {{0}};
    uuid.b[0] = kind;
    uuid.b[15] = n;
    return uuid;
}

static struct uuid directory(uint8_t n)
{
    return uuid_of(1, n);
}

/* An env whose clock is set by hand and which connects to nobody. */
struct fake {
    struct env env;
    struct loop loop;
    struct loop *loops[1];
    int64_t now_us;
    uint8_t random;
    struct task *tasks;
    struct logger logger;
    int warnings;
};

static int64_t fake_now(struct env *env)
{
    return CONTAINER_OF(env, struct fake, env)->now_us;
}

static int64_t fake_wall(struct env *env)
{
    return fake_now(env) / 1000;
}

static void fake_random(struct env *env, void *ret_bytes, size_t len)
{
    memset(ret_bytes, ++CONTAINER_OF(env, struct fake, env)->random, len);
}

static void fake_post(struct loop *loop, struct task *task)
{
    struct fake *fake = CONTAINER_OF(loop, struct fake, loop);
    task->next = fake->tasks;
    fake->tasks = task;
}

static void fake_timer_start(struct timer *timer, int64_t due_us)
{
    timer->due_us = due_us;
}

static void fake_timer_stop(struct timer *timer)
{
    timer->due_us = 0;
}

static void fake_sink(struct logger *logger, enum log_level level, const char *module,
                      const char *message)
{
    (void)module;
    (void)message;
    if (level >= LOG_WARN)
        CONTAINER_OF(logger, struct fake, logger)->warnings++;
}

static const struct env_ops fake_ops = {.now_us = fake_now,
                                        .wall_ms = fake_wall,
                                        .random = fake_random,
                                        .post = fake_post,
                                        .timer_start = fake_timer_start,
                                        .timer_stop = fake_timer_stop};

/* This is node 1 with disk 1. */
struct world {
    struct fake fake;
    struct quorum_voters *self;
    struct quorum_peers *peers;
    struct peer_hello_answer answer;
};

static void setup_world(struct world *w)
{
    *w = (struct world){0};
    w->fake.env = (struct env){.ops = &fake_ops, .logger = &w->fake.logger, .loop_count = 1};
    w->fake.logger = (struct logger){.level = LOG_DEBUG, .sink = fake_sink};
    w->fake.loop.env = &w->fake.env;
    w->fake.loops[0] = &w->fake.loop;
    w->fake.env.loops = w->fake.loops;
    w->fake.now_us = 1000000000;
    w->self = quorum_voters_new();
    quorum_voters_add(w->self, 1, directory(1), QUORUM_VOTER);
    quorum_voters_add_listener(w->self, STR("CONTROLLER"), STR("here"), 9093);
    struct quorum_peers_config config = {
        .loop = &w->fake.loop,
        .node_id = 1,
        .directory_id = directory(1),
        .cluster_id = CLUSTER,
        .listener = STR("CONTROLLER"),
        .self = w->self,
        .request_timeout_ms = 2000,
        .backoff_ms = 20,
        .election_timeout_ms = 1000,
    };
    w->peers = quorum_peers_new(&config);
    quorum_peers_start(w->peers);
}

static void stopped(void *ctx)
{
    *(bool *)ctx = true;
}

static void teardown_world(struct world *w)
{
    bool done = false;
    quorum_peers_stop(w->peers, stopped, &done);
    while (w->fake.tasks) {
        struct task *task = w->fake.tasks;
        w->fake.tasks = task->next;
        task->run(task);
    }
    assert_true(done);
    quorum_peers_free(w->peers);
    quorum_voters_unref(w->self);
}

static struct peer_hello hello_of(int32_t node, uint8_t disk, uint8_t incarnation)
{
    static struct peer_hello_listener listener;
    struct peer_hello hello;
    message_init(&peer_hello_desc, &hello);
    message_struct_init(&peer_hello_listener_struct, &listener, 1);
    listener.name = STR("CONTROLLER");
    listener.host = STR("there");
    listener.port = 9093;
    hello.cluster_id = STR(CLUSTER);
    hello.node_id = node;
    hello.directory_id = directory(disk);
    hello.incarnation_id = uuid_of(2, incarnation);
    hello.peer_node_id = 1;
    hello.peer_directory_id = directory(1);
    hello.listeners = &listener;
    hello.listeners_count = 1;
    return hello;
}

static uint64_t say(struct world *w, const struct peer_hello *hello, const char *host)
{
    return quorum_peers_hello(w->peers, hello, str_of(host), &w->answer);
}

static void refused(struct world *w, const struct peer_hello *hello, enum kafka_error error,
                    const char *what)
{
    char text[600];
    assert_true(say(w, hello, "10.0.0.9") == 0);
    assert_int_equal(w->answer.error_code, error);
    snprintf(text, sizeof(text), "%.*s", STR_FMT(w->answer.error_message));
    if (!strstr(text, what))
        fail_msg("\"%s\" is not in \"%s\"", what, text);
}

static void test_a_friend(void **state)
{
    (void)state;
    struct world w;
    struct quorum_peer_view view;
    setup_world(&w);
    struct peer_hello hello = hello_of(2, 2, 1);
    uint64_t session = say(&w, &hello, "10.0.0.2");
    assert_true(session != 0);
    assert_int_equal(w.answer.error_code, 0);
    assert_int_equal(w.answer.node_id, 1);
    assert_true(quorum_peers_find(w.peers, quorum_raft_id(directory(2)), &view));
    assert_true(view.connected);
    assert_string_equal(view.self->servers[0].listeners[0].host, "there");
    struct quorum_wire_header ping = {.key = QUORUM_WIRE_PING};
    assert_int_equal(quorum_peers_receive(w.peers, session, &ping, BYTES_NULL, NULL),
                     KAFKA_ERROR_NONE);
    quorum_peers_closed(w.peers, session);
    assert_false(quorum_peers_knows(w.peers, session));
    assert_true(quorum_peers_find(w.peers, quorum_raft_id(directory(2)), &view));
    assert_false(view.connected);
    assert_true(view.gone_ms == w.fake.now_us / 1000);
    teardown_world(&w);
}

static void test_only_the_newest_session_counts(void **state)
{
    (void)state;
    struct world w;
    setup_world(&w);
    struct peer_hello hello = hello_of(2, 2, 1);
    uint64_t older = say(&w, &hello, "10.0.0.2"), newer = say(&w, &hello, "10.0.0.2");
    assert_true(older != 0 && newer != 0 && older != newer);
    assert_false(quorum_peers_knows(w.peers, older));
    assert_true(quorum_peers_knows(w.peers, newer));
    /* The end of the older one says nothing about the newer. */
    quorum_peers_closed(w.peers, older);
    assert_true(quorum_peers_knows(w.peers, newer));
    struct quorum_wire_header vote = {.key = QUORUM_WIRE_VOTE};
    assert_int_equal(quorum_peers_receive(w.peers, older, &vote, BYTES_NULL, NULL),
                     KAFKA_ERROR_UNKNOWN_LEADER_EPOCH);
    teardown_world(&w);
}

static void test_other_clusters_and_wrong_addresses(void **state)
{
    (void)state;
    struct world w;
    setup_world(&w);
    struct peer_hello hello = hello_of(2, 2, 1);
    hello.cluster_id = STR("AnotherClusterAAAAAAAA");
    refused(&w, &hello, KAFKA_ERROR_INCONSISTENT_CLUSTER_ID, "AnotherClusterAAAAAAAA");
    refused(&w, &hello, KAFKA_ERROR_INCONSISTENT_CLUSTER_ID, CLUSTER);
    hello = hello_of(2, 2, 1);
    hello.peer_node_id = 3;
    refused(&w, &hello, KAFKA_ERROR_INVALID_VOTER_KEY, "looks for node 3");
    hello = hello_of(2, 2, 1);
    hello.peer_directory_id = directory(9);
    refused(&w, &hello, KAFKA_ERROR_INVALID_VOTER_KEY, "but this is node 1");
    /* Said three times, logged once each. */
    assert_int_equal(w.fake.warnings, 3);
    refused(&w, &hello, KAFKA_ERROR_INVALID_VOTER_KEY, "but this is node 1");
    assert_int_equal(w.fake.warnings, 3);
    /* Whoever does not know who is here may ask. */
    hello = hello_of(2, 2, 1);
    hello.peer_node_id = -1;
    hello.peer_directory_id = UUID_ZERO;
    assert_true(say(&w, &hello, "10.0.0.2") != 0);
    teardown_world(&w);
}

static void test_doubles(void **state)
{
    (void)state;
    struct world w;
    setup_world(&w);
    struct peer_hello genuine = hello_of(2, 2, 1);
    uint64_t session = say(&w, &genuine, "10.0.0.2");
    assert_true(session != 0);
    struct peer_hello copy = hello_of(2, 2, 9), twin = hello_of(2, 5, 9);
    refused(&w, &copy, KAFKA_ERROR_DUPLICATE_VOTER, "copy");
    refused(&w, &twin, KAFKA_ERROR_DUPLICATE_VOTER, "10.0.0.2");
    assert_true(quorum_peers_knows(w.peers, session));
    /* This node itself is one of the two. */
    struct peer_hello own = hello_of(1, 1, 9), namesake = hello_of(1, 7, 9);
    refused(&w, &own, KAFKA_ERROR_DUPLICATE_VOTER, "copy");
    refused(&w, &namesake, KAFKA_ERROR_DUPLICATE_VOTER, "another live node with node.id 1");
    /* It has gone: the process that comes now is its next life, or its replacement. */
    quorum_peers_closed(w.peers, session);
    session = say(&w, &copy, "10.0.0.2");
    assert_true(session != 0);
    quorum_peers_closed(w.peers, session);
    assert_true(say(&w, &twin, "10.0.0.2") != 0);
    teardown_world(&w);
}

static void test_a_silent_session_gives_way(void **state)
{
    (void)state;
    struct world w;
    setup_world(&w);
    struct peer_hello before = hello_of(2, 2, 1), after = hello_of(2, 2, 2);
    assert_true(say(&w, &before, "10.0.0.2") != 0);
    assert_true(say(&w, &after, "10.0.0.2") == 0);
    w.fake.now_us += 2000000;
    assert_true(say(&w, &after, "10.0.0.2") != 0);
    teardown_world(&w);
}

static void test_strangers_do_not_fill_the_memory(void **state)
{
    (void)state;
    struct world w;
    setup_world(&w);
    int taken = 0;
    for (int i = 0; i < 300; i++) {
        struct peer_hello hello = hello_of(1000 + i, 2, 1);
        hello.directory_id.b[1] = (uint8_t)(i >> 4);
        hello.directory_id.b[2] = (uint8_t)(1 + i);
        taken += say(&w, &hello, "10.0.0.2") != 0;
    }
    assert_int_equal(taken, 2 * QUORUM_SERVERS_MAX);
    teardown_world(&w);
}

/* Node 1's log says that node 2 has disk 2; it has disk 5 by now, and asks for something. */
static bool is_answered(struct world *w, const struct quorum_message *message)
{
    struct quorum_core *core = quorum_core_new(&(struct quorum_core_config){
        .node_id = 1,
        .directory_id = directory(1),
        .election_timeout_ms = 1000,
        .heartbeat_ms = 100,
        .install_timeout_ms = 30000,
    });
    struct quorum_voters *voters = quorum_voters_copy(w->self);
    assert_int_equal(quorum_voters_add(voters, 2, directory(2), QUORUM_VOTER), 0);
    quorum_voters_add_listener(voters, STR("CONTROLLER"), STR("there"), 9093);
    assert_int_equal(quorum_core_load_batch(core, 1, 1, 1, voters), 0);
    struct quorum_node node = {.core = core}; /* not running: it listens to nothing */
    quorum_peers_bind(w->peers, &node);

    struct peer_hello hello = hello_of(2, 5, 1);
    uint64_t session = say(w, &hello, "10.0.0.2");
    assert_true(session != 0);
    if (message) {
        struct bytebuf frame;
        struct quorum_wire_header header = {.key = quorum_wire_key_of(message->type)};
        bytebuf_init(&frame);
        quorum_wire_encode(message, BYTES_NULL, NULL, &header, &frame);
        struct buf *buf = bytebuf_to_buf(&frame);
        struct bytes body = {buf->data + 4, (int32_t)buf->size_bytes - 4};
        assert_int_equal(quorum_wire_read_header(&body, &header), 0);
        assert_int_equal(quorum_peers_receive(w->peers, session, &header, body, buf),
                         KAFKA_ERROR_NONE);
        buf_unref(buf);
    }
    w->peers->timer.fire(&w->peers->timer);
    const struct peer *peer = peers_find(w->peers, quorum_raft_id(directory(5)));
    bool linked = peer->link != NULL;
    if (linked)
        assert_string_equal(peer->endpoint.host, "there");
    w->fake.now_us += 10000000;
    w->peers->timer.fire(&w->peers->timer);
    assert_null(peer->link);
    w->peers->node = NULL;
    quorum_voters_unref(voters);
    quorum_core_free(core);
    return linked;
}

static void test_an_unknown_leader_is_answered(void **state)
{
    (void)state;
    static const struct {
        struct quorum_message message;
        bool answered;
    } cases[] = {
        {{.type = QUORUM_APPEND, .term = 5, .append = {.prev_index = 9, .prev_term = 4}}, true},
        {{.type = QUORUM_VOTE, .term = 5, .vote = {.last_index = 9, .last_term = 4}}, true},
        {{.type = QUORUM_VOTE_RESULT, .term = 5}, false},
        {{0}, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world w;
        setup_world(&w);
        bool any = cases[i].message.type != 0;
        assert_int_equal(is_answered(&w, any ? &cases[i].message : NULL), cases[i].answered);
        teardown_world(&w);
    }
}

static void test_senseless_hellos(void **state)
{
    (void)state;
    struct world w;
    setup_world(&w);
    struct peer_hello hello = hello_of(-5, 2, 1);
    assert_true(say(&w, &hello, "10.0.0.2") == 0);
    hello = hello_of(2, 2, 1);
    hello.directory_id = UUID_ZERO;
    assert_true(say(&w, &hello, "10.0.0.2") == 0);
    hello = hello_of(2, 2, 1);
    hello.listeners_count = 0;
    assert_true(say(&w, &hello, "10.0.0.2") != 0);
    teardown_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_friend),
        cmocka_unit_test(test_only_the_newest_session_counts),
        cmocka_unit_test(test_other_clusters_and_wrong_addresses),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_a_silent_session_gives_way),
        cmocka_unit_test(test_strangers_do_not_fill_the_memory),
        cmocka_unit_test(test_an_unknown_leader_is_answered),
        cmocka_unit_test(test_senseless_hellos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
