/* Who becomes a voter by itself: step by step, and what has to stay as it is. */
#include "raft/quorum_replace.h"

#include "common/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define TIMEOUT_MS 1000
#define NOW_MS     100000

static struct uuid directory(uint8_t n)
{
    struct uuid uuid = {{0}};
    uuid.b[15] = n;
    return uuid;
}

static uint64_t raft_id(uint8_t n)
{
    return quorum_raft_id(directory(n));
}

struct world {
    struct quorum_voters *voters, *own;
    struct quorum_peer_view peers[8];
    size_t peer_count;
    bool caught_up;
    uint64_t was_member;
};

static bool caught_up(void *ctx, uint64_t id)
{
    (void)id;
    return ((struct world *)ctx)->caught_up;
}

static bool was_member(void *ctx, uint64_t id)
{
    return ((struct world *)ctx)->was_member == id;
}

/* Nodes 1 to 3 with disks 1 to 3; 1 leads, 2 and 3 are connected. */
static void setup_world(struct world *w)
{
    *w = (struct world){.voters = quorum_voters_new()};
    for (uint8_t n = 1; n <= 3; n++) {
        quorum_voters_add(w->voters, n, directory(n), QUORUM_VOTER);
        quorum_voters_add_listener(w->voters, STR("CONTROLLER"), STR("host"), (uint16_t)(9000 + n));
        if (n > 1)
            w->peers[w->peer_count++] = (struct quorum_peer_view){
                .id = {n, directory(n), raft_id(n)}, .connected = true, .gone_ms = INT64_MIN};
    }
}

/* A node that said hello from a disk. */
static struct quorum_peer_view *connect_node(struct world *w, int32_t node, uint8_t disk)
{
    struct quorum_voters *self = quorum_voters_new();
    quorum_voters_add(self, node, directory(disk), QUORUM_VOTER);
    quorum_voters_add_listener(self, STR("CONTROLLER"), STR("new"), 9999);
    w->peers[w->peer_count] = (struct quorum_peer_view){
        .id = {node, directory(disk), raft_id(disk)}, .connected = true, .self = self};
    return &w->peers[w->peer_count++];
}

static void lose(struct quorum_peer_view *peer, int64_t gone_ms)
{
    peer->connected = false;
    peer->gone_ms = gone_ms;
}

static enum quorum_replace_kind next(struct world *w, struct quorum_replace_step *ret)
{
    struct quorum_replace_view view = {
        .voters = w->voters,
        .self = raft_id(1),
        .own = w->own,
        .peers = w->peers,
        .peer_count = w->peer_count,
        .now_ms = NOW_MS,
        .leading_ms = 0,
        .gone_ms = TIMEOUT_MS,
        .caught_up = caught_up,
        .was_member = was_member,
        .ctx = w,
    };
    quorum_replace_next(&view, ret);
    return ret->kind;
}

/* The set becomes what the step says. */
static void apply(struct world *w, struct quorum_replace_step *step)
{
    assert_int_equal(step->kind, QUORUM_REPLACE_CHANGE);
    quorum_voters_unref(w->voters);
    w->voters = step->voters;
}

static void teardown_world(struct world *w)
{
    quorum_voters_unref(w->voters);
    for (size_t i = 0; i < w->peer_count; i++)
        quorum_voters_unref((struct quorum_voters *)(uintptr_t)w->peers[i].self);
}

static void test_nothing_to_do(void **state)
{
    (void)state;
    struct world w;
    struct quorum_replace_step step;
    setup_world(&w);
    assert_int_equal(next(&w, &step), QUORUM_REPLACE_REST);
    /* A voter that is merely gone keeps its place. */
    lose(&w.peers[1], 0);
    assert_int_equal(next(&w, &step), QUORUM_REPLACE_REST);
    /* So it does when an unknown node comes that does not ask for a vote. */
    connect_node(&w, 7, 7);
    assert_int_equal(next(&w, &step), QUORUM_REPLACE_REST);
    teardown_world(&w);
}

static void test_a_wiped_voter(void **state)
{
    (void)state;
    struct world w;
    struct quorum_replace_step step;
    setup_world(&w);
    lose(&w.peers[1], NOW_MS - TIMEOUT_MS + 1);
    struct quorum_peer_view *fresh = connect_node(&w, 3, 13);
    assert_int_equal(next(&w, &step), QUORUM_REPLACE_REST);
    lose(&w.peers[1], NOW_MS - TIMEOUT_MS);
    next(&w, &step);
    apply(&w, &step);
    const struct quorum_server *server = quorum_voters_find(w.voters, raft_id(13));
    assert_int_equal(server->role, QUORUM_STANDBY);
    assert_int_equal(server->listeners[0].port, 9999);
    assert_non_null(quorum_voters_find(w.voters, raft_id(3)));

    assert_int_equal(next(&w, &step), QUORUM_REPLACE_CATCH_UP);
    assert_true(step.raft_id == raft_id(13));
    w.caught_up = true;
    next(&w, &step);
    apply(&w, &step);
    assert_null(quorum_voters_find(w.voters, raft_id(3)));
    assert_int_equal(quorum_voters_find(w.voters, raft_id(13))->role, QUORUM_STANDBY);

    fresh->connected = false;
    assert_int_equal(next(&w, &step), QUORUM_REPLACE_REST);
    fresh->connected = true;
    next(&w, &step);
    apply(&w, &step);
    assert_int_equal(quorum_voters_find(w.voters, raft_id(13))->role, QUORUM_VOTER);
    assert_int_equal(quorum_voters_count(w.voters), 3);
    assert_int_equal(next(&w, &step), QUORUM_REPLACE_REST);
    teardown_world(&w);
}

