#include "broker/server/envelope.h"

#include "common/protocol/frame.h"
#include "common/protocol/messages/create_topics.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct arena arena;

static int setup(void **state)
{
    arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state)
{
    arena_release(&arena);
    return 0;
}

/* A client's CreateTopics, as it stands in a broker. */
static struct request client_request(struct str principal, struct str host,
                                     const struct create_topics_request *body)
{
    return (struct request){.api = api_find(API_CREATE_TOPICS),
                            .header = {.request_api_key = API_CREATE_TOPICS,
                                       .request_api_version = 7,
                                       .correlation_id = 42,
                                       .client_id = STR("app")},
                            .body = body,
                            .principal = principal,
                            .client_host = host};
}

static struct envelope_request made_of(struct str principal, struct str host)
{
    struct create_topics_request body;
    struct create_topics_request_creatable_topic topic;
    struct envelope_request envelope;
    message_init(&create_topics_request_desc, &body);
    message_struct_init(&create_topics_request_creatable_topic_struct, &topic, 1);
    topic.name = STR("t");
    body.topics = &topic;
    body.topics_count = 1;
    struct request request = client_request(principal, host, &body);
    assert_int_equal(envelope_make(&request, &body, &arena, &envelope), 0);
    return envelope;
}

/* What Apache Kafka's DefaultKafkaPrincipalBuilder writes: a version, then two compact strings. */
static void it_is_what_kafka_writes(void **state)
{
    static const uint8_t alice[] = "\0\0\5User\6alice\0";
    static const uint8_t host[] = {10, 0, 0, 7};
    struct envelope_request envelope = made_of(STR("User:alice"), STR("10.0.0.7"));
    assert_int_equal(envelope.request_principal.len, sizeof(alice));
    assert_memory_equal(envelope.request_principal.data, alice, sizeof(alice));
    assert_int_equal(envelope.client_host_address.len, 4);
    assert_memory_equal(envelope.client_host_address.data, host, 4);
}

static void the_request_comes_out_as_it_went_in(void **state)
{
    struct envelope_request envelope = made_of(STR("User:CN=x:y"), STR("::1"));
    struct str principal, host;
    enum kafka_error error;
    assert_int_equal(envelope_read(&envelope, &arena, &principal, &host, &error), 0);
    assert_true(str_eq(principal, STR("User:CN=x:y")));
    assert_true(str_eq(host, STR("::1")));
    assert_int_equal(envelope.client_host_address.len, 16);
    struct bytes frame = envelope.request_data;
    struct request_header header;
    const struct api *api;
    struct create_topics_request body;
    assert_int_equal(request_header_decode(&frame, &arena, &header, &api), 0);
    assert_int_equal(api->key, API_CREATE_TOPICS);
    assert_int_equal(header.request_api_version, 7);
    assert_int_equal(header.correlation_id, 42);
    assert_true(str_eq(header.client_id, STR("app")));
    assert_int_equal(message_decode(api->request, 7, &frame, &arena, &body), 0);
    assert_int_equal(frame.len, 0);
    assert_int_equal(body.topics_count, 1);
    assert_true(str_eq(body.topics[0].name, STR("t")));
}

static void assert_unreadable(struct bytes principal, struct bytes address, enum kafka_error wanted)
{
    struct envelope_request envelope;
    struct str whose = STR_NULL, host = STR_NULL;
    enum kafka_error error = KAFKA_ERROR_NONE;
    message_init(&envelope_request_desc, &envelope);
    envelope.request_principal = principal;
    envelope.client_host_address = address;
    assert_int_equal(envelope_read(&envelope, &arena, &whose, &host, &error), -EINVAL);
    assert_int_equal(error, wanted);
    assert_true(str_is_null(whose) && str_is_null(host));
}

static void nobody_is_guessed(void **state)
{
    static const uint8_t data[] = "\0\0\5User\6alice\0";
    static const uint8_t newer[] = "\0\1\5User\6alice\0";
    struct bytes local = {(const uint8_t *)"\177\0\0\1", 4};
    assert_unreadable(BYTES_NULL, local, KAFKA_ERROR_PRINCIPAL_DESERIALIZATION_FAILURE);
    assert_unreadable((struct bytes){newer, sizeof(newer)}, local,
                      KAFKA_ERROR_PRINCIPAL_DESERIALIZATION_FAILURE);
    for (int32_t len = 0; len < (int32_t)sizeof(data); len++) {
        uint8_t *cut = arena_alloc(&arena, (size_t)len + 1);
        memcpy(cut, data, (size_t)len);
        assert_unreadable((struct bytes){cut, len}, local,
                          KAFKA_ERROR_PRINCIPAL_DESERIALIZATION_FAILURE);
    }
    for (int32_t len = 0; len <= 20; len++) {
        uint8_t *address = arena_calloc(&arena, 1, 20);
        if (len != 4 && len != 16)
            assert_unreadable((struct bytes){data, sizeof(data)}, (struct bytes){address, len},
                              KAFKA_ERROR_INVALID_REQUEST);
    }
}

/* What a broker forwards, it takes from clients and a controller serves. */
static void only_what_both_listeners_serve_is_forwarded(void **state)
{
    int forwarded = 0;
    for (int16_t key = 0; key < 128; key++) {
        if (!envelope_may_hold(key))
            continue;
        const struct api *api = api_find(key);
        assert_non_null(api);
        assert_int_equal(api->listeners, API_ON_BROKER | API_ON_CONTROLLER);
        forwarded++;
    }
    assert_int_equal(forwarded, 21);
    assert_false(envelope_may_hold(API_ENVELOPE));
    assert_false(envelope_may_hold(API_DESCRIBE_CLUSTER));
    assert_false(envelope_may_hold(API_FETCH));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_what_kafka_writes),
        cmocka_unit_test(the_request_comes_out_as_it_went_in),
        cmocka_unit_test(nobody_is_guessed),
        cmocka_unit_test(only_what_both_listeners_serve_is_forwarded),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
