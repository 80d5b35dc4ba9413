#include "tests/unit/mutate.h"
#include "raft/quorum_state.h"

#include "raft/quorum_map.h"
#include "tests/sim/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

static const char *const static_text =
    "{\"clusterId\":\"\",\"leaderId\":1,\"leaderEpoch\":6,\"votedId\":-1,\"appliedOffset\":0,"
    "\"currentVoters\":[{\"voterId\":1},{\"voterId\":2},{\"voterId\":3}],\"data_version\":0}";
static const char *const dynamic_text =
    "{\"leaderId\":1,\"leaderEpoch\":9,\"votedId\":1,\"votedDirectoryId\":"
    "\"4qRAyiG7Rwaye4X8ut3gWQ\",\"data_version\":1}";

static struct uuid directory(const char *text)
{
    struct uuid id;
    assert_int_equal(uuid_parse(str_of(text), &id), 0);
    return id;
}

static struct quorum_state parse(const char *text)
{
    struct quorum_state state;
    const char *what;
    assert_int_equal(quorum_state_parse(text, strlen(text), &state, &what), 0);
    return state;
}

static void test_reads_what_kafka_wrote(void **state)
{
    struct quorum_state s = parse(static_text);
    assert_int_equal(s.data_version, 0);
    assert_int_equal(s.leader_id, 1);
    assert_int_equal(s.leader_epoch, 6);
    assert_int_equal(s.voted_id, -1);
    assert_int_equal(s.current_voter_count, 3);
    assert_int_equal(s.current_voters[2], 3);
    s = parse(dynamic_text);
    assert_int_equal(s.data_version, 1);
    assert_int_equal(s.leader_epoch, 9);
    assert_int_equal(s.voted_id, 1);
    assert_true(uuid_eq(s.voted_directory_id, directory("4qRAyiG7Rwaye4X8ut3gWQ")));
}

