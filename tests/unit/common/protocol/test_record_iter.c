#include "common/protocol/record_iter.h"

#include "common/base/check.h"
#include "common/protocol/record_batch_builder.h"
#include "common/protocol/record_batch_fields.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define BYTES(literal) ((struct bytes){(const uint8_t *)(literal), sizeof(literal) - 1})

/* A batch of `count` records whose uncompressed bytes are given, in `codec`. */
static struct bytebuf batch_of(struct bytes records, int32_t count, enum compression_codec codec)
{
    struct record_batch_header header = {
        .base_offset = 1000,
        .magic = RECORD_BATCH_MAGIC,
        .attributes = (int16_t)codec,
        .last_offset_delta = count - 1,
        .base_timestamp = 50,
        .max_timestamp = 60,
        .count = count,
    };
    struct bytebuf out;
    bytebuf_init(&out);
    record_batch_header_encode(&header, bytebuf_reserve(&out, RECORD_BATCH_HEADER_SIZE));
    out.len = RECORD_BATCH_HEADER_SIZE;
    compression_compress(codec, compression_level_default(codec), &records, 1, &out);
    record_batch_seal(out.data, out.len);
    return out;
}

/* Steps through; the number of records before the end, or the error. Every byte handed out is
 * touched, so that the sanitizer sees a slice that is out of place. */
static int walk(const struct bytebuf *data, size_t max_bytes, struct record_scratch *scratch)
{
    struct record_batch batch;
    struct record_iter it;
    struct record r;
    struct record_header h;
    assert_int_equal(record_batch_parse(data->data, data->len, &batch), 0);
    int rv = record_iter_init(&it, &batch, max_bytes, scratch), count = 0;
    if (rv < 0)
        return rv;
    uint64_t touched = 0;
    while ((rv = record_iter_next(&it, &r)) == 1) {
        touched += r.key.len > 0 ? hash_bytes(r.key.data, (size_t)r.key.len) : 0;
        touched += r.value.len > 0 ? hash_bytes(r.value.data, (size_t)r.value.len) : 0;
        while (record_headers_next(&r.headers, &h))
            touched += str_hash(h.key) +
                       (h.value.len > 0 ? hash_bytes(h.value.data, (size_t)h.value.len) : 0);
        count++;
    }
    if (rv < 0)
        assert_int_equal(record_iter_next(&it, &r), rv);
    record_iter_release(&it);
    return rv < 0 ? rv : count + (touched == UINT64_MAX);
}

static void assert_walks(struct bytes records, int32_t count, int expected)
{
    for (int codec = 0; codec < COMPRESSION_CODECS; codec++) {
        struct bytebuf b = batch_of(records, count, (enum compression_codec)codec);
        assert_int_equal(walk(&b, SIZE_MAX, NULL), expected);
        bytebuf_release(&b);
    }
}

/* length, attributes, timestamp and offset delta, key "k", value "v", no headers */
#define GOOD "\x10\0\0\0\2k\2v\0"

static void good_records(void **state)
{
    (void)state;
    assert_walks(BYTES(GOOD), 1, 1);
    assert_walks(BYTES(GOOD GOOD GOOD), 3, 3);
    /* Record attributes are not looked at; null key and value; any negative length is null. */
    assert_walks(BYTES("\x0c\x7f\0\0\1\1\0"), 1, 1);
    assert_walks(BYTES("\x0c\0\0\0\x7f\x7f\0"), 1, 1);
    /* Two headers: "a" = null, "" = "x". */
    assert_walks(BYTES("\x18\0\0\0\1\1\4\2a\1\0\2x"), 1, 1);
    /* Count 0: nothing is looked at. */
    assert_walks(BYTES("whatever"), 0, 0);
}

