#include "common/protocol/record_batch_builder.h"

#include "common/base/check.h"
#include "common/protocol/record_batch_fields.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define BYTES(literal) ((struct bytes){(const uint8_t *)(literal), sizeof(literal) - 1})
#define NO_LIMIT       SIZE_MAX

static struct record_batch parse(const struct bytebuf *out)
{
    struct record_batch batch;
    assert_int_equal(record_batch_parse(out->data, out->len, &batch), 0);
    assert_int_equal(batch.bytes.len, out->len);
    assert_true(record_batch_crc_ok(&batch));
    return batch;
}

static void assert_bytes(struct bytes a, struct bytes b)
{
    assert_int_equal(a.len, b.len);
    if (a.len > 0)
        assert_memory_equal(a.data, b.data, (size_t)a.len);
}

/* The first produced record of a client of Apache Kafka, byte for byte. */
static void one_record_as_kafka_writes_it(void **state)
{
    (void)state;
    uint8_t want[70] = {0};
    want[11] = 0x3a;
    memset(want + 12, 0xff, 4);
    want[16] = 2;
    memcpy(want + 17, "\x48\x54\xa2\x8b", 4);
    memcpy(want + 27, "\x00\x00\x01\xa1\xfd\x43\xeb\x05\x00\x00\x01\xa1\xfd\x43\xeb\x05", 16);
    memset(want + 43, 0xff, 14);
    memcpy(want + 57, "\x00\x00\x00\x01\x10\x00\x00\x00\x02k\x02v\x00", 13);

    struct record_batch_builder b;
    record_batch_builder_init(&b);
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    record_batch_builder_start(&b, &options);
    assert_int_equal(
        record_batch_builder_append(&b, 0x1a1fd43eb05, BYTES("k"), BYTES("v"), NULL, 0), 0);
    struct bytebuf out;
    bytebuf_init(&out);
    record_batch_builder_close(&b, &out);
    assert_int_equal(out.len, sizeof(want));
    assert_memory_equal(out.data, want, sizeof(want));
    bytebuf_release(&out);
    record_batch_builder_release(&b);
}