static void test_refuses_damage(void **state)
{
    static const char *const bad[][2] = {
        {"", "JSON object"},
        {"[]", "JSON object"},
        {"{\"leaderId\":1", "JSON object"},
        {"{\"data_version\":2}", "data_version (of a later Kafka)"},
        {"{\"data_version\":1,\"leaderId\":\"1\"}", "leaderId"},
        {"{\"data_version\":1,\"leaderId\":1,\"leaderEpoch\":2147483647}", "leaderEpoch"},
        {"{\"data_version\":1,\"leaderId\":1,\"leaderEpoch\":7,\"votedId\":-2}", "votedId"},
        {"{\"data_version\":1,\"leaderId\":1,\"leaderEpoch\":7,\"votedId\":1,"
         "\"votedDirectoryId\":\"x\"}",
         "votedDirectoryId"},
        {"{\"data_version\":0,\"leaderId\":1,\"leaderEpoch\":7,\"votedId\":1,"
         "\"currentVoters\":[{\"voterId\":-4}]}",
         "currentVoters"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct quorum_state s;
        const char *what = "";
        assert_int_equal(quorum_state_parse(bad[i][0], strlen(bad[i][0]), &s, &what), -EBADMSG);
        assert_string_equal(what, bad[i][1]);
    }
}

static void test_store_is_kafkas_form(void **state)
{
    struct sim_disk *sim = sim_disk_new(1);
    struct disk *disk = sim_disk_base(sim);
    struct quorum_state s = QUORUM_STATE_INIT, back;
    const char *what;
    assert_int_equal(quorum_state_load(disk, "/quorum-state", &back, &what), -ENOENT);
    s.leader_epoch = 5;
    assert_int_equal(quorum_state_store(disk, "/quorum-state", &s), 0);
    uint8_t *text;
    size_t len;
    assert_int_equal(sim_disk_read_durable(sim, "/quorum-state", &text, &len), 0);
    static const char expected[] =
        "{\"leaderId\":-1,\"leaderEpoch\":5,\"votedId\":-1,\"votedDirectoryId\":"
        "\"AAAAAAAAAAAAAAAAAAAAAA\",\"data_version\":1}";
    assert_int_equal(len, sizeof(expected) - 1);
    assert_memory_equal(text, expected, len);
    free(text);
    s.voted_id = 1;
    s.voted_directory_id = directory("4qRAyiG7Rwaye4X8ut3gWQ");
    assert_int_equal(quorum_state_store(disk, "/quorum-state", &s), 0);
    assert_int_equal(quorum_state_load(disk, "/quorum-state", &back, &what), 0);
    assert_true(uuid_eq(back.voted_directory_id, s.voted_directory_id));
    assert_int_equal(back.leader_id, -1);
    sim_disk_free(sim);
}

/* Either the old or the new state, whatever call the machine dies in. */
static void test_store_is_atomic(void **state)
{
    for (int64_t n = 1;; n++) {
        struct sim_disk *sim = sim_disk_new((uint64_t)n);
        struct disk *disk = sim_disk_base(sim);
        struct quorum_state s = QUORUM_STATE_INIT, back;
        const char *what;
        s.leader_epoch = 5;
        assert_int_equal(quorum_state_store(disk, "/quorum-state", &s), 0);
        s.leader_epoch = 6;
        sim_disk_crash_at(sim, n);
        int rv = quorum_state_store(disk, "/quorum-state", &s);
        bool crashed = sim_disk_crashed(sim);
        sim_disk_power_cut(sim, SIM_CUT_RANDOM);
        assert_int_equal(quorum_state_load(disk, "/quorum-state", &back, &what), 0);
        if (rv == 0)
            assert_int_equal(back.leader_epoch, 6);
        else
            assert_true(back.leader_epoch == 5 || back.leader_epoch == 6);
        sim_disk_free(sim);
        if (!crashed) {
            assert_true(n > 3);
            break;
        }
    }
}

struct import {
    const char *text;
    int32_t last_epoch;
    bool with_voters;
    uint64_t term;
    const char *vote; /* a directory, "self" or "" */
};

static void test_w16_import(void **state)
{
    static const struct import cases[] = {
        /* A leader without a vote: our vote in that epoch is spent. */
        {"{\"leaderId\":2,\"leaderEpoch\":6,\"votedId\":-1,\"data_version\":0}", 6, false, 7,
         "self"},
        /* Nobody: free to vote. */
        {"{\"leaderId\":-1,\"leaderEpoch\":6,\"votedId\":-1,\"data_version\":0}", 6, false, 7, ""},
        /* A vote by directory. */
        {"{\"leaderId\":-1,\"leaderEpoch\":9,\"votedId\":3,\"votedDirectoryId\":"
         "\"w7NZR69CxZ-WUu_WGfd38w\",\"data_version\":1}",
         8, false, 10, "w7NZR69CxZ-WUu_WGfd38w"},
        /* A vote by node id: looked up, or else our own. */
        {"{\"leaderId\":-1,\"leaderEpoch\":9,\"votedId\":3,\"data_version\":0}", 8, true, 10,
         "w7NZR69CxZ-WUu_WGfd38w"},
        {"{\"leaderId\":-1,\"leaderEpoch\":9,\"votedId\":3,\"data_version\":0}", 8, false, 10,
         "self"},
        {"{\"leaderId\":-1,\"leaderEpoch\":9,\"votedId\":1,\"data_version\":0}", 8, true, 10,
         "self"},
        /* The log is ahead of the file. */
        {"{\"leaderId\":-1,\"leaderEpoch\":3,\"votedId\":-1,\"data_version\":0}", 8, false, 9,
         "self"},
        {NULL, 8, false, 9, "self"},
        /* Formatted and never started. */
        {NULL, 0, false, 1, ""},
        {NULL, -1, false, 0, ""},
    };
    struct uuid self = directory("4qRAyiG7Rwaye4X8ut3gWQ");
    struct quorum_voters *voters = quorum_voters_new();
    quorum_voters_add(voters, 1, self, QUORUM_VOTER);
    quorum_voters_add(voters, 3, directory("w7NZR69CxZ-WUu_WGfd38w"), QUORUM_VOTER);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct import *c = &cases[i];
        struct quorum_state s;
        if (c->text)
            s = parse(c->text);
        uint64_t term, vote, expected = 0;
        quorum_state_import(c->text ? &s : NULL, c->last_epoch, 1, self,
                            c->with_voters ? voters : NULL, mutate().guards_off, &term, &vote);
        if (strcmp(c->vote, "self") == 0)
            expected = quorum_raft_id(self);
        else if (c->vote[0])
            expected = quorum_raft_id(directory(c->vote));
        assert_int_equal(term, c->term);
        assert_int_equal(vote, expected);
    }
    quorum_voters_unref(voters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_kafka_wrote),
        cmocka_unit_test(test_refuses_damage),
        cmocka_unit_test(test_store_is_kafkas_form),
        cmocka_unit_test(test_store_is_atomic),
        cmocka_unit_test(test_w16_import),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
