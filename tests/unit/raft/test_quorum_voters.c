#include "raft/quorum_voters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>

static struct uuid directory(const char *text)
{
    struct uuid id;
    assert_int_equal(uuid_parse(str_of(text), &id), 0);
    return id;
}

/* The derivation is on disks and in other nodes: these values may never change. */
static void test_raft_id_is_fixed(void **state)
{
    struct uuid id = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
    assert_int_equal(quorum_raft_id(id), 0x0808080808080808u);
    assert_int_equal(quorum_raft_id(directory("lcou4jWfT1OARlSoRQoOCQ")), 0x158c7a4a7095415au);
    assert_int_equal(quorum_raft_id(UUID_ZERO), 1);
}

static void test_add_and_find(void **state)
{
    struct quorum_voters *voters = quorum_voters_new();
    struct uuid a = directory("lcou4jWfT1OARlSoRQoOCQ"), b = directory("E_ox_7_9H15Na9Pw-6ojsA");
    assert_int_equal(quorum_voters_add(voters, 1, a, QUORUM_VOTER), 0);
    quorum_voters_add_listener(voters, STR("CONTROLLER"), STR("::1"), 9093);
    assert_int_equal(quorum_voters_add(voters, 2, a, QUORUM_VOTER), -EEXIST);
    assert_int_equal(quorum_voters_add(voters, 2, UUID_ZERO, QUORUM_VOTER), -EINVAL);
    assert_int_equal(quorum_voters_add(voters, -1, b, QUORUM_VOTER), -EINVAL);
    assert_true(quorum_voters_is_sole(voters, quorum_raft_id(a)));
    assert_int_equal(quorum_voters_add(voters, 2, b, QUORUM_STANDBY), 0);
    assert_int_equal(quorum_voters_count(voters), 1);
    assert_true(quorum_voters_is_sole(voters, quorum_raft_id(a)));
    assert_false(quorum_voters_is_voter(voters, quorum_raft_id(b)));
    assert_int_equal(quorum_voters_find_node(voters, 2)->raft_id, quorum_raft_id(b));
    assert_null(quorum_voters_find_node(voters, 3));

    struct quorum_voters *copy = quorum_voters_copy(voters);
    assert_true(quorum_voters_same_servers(copy, voters));
    assert_string_equal(copy->servers[0].listeners[0].host, "::1");
    assert_true(quorum_voters_remove(copy, quorum_raft_id(a)));
    assert_false(quorum_voters_remove(copy, quorum_raft_id(a)));
    assert_false(quorum_voters_same_servers(copy, voters));
    assert_int_equal(copy->servers[0].node_id, 2);
    quorum_voters_unref(copy);
    quorum_voters_unref(quorum_voters_ref(voters));
    quorum_voters_unref(voters);
    quorum_voters_unref(NULL);
}

static void test_is_bounded(void **state)
{
    struct quorum_voters *voters = quorum_voters_new();
    struct uuid id = {{1}};
    for (int i = 0; i < QUORUM_SERVERS_MAX; i++) {
        id.b[15] = (uint8_t)i;
        assert_int_equal(quorum_voters_add(voters, i, id, QUORUM_VOTER), 0);
    }
    id.b[15] = QUORUM_SERVERS_MAX;
    assert_int_equal(quorum_voters_add(voters, 1000, id, QUORUM_VOTER), -E2BIG);
    quorum_voters_unref(voters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raft_id_is_fixed),
        cmocka_unit_test(test_add_and_find),
        cmocka_unit_test(test_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
