/*
 * tests/data/batches holds batches that Apache Kafka 4.4 wrote, one per file, and expected.txt,
 * what its dump tool printed about them (values that are not text, and decoded ones, left out).
 */
#include "common/protocol/record_batch.h"

#include "common/base/check.h"
#include "common/protocol/record_batch_builder.h"
#include "common/protocol/record_batch_fields.h"
#include "tests/unit/common/protocol/batch_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define BATCHES TEST_DATA "/batches"

static struct bytebuf read_file(const char *path)
{
    struct bytebuf b;
    bytebuf_init(&b);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n;
    while ((n = fread(bytebuf_reserve(&b, 65536), 1, 65536, f)) > 0)
        b.len += n;
    fclose(f);
    return b;
}

/* What the dump tool said must begin our own line. */
static void assert_line(FILE *expected, const struct bytebuf *line)
{
    char want[16384];
    assert_non_null(fgets(want, sizeof(want), expected));
    want[strcspn(want, "\n")] = 0;
    size_t len = strlen(want);
    if (line->len < len || memcmp(line->data, want, len) != 0)
        fail_msg("expected: %s\ngot:      %.*s", want, (int)line->len, (const char *)line->data);
}

/* Builds the batch again from its records: uncompressed ones must come out byte for byte. */
static void rebuild(const struct record_batch *batch)
{
    const struct record_batch_header *h = &batch->header;
    struct record_batch_options options = {
        .base_offset = h->base_offset,
        .leader_epoch = h->partition_leader_epoch,
        .codec = (enum compression_codec)(h->attributes & RECORD_BATCH_CODEC_MASK),
        .producer_id = h->producer_id,
        .producer_epoch = h->producer_epoch,
        .base_sequence = h->base_sequence,
        .transactional = (h->attributes & RECORD_BATCH_TRANSACTIONAL) != 0,
        .control = (h->attributes & RECORD_BATCH_CONTROL) != 0,
        .log_append_time_ms = RECORD_NO_TIMESTAMP,
        .delete_horizon_ms = RECORD_NO_TIMESTAMP,
    };
    options.level = compression_level_default(options.codec);
    if (h->attributes & RECORD_BATCH_DELETE_HORIZON)
        options.delete_horizon_ms = h->base_timestamp;
    /* The producer's own timestamps are not to be read from a LogAppendTime batch. */
    if (h->attributes & RECORD_BATCH_LOG_APPEND_TIME)
        return;
    struct record_batch_builder b;
    record_batch_builder_init(&b);
    record_batch_builder_start(&b, &options);
    struct record_iter it;
    struct record r;
    assert_int_equal(record_iter_init(&it, batch, SIZE_MAX, NULL), 0);
    while (record_iter_next(&it, &r) == 1)
        assert_int_equal(record_batch_builder_copy(&b, r.offset, &r), 0);
    record_iter_release(&it);
    record_batch_builder_set_last_offset(&b, record_batch_last_offset(h));
    record_batch_builder_raise_max_timestamp(&b, h->max_timestamp);
    struct bytebuf out;
    bytebuf_init(&out);
    record_batch_builder_close(&b, &out);
    struct record_batch again;
    assert_int_equal(record_batch_parse(out.data, out.len, &again), 0);
    assert_true(record_batch_crc_ok(&again));
    if (options.codec == COMPRESSION_NONE) {
        assert_int_equal(out.len, batch->bytes.len);
        assert_memory_equal(out.data, batch->bytes.data, out.len);
    } else {
        /* Another library may compress to another length; all else must be the same. */
        again.header.crc = h->crc;
        again.header.batch_length = h->batch_length;
        record_batch_header_encode(&again.header, out.data);
        assert_memory_equal(out.data, batch->bytes.data, RECORD_BATCH_HEADER_SIZE);
    }
    bytebuf_release(&out);
    record_batch_builder_release(&b);
}

