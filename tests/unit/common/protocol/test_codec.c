/* What the codec promises beyond what recorded exchanges show. */
#include "common/protocol/codec.h"

#include "common/base/check.h"
#include "common/protocol/messages.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct fixture {
    struct arena arena;
    struct bytebuf out;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    arena_init(&f->arena, 1 << 20);
    bytebuf_init(&f->out);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_release(&f->arena);
    bytebuf_release(&f->out);
    free(f);
    return 0;
}

#define DECODE(f, name, version, ret, ...)                                                         \
    decode((f), &name##_desc, (version), (ret), (const uint8_t[]){__VA_ARGS__},                    \
           sizeof((const uint8_t[]){__VA_ARGS__}))

static int decode(struct fixture *f, const struct message_desc *desc, int16_t version, void *ret,
                  const uint8_t *data, size_t len)
{
    struct bytes input = {data, (int32_t)len};
    return message_decode(desc, version, &input, &f->arena, ret);
}

#define ASSERT_OUT(f, ...)                                                                         \
    do {                                                                                           \
        const uint8_t expected[] = {__VA_ARGS__};                                                  \
        assert_int_equal((f)->out.len, sizeof(expected));                                          \
        assert_memory_equal((f)->out.data, expected, sizeof(expected));                            \
        (f)->out.len = 0;                                                                          \
    } while (0)

static void defaults_are_those_of_the_schema(void **state)
{
    struct fixture *f = *state;
    struct fetch_request fetch;
    message_init(&fetch_request_desc, &fetch);
    assert_int_equal(fetch.cluster_id.len, -1);
    assert_int_equal(fetch.replica_id, -1);
    assert_int_equal(fetch.replica_state.replica_epoch, -1);
    assert_int_equal(fetch.max_bytes, INT32_MAX);
    assert_int_equal(fetch.rack_id.len, 0);
    assert_int_equal(fetch.topics_count, 0);
    struct metadata_request metadata;
    message_init(&metadata_request_desc, &metadata);
    assert_true(metadata.allow_auto_topic_creation);
    struct fetch_request_fetch_partition *partitions =
        MESSAGE_ARRAY(&f->arena, fetch_request_fetch_partition, 2);
    assert_true(partitions[1].high_watermark == INT64_MAX);
    assert_int_equal(partitions[0].current_leader_epoch, -1);
}

/* A nullable struct that is not null by default points to its defaults. */
static void default_of_a_nullable_struct(void **state)
{
    struct fixture *f = *state;
    struct consumer_group_member_metadata_value value;
    message_init(&consumer_group_member_metadata_value_desc, &value);
    assert_non_null(value.classic_member_metadata);
    assert_int_equal(message_encode(&consumer_group_member_metadata_value_desc, 0, &value, &f->out),
                     0);
    ASSERT_OUT(f, 1, 1, 1, 1, 1, 1, 0xff, 0xff, 0xff, 0xff, 1, 0);
    value.classic_member_metadata = NULL;
    message_encode(&consumer_group_member_metadata_value_desc, 0, &value, &f->out);
    struct bytes input = {f->out.data, (int32_t)f->out.len};
    assert_int_equal(
        message_decode(&consumer_group_member_metadata_value_desc, 0, &input, &f->arena, &value),
        0);
    assert_null(value.classic_member_metadata);
    /* Tag 0 of size 1 with 0 for null: Kafka's form for a struct in a tag. */
    ASSERT_OUT(f, 1, 1, 1, 1, 1, 1, 0xff, 0xff, 0xff, 0xff, 1, 1, 0, 1, 0);
}

static void nullable_struct_outside_of_a_tag(void **state)
{
    struct fixture *f = *state;
    struct describe_topic_partitions_request request;
    assert_int_equal(
        DECODE(f, describe_topic_partitions_request, 0, &request, 1, 0, 0, 0, 1, 0xff, 0), 0);
    assert_null(request.cursor);
    assert_int_equal(message_encode(&describe_topic_partitions_request_desc, 0, &request, &f->out),
                     0);
    ASSERT_OUT(f, 1, 0, 0, 0, 1, 0xff, 0);
    assert_int_equal(DECODE(f, describe_topic_partitions_request, 0, &request, 1, 0, 0, 0, 1, 5, 2,
                            'a', 0, 0, 0, 7, 0, 0),
                     0);
    assert_true(str_eq(request.cursor->topic_name, STR("a")));
    assert_int_equal(request.cursor->partition_index, 7);
}

static void versions_that_do_not_exist(void **state)
{
    struct fixture *f = *state;
    struct fetch_request fetch;
    message_init(&fetch_request_desc, &fetch);
    assert_int_equal(DECODE(f, fetch_request, 3, &fetch, 0), -EPROTONOSUPPORT);
    assert_int_equal(DECODE(f, fetch_request, 19, &fetch, 0), -EPROTONOSUPPORT);
    assert_int_equal(DECODE(f, fetch_request, -1, &fetch, 0), -EPROTONOSUPPORT);
    assert_int_equal(message_encode(&fetch_request_desc, 19, &fetch, &f->out), -EPROTONOSUPPORT);
    struct leader_and_isr_request removed;
    assert_int_equal(DECODE(f, leader_and_isr_request, 0, &removed, 0), -EPROTONOSUPPORT);
}