static void options_reach_the_header(void **state)
{
    (void)state;
    struct record_batch_builder b;
    record_batch_builder_init(&b);
    struct record_batch_options options = {
        .base_offset = 1LL << 40,
        .leader_epoch = 7,
        .producer_id = 4711,
        .producer_epoch = 3,
        .base_sequence = 99,
        .transactional = true,
        .log_append_time_ms = 123456789,
        .delete_horizon_ms = RECORD_NO_TIMESTAMP,
    };
    record_batch_builder_start(&b, &options);
    for (int i = 0; i < 3; i++)
        record_batch_builder_append(&b, 1000 - i, BYTES_NULL, BYTES("x"), NULL, 0);
    struct bytebuf out;
    bytebuf_init(&out);
    bytebuf_append(&out, "before", 6);
    record_batch_builder_close(&b, &out);
    memmove(out.data, out.data + 6, out.len -= 6);
    struct record_batch batch = parse(&out);
    const struct record_batch_header *h = &batch.header;
    assert_int_equal(h->base_offset, 1LL << 40);
    assert_int_equal(record_batch_last_offset(h), (1LL << 40) + 2);
    assert_int_equal(record_batch_next_offset(h), (1LL << 40) + 3);
    assert_int_equal(h->partition_leader_epoch, 7);
    assert_int_equal(h->producer_id, 4711);
    assert_int_equal(h->producer_epoch, 3);
    assert_int_equal(h->base_sequence, 99);
    assert_int_equal(h->attributes, RECORD_BATCH_TRANSACTIONAL | RECORD_BATCH_LOG_APPEND_TIME);
    assert_int_equal(h->base_timestamp, 1000);
    assert_int_equal(h->max_timestamp, 123456789);
    assert_int_equal(h->count, 3);

    struct record_iter it;
    struct record r;
    assert_int_equal(record_iter_init(&it, &batch, NO_LIMIT, NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(record_iter_next(&it, &r), 1);
        assert_int_equal(r.offset, (1LL << 40) + i);
        assert_int_equal(r.timestamp, 123456789);
        assert_int_equal(r.key.len, -1);
        assert_bytes(r.value, BYTES("x"));
    }
    assert_int_equal(record_iter_next(&it, &r), 0);
    record_iter_release(&it);

    record_batch_set_offsets(out.data, 5, 9);
    batch = parse(&out);
    assert_int_equal(batch.header.base_offset, 5);
    assert_int_equal(batch.header.partition_leader_epoch, 9);
    bytebuf_release(&out);
    record_batch_builder_release(&b);
}

static void headers_nulls_and_every_codec(void **state)
{
    (void)state;
    const struct record_header headers[] = {
        {STR("a"), BYTES("one")}, {STR(""), BYTES_NULL}, {STR("a"), BYTES("")}};
    struct record_batch_builder b;
    record_batch_builder_init(&b);
    struct record_scratch scratch;
    record_scratch_init(&scratch);
    for (int codec = 0; codec < COMPRESSION_CODECS; codec++) {
        struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
        options.codec = (enum compression_codec)codec;
        options.level = compression_level_default(options.codec);
        record_batch_builder_start(&b, &options);
        for (int i = 0; i < 5000; i++)
            assert_int_equal(record_batch_builder_append(
                                 &b, 10 + i, i % 2 ? BYTES("key") : BYTES_NULL,
                                 i % 3 ? BYTES("value") : BYTES_NULL, headers, (size_t)i % 4),
                             0);
        assert_int_equal(record_batch_builder_count(&b), 5000);
        struct bytebuf out;
        bytebuf_init(&out);
        record_batch_builder_close(&b, &out);
        struct record_batch batch = parse(&out);
        assert_int_equal(batch.header.attributes, codec);
        assert_int_equal(batch.header.max_timestamp, 5009);

        struct record_iter it;
        struct record r;
        struct record_header header;
        assert_int_equal(record_iter_init(&it, &batch, NO_LIMIT, &scratch), 0);
        for (int i = 0; i < 5000; i++) {
            assert_int_equal(record_iter_next(&it, &r), 1);
            assert_int_equal(r.offset, i);
            assert_int_equal(r.timestamp, 10 + i);
            assert_bytes(r.key, i % 2 ? BYTES("key") : BYTES_NULL);
            assert_bytes(r.value, i % 3 ? BYTES("value") : BYTES_NULL);
            for (int j = 0; j < i % 4; j++) {
                assert_true(record_headers_next(&r.headers, &header));
                assert_true(str_eq(header.key, headers[j].key));
                assert_bytes(header.value, headers[j].value);
            }
            assert_false(record_headers_next(&r.headers, &header));
        }
        assert_int_equal(record_iter_next(&it, &r), 0);
        assert_int_equal(record_iter_next(&it, &r), 0);
        record_iter_release(&it);
        bytebuf_release(&out);
    }
    record_scratch_release(&scratch);
    record_batch_builder_release(&b);
}

static void what_compaction_needs(void **state)
{
    (void)state;
    struct record_batch_builder b;
    record_batch_builder_init(&b);
    struct bytebuf out;
    bytebuf_init(&out);
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    options.base_offset = 100;
    options.delete_horizon_ms = 5000;
    options.codec = COMPRESSION_ZSTD;
    options.level = 3;
    const struct record kept = {
        .offset = 103, .timestamp = 4000, .key = BYTES("k"), .value = BYTES_NULL};
    record_batch_builder_start(&b, &options);
    assert_int_equal(record_batch_builder_copy(&b, kept.offset, &kept), 0);
    record_batch_builder_set_last_offset(&b, 109);
    record_batch_builder_close(&b, &out);
    struct record_batch batch = parse(&out);
    assert_int_equal(batch.header.attributes, RECORD_BATCH_DELETE_HORIZON | COMPRESSION_ZSTD);
    assert_int_equal(batch.header.base_timestamp, 5000);
    assert_int_equal(batch.header.max_timestamp, 4000);
    assert_int_equal(record_batch_last_offset(&batch.header), 109);
    struct record_iter it;
    struct record r;
    assert_int_equal(record_iter_init(&it, &batch, NO_LIMIT, NULL), 0);
    assert_int_equal(record_iter_next(&it, &r), 1);
    assert_int_equal(r.offset, 103);
    assert_int_equal(r.timestamp, 4000);
    assert_int_equal(record_iter_next(&it, &r), 0);
    record_iter_release(&it);

    /* Nothing kept: the batch itself stays, uncompressed. */
    out.len = 0;
    options.delete_horizon_ms = RECORD_NO_TIMESTAMP;
    record_batch_builder_start(&b, &options);
    record_batch_builder_set_last_offset(&b, 109);
    record_batch_builder_raise_max_timestamp(&b, 4000);
    record_batch_builder_close(&b, &out);
    assert_int_equal(out.len, RECORD_BATCH_HEADER_SIZE);
    batch = parse(&out);
    assert_int_equal(batch.header.count, 0);
    assert_int_equal(batch.header.attributes, 0);
    assert_int_equal(batch.header.base_timestamp, RECORD_NO_TIMESTAMP);
    assert_int_equal(batch.header.max_timestamp, 4000);
    assert_int_equal(record_iter_init(&it, &batch, NO_LIMIT, NULL), 0);
    assert_int_equal(record_iter_next(&it, &r), 0);
    record_iter_release(&it);
    bytebuf_release(&out);
    record_batch_builder_release(&b);
}

static void control_batches(void **state)
{
    (void)state;
    struct record_batch_builder b;
    record_batch_builder_init(&b);
    struct bytebuf out;
    bytebuf_init(&out);
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    options.control = true;
    uint8_t value[CONTROL_END_TXN_SIZE];
    control_end_txn_value(12, value);
    record_batch_builder_start(&b, &options);
    assert_int_equal(record_batch_builder_append_control(&b, 1, CONTROL_COMMIT,
                                                         (struct bytes){value, sizeof(value)}),
                     0);
    record_batch_builder_close(&b, &out);
    /* The size Kafka gives a transaction marker. */
    assert_int_equal(out.len, 78);
    struct record_batch batch = parse(&out);
    assert_int_equal(batch.header.attributes, RECORD_BATCH_CONTROL);
    struct record_iter it;
    struct record r;
    int type;
    int32_t epoch;
    assert_int_equal(record_iter_init(&it, &batch, NO_LIMIT, NULL), 0);
    assert_int_equal(record_iter_next(&it, &r), 1);
    assert_int_equal(control_record_parse_key(r.key, &type), 0);
    assert_int_equal(type, CONTROL_COMMIT);
    assert_string_equal(control_record_name(type), "COMMIT");
    assert_int_equal(control_end_txn_parse(r.value, &epoch), 0);
    assert_int_equal(epoch, 12);
    for (int32_t len = -1; len < CONTROL_END_TXN_SIZE; len++)
        assert_int_equal(control_end_txn_parse((struct bytes){value, len}, &epoch), -EBADMSG);
    for (int32_t len = -1; len < CONTROL_RECORD_KEY_SIZE; len++)
        assert_int_equal(control_record_parse_key((struct bytes){r.key.data, len}, &type),
                         -EBADMSG);
    assert_int_equal(control_record_parse_key(BYTES("\xff\xff\0\1"), &type), -EBADMSG);
    assert_int_equal(control_record_parse_key(BYTES("\0\1\0\x55z"), &type), 0);
    assert_int_equal(type, 0x55);
    assert_null(control_record_name(type));
    record_iter_release(&it);
    bytebuf_release(&out);
    record_batch_builder_release(&b);
}

static void limits(void **state)
{
    (void)state;
    struct record_batch_builder b;
    record_batch_builder_init(&b);
    struct bytebuf out;
    bytebuf_init(&out);
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    options.max_bytes = RECORD_BATCH_HEADER_SIZE + 20;
    record_batch_builder_start(&b, &options);
    assert_int_equal(
        record_batch_builder_append(&b, 0, BYTES_NULL, BYTES("0123456789abcd"), NULL, 0),
        -EMSGSIZE);
    assert_int_equal(
        record_batch_builder_append(&b, 0, BYTES_NULL, BYTES("0123456789abc"), NULL, 0), 0);
    assert_int_equal(record_batch_builder_size(&b), options.max_bytes);
    assert_int_equal(record_batch_builder_append(&b, 0, BYTES_NULL, BYTES_NULL, NULL, 0),
                     -EMSGSIZE);
    record_batch_builder_close(&b, &out);
    struct record_batch batch = parse(&out);
    assert_int_equal(batch.header.count, 1);

    /* An offset that no delta can hold. */
    options.max_bytes = 0;
    record_batch_builder_start(&b, &options);
    struct record r = {.key = BYTES_NULL, .value = BYTES_NULL};
    assert_int_equal(record_batch_builder_copy(&b, 1, &r), 0);
    assert_int_equal(record_batch_builder_copy(&b, (int64_t)INT32_MAX + 1, &r), -EMSGSIZE);
    assert_int_equal(record_batch_builder_copy(&b, INT32_MAX, &r), 0);
    bytebuf_release(&out);
    record_batch_builder_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_record_as_kafka_writes_it),
        cmocka_unit_test(options_reach_the_header),
        cmocka_unit_test(headers_nulls_and_every_codec),
        cmocka_unit_test(what_compaction_needs),
        cmocka_unit_test(control_batches),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
