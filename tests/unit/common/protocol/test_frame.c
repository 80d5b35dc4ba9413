/* Frames and headers, records out of line, the table of APIs. */
#include "common/protocol/frame.h"

#include "common/base/check.h"
#include "common/protocol/endian.h"
#include "common/protocol/messages/api_versions.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/metadata.h"
#include "common/protocol/messages/produce.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct fixture {
    struct arena arena;
    struct bytebuf out;
    struct encode_parts parts;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    arena_init(&f->arena, 0);
    bytebuf_init(&f->out);
    encode_parts_init(&f->parts);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_release(&f->arena);
    bytebuf_release(&f->out);
    encode_parts_release(&f->parts);
    free(f);
    return 0;
}

static void header_versions(void **state)
{
    const struct api *metadata = api_find(API_METADATA), *versions = api_find(API_API_VERSIONS);
    assert_int_equal(api_request_header_version(metadata, 8), 1);
    assert_int_equal(api_request_header_version(metadata, 9), 2);
    assert_int_equal(api_request_header_version(metadata, -1), 1);
    assert_int_equal(api_response_header_version(metadata, 8), 0);
    assert_int_equal(api_response_header_version(metadata, 9), 1);
    assert_int_equal(api_request_header_version(versions, 99), 2);
    assert_int_equal(api_response_header_version(versions, 3), 0);
    assert_int_equal(api_request_header_version(api_find(API_SASL_HANDSHAKE), 1), 1);
    assert_int_equal(api_response_header_version(api_find(API_SASL_HANDSHAKE), 1), 0);
}

static void request_there_and_back(void **state)
{
    struct fixture *f = *state;
    struct metadata_request request;
    struct request_header header;
    const struct api *api = NULL;
    message_init(&metadata_request_desc, &request);
    assert_int_equal(
        frame_encode_request(api_find(API_METADATA), 12, -77, STR("me"), &request, &f->out, NULL),
        0);
    static const uint8_t expected[] = {0,    0, 0, 17,  0,   3, 0, 12, 0xff, 0xff, 0xff,
                                       0xb3, 0, 2, 'm', 'e', 0, 1, 1,  0,    0};
    assert_int_equal(f->out.len, sizeof(expected));
    assert_memory_equal(f->out.data, expected, sizeof(expected));
    struct bytes frame = {f->out.data + 4, (int32_t)f->out.len - 4};
    assert_int_equal(request_header_decode(&frame, &f->arena, &header, &api), 0);
    assert_ptr_equal(api, api_find(API_METADATA));
    assert_int_equal(header.request_api_version, 12);
    assert_int_equal(header.correlation_id, -77);
    assert_true(str_eq(header.client_id, STR("me")));
    assert_int_equal(frame.len, 4);
}

static void headers_that_are_refused(void **state)
{
    struct fixture *f = *state;
    struct request_header header;
    const struct api *api = NULL;
    uint8_t data[] = {0, 3, 0, 12, 0, 0, 0, 7, 0xff, 0xff, 0, 'b', 'o', 'd', 'y'};
    struct bytes frame = {data, sizeof(data)};
    assert_int_equal(request_header_decode(&frame, &f->arena, &header, &api), 0);
    assert_true(str_is_null(header.client_id));
    assert_int_equal(frame.len, 4);
    for (int32_t len = 0; len < 11; len++) {
        frame = (struct bytes){data, len};
        assert_int_equal(request_header_decode(&frame, &f->arena, &header, &api), -EBADMSG);
        assert_int_equal(frame.len, len);
    }
    static const int16_t unknown[] = {-1, 4, 5, 6, 7, 95, 999, INT16_MAX};
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        put_i16(data, unknown[i]);
        frame = (struct bytes){data, sizeof(data)};
        assert_int_equal(request_header_decode(&frame, &f->arena, &header, &api), -EPROTONOSUPPORT);
    }
}