static void test_the_old_disk_comes_back_in_between(void **state)
{
    (void)state;
    struct world w;
    struct quorum_replace_step step;
    setup_world(&w);
    lose(&w.peers[1], 0);
    connect_node(&w, 3, 13);
    next(&w, &step);
    apply(&w, &step);
    w.caught_up = true;
    w.peers[1].connected = true;
    assert_int_equal(next(&w, &step), QUORUM_REPLACE_REST);
    teardown_world(&w);
}

static void test_wiped_once_more(void **state)
{
    (void)state;
    struct world w;
    struct quorum_replace_step step;
    setup_world(&w);
    lose(&w.peers[1], 0);
    struct quorum_peer_view *first = connect_node(&w, 3, 13);
    next(&w, &step);
    apply(&w, &step);
    lose(first, 0);
    assert_int_equal(next(&w, &step), QUORUM_REPLACE_REST);
    connect_node(&w, 3, 23);
    next(&w, &step);
    apply(&w, &step);
    assert_null(quorum_voters_find(w.voters, raft_id(13)));
    assert_null(quorum_voters_find(w.voters, raft_id(23)));
    next(&w, &step);
    apply(&w, &step);
    assert_int_equal(quorum_voters_find(w.voters, raft_id(23))->role, QUORUM_STANDBY);
    teardown_world(&w);
}

static void test_who_was_removed_asks_to_come_back(void **state)
{
    (void)state;
    struct world w;
    struct quorum_replace_step step;
    setup_world(&w);
    struct quorum_peer_view *peer = connect_node(&w, 7, 7);
    w.was_member = raft_id(7);
    assert_int_equal(next(&w, &step), QUORUM_REPLACE_REST);
    /* controller.quorum.auto.join.enable */
    peer->wants_to_vote = true;
    next(&w, &step);
    apply(&w, &step);
    w.caught_up = true;
    next(&w, &step);
    apply(&w, &step);
    assert_int_equal(quorum_voters_count(w.voters), 4);
    teardown_world(&w);
}

/* Whatever it asks for: another disk of its node id votes. */
static void test_a_replaced_disk_stays_out(void **state)
{
    (void)state;
    struct world w;
    struct quorum_replace_step step;
    setup_world(&w);
    lose(&w.peers[1], 0);
    struct quorum_peer_view *peer = connect_node(&w, 3, 33);
    peer->wants_to_vote = true;
    w.was_member = raft_id(33);
    assert_int_equal(next(&w, &step), QUORUM_REPLACE_REST);
    w.was_member = 0;
    next(&w, &step);
    apply(&w, &step);
    teardown_world(&w);
}

static void test_the_leader_is_never_replaced(void **state)
{
    (void)state;
    struct world w;
    struct quorum_replace_step step;
    setup_world(&w);
    connect_node(&w, 1, 11);
    assert_int_equal(next(&w, &step), QUORUM_REPLACE_REST);
    teardown_world(&w);
}

static void test_new_end_points(void **state)
{
    (void)state;
    struct world w;
    struct quorum_replace_step step;
    setup_world(&w);
    w.peer_count = 1;
    connect_node(&w, 3, 3);
    next(&w, &step);
    apply(&w, &step);
    assert_int_equal(w.voters->count, 3);
    assert_int_equal(quorum_voters_find(w.voters, raft_id(3))->listeners[0].port, 9999);
    assert_int_equal(quorum_voters_find(w.voters, raft_id(2))->listeners[0].port, 9002);
    assert_int_equal(next(&w, &step), QUORUM_REPLACE_REST);
    /* The leader's own, which nobody else can tell it. */
    w.own = quorum_voters_new();
    quorum_voters_add(w.own, 1, directory(1), QUORUM_VOTER);
    quorum_voters_add_listener(w.own, STR("CONTROLLER"), STR("moved"), 9001);
    next(&w, &step);
    apply(&w, &step);
    assert_string_equal(quorum_voters_find(w.voters, raft_id(1))->listeners[0].host, "moved");
    assert_int_equal(next(&w, &step), QUORUM_REPLACE_REST);
    quorum_voters_unref(w.own);
    teardown_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_a_wiped_voter),
        cmocka_unit_test(test_the_old_disk_comes_back_in_between),
        cmocka_unit_test(test_wiped_once_more),
        cmocka_unit_test(test_who_was_removed_asks_to_come_back),
        cmocka_unit_test(test_a_replaced_disk_stays_out),
        cmocka_unit_test(test_the_leader_is_never_replaced),
        cmocka_unit_test(test_new_end_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
