/*
 * What the codec costs for the messages of the hot path, beside straight-line code for the same
 * bytes. The interpreter takes two to three times as long, 6 to 17 ns more for each partition: too
 * little of a request that costs microseconds to be worth code of its own for each version.
 *
 *   cmake --build --preset simopt --target bench_codec && build-simopt/bin/bench/bench_codec
 */
#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/metadata.h"
#include "common/protocol/messages/produce.h"
#include "common/protocol/wire.h"

#include <stdio.h>
#include <time.h>

#define PARTITIONS 100
#define ROUNDS     20000

static struct arena arena;
static struct bytebuf wire;

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void report(const char *what, double start_ns)
{
    double ns = (now_ns() - start_ns) / ROUNDS;
    printf("%-44s %8.0f ns  %6.1f ns a partition\n", what, ns, ns / PARTITIONS);
}

static void bench_decode(const char *what, const struct message_desc *desc, int16_t version)
{
    struct arena scratch;
    arena_init(&scratch, 0);
    void *msg = arena_alloc(&arena, desc->body->size_bytes);
    double start = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        struct bytes input = {wire.data, (int32_t)wire.len};
        CHECK(message_decode(desc, version, &input, &scratch, msg) == 0);
        arena_reset(&scratch);
    }
    report(what, start);
    arena_release(&scratch);
}

static void bench_encode(const char *what, const struct message_desc *desc, int16_t version,
                         const void *msg)
{
    double start = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        wire.len = 0;
        CHECK(message_encode(desc, version, msg, &wire) == 0);
    }
    report(what, start);
}

/* ---- straight-line code for comparison */

static void fetch_response_encode_straight(const struct fetch_response *r, struct bytebuf *out)
{
    struct wire_writer w;
    writer_init(&w, out);
    writer_i32(&w, r->throttle_time_ms);
    writer_i16(&w, r->error_code);
    writer_i32(&w, r->session_id);
    writer_uvarint(&w, (uint32_t)r->responses_count + 1);
    for (int32_t i = 0; i < r->responses_count; i++) {
        const struct fetch_response_fetchable_topic_response *t = &r->responses[i];
        memcpy(writer_room(&w, 16), t->topic_id.b, 16);
        writer_uvarint(&w, (uint32_t)t->partitions_count + 1);
        for (int32_t k = 0; k < t->partitions_count; k++) {
            const struct fetch_response_partition_data *p = &t->partitions[k];
            writer_i32(&w, p->partition_index);
            writer_i16(&w, p->error_code);
            writer_i64(&w, p->high_watermark);
            writer_i64(&w, p->last_stable_offset);
            writer_i64(&w, p->log_start_offset);
            writer_uvarint(&w, (uint32_t)p->aborted_transactions_count + 1);
            writer_i32(&w, p->preferred_read_replica);
            writer_uvarint(&w, (uint32_t)p->records.len + 1);
            writer_raw(&w, p->records.data, (size_t)p->records.len);
            writer_uvarint(&w, 0);
        }
        writer_uvarint(&w, 0);
    }
    writer_uvarint(&w, 0);
    writer_finish(&w);
}

static struct str compact_string(struct wire_reader *r)
{
    uint32_t len = reader_uvarint(r) - 1;
    return (struct str){(const char *)reader_take(r, len), (int32_t)len};
}

static void produce_request_decode_straight(struct wire_reader *r, struct arena *scratch,
                                            struct produce_request *out)
{
    message_init(&produce_request_desc, out);
    out->transactional_id = compact_string(r);
    out->acks = reader_i16(r);
    out->timeout_ms = reader_i32(r);
    out->topic_data_count = (int32_t)reader_uvarint(r) - 1;
    out->topic_data =
        MESSAGE_ARRAY(scratch, produce_request_topic_produce_data, out->topic_data_count);
    for (int32_t i = 0; i < out->topic_data_count; i++) {
        struct produce_request_topic_produce_data *t = &out->topic_data[i];
        t->name = compact_string(r);
        t->partition_data_count = (int32_t)reader_uvarint(r) - 1;
        t->partition_data =
            MESSAGE_ARRAY(scratch, produce_request_partition_produce_data, t->partition_data_count);
        for (int32_t k = 0; k < t->partition_data_count; k++) {
            struct produce_request_partition_produce_data *p = &t->partition_data[k];
            p->index = reader_i32(r);
            uint32_t len = reader_uvarint(r) - 1;
            p->records = (struct bytes){reader_take(r, len), (int32_t)len};
            reader_uvarint(r);
        }
        reader_uvarint(r);
    }
    reader_uvarint(r);
}

/* ---- messages */

