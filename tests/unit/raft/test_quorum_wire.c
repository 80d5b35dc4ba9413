/* Messages of the quorum as bytes: there and back, and what a peer may do to them. */
#include "raft/quorum_wire.h"

#include "common/base/check.h"
#include "common/protocol/endian.h"
#include "raft/quorum_control.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct uuid directory(uint8_t n)
{
    struct uuid uuid = {{0}};
    uuid.b[15] = n;
    return uuid;
}

static struct quorum_voters *voters_of(int count)
{
    struct quorum_voters *voters = quorum_voters_new();
    for (int i = 1; i <= count; i++) {
        quorum_voters_add(voters, i, directory((uint8_t)i), QUORUM_VOTER);
        quorum_voters_add_listener(voters, STR("CONTROLLER"), STR("::1"), (uint16_t)(9000 + i));
    }
    return voters;
}

/* Offsets 0 (LeaderChange), 1 and 2 (KRaftVersion, Voters), all of epoch 4. */
static void append_batches(struct bytebuf *out)
{
    struct quorum_voters *voters = voters_of(3);
    struct quorum_control_place place = {0, 4, 1000};
    quorum_control_leader_change(&place, 1, voters, 3, out);
    place.base_offset = 1;
    quorum_control_voters(&place, true, voters, out);
    quorum_voters_unref(voters);
}

static struct buf *encode(const struct quorum_message *message, struct bytes batches,
                          const struct quorum_voters *bootstrap)
{
    struct quorum_wire_header header = {quorum_wire_key_of(message->type), 0, 77};
    struct bytebuf out;
    bytebuf_init(&out);
    quorum_wire_encode(message, batches, bootstrap, &header, &out);
    assert_int_equal(get_u32(out.data), out.len - 4);
    struct buf *frame = buf_copy(out.data + 4, out.len - 4);
    bytebuf_release(&out);
    return frame;
}

static int decode(struct buf *frame, struct quorum_message *ret)
{
    struct bytes body = {frame->data, (int32_t)frame->size_bytes};
    struct quorum_wire_header header;
    int rv = quorum_wire_read_header(&body, &header);
    if (rv != 0)
        return rv;
    if (!quorum_wire_request_desc(header.key))
        return -EPROTONOSUPPORT;
    return quorum_wire_decode(&header, body, frame, ret);
}

static void there_and_back(const struct quorum_message *message, struct quorum_message *ret)
{
    struct buf *frame = encode(message, BYTES_NULL, NULL);
    assert_int_equal(decode(frame, ret), 0);
    assert_int_equal(ret->type, message->type);
    assert_true(ret->term == message->term);
    buf_unref(frame);
}

static void test_small_messages(void **state)
{
    (void)state;
    struct quorum_message in = {.type = QUORUM_VOTE, .term = 7}, out;
    in.vote = (struct quorum_vote){
        .last_index = 9, .last_term = 6, .disrupt_leader = true, .pre_vote = true};
    there_and_back(&in, &out);
    assert_true(out.vote.last_index == 9 && out.vote.last_term == 6 && out.vote.disrupt_leader &&
                out.vote.pre_vote);
    in = (struct quorum_message){.type = QUORUM_VOTE_RESULT, .term = 8};
    in.vote_result.granted = true;
    there_and_back(&in, &out);
    assert_true(out.vote_result.granted && !out.vote_result.pre_vote);
    in = (struct quorum_message){.type = QUORUM_APPEND_RESULT, .term = 9};
    in.append_result = (struct quorum_append_result){.rejected = 5, .last_index = 4};
    there_and_back(&in, &out);
    assert_true(out.append_result.rejected == 5 && out.append_result.last_index == 4);
    in = (struct quorum_message){.type = QUORUM_TIMEOUT_NOW, .term = 10};
    in.timeout_now = (struct quorum_timeout_now){.last_index = 3, .last_term = 2};
    there_and_back(&in, &out);
    assert_true(out.timeout_now.last_index == 3 && out.timeout_now.last_term == 2);
    in = (struct quorum_message){.type = QUORUM_INSTALL, .term = 11};
    in.install.last_index = 100;
    in.install.last_term = 5;
    in.install.voters = voters_of(3);
    there_and_back(&in, &out);
    assert_true(out.install.last_index == 100 && out.install.last_term == 5);
    assert_true(quorum_voters_same_servers(in.install.voters, out.install.voters));
    assert_string_equal(out.install.voters->servers[2].listeners[0].host, "::1");
    quorum_voters_unref(in.install.voters);
    quorum_wire_release(&out);
}

