#include "common/protocol/message_json.h"

#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/metadata_records.h"
#include "common/protocol/messages/produce.h"
#include "common/protocol/messages/transaction_records.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct fixture {
    struct arena arena;
    struct bytebuf out;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    arena_init(&f->arena, 0);
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

static void assert_text(struct fixture *f, const char *expected)
{
    bytebuf_append(&f->out, "", 1);
    assert_string_equal((char *)f->out.data, expected);
    f->out.len = 0;
}

/* Lines that Kafka's dump tool printed. */
static void metadata_records_print_as_kafka_prints_them(void **state)
{
    static const struct {
        const struct message_desc *desc;
        int16_t version;
        const char *data, *line;
    } cases[] = {
        {&partition_record_desc, 2,
         "{\"partitionId\":0,\"topicId\":\"1pOQm1yoTDGGvpiZRGO6Bg\",\"replicas\":[1],\"isr\":[],"
         "\"removingReplicas\":[],\"addingReplicas\":[],\"leader\":-1,\"leaderEpoch\":3,"
         "\"partitionEpoch\":3,\"directories\":[\"nDvJaeyl85FBVvSMylRiXA\"],"
         "\"eligibleLeaderReplicas\":[1],\"lastKnownElr\":[1]}",
         "PARTITION_RECORD"},
        {&client_quota_record_desc, 0,
         "{\"entity\":[{\"entityType\":\"client-id\",\"entityName\":\"cli-\xc3\xa9\"}],"
         "\"key\":\"producer_byte_rate\",\"value\":5.0E8,\"remove\":false}",
         "CLIENT_QUOTA_RECORD"},
        {&client_quota_record_desc, 0,
         "{\"entity\":[{\"entityType\":\"user\",\"entityName\":null}],\"key\":\"k\","
         "\"value\":200.25,\"remove\":true}",
         "CLIENT_QUOTA_RECORD"},
        {&user_scram_credential_record_desc, 0,
         "{\"name\":\"mallory\",\"mechanism\":1,\"salt\":\"c2FsdC1maXhlZC0z\",\"storedKey\":"
         "\"+s61ipS0mIUFDDTk7kLd8bXotBnmOysCeIdpSsSlqhU=\",\"serverKey\":\"\","
         "\"iterations\":4096}",
         "USER_SCRAM_CREDENTIAL_RECORD"},
        {&no_op_record_desc, 0, "{}", "NO_OP_RECORD"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str problem = STR_EMPTY;
        void *msg = arena_calloc(&f->arena, 1, cases[i].desc->body->size_bytes);
        json_t *json = json_loads(cases[i].data, 0, NULL);
        int error = message_from_json(cases[i].desc, cases[i].version, json, MESSAGE_JSON_KAFKA,
                                      &f->arena, msg, &problem);
        json_decref(json);
        if (error)
            fail_msg("%.*s", STR_FMT(problem));
        record_to_json(cases[i].desc, cases[i].version, msg, &f->out);
        struct str expected =
            arena_printf(&f->arena, "{\"type\":\"%s\",\"version\":%d,\"data\":%s}", cases[i].line,
                         cases[i].version, cases[i].data);
        assert_text(f, expected.data);
    }
}

/* A field that is tagged in version 1 stands where the schema has it. */
static void fields_appear_in_the_order_of_the_schema(void **state)
{
    struct fixture *f = *state;
    struct transaction_log_value value;
    message_init(&transaction_log_value_desc, &value);
    value.previous_producer_id = 38;
    value.transaction_partitions_count = -1;
    message_to_json(&transaction_log_value_desc, 1, &value, MESSAGE_JSON_KAFKA, &f->out);
    assert_text(f, "{\"producerId\":0,\"previousProducerId\":38,\"producerEpoch\":0,"
                   "\"transactionTimeoutMs\":0,\"transactionStatus\":0,"
                   "\"transactionPartitions\":null,\"transactionLastUpdateTimestampMs\":0,"
                   "\"transactionStartTimestampMs\":0}");
}

static void records_and_unknown_tags_by_style(void **state)
{
    struct fixture *f = *state;
    struct produce_request request;
    message_init(&produce_request_desc, &request);
    request.topic_data_count = 1;
    request.topic_data = MESSAGE_ARRAY(&f->arena, produce_request_topic_produce_data, 1);
    request.topic_data->partition_data_count = 1;
    request.topic_data->partition_data =
        MESSAGE_ARRAY(&f->arena, produce_request_partition_produce_data, 1);
    request.topic_data->name = STR("t");
    request.topic_data->partition_data->records = (struct bytes){(const uint8_t *)"\x01\xfe", 2};
    struct unknown_tag tag = {NULL, 70, {(const uint8_t *)"\xab", 1}};
    request.unknown_tags = &tag;
    message_to_json(&produce_request_desc, 9, &request, MESSAGE_JSON_WIRE, &f->out);
    assert_text(f, "{\"TransactionalId\":null,\"Acks\":0,\"TimeoutMs\":0,\"TopicData\":[{\"Name\":"
                   "\"t\",\"PartitionData\":[{\"Index\":0,\"Records\":\"01fe\"}]}],"
                   "\"_unknownTags\":{\"70\":\"ab\"}}");
    message_to_json(&produce_request_desc, 9, &request, MESSAGE_JSON_KAFKA, &f->out);
    assert_text(f, "{\"transactionalId\":null,\"acks\":0,\"timeoutMs\":0,\"topicData\":[{\"name\":"
                   "\"t\",\"partitionData\":[{\"index\":0,\"recordsSizeInBytes\":2}]}]}");
}

static void strings_are_escaped_and_made_valid(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"a\"b\\c/d", "a\\\"b\\\\c/d"},
        {"\b\t\n\f\r\x01\x1f\x7f", "\\b\\t\\n\\f\\r\\u0001\\u001F\x7f"},
        {"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc3", "\xef\xbf\xbd"},                                                 /* cut */
        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},                                 /* overlong */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                 /* surrogate */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* too high */
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct feature_level_record record = {.name = str_of(cases[i].in)};
        message_to_json(&feature_level_record_desc, 0, &record, MESSAGE_JSON_KAFKA, &f->out);
        struct str expected =
            arena_printf(&f->arena, "{\"name\":\"%s\",\"featureLevel\":0}", cases[i].out);
        assert_text(f, expected.data);
    }
}