static struct produce_request *make_produce(void)
{
    static const uint8_t records[100];
    struct produce_request *request = ARENA_NEW(&arena, struct produce_request);
    message_init(&produce_request_desc, request);
    request->transactional_id = STR("transaction");
    request->topic_data_count = 1;
    request->topic_data = MESSAGE_ARRAY(&arena, produce_request_topic_produce_data, 1);
    request->topic_data->name = STR("some-topic");
    request->topic_data->partition_data_count = PARTITIONS;
    request->topic_data->partition_data =
        MESSAGE_ARRAY(&arena, produce_request_partition_produce_data, PARTITIONS);
    for (int i = 0; i < PARTITIONS; i++)
        request->topic_data->partition_data[i].records = (struct bytes){records, sizeof(records)};
    return request;
}

static struct fetch_request *make_fetch_request(void)
{
    struct fetch_request *request = ARENA_NEW(&arena, struct fetch_request);
    message_init(&fetch_request_desc, request);
    request->topics_count = 1;
    request->topics = MESSAGE_ARRAY(&arena, fetch_request_fetch_topic, 1);
    request->topics->partitions_count = PARTITIONS;
    request->topics->partitions = MESSAGE_ARRAY(&arena, fetch_request_fetch_partition, PARTITIONS);
    return request;
}

static struct fetch_response *make_fetch_response(void)
{
    static const uint8_t records[100];
    struct fetch_response *response = ARENA_NEW(&arena, struct fetch_response);
    message_init(&fetch_response_desc, response);
    response->responses_count = 1;
    response->responses = MESSAGE_ARRAY(&arena, fetch_response_fetchable_topic_response, 1);
    response->responses->partitions_count = PARTITIONS;
    response->responses->partitions =
        MESSAGE_ARRAY(&arena, fetch_response_partition_data, PARTITIONS);
    for (int i = 0; i < PARTITIONS; i++)
        response->responses->partitions[i].records = (struct bytes){records, sizeof(records)};
    return response;
}

static struct metadata_response *make_metadata_response(void)
{
    static int32_t replicas[3] = {1, 2, 3};
    struct metadata_response *response = ARENA_NEW(&arena, struct metadata_response);
    message_init(&metadata_response_desc, response);
    response->topics_count = PARTITIONS / 10;
    response->topics = MESSAGE_ARRAY(&arena, metadata_response_topic, response->topics_count);
    for (int32_t i = 0; i < response->topics_count; i++) {
        struct metadata_response_topic *topic = &response->topics[i];
        topic->name = STR("some-topic");
        topic->partitions_count = 10;
        topic->partitions = MESSAGE_ARRAY(&arena, metadata_response_partition, 10);
        for (int k = 0; k < 10; k++) {
            topic->partitions[k].replica_nodes = topic->partitions[k].isr_nodes = replicas;
            topic->partitions[k].replica_nodes_count = topic->partitions[k].isr_nodes_count = 3;
        }
    }
    return response;
}

static void compare_fetch_response(const struct fetch_response *response)
{
    bench_encode("Fetch 16 response, encode", &fetch_response_desc, 16, response);
    struct bytebuf straight;
    bytebuf_init(&straight);
    double start = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        straight.len = 0;
        fetch_response_encode_straight(response, &straight);
    }
    report("  straight-line", start);
    CHECK(straight.len == wire.len && memcmp(straight.data, wire.data, wire.len) == 0);
    bytebuf_release(&straight);
}

static void compare_produce_request(const struct produce_request *request)
{
    wire.len = 0;
    CHECK(message_encode(&produce_request_desc, 9, request, &wire) == 0);
    bench_decode("Produce 9 request, decode", &produce_request_desc, 9);
    struct arena scratch;
    struct produce_request out;
    arena_init(&scratch, 0);
    double start = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        struct wire_reader reader;
        reader_init(&reader, (struct bytes){wire.data, (int32_t)wire.len});
        produce_request_decode_straight(&reader, &scratch, &out);
        CHECK(!reader.failed && reader_left(&reader) == 0);
        arena_reset(&scratch);
    }
    report("  straight-line", start);
    arena_release(&scratch);
}

int main(void)
{
    arena_init(&arena, 0);
    bytebuf_init(&wire);
    compare_produce_request(make_produce());
    bench_encode("Fetch 16 request, encode", &fetch_request_desc, 16, make_fetch_request());
    bench_decode("Fetch 16 request, decode", &fetch_request_desc, 16);
    compare_fetch_response(make_fetch_response());
    bench_decode("Fetch 16 response, decode", &fetch_response_desc, 16);
    bench_encode("Metadata 12 response, encode", &metadata_response_desc, 12,
                 make_metadata_response());
    bench_decode("Metadata 12 response, decode", &metadata_response_desc, 12);
    arena_release(&arena);
    bytebuf_release(&wire);
    return 0;
}