static void response_there_and_back(void **state)
{
    struct fixture *f = *state;
    struct api_versions_response response;
    struct response_header header;
    const struct api *api = api_find(API_API_VERSIONS);
    message_init(&api_versions_response_desc, &response);
    assert_int_equal(frame_encode_response(api, 3, 5, &response, &f->out, NULL), 0);
    static const uint8_t expected[] = {0, 0, 0, 12, 0, 0, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0};
    assert_int_equal(f->out.len, sizeof(expected));
    assert_memory_equal(f->out.data, expected, sizeof(expected));
    struct bytes frame = {f->out.data + 4, (int32_t)f->out.len - 4};
    assert_int_equal(response_header_decode(api, 3, &frame, &f->arena, &header), 0);
    assert_int_equal(header.correlation_id, 5);
    assert_int_equal(frame.len, 8);
}

/* Puts together what goes on the wire; external payloads are `fill`. */
static struct bytes assemble(struct fixture *f, char fill)
{
    size_t size = f->out.len + (size_t)f->parts.payload_bytes, from = 0;
    uint8_t *wire = arena_alloc(&f->arena, size), *at = wire;
    for (size_t i = 0; i < f->parts.count; i++) {
        const struct encode_part *part = &f->parts.items[i];
        memcpy(at, f->out.data + from, part->at - from);
        at += part->at - from;
        from = part->at;
        if (part->payload.data)
            memcpy(at, part->payload.data, (size_t)part->payload.len);
        else
            memset(at, fill, (size_t)part->payload.len);
        at += part->payload.len;
    }
    memcpy(at, f->out.data + from, f->out.len - from);
    assert_int_equal(at + f->out.len - from - wire, size);
    return (struct bytes){wire, (int32_t)size};
}

static struct fetch_response *fetch_response_of_four(struct fixture *f)
{
    struct fetch_response *response = ARENA_NEW(&f->arena, struct fetch_response);
    message_init(&fetch_response_desc, response);
    response->responses_count = 1;
    response->responses = MESSAGE_ARRAY(&f->arena, fetch_response_fetchable_topic_response, 1);
    struct fetch_response_partition_data *partitions =
        MESSAGE_ARRAY(&f->arena, fetch_response_partition_data, 4);
    response->responses[0].partitions = partitions;
    response->responses[0].partitions_count = 4;
    for (int i = 0; i < 4; i++)
        partitions[i].partition_index = i;
    uint8_t *big = arena_calloc(&f->arena, 1, 2000);
    partitions[0].records = (struct bytes){NULL, 500}; /* external */
    partitions[1].records = (struct bytes){(const uint8_t *)"small", 5};
    partitions[2].records = (struct bytes){memset(big, 'b', 2000), 2000};
    partitions[3].records = BYTES_NULL;
    return response;
}

static void records_stay_out_of_line(void **state)
{
    struct fixture *f = *state;
    struct fetch_response *response = fetch_response_of_four(f), back;
    struct fetch_response_partition_data *partitions = response->responses[0].partitions;
    bytebuf_append(&f->out, "before", 6);
    const struct api *api = api_find(API_FETCH);
    assert_int_equal(frame_encode_response(api, 13, 9, response, &f->out, &f->parts), 0);
    assert_int_equal(f->parts.count, 2);
    assert_ptr_equal(f->parts.items[0].source, &partitions[0].records);
    assert_null(f->parts.items[0].payload.data);
    assert_ptr_equal(f->parts.items[1].payload.data, partitions[2].records.data);
    assert_true(f->parts.payload_bytes == 2500);
    struct bytes wire = assemble(f, 'e');
    assert_int_equal(get_i32(wire.data + 6), wire.len - 10);
    struct response_header header;
    wire = (struct bytes){wire.data + 10, wire.len - 10};
    assert_int_equal(response_header_decode(api, 13, &wire, &f->arena, &header), 0);
    assert_int_equal(message_decode(&fetch_response_desc, 13, &wire, &f->arena, &back), 0);
    assert_int_equal(wire.len, 0);
    partitions = back.responses[0].partitions;
    assert_int_equal(partitions[0].records.len, 500);
    assert_int_equal(partitions[0].records.data[499], 'e');
    assert_memory_equal(partitions[1].records.data, "small", 5);
    assert_int_equal(partitions[2].records.data[1999], 'b');
    assert_int_equal(partitions[3].records.len, -1);
}