static struct buf *whole_append(void)
{
    struct quorum_message in = {.type = QUORUM_APPEND, .term = 5};
    in.append.commit_index = 1;
    struct quorum_voters *bootstrap = voters_of(2);
    struct bytebuf batches;
    bytebuf_init(&batches);
    append_batches(&batches);
    struct buf *frame = encode(&in, (struct bytes){batches.data, (int32_t)batches.len}, bootstrap);
    quorum_voters_unref(bootstrap);
    bytebuf_release(&batches);
    return frame;
}

static void test_append(void **state)
{
    (void)state;
    struct quorum_message out;
    struct buf *frame = whole_append();
    assert_int_equal(decode(frame, &out), 0);
    const struct quorum_append *append = &out.append;
    assert_int_equal(append->batch_count, 3);
    assert_true(append->prev_index == 0 && append->end_index == 4 && append->commit_index == 1);
    assert_int_equal(append->batches[0].kind, QUORUM_CHANGE);
    assert_true(append->batches[0].base == 1 && append->batches[0].bytes.buf == NULL);
    assert_int_equal(quorum_voters_count(append->batches[0].voters), 2);
    assert_int_equal(append->batches[1].kind, QUORUM_BARRIER);
    assert_true(append->batches[1].base == 2 && append->batches[1].count == 1 &&
                append->batches[1].term == 5);
    assert_int_equal(append->batches[2].kind, QUORUM_CHANGE);
    assert_true(append->batches[2].base == 3 && append->batches[2].count == 2);
    assert_int_equal(quorum_voters_count(append->batches[2].voters), 3);
    /* The batches live on their own. */
    buf_unref(frame);
    assert_int_equal(append->batches[2].bytes.buf->data[append->batches[2].bytes.offset], 0);
    quorum_wire_release(&out);
}

/* Cut anywhere, with its length as it came: refused, or a shorter message that is whole. */
static void test_truncated(void **state)
{
    (void)state;
    struct buf *frame = whole_append();
    for (size_t len = 0; len < frame->size_bytes; len++) {
        struct quorum_message out;
        struct buf *cut = buf_copy(frame->data, len);
        assert_int_not_equal(decode(cut, &out), 0);
        buf_unref(cut);
    }
    buf_unref(frame);
}

/* Whatever bit is wrong, what is taken can be released and has right checksums. */
static void test_every_bit_flipped(void **state)
{
    (void)state;
    struct buf *frame = whole_append();
    int taken = 0;
    for (size_t bit = 0; bit < frame->size_bytes * 8; bit++) {
        struct quorum_message out;
        struct buf *bad = buf_copy(frame->data, frame->size_bytes);
        bad->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (decode(bad, &out) == 0) {
            taken++;
            quorum_wire_release(&out);
        }
        buf_unref(bad);
    }
    /* Terms, indexes and what stands outside of checksums may be anything. */
    assert_true(taken > 0);
    buf_unref(frame);
}