static void values_that_a_version_cannot_carry(void **state)
{
    struct fixture *f = *state;
    struct metadata_request request;
    message_init(&metadata_request_desc, &request);
    bytebuf_append(&f->out, "x", 1);
    /* Not ignorable: refused, and the output is as it was. */
    request.allow_auto_topic_creation = false;
    assert_int_equal(message_encode(&metadata_request_desc, 3, &request, &f->out), -EINVAL);
    assert_int_equal(message_encode(&metadata_request_desc, 4, &request, &f->out), 0);
    f->out.len = 1;
    /* No null in version 0. */
    message_init(&metadata_request_desc, &request);
    request.topics_count = -1;
    assert_int_equal(message_encode(&metadata_request_desc, 0, &request, &f->out), -EINVAL);
    assert_int_equal(f->out.len, 1);
    /* Ignorable: dropped. */
    struct metadata_response response;
    message_init(&metadata_response_desc, &response);
    response.throttle_time_ms = 5;
    f->out.len = 0;
    assert_int_equal(message_encode(&metadata_response_desc, 0, &response, &f->out), 0);
    ASSERT_OUT(f, 0, 0, 0, 0, 0, 0, 0, 0);
}

static void strings_are_limited(void **state)
{
    struct fixture *f = *state;
    struct metadata_response response;
    char *text = arena_alloc(&f->arena, 32768);
    memset(text, 'x', 32768);
    message_init(&metadata_response_desc, &response);
    response.cluster_id = str_from(text, 32768);
    assert_int_equal(message_encode(&metadata_response_desc, 12, &response, &f->out), -EINVAL);
    response.cluster_id.len = 32767;
    assert_int_equal(message_encode(&metadata_response_desc, 12, &response, &f->out), 0);
}

static void unknown_tags_travel(void **state)
{
    struct fixture *f = *state;
    struct fetch_response response, copy;
    static const uint8_t input[] = {0, 0, 0, 1, 0, 2, 0, 0, 0, 3, 1, 2, 9, 2, 'h', 'i', 200, 1, 0};
    assert_int_equal(decode(f, &fetch_response_desc, 12, &response, input, sizeof(input)), 0);
    assert_int_equal(response.unknown_tags->tag, 9);
    assert_int_equal(response.unknown_tags->next->tag, 200);
    message_copy(&fetch_response_desc, &response, &f->arena, &copy);
    assert_ptr_not_equal(copy.unknown_tags, response.unknown_tags);
    assert_int_equal(message_encode(&fetch_response_desc, 12, &copy, &f->out), 0);
    assert_int_equal(f->out.len, sizeof(input));
    assert_memory_equal(f->out.data, input, sizeof(input));
    /* A version without tags cannot carry them. */
    assert_int_equal(message_encode(&fetch_response_desc, 11, &copy, &f->out), -EINVAL);
}

static void tags_in_any_order_and_twice(void **state)
{
    struct fixture *f = *state;
    struct api_versions_response response;
    /* Tag 3 (true), tag 1 (7), tag 3 again (false) with a wrong size, which nobody looks at. */
    assert_int_equal(DECODE(f, api_versions_response, 3, &response, 0, 0, 1, 0, 0, 0, 0, 3, 3, 1, 1,
                            1, 8, 0, 0, 0, 0, 0, 0, 0, 7, 3, 99, 0),
                     0);
    assert_true(response.finalized_features_epoch == 7);
    assert_false(response.zk_migration_ready);
    assert_null(response.unknown_tags);
}

static void tag_of_a_later_version_is_refused(void **state)
{
    struct fixture *f = *state;
    struct fetch_request fetch;
    message_init(&fetch_request_desc, &fetch);
    fetch.replica_state.replica_id = 4;
    assert_int_equal(message_encode(&fetch_request_desc, 15, &fetch, &f->out), 0);
    assert_int_equal(decode(f, &fetch_request_desc, 15, &fetch, f->out.data, f->out.len), 0);
    assert_int_equal(fetch.replica_state.replica_id, 4);
    assert_int_equal(message_encode(&fetch_request_desc, 14, &fetch, &f->out), -EINVAL);
    /* Version 14 has ReplicaId in front, and no tag 1. */
    uint8_t early[200] = {0};
    memcpy(early + 4, f->out.data, f->out.len);
    assert_int_equal(decode(f, &fetch_request_desc, 14, &fetch, early, f->out.len + 4), -EBADMSG);
}

