/*
 * Requests that were sent to Apache Kafka, and its answers: tests/data/metadata/behaviour.tsv holds
 * case, request and response as hex, in the order in which they were sent.
 * Answers of over 2 KB are left out.
 */
#include "common/protocol/frame.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages.h"
#include "tests/unit/metadata/controller/controller_cluster.h"

struct row {
    const char *name;
    struct bytes request, response;
};

static struct bytes unhex(struct arena *arena, const char *hex)
{
    size_t len = strlen(hex) / 2;
    uint8_t *out = arena_alloc(arena, len + 1);
    for (size_t i = 0; i < len; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return (struct bytes){out, (int32_t)len};
}

typedef void (*api_call)(struct controller *, const struct controller_context *, const void *,
                         struct arena *, void *, struct controller_result *);

static api_call call_of(int16_t key)
{
    switch (key) {
    case API_CREATE_TOPICS:
        return (api_call)(void (*)(void))controller_create_topics;
    case API_DELETE_TOPICS:
        return (api_call)(void (*)(void))controller_delete_topics;
    case API_CREATE_PARTITIONS:
        return (api_call)(void (*)(void))controller_create_partitions;
    case API_ALTER_CONFIGS:
        return (api_call)(void (*)(void))controller_alter_configs;
    case API_INCREMENTAL_ALTER_CONFIGS:
        return (api_call)(void (*)(void))controller_incremental_alter_configs;
    case API_UPDATE_FEATURES:
        return (api_call)(void (*)(void))controller_update_features;
    case API_UNREGISTER_BROKER:
        return (api_call)(void (*)(void))controller_unregister_broker;
    case API_UNREGISTER_CONTROLLER:
        return (api_call)(void (*)(void))controller_unregister_controller;
    default:
        fail_msg("api %d", key);
        return NULL;
    }
}

/* Ids differ in each run. */
static void forget_ids(int16_t key, void *response)
{
    if (key == API_CREATE_TOPICS) {
        struct create_topics_response *r = response;
        for (int32_t i = 0; i < r->topics_count; i++)
            r->topics[i].topic_id = UUID_ZERO;
    } else if (key == API_DELETE_TOPICS) {
        struct delete_topics_response *r = response;
        for (int32_t i = 0; i < r->responses_count; i++)
            r->responses[i].topic_id = UUID_ZERO;
    }
}

static void encode(const struct api *api, int16_t version, void *response, struct bytebuf *out)
{
    forget_ids(api->key, response);
    assert_int_equal(message_encode(api->response, version, response, out), 0);
}

static void run_row(struct harness *h, const struct row *row)
{
    struct request_header header;
    struct response_header response_header;
    const struct api *api;
    struct bytebuf ours, theirs;
    struct bytes request_bytes = {row->request.data + 4, row->request.len - 4};
    struct bytes response_bytes = row->response;
    assert_int_equal(request_header_decode(&request_bytes, &h->arena, &header, &api), 0);
    int16_t version = header.request_api_version;
    void *request = arena_alloc(&h->arena, api->request->body->size_bytes);
    void *expected = arena_alloc(&h->arena, api->response->body->size_bytes);
    void *response = arena_alloc(&h->arena, api->response->body->size_bytes);
    assert_int_equal(message_decode(api->request, version, &request_bytes, &h->arena, request), 0);
    if (response_bytes.len == 0) { /* too long to be recorded: it succeeded */
        call_of(api->key)(h->c, &h->ctx, request, &h->arena, response, &h->result);
        assert_true(h->result.records.count > 0);
        harness_commit(h);
        return;
    }
    assert_int_equal(
        response_header_decode(api, version, &response_bytes, &h->arena, &response_header), 0);
    assert_int_equal(message_decode(api->response, version, &response_bytes, &h->arena, expected),
                     0);
    call_of(api->key)(h->c, &h->ctx, request, &h->arena, response, &h->result);
    harness_commit(h);
    /* An operation that does not exist is the caller's fault, not an unknown error of the server.
     */
    if (strcmp(row->name, "ia-op-9") == 0) {
        struct incremental_alter_configs_response *r = response;
        assert_int_equal(r->responses[0].error_code, KAFKA_ERROR_INVALID_REQUEST);
        return;
    }
    bytebuf_init(&ours);
    bytebuf_init(&theirs);
    encode(api, version, response, &ours);
    encode(api, version, expected, &theirs);
    if (ours.len != theirs.len || memcmp(ours.data, theirs.data, ours.len) != 0) {
        size_t at = 0;
        while (at < ours.len && at < theirs.len && ours.data[at] == theirs.data[at])
            at++;
        size_t from = at > 60 ? at - 60 : 0;
        for (size_t i = from; i < ours.len && i < from + 240; i++)
            print_message("%c", ours.data[i] >= 32 && ours.data[i] < 127 ? ours.data[i] : '.');
        print_message(" <- ours, differs at %zu\n", at);
        for (size_t i = from; i < theirs.len && i < from + 240; i++)
            print_message("%c",
                          theirs.data[i] >= 32 && theirs.data[i] < 127 ? theirs.data[i] : '.');
        print_message(" <- Kafka's\n");
        fail_msg("case %s", row->name);
    }
    bytebuf_release(&ours);
    bytebuf_release(&theirs);
}

static void answers_as_kafka_did(void **state)
{
    struct harness h;
    harness_init(&h);
    harness_add_broker(&h, 1, 2, NULL);
    assert_int_equal(harness_create_topic(&h, "cp", 2, 1, NULL), 0);
    assert_int_equal(harness_create_topic(&h, "cf", 1, 1, NULL), 0);
    FILE *file = fopen(TEST_DATA "/metadata/behaviour.tsv", "r");
    assert_non_null(file);
    char *line = NULL;
    size_t capacity = 0;
    int count = 0;
    while (getline(&line, &capacity, file) > 0) {
        char *rest = line;
        struct row row;
        row.name = strsep(&rest, "\t");
        const char *request = strsep(&rest, "\t");
        row.request = unhex(&h.arena, request);
        row.response = unhex(&h.arena, strsep(&rest, "\n"));
        run_row(&h, &row);
        count++;
    }
    assert_true(count > 80);
    free(line);
    fclose(file);
    harness_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_as_kafka_did),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
