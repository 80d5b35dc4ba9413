/* What is said where too few voters are left: who is missing, who is lost, what to do. */
#include "raft/quorum_outlook.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

struct world {
    struct quorum_voters *voters;
    struct quorum_peer_view peers[8];
    size_t peer_count;
    char text[1536];
};

static struct uuid directory(uint8_t n)
{
    struct uuid uuid = {{0}};
    uuid.b[15] = n;
    return uuid;
}

static void add_peer(struct world *w, int32_t node, uint8_t disk, bool connected)
{
    w->peers[w->peer_count++] =
        (struct quorum_peer_view){.id = {node, directory(disk), quorum_raft_id(directory(disk))},
                                  .connected = connected,
                                  .last_status = connected ? 0 : -ECONNREFUSED};
}

/* Nodes 1 to n with disks 1 to n; 1 is this one, the others are not there. */
static int setup_world(struct world *w, uint8_t n)
{
    *w = (struct world){.voters = quorum_voters_new()};
    for (uint8_t i = 1; i <= n; i++) {
        quorum_voters_add(w->voters, i, directory(i), QUORUM_VOTER);
        quorum_voters_add_listener(w->voters, STR("C"), STR("host"), (uint16_t)(9000 + i));
    }
    return 0;
}

static enum quorum_outlook_kind look(struct world *w)
{
    struct quorum_outlook_view view = {.voters = w->voters,
                                       .self = quorum_raft_id(directory(1)),
                                       .peers = w->peers,
                                       .peer_count = w->peer_count,
                                       .leaderless_ms = 12345,
                                       .end_offset = 77,
                                       .committed = 70,
                                       .epoch = 5};
    w->text[0] = '\0';
    return quorum_outlook(&view, w->text, sizeof(w->text));
}

static void test_a_majority_is_enough(void **state)
{
    (void)state;
    struct world w;
    setup_world(&w, 3);
    add_peer(&w, 2, 2, true);
    add_peer(&w, 3, 13, true);
    assert_int_equal(look(&w), QUORUM_OUTLOOK_FAIR);
    quorum_voters_unref(w.voters);
}

static void test_missing_are_named(void **state)
{
    (void)state;
    struct world w;
    setup_world(&w, 3);
    add_peer(&w, 2, 2, false);
    assert_int_equal(look(&w), QUORUM_OUTLOOK_MISSING);
    assert_string_equal(
        w.text, "No leader for 12 s: 1 of the 3 voters are here and 2 are needed. Missing: node 2 "
                "at host:9002 (Connection refused), node 3 at host:9003 (no connection). Start "
                "them with the log directories they had. Nothing is lost as long as these are "
                "there; the metadata here ends at offset 77 of epoch 5");
    quorum_voters_unref(w.voters);
}

static void test_one_replaced_disk_is_not_all(void **state)
{
    (void)state;
    struct world w;
    setup_world(&w, 3);
    add_peer(&w, 2, 12, true);
    assert_int_equal(look(&w), QUORUM_OUTLOOK_MISSING);
    assert_non_null(strstr(w.text, "node 2 at host:9002 (it has another disk now)"));
    /* A new disk whose node is gone again proves nothing. */
    add_peer(&w, 3, 13, false);
    assert_int_equal(look(&w), QUORUM_OUTLOOK_MISSING);
    quorum_voters_unref(w.voters);
}

static void test_a_lost_majority(void **state)
{
    (void)state;
    struct world w;
    setup_world(&w, 5);
    add_peer(&w, 2, 2, true);
    add_peer(&w, 3, 13, true);
    add_peer(&w, 4, 14, true);
    /* A node of another id is nobody's successor. */
    add_peer(&w, 9, 19, true);
    assert_int_equal(look(&w), QUORUM_OUTLOOK_MISSING);
    add_peer(&w, 5, 15, true);
    assert_int_equal(look(&w), QUORUM_OUTLOOK_LOST);
    assert_non_null(strstr(w.text, "disks of 3 of the 5 voters are lost (node 3 has directory "));
    assert_non_null(strstr(w.text, "up to offset 77 of epoch 5, committed up to 70"));
    assert_non_null(strstr(w.text, "Put one of the lost log directories back"));
    quorum_voters_unref(w.voters);
}

static void test_standbys_do_not_count(void **state)
{
    (void)state;
    struct world w;
    setup_world(&w, 2);
    quorum_voters_add(w.voters, 3, directory(3), QUORUM_STANDBY);
    add_peer(&w, 3, 3, true);
    assert_int_equal(look(&w), QUORUM_OUTLOOK_MISSING);
    assert_null(strstr(w.text, "node 3"));
    quorum_voters_unref(w.voters);
}

static void test_a_small_buffer_is_enough(void **state)
{
    (void)state;
    struct world w;
    setup_world(&w, 5);
    struct quorum_outlook_view view = {.voters = w.voters, .self = quorum_raft_id(directory(1))};
    char small[40];
    assert_int_equal(quorum_outlook(&view, small, sizeof(small)), QUORUM_OUTLOOK_MISSING);
    assert_int_equal(strlen(small), sizeof(small) - 1);
    quorum_voters_unref(w.voters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_majority_is_enough),
        cmocka_unit_test(test_missing_are_named),
        cmocka_unit_test(test_one_replaced_disk_is_not_all),
        cmocka_unit_test(test_a_lost_majority),
        cmocka_unit_test(test_standbys_do_not_count),
        cmocka_unit_test(test_a_small_buffer_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