static void counts_below_minus_one(void **state)
{
    struct fixture *f = *state;
    struct metadata_request request;
    assert_int_equal(DECODE(f, metadata_request, 1, &request, 0xff, 0xff, 0xff, 0xfb), 0);
    assert_int_equal(request.topics_count, -1);
    assert_int_equal(DECODE(f, metadata_request, 0, &request, 0xff, 0xff, 0xff, 0xfb), -EBADMSG);
    struct find_coordinator_request find;
    assert_int_equal(DECODE(f, find_coordinator_request, 1, &find, 0xff, 0xfb, 0), -EBADMSG);
}

static void counts_are_checked_before_memory_is_taken(void **state)
{
    struct fixture *f = *state;
    struct metadata_request request;
    assert_int_equal(DECODE(f, metadata_request, 1, &request, 0x7f, 0xff, 0xff, 0xff, 0), -EBADMSG);
    assert_int_equal(
        DECODE(f, metadata_request, 12, &request, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0),
        0); /* 2^32 - 2 is below -1 */
    assert_int_equal(DECODE(f, metadata_request, 12, &request, 0xff, 0xff, 0xff, 0xff, 0x07, 0, 0),
                     -EBADMSG);
    assert_int_equal(
        DECODE(f, metadata_request, 12, &request, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0), -EBADMSG);
    assert_int_equal(f->arena.used_bytes, 0);
}

static void memory_is_limited(void **state)
{
    struct fixture *f = *state;
    struct metadata_request request;
    uint8_t input[4 + 2 * 1000] = {0, 0, 0x03, 0xe8};
    f->arena.limit_bytes = 4096;
    assert_int_equal(decode(f, &metadata_request_desc, 1, &request, input, sizeof(input)), -ENOMEM);
    assert_true(f->arena.used_bytes <= 4096);
    f->arena.limit_bytes = 1 << 20;
    assert_int_equal(decode(f, &metadata_request_desc, 1, &request, input, sizeof(input)), 0);
    assert_int_equal(request.topics_count, 1000);
}

static void input_advances_only_on_success(void **state)
{
    struct fixture *f = *state;
    static const uint8_t data[] = {0, 0, 0, 0, 'r', 'e', 's', 't'};
    struct bytes input = {data, sizeof(data)};
    struct metadata_request request;
    assert_int_equal(message_decode(&metadata_request_desc, 1, &input, &f->arena, &request), 0);
    assert_int_equal(input.len, 4);
    assert_ptr_equal(input.data, data + 4);
    input = (struct bytes){data, 3};
    assert_int_equal(message_decode(&metadata_request_desc, 1, &input, &f->arena, &request),
                     -EBADMSG);
    assert_int_equal(input.len, 3);
    assert_ptr_equal(input.data, data);
}

static void copies_share_nothing(void **state)
{
    struct fixture *f = *state;
    struct describe_topic_partitions_request request, copy;
    uint8_t data[] = {2, 2, 't', 0, 0, 0, 0, 1, 1, 2, 'c', 0, 0, 0, 7, 0, 0};
    assert_int_equal(
        decode(f, &describe_topic_partitions_request_desc, 0, &request, data, sizeof(data)), 0);
    message_copy(&describe_topic_partitions_request_desc, &request, &f->arena, &copy);
    request.topics[0].name = STR("changed");
    request.cursor->partition_index = 8;
    memset(data, 0, sizeof(data));
    assert_true(str_eq(copy.topics[0].name, STR("t")));
    assert_true(str_eq(copy.cursor->topic_name, STR("c")));
    assert_int_equal(copy.cursor->partition_index, 7);
}

static void records_are_found_by_key(void **state)
{
    assert_ptr_equal(metadata_record_find(METADATA_TOPIC_RECORD), &topic_record_desc);
    assert_null(metadata_record_find(6));
    assert_null(metadata_record_find(-1));
    assert_null(metadata_record_find(30));
    assert_ptr_equal(group_record_find(GROUP_RECORD_OFFSET_COMMIT)->value,
                     &offset_commit_value_desc);
    assert_ptr_equal(group_record_find(2)->key, &group_metadata_key_desc);
    assert_null(group_record_find(9));
    assert_null(group_record_find(24));
    assert_ptr_equal(share_record_find(1)->key, &share_update_key_desc);
    assert_null(share_record_find(2));
    assert_ptr_equal(transaction_record_find(0)->value, &transaction_log_value_desc);
    assert_null(transaction_record_find(-1));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_those_of_the_schema),
        TEST(default_of_a_nullable_struct),
        TEST(nullable_struct_outside_of_a_tag),
        TEST(versions_that_do_not_exist),
        TEST(values_that_a_version_cannot_carry),
        TEST(strings_are_limited),
        TEST(unknown_tags_travel),
        TEST(tags_in_any_order_and_twice),
        TEST(tag_of_a_later_version_is_refused),
        TEST(counts_below_minus_one),
        TEST(counts_are_checked_before_memory_is_taken),
        TEST(memory_is_limited),
        TEST(input_advances_only_on_success),
        TEST(copies_share_nothing),
        TEST(records_are_found_by_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
