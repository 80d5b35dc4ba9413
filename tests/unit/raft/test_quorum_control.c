#include "raft/quorum_control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

static struct uuid directory(const char *text)
{
    struct uuid id;
    assert_int_equal(uuid_parse(str_of(text), &id), 0);
    return id;
}

static struct quorum_voters *two_voters(void)
{
    struct quorum_voters *voters = quorum_voters_new();
    quorum_voters_add(voters, 1, directory("4qRAyiG7Rwaye4X8ut3gWQ"), QUORUM_VOTER);
    quorum_voters_add_listener(voters, STR("CONTROLLER"), STR("127.0.0.1"), 41411);
    quorum_voters_add(voters, 3, directory("w7NZR69CxZ-WUu_WGfd38w"), QUORUM_VOTER);
    quorum_voters_add_listener(voters, STR("CONTROLLER"), STR("127.0.0.1"), 41431);
    return voters;
}

static struct record_batch parse_batch(const struct bytebuf *bytes)
{
    struct record_batch batch;
    assert_int_equal(record_batch_parse(bytes->data, bytes->len, &batch), 0);
    assert_int_equal(batch.bytes.len, bytes->len);
    assert_true(record_batch_crc_ok(&batch));
    return batch;
}

/* Byte for byte the batch that Apache Kafka 4.4 wrote as leader 1 of two voters, epoch 9. */
static void test_leader_change_equals_kafkas(void **state)
{
    static const char expected[] =
        "0000000000000664000000590000000902a0f6a8d7002000000000000001a1fd597ff0000001a1fd597ff0"
        "ffffffffffffffffffffffffffff000000014e00000008000000023a000000000001030000000100000000"
        "030003000000010000000003000000";
    struct quorum_voters *voters = two_voters();
    struct bytebuf out;
    bytebuf_init(&out);
    struct quorum_control_place place = {1636, 9, 1795251863536};
    quorum_control_leader_change(&place, 1, voters, 3, &out);
    assert_int_equal(out.len * 2, sizeof(expected) - 1);
    for (size_t i = 0; i < out.len; i++) {
        char hex[3] = {expected[2 * i], expected[2 * i + 1], 0};
        assert_int_equal(out.data[i], strtoul(hex, NULL, 16));
    }
    struct record_batch batch = parse_batch(&out);
    struct quorum_control control;
    assert_int_equal(quorum_control_parse(&batch, &control), 0);
    assert_int_equal(control.kind, QUORUM_BARRIER);
    assert_null(control.voters);
    bytebuf_release(&out);
    quorum_voters_unref(voters);
}

static void test_voters_and_standbys(void **state)
{
    struct quorum_voters *voters = two_voters();
    quorum_voters_add(voters, 1, directory("lcou4jWfT1OARlSoRQoOCQ"), QUORUM_STANDBY);
    quorum_voters_add_listener(voters, STR("CONTROLLER"), STR("::1"), 9093);
    struct bytebuf out;
    bytebuf_init(&out);
    struct quorum_control_place place = {7, 2, 1000};
    assert_int_equal(quorum_control_voters(&place, true, voters, &out), 2);
    struct record_batch batch = parse_batch(&out);
    assert_int_equal(batch.header.count, 2);
    assert_int_equal(batch.header.base_offset, 7);
    assert_int_equal(batch.header.partition_leader_epoch, 2);
    struct quorum_control control;
    assert_int_equal(quorum_control_parse(&batch, &control), 0);
    assert_int_equal(control.kind, QUORUM_CHANGE);
    assert_int_equal(control.kraft_version, 1);
    assert_true(quorum_voters_same_servers(control.voters, voters));
    const struct quorum_server *standby =
        quorum_voters_find(control.voters, quorum_raft_id(directory("lcou4jWfT1OARlSoRQoOCQ")));
    assert_int_equal(standby->role, QUORUM_STANDBY);
    assert_string_equal(standby->listeners[0].host, "::1");
    assert_int_equal(standby->listeners[0].port, 9093);
    quorum_voters_unref(control.voters);
    bytebuf_release(&out);
    quorum_voters_unref(voters);
}

/* Every prefix and every single damaged byte: an error or a sane set, nothing else. */
static void test_damaged_voters(void **state)
{
    struct quorum_voters *voters = two_voters(), *back;
    quorum_voters_add(voters, 4, directory("lcou4jWfT1OARlSoRQoOCQ"), QUORUM_STANDBY);
    struct bytebuf out;
    bytebuf_init(&out);
    quorum_voters_encode(voters, &out);
    for (size_t len = 0; len < out.len; len++) {
        struct bytes value = {out.data, (int32_t)len};
        assert_int_equal(quorum_voters_decode(value, &back), -EBADMSG);
    }
    for (size_t i = 0; i < out.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            out.data[i] ^= (uint8_t)(1 << bit);
            struct bytes value = {out.data, (int32_t)out.len};
            if (quorum_voters_decode(value, &back) == 0) {
                assert_true(quorum_voters_count(back) > 0 && back->count <= QUORUM_SERVERS_MAX);
                quorum_voters_unref(back);
            }
            out.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    bytebuf_release(&out);
    quorum_voters_unref(voters);
}

static void test_one_node_id_votes_once(void **state)
{
    struct quorum_voters *voters = two_voters(), *back;
    quorum_voters_add(voters, 3, directory("lcou4jWfT1OARlSoRQoOCQ"), QUORUM_VOTER);
    struct bytebuf out;
    bytebuf_init(&out);
    quorum_voters_encode(voters, &out);
    struct bytes value = {out.data, (int32_t)out.len};
    assert_int_equal(quorum_voters_decode(value, &back), -EBADMSG);
    bytebuf_release(&out);
    quorum_voters_unref(voters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leader_change_equals_kafkas),
        cmocka_unit_test(test_voters_and_standbys),
        cmocka_unit_test(test_damaged_voters),
        cmocka_unit_test(test_one_node_id_votes_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