static void bad_records(void **state)
{
    (void)state;
    assert_walks(BYTES(GOOD), -1, -EBADMSG);
    assert_walks(BYTES(GOOD), 2, -EBADMSG);                   /* fewer than it says */
    assert_walks(BYTES(GOOD GOOD), 1, -EBADMSG);              /* more */
    assert_walks(BYTES(GOOD "abc"), 1, -EBADMSG);             /* bytes behind */
    assert_walks(BYTES("\0"), 1, -EBADMSG);                   /* empty record */
    assert_walks(BYTES("\1"), 1, -EBADMSG);                   /* length -1 */
    assert_walks(BYTES("\x12\0\0\0\2k\2v\0"), 1, -EBADMSG);   /* length beyond the end */
    assert_walks(BYTES("\x0e\0\0\0\2k\2v\0"), 1, -EBADMSG);   /* record ends in its value */
    assert_walks(BYTES("\x12\0\0\0\2k\2v\0\0"), 1, -EBADMSG); /* fills not its length */
    assert_walks(BYTES("\x10\0\0\0\x20k\2v\0"), 1, -EBADMSG); /* key beyond the record */
    assert_walks(BYTES("\x10\0\0\0\2k\x04v\0"), 1, -EBADMSG); /* value takes the header count */
    assert_walks(BYTES("\x10\0\0\0\2k\2v\1"), 1, -EBADMSG);   /* header count -1 */
    assert_walks(BYTES("\x10\0\0\0\2k\2v\2"), 1, -EBADMSG);   /* a header that is not there */
    assert_walks(BYTES("\x18\0\0\0\2k\2v\xfe\xff\xff\xff\x0f"), 1, -EBADMSG); /* 2^31-1 headers */
    assert_walks(BYTES("\x14\0\0\0\2k\2v\2\1\1"), 1, -EBADMSG);     /* header with a null key */
    assert_walks(BYTES("\xfe\xff\xff\xff\x0f\0\0\0"), 1, -EBADMSG); /* record of 2 GB */
    assert_walks(BYTES("\xff\xff\xff\xff\xff\1"), 1, -EBADMSG);     /* length of 35 bits */
    /* Timestamp delta of 71 bits. */
    assert_walks(BYTES("\x1e\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\1\1\0"), 1, -EBADMSG);
}

static void wrapping_sums_are_defined(void **state)
{
    (void)state;
    /* Offset delta -2^31, timestamp delta 2^63-1 on a base of 2^63-1. */
    struct bytebuf b =
        batch_of(BYTES("\x26\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1\xff\xff\xff\xff\x0f\1\1\0"), 1,
                 COMPRESSION_NONE);
    record_batch_set_base_timestamp(b.data, INT64_MAX);
    record_batch_set_base_offset(b.data, INT64_MIN);
    struct record_batch batch;
    struct record_iter it;
    struct record r;
    assert_int_equal(record_batch_parse(b.data, b.len, &batch), 0);
    assert_int_equal(record_iter_init(&it, &batch, SIZE_MAX, NULL), 0);
    assert_int_equal(record_iter_next(&it, &r), 1);
    assert_true(r.offset == INT64_MAX - INT32_MAX);
    assert_true(r.timestamp == -2);
    assert_int_equal(r.offset_delta, INT32_MIN);
    assert_int_equal(r.size_bytes, 20);
    record_iter_release(&it);
    bytebuf_release(&b);
}