static void doubles_are_javas(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0.0"},
        {-0.0, "-0.0"},
        {1, "1.0"},
        {-33.5, "-33.5"},
        {200.25, "200.25"},
        {1048576, "1048576.0"},
        {9999999, "9999999.0"},
        {1e7, "1.0E7"},
        {12345678, "1.2345678E7"},
        {0.001, "0.001"},
        {0.0009, "9.0E-4"},
        {0.1, "0.1"},
        {1e300, "1.0E300"},
        {1.7976931348623157e308, "1.7976931348623157E308"},
        {100.0 / 3, "33.333333333333336"},
        {INFINITY, "\"Infinity\""},
        {-INFINITY, "\"-Infinity\""},
        {NAN, "\"NaN\""},
    };
    struct fixture *f = *state;
    struct client_quota_record record;
    message_init(&client_quota_record_desc, &record);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        record.value = cases[i].value;
        message_to_json(&client_quota_record_desc, 0, &record, MESSAGE_JSON_KAFKA, &f->out);
        struct str expected = arena_printf(
            &f->arena, "{\"entity\":[],\"key\":\"\",\"value\":%s,\"remove\":false}", cases[i].text);
        assert_text(f, expected.data);
    }
}

static void bad_json_is_refused_with_a_reason(void **state)
{
    static const struct {
        const char *json, *problem;
    } cases[] = {
        {"[]", "FetchRequest: an object is expected"},
        {"{}", "ReplicaId: missing"},
        {"{\"ReplicaId\":\"x\"}", "ReplicaId: an integer is expected"},
        {"{\"ReplicaId\":2147483648}", "ReplicaId: 2147483648 is out of range"},
        {"{\"ReplicaId\":1,\"MaxWaitMs\":1,\"MinBytes\":1,\"MaxBytes\":1,\"IsolationLevel\":-129,"
         "\"Topics\":[]}",
         "IsolationLevel: -129 is out of range"},
        {"{\"ReplicaId\":1,\"MaxWaitMs\":1,\"MinBytes\":1,\"MaxBytes\":1,\"IsolationLevel\":1,"
         "\"Topics\":null}",
         "Topics: an array is expected"},
        {"{\"ReplicaId\":1,\"MaxWaitMs\":1,\"MinBytes\":1,\"MaxBytes\":1,\"IsolationLevel\":1,"
         "\"Topics\":[{\"Topic\":null,\"Partitions\":[]}]}",
         "Topic: a string is expected"},
        {"{\"ReplicaId\":1,\"MaxWaitMs\":1,\"MinBytes\":1,\"MaxBytes\":1,\"IsolationLevel\":1,"
         "\"Topics\":[],\"SessionId\":1}",
         "FetchRequest: it has fields that version 4 does not know"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fetch_request request;
        struct str problem = STR_EMPTY;
        json_t *json = json_loads(cases[i].json, 0, NULL);
        assert_int_equal(message_from_json(&fetch_request_desc, 4, json, MESSAGE_JSON_WIRE,
                                           &f->arena, &request, &problem),
                         -EINVAL);
        assert_true(str_eq_z(problem, cases[i].problem));
        assert_int_equal(message_from_json(&fetch_request_desc, 3, json, MESSAGE_JSON_WIRE,
                                           &f->arena, &request, &problem),
                         -EPROTONOSUPPORT);
        json_decref(json);
    }
}

static void bytes_that_do_not_parse(void **state)
{
    static const char *const salts[] = {"a", "!!!!", "YQ"};
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(salts); i++) {
        struct user_scram_credential_record record;
        struct str problem = STR_EMPTY;
        json_t *json = json_pack("{s:s,s:i,s:s,s:s,s:s,s:i}", "name", "", "mechanism", 0, "salt",
                                 salts[i], "storedKey", "YQ==", "serverKey", "", "iterations", 1);
        assert_int_equal(message_from_json(&user_scram_credential_record_desc, 0, json,
                                           MESSAGE_JSON_KAFKA, &f->arena, &record, &problem),
                         -EINVAL);
        assert_true(str_eq(problem, STR("Salt: not base64")));
        json_object_set_new(json, "salt", json_string("YWI="));
        assert_int_equal(message_from_json(&user_scram_credential_record_desc, 0, json,
                                           MESSAGE_JSON_KAFKA, &f->arena, &record, &problem),
                         0);
        assert_int_equal(record.salt.len, 2);
        assert_memory_equal(record.salt.data, "ab", 2);
        assert_int_equal(record.stored_key.len, 1);
        json_decref(json);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(metadata_records_print_as_kafka_prints_them),
        TEST(fields_appear_in_the_order_of_the_schema),
        TEST(records_and_unknown_tags_by_style),
        TEST(strings_are_escaped_and_made_valid),
        TEST(doubles_are_javas),
        TEST(bad_json_is_refused_with_a_reason),
        TEST(bytes_that_do_not_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