static void kafkas_batches_read_as_its_tool_reads_them(void **state)
{
    (void)state;
    FILE *expected = fopen(BATCHES "/expected.txt", "r");
    assert_non_null(expected);
    char line[256], path[512];
    int batches = 0;
    while (fgets(line, sizeof(line), expected) != NULL) {
        char name[128];
        long position;
        assert_int_equal(sscanf(line, "==> %127s <==", name), 1);
        snprintf(path, sizeof(path), "%s/%s.batch", BATCHES, name);
        struct bytebuf data = read_file(path), text;
        struct record_batch batch;
        assert_int_equal(record_batch_parse(data.data, data.len, &batch), 0);
        assert_int_equal(batch.bytes.len, data.len);

        /* The position is the one the batch had in its log. */
        long here = ftell(expected);
        assert_non_null(fgets(line, sizeof(line), expected));
        fseek(expected, here, SEEK_SET);
        char *at = strstr(line, " position: ");
        assert_non_null(at);
        position = strtol(at + strlen(" position: "), NULL, 10);

        bytebuf_init(&text);
        batch_text(&batch, (size_t)position, &text);
        assert_line(expected, &text);
        struct record_iter it;
        struct record r;
        assert_int_equal(record_iter_init(&it, &batch, SIZE_MAX, NULL), 0);
        int rv;
        while ((rv = record_iter_next(&it, &r)) == 1) {
            text.len = 0;
            record_text(&batch, &r, true, &text);
            assert_line(expected, &text);
        }
        assert_int_equal(rv, 0);
        record_iter_release(&it);
        rebuild(&batch);
        bytebuf_release(&text);
        bytebuf_release(&data);
        batches++;
    }
    assert_int_equal(batches, 23);
    fclose(expected);
}