static void test_a_damaged_batch(void **state)
{
    (void)state;
    struct quorum_message in = {.type = QUORUM_APPEND, .term = 5}, out;
    in.append.prev_index = in.append.prev_term = 1;
    struct bytebuf batches;
    bytebuf_init(&batches);
    append_batches(&batches);
    batches.data[batches.len - 1] ^= 1;
    struct buf *frame = encode(&in, (struct bytes){batches.data, (int32_t)batches.len}, NULL);
    assert_int_equal(decode(frame, &out), -EBADMSG);
    buf_unref(frame);
    /* And one that is not whole. */
    batches.data[batches.len - 1] ^= 1;
    frame = encode(&in, (struct bytes){batches.data, (int32_t)batches.len - 3}, NULL);
    assert_int_equal(decode(frame, &out), -EBADMSG);
    buf_unref(frame);
    bytebuf_release(&batches);
}

static void test_negative_numbers(void **state)
{
    (void)state;
    struct quorum_message in = {.type = QUORUM_APPEND, .term = 5}, out;
    in.append.prev_index = UINT64_MAX;
    struct buf *frame = encode(&in, BYTES_NULL, NULL);
    assert_int_equal(decode(frame, &out), -EBADMSG);
    buf_unref(frame);
}

static void test_garbage(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (int i = 0; i < 20000; i++) {
        struct quorum_message out;
        uint8_t bytes[96];
        random = hash_u64(random + (uint64_t)i);
        size_t len = random % sizeof(bytes);
        for (size_t k = 0; k < len; k++)
            bytes[k] = (uint8_t)(random = hash_u64(random));
        struct buf *frame = buf_copy(bytes, len);
        if (len >= 4) { /* so that it is taken for one of ours */
            put_u16(frame->data, (uint16_t)(QUORUM_WIRE_APPEND + random % 6));
            put_u16(frame->data + 2, 0);
        }
        if (decode(frame, &out) == 0)
            quorum_wire_release(&out);
        buf_unref(frame);
    }
}

static void test_formation_messages(void **state)
{
    (void)state;
    struct quorum_voters *voters = voters_of(3), *self = voters_of(1);
    struct formation_message in = {.ask = true,
                                   .nonce = UINT64_MAX - 1,
                                   .node_id = 1,
                                   .directory_id = directory(1),
                                   .listed_hash = UINT64_MAX,
                                   .has_data = true,
                                   .voters = voters,
                                   .self = self},
                             out;
    snprintf(in.cluster_id, sizeof(in.cluster_id), "abc");
    struct bytebuf voters_room, self_room;
    struct peer_formation wire;
    bytebuf_init(&voters_room);
    bytebuf_init(&self_room);
    quorum_wire_fill_formation(&in, &voters_room, &self_room, &wire);
    assert_int_equal(quorum_wire_read_formation(&wire, &out), 0);
    assert_true(out.ask && out.has_data && out.nonce == in.nonce &&
                out.listed_hash == in.listed_hash && out.node_id == 1);
    assert_string_equal(out.cluster_id, "abc");
    assert_true(quorum_voters_same_servers(out.voters, voters));
    assert_true(quorum_voters_same_servers(out.self, self));
    quorum_wire_release_formation(&out);

    char longer[CLUSTER_ID_MAX + 2];
    memset(longer, 'x', sizeof(longer));
    wire.cluster_id = str_from(longer, sizeof(longer));
    assert_int_equal(quorum_wire_read_formation(&wire, &out), -EBADMSG);
    wire.cluster_id = STR("abc");
    wire.self.len--;
    assert_int_not_equal(quorum_wire_read_formation(&wire, &out), 0);
    bytebuf_release(&voters_room);
    bytebuf_release(&self_room);
    quorum_voters_unref(voters);
    quorum_voters_unref(self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_messages),  cmocka_unit_test(test_append),
        cmocka_unit_test(test_truncated),       cmocka_unit_test(test_every_bit_flipped),
        cmocka_unit_test(test_a_damaged_batch), cmocka_unit_test(test_negative_numbers),
        cmocka_unit_test(test_garbage),         cmocka_unit_test(test_formation_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