static void a_failure_leaves_everything_as_it_was(void **state)
{
    struct fixture *f = *state;
    struct fetch_response *response = fetch_response_of_four(f);
    const struct api *api = api_find(API_FETCH);
    assert_int_equal(frame_encode_response(api, 12, 9, response, &f->out, &f->parts), 0);
    size_t len = f->out.len;
    /* Not ignorable, and version 10 has no such field. */
    response->responses[0].partitions[3].preferred_read_replica = 3;
    assert_int_equal(frame_encode_response(api, 10, 9, response, &f->out, &f->parts), -EINVAL);
    assert_int_equal(frame_encode_response(api, 99, 9, response, &f->out, &f->parts),
                     -EPROTONOSUPPORT);
    assert_int_equal(f->out.len, len);
    assert_int_equal(f->parts.count, 2);
    assert_true(f->parts.payload_bytes == 2500);
    /* External records cannot stand inline. */
    assert_int_equal(frame_encode_response(api, 12, 9, response, &f->out, NULL), -EINVAL);
    /* More than a length can say. */
    response->responses[0].partitions[0].records.len = INT32_MAX;
    assert_int_equal(frame_encode_response(api, 12, 9, response, &f->out, &f->parts), -EMSGSIZE);
    assert_int_equal(f->out.len, len);
    assert_true(f->parts.payload_bytes == 2500);
}

static void check_api(char *fields[])
{
    const struct api *api = api_find((int16_t)strtol(fields[0], NULL, 10));
    assert_non_null(api);
    assert_string_equal(api->name, fields[1]);
    assert_int_equal(api->key, strtol(fields[0], NULL, 10));
    char versions[16], flexible[16];
    const struct message_desc *descs[] = {api->request, api->response};
    for (int i = 0; i < 2; i++) {
        snprintf(versions, sizeof(versions),
                 descs[i]->min_version == descs[i]->max_version ? "%d" : "%d-%d",
                 descs[i]->min_version, descs[i]->max_version);
        assert_string_equal(versions, fields[2]);
        snprintf(flexible, sizeof(flexible),
                 descs[i]->flexible_from == NO_FLEXIBLE_VERSION ? "none" : "%d+",
                 descs[i]->flexible_from);
        assert_string_equal(flexible, fields[3]);
    }
    int listeners = (strstr(fields[4], "broker") ? API_ON_BROKER : 0) |
                    (strstr(fields[4], "controller") ? API_ON_CONTROLLER : 0);
    assert_int_equal(api->listeners, listeners);
    assert_string_equal(api->latest_version_unstable ? "yes" : "no", fields[5]);
}

/* Kafka's own list, when it is beside the project. */
static void apis_equal_the_reference(void **state)
{
    char line[256];
    FILE *file = fopen(SHARED_DATA "/kafka-spec/apis.tsv", "r");
    if (!file)
        skip();
    int count = 0, known = 0;
    assert_non_null(fgets(line, sizeof(line), file));
    while (fgets(line, sizeof(line), file)) {
        char *fields[6], *rest = line;
        line[strcspn(line, "\n")] = '\0';
        for (int i = 0; i < 6; i++)
            fields[i] = strsep(&rest, "\t");
        check_api(fields);
        count++;
    }
    fclose(file);
    for (int key = INT16_MIN; key <= INT16_MAX; key++)
        known += api_find((int16_t)key) != NULL;
    assert_int_equal(count, known);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(header_versions),          TEST(request_there_and_back),
        TEST(headers_that_are_refused), TEST(response_there_and_back),
        TEST(records_stay_out_of_line), TEST(a_failure_leaves_everything_as_it_was),
        TEST(apis_equal_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