static void getters_setters_and_header_agree(void **state)
{
    (void)state;
    struct bytebuf data = read_file(BATCHES "/log-append-time-gzip.batch");
    struct record_batch batch;
    assert_int_equal(record_batch_parse(data.data, data.len, &batch), 0);
    struct record_batch_header *h = &batch.header;
    uint8_t *at = data.data, copy[RECORD_BATCH_HEADER_SIZE];
    record_batch_header_encode(h, copy);
    assert_memory_equal(copy, at, sizeof(copy));

    assert_int_equal(record_batch_get_size(at), data.len);
    assert_int_equal(record_batch_get_last_offset(at), record_batch_last_offset(h));
    assert_int_equal(record_batch_get_magic(at), 2);
    assert_int_equal(record_batch_get_crc(at), h->crc);
#define SET_AND_GET(name, value)                                                                   \
    record_batch_set_##name(at, (value));                                                          \
    assert_true(record_batch_get_##name(at) == (value))
    SET_AND_GET(base_offset, INT64_MIN + 1);
    SET_AND_GET(leader_epoch, -2);
    SET_AND_GET(attributes, (int16_t)-32767);
    SET_AND_GET(last_offset_delta, 0x01020304);
    SET_AND_GET(base_timestamp, 0x0102030405060708);
    SET_AND_GET(max_timestamp, -7);
    SET_AND_GET(producer_id, 1LL << 60);
    SET_AND_GET(producer_epoch, (int16_t)0x7ffe);
    SET_AND_GET(base_sequence, -5);
    SET_AND_GET(count, 0x0a0b0c0d);
    assert_int_equal(record_batch_get_size(at), data.len);
    record_batch_header_decode(at, h);
    assert_true(h->base_offset == INT64_MIN + 1 && h->partition_leader_epoch == -2);
    assert_true(h->attributes == -32767 && h->last_offset_delta == 0x01020304);
    assert_true(h->base_timestamp == 0x0102030405060708 && h->max_timestamp == -7);
    assert_true(h->producer_id == 1LL << 60 && h->producer_epoch == 0x7ffe);
    assert_true(h->base_sequence == -5 && h->count == 0x0a0b0c0d);

    assert_false(record_batch_crc_ok(&batch));
    record_batch_seal(at, data.len);
    assert_int_equal(record_batch_parse(at, data.len, &batch), 0);
    assert_true(record_batch_crc_ok(&batch));
    bytebuf_release(&data);
}

static void assert_peek(struct bytebuf *data, int32_t length, int magic, int expected)
{
    struct record_batch batch;
    record_batch_set_length(data->data, length);
    data->data[16] = (uint8_t)magic;
    assert_int_equal(record_batch_parse(data->data, data->len, &batch), expected);
}

static void framing_is_checked(void **state)
{
    (void)state;
    struct bytebuf data = read_file(BATCHES "/none.batch");
    struct record_batch batch;
    size_t size = 0;
    int32_t length = record_batch_get_length(data.data);
    for (size_t len = 0; len < data.len; len++)
        assert_int_equal(record_batch_parse(data.data, len, &batch), -EAGAIN);
    assert_int_equal(record_batch_peek_size(data.data, 16, SIZE_MAX, &size), -EAGAIN);
    assert_int_equal(record_batch_peek_size(data.data, 17, data.len - 1, &size), -EMSGSIZE);
    assert_int_equal(size, 0);
    assert_int_equal(record_batch_peek_size(data.data, 17, data.len, &size), 0);
    assert_int_equal(size, data.len);

    assert_peek(&data, length, 2, 0);
    assert_peek(&data, length + 1, 2, -EAGAIN);
    assert_peek(&data, INT32_MAX - 12, 2, -EAGAIN);
    assert_peek(&data, INT32_MAX, 2, -EBADMSG);
    assert_peek(&data, 49, 2, 0);
    assert_peek(&data, 48, 2, -EBADMSG);
    assert_peek(&data, 13, 0, -EBADMSG);
    assert_peek(&data, 14, 0, -ENOTSUP);
    assert_peek(&data, 14, 1, -ENOTSUP);
    assert_peek(&data, 0, 2, -EBADMSG);
    assert_peek(&data, -1, 2, -EBADMSG);
    assert_peek(&data, INT32_MIN, 2, -EBADMSG);
    assert_peek(&data, length, 3, -EBADMSG);
    assert_peek(&data, length, -1, -EBADMSG);
    bytebuf_release(&data);
}

static void a_run_of_batches(void **state)
{
    (void)state;
    struct bytebuf run = read_file(BATCHES "/none.batch"), more = read_file(BATCHES "/empty.batch");
    size_t first = run.len;
    bytebuf_append(&run, more.data, more.len);
    bytebuf_append(&run, more.data, more.len);
    struct record_batch batch;
    struct record_batches at = record_batches_of((struct bytes){run.data, (int32_t)run.len - 1});
    assert_int_equal(record_batches_next(&at, &batch), 1);
    assert_int_equal(batch.bytes.len, first);
    assert_int_equal(record_batches_next(&at, &batch), 1);
    assert_ptr_equal(batch.bytes.data, run.data + first);
    assert_int_equal(record_batches_next(&at, &batch), -EAGAIN);
    assert_ptr_equal(at.at, run.data + first + more.len);

    at = record_batches_of((struct bytes){run.data, (int32_t)run.len});
    int count = 0;
    while (record_batches_next(&at, &batch) == 1)
        count++;
    assert_int_equal(count, 3);
    assert_ptr_equal(at.at, at.end);
    at = record_batches_of(BYTES_NULL);
    assert_int_equal(record_batches_next(&at, &batch), 0);
    bytebuf_release(&more);
    bytebuf_release(&run);
}

static void sequences_wrap_to_zero(void **state)
{
    (void)state;
    assert_int_equal(record_sequence_add(0, 5), 5);
    assert_int_equal(record_sequence_add(INT32_MAX - 1, 1), INT32_MAX);
    assert_int_equal(record_sequence_add(INT32_MAX, 1), 0);
    assert_int_equal(record_sequence_add(INT32_MAX - 2, 5), 2);
    assert_int_equal(record_sequence_add(INT32_MAX, INT32_MAX), INT32_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kafkas_batches_read_as_its_tool_reads_them),
        cmocka_unit_test(getters_setters_and_header_agree),
        cmocka_unit_test(framing_is_checked),
        cmocka_unit_test(a_run_of_batches),
        cmocka_unit_test(sequences_wrap_to_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