static void every_truncation_and_every_bit(void **state)
{
    (void)state;
    struct bytes records = BYTES("\x18\0\0\0\1\1\4\2a\1\0\2x" GOOD "\x10\0\2\2\2k\2v\0");
    struct record_scratch scratch;
    record_scratch_init(&scratch);
    for (int codec = 0; codec < COMPRESSION_CODECS; codec++) {
        struct bytebuf b = batch_of(records, 3, (enum compression_codec)codec);
        assert_int_equal(walk(&b, SIZE_MAX, &scratch), 3);
        for (size_t len = RECORD_BATCH_HEADER_SIZE; len < b.len; len++) {
            struct bytebuf cut = {.data = malloc(len), .len = len};
            memcpy(cut.data, b.data, len);
            record_batch_set_length(cut.data, (int32_t)(len - RECORD_BATCH_LOG_OVERHEAD));
            assert_int_equal(walk(&cut, SIZE_MAX, &scratch), -EBADMSG);
            free(cut.data);
        }
        for (size_t bit = RECORD_BATCH_HEADER_SIZE * 8; bit < b.len * 8; bit++) {
            struct bytebuf bad = {.data = malloc(b.len), .len = b.len};
            memcpy(bad.data, b.data, b.len);
            bad.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            int rv = walk(&bad, 1 << 20, &scratch);
            assert_true(rv == 3 || rv == -EBADMSG || rv == -EMSGSIZE);
            free(bad.data);
        }
        bytebuf_release(&b);
    }
    record_scratch_release(&scratch);
}

static void unknown_codecs(void **state)
{
    (void)state;
    struct bytebuf b = batch_of(BYTES(GOOD), 1, COMPRESSION_NONE);
    for (int16_t codec = 5; codec < 8; codec++) {
        record_batch_set_attributes(b.data, codec);
        assert_int_equal(walk(&b, SIZE_MAX, NULL), -ENOTSUP);
    }
    /* Bits above the seventh are not in use and do not matter. */
    record_batch_set_attributes(b.data, 0x4000);
    assert_int_equal(walk(&b, SIZE_MAX, NULL), 1);
    bytebuf_release(&b);
}

static void records_larger_than_the_window(void **state)
{
    (void)state;
    struct record_scratch scratch;
    record_scratch_init(&scratch);
    static const size_t sizes[] = {10, 70000, 3, 3000000, 1, 65536, 131072, 5};
    for (int codec = 1; codec < COMPRESSION_CODECS; codec++) {
        struct record_batch_builder builder;
        struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
        options.codec = (enum compression_codec)codec;
        options.level = compression_level_default(options.codec);
        record_batch_builder_init(&builder);
        record_batch_builder_start(&builder, &options);
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            uint8_t *value = malloc(sizes[i]);
            memset(value, (int)i + 1, sizes[i]);
            assert_int_equal(record_batch_builder_append(&builder, 1, BYTES_NULL,
                                                         (struct bytes){value, (int32_t)sizes[i]},
                                                         NULL, 0),
                             0);
            free(value);
        }
        size_t uncompressed = record_batch_builder_size(&builder) - RECORD_BATCH_HEADER_SIZE;
        struct bytebuf b;
        bytebuf_init(&b);
        record_batch_builder_close(&builder, &b);
        record_batch_builder_release(&builder);

        struct record_batch batch;
        struct record_iter it;
        struct record r;
        assert_int_equal(record_batch_parse(b.data, b.len, &batch), 0);
        assert_int_equal(record_iter_init(&it, &batch, SIZE_MAX, &scratch), 0);
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            assert_int_equal(record_iter_next(&it, &r), 1);
            assert_int_equal(r.value.len, sizes[i]);
            for (size_t j = 0; j < sizes[i]; j++)
                assert_int_equal(r.value.data[j], i + 1);
        }
        assert_int_equal(record_iter_next(&it, &r), 0);
        record_iter_release(&it);
        assert_true(scratch.capacity <= 1 << 20);

        assert_int_equal(walk(&b, uncompressed, &scratch), (int)ARRAY_LEN(sizes));
        assert_int_equal(walk(&b, uncompressed - 1, &scratch), -EMSGSIZE);
        assert_int_equal(walk(&b, 80000, NULL), -EMSGSIZE);
        bytebuf_release(&b);
    }
    record_scratch_release(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_records),
        cmocka_unit_test(bad_records),
        cmocka_unit_test(wrapping_sums_are_defined),
        cmocka_unit_test(every_truncation_and_every_bit),
        cmocka_unit_test(unknown_codecs),
        cmocka_unit_test(records_larger_than_the_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
