/*
 * tests/data/batches/produce.tsv: records that were produced to Apache Kafka 4.4, one case a line,
 * with its answer and the bytes it stored. `error` is what we answer; it differs from `kafka_error`
 * only where that is a fault (record_validate.h).
 */
#include "common/protocol/record_validate.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/record_batch_fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define BYTES(literal) ((struct bytes){(const uint8_t *)(literal), sizeof(literal) - 1})
#define VERSION        9

/* The topics of the recording, as they were created. */
static const struct {
    const char *name;
    struct record_validate_config config;
} topics[] = {
#define DEFAULTS                                                                                   \
    .max_message_bytes = 1048588, .timestamp_before_max_ms = INT64_MAX,                            \
    .timestamp_after_max_ms = 3600000
    {"p", {DEFAULTS, .codec = RECORD_CODEC_PRODUCER}},
    {"comp", {DEFAULTS, .codec = RECORD_CODEC_PRODUCER, .compacted = true}},
    {"lat", {DEFAULTS, .codec = RECORD_CODEC_PRODUCER, .log_append_time = true}},
    {"latzstd", {DEFAULTS, .codec = COMPRESSION_ZSTD, .level = 3, .log_append_time = true}},
    {"tonone", {DEFAULTS, .codec = COMPRESSION_NONE}},
    {"togzip", {DEFAULTS, .codec = COMPRESSION_GZIP, .level = -1}},
    {"tosnappy", {DEFAULTS, .codec = COMPRESSION_SNAPPY}},
    {"tolz4", {DEFAULTS, .codec = COMPRESSION_LZ4, .level = 9}},
    {"tozstd", {DEFAULTS, .codec = COMPRESSION_ZSTD, .level = 3}},
    {"small",
     {.max_message_bytes = 1000,
      .timestamp_before_max_ms = INT64_MAX,
      .timestamp_after_max_ms = 3600000,
      .codec = RECORD_CODEC_PRODUCER}},
    {"smallnone",
     {.max_message_bytes = 1000,
      .timestamp_before_max_ms = INT64_MAX,
      .timestamp_after_max_ms = 3600000,
      .codec = COMPRESSION_NONE}},
    {"ts",
     {.max_message_bytes = 1048588,
      .timestamp_before_max_ms = 60000,
      .timestamp_after_max_ms = 3600000,
      .codec = RECORD_CODEC_PRODUCER}},
};

static struct record_validate_config config_of(const char *topic)
{
    for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
        if (strcmp(topics[i].name, topic) == 0) {
            struct record_validate_config config = topics[i].config;
            config.topic = str_of(topics[i].name);
            return config;
        }
    }
    fail_msg("no topic %s", topic);
    abort();
}

/* Exactly as large as what it holds, so that the sanitizer sees reads beyond it. */
static struct bytebuf unhex(const char *hex)
{
    struct bytebuf b;
    size_t len = strlen(hex) / 2;
    b = (struct bytebuf){.data = malloc(len ? len : 1), .len = len, .capacity = len};
    for (size_t i = 0; i < len; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        b.data[i] = (uint8_t)byte;
    }
    return b;
}

static struct record_batch parse(const uint8_t *data, size_t len)
{
    struct record_batch batch;
    assert_int_equal(record_batch_parse(data, len, &batch), 0);
    assert_int_equal(batch.bytes.len, len);
    assert_true(record_batch_crc_ok(&batch));
    return batch;
}

static void assert_bytes(struct bytes a, struct bytes b)
{
    assert_int_equal(a.len, b.len);
    if (a.len > 0)
        assert_memory_equal(a.data, b.data, (size_t)a.len);
}

/* Kafka's library may compress to other bytes: the records and the header must be the same. */
static void assert_same_batch(const struct record_batch *ours, const struct record_batch *kafkas)
{
    struct record_batch_header a = ours->header, b = kafkas->header;
    uint8_t bytes[2][RECORD_BATCH_HEADER_SIZE];
    a.crc = b.crc;
    a.batch_length = b.batch_length;
    record_batch_header_encode(&a, bytes[0]);
    record_batch_header_encode(&b, bytes[1]);
    assert_memory_equal(bytes[0], bytes[1], RECORD_BATCH_HEADER_SIZE);
    struct record_iter i, j;
    assert_int_equal(record_iter_init(&i, ours, SIZE_MAX, NULL), 0);
    assert_int_equal(record_iter_init(&j, kafkas, SIZE_MAX, NULL), 0);
    struct record r, s;
    int rv;
    while ((rv = record_iter_next(&i, &r)) == 1) {
        assert_int_equal(record_iter_next(&j, &s), 1);
        assert_true(r.offset == s.offset && r.timestamp == s.timestamp);
        assert_bytes(r.key, s.key);
        assert_bytes(r.value, s.value);
        assert_int_equal(r.headers.count, s.headers.count);
        struct record_header h, g;
        while (record_headers_next(&r.headers, &h) && record_headers_next(&s.headers, &g)) {
            assert_true(str_eq(h.key, g.key));
            assert_bytes(h.value, g.value);
        }
    }
    assert_int_equal(rv, 0);
    assert_int_equal(record_iter_next(&j, &s), 0);
    record_iter_release(&i);
    record_iter_release(&j);
}

static void compare_stored(struct record_validation *result, const char *hex)
{
    struct bytebuf stored = unhex(hex);
    struct record_batch kafkas = parse(stored.data, stored.len);
    record_batch_set_offsets(result->batch, kafkas.header.base_offset,
                             kafkas.header.partition_leader_epoch);
    struct record_batch ours = parse(result->batch, record_batch_get_size(result->batch));
    bool compressed_anew =
        result->rebuilt.len > 0 && (ours.header.attributes & RECORD_BATCH_CODEC_MASK) != 0;
    if (compressed_anew)
        assert_same_batch(&ours, &kafkas);
    else
        assert_bytes(ours.bytes, kafkas.bytes);
    bytebuf_release(&stored);
}

/* "index=message | index=message" */
static char *record_errors_text(const struct record_validation *result)
{
    struct bytebuf text;
    bytebuf_init(&text);
    bytebuf_reserve(&text, 1);
    for (int32_t i = 0; i < result->record_error_count; i++) {
        const struct record_error *error = &result->record_errors[i];
        bytebuf_printf(&text, "%s%d=%.*s", i > 0 ? " | " : "", error->batch_index,
                       STR_FMT(error->message));
    }
    char *z = mem_strndup((const char *)text.data, text.len);
    bytebuf_release(&text);
    return z;
}

enum column { CASE, TOPIC, NOW, RECORDS, KAFKA_ERROR, ERROR, FROM_LOG, MESSAGE, ERRORS, STORED };
#define COLUMNS 10

static void replay(struct record_validator *v, char *const column[COLUMNS])
{
    struct record_validate_config config = config_of(column[TOPIC]);
    struct bytebuf data = unhex(column[RECORDS]), before = unhex(column[RECORDS]);
    struct arena arena;
    arena_init(&arena, 0);
    struct record_validation result;
    record_validate(v, &config, VERSION, strtoll(column[NOW], NULL, 10), data.data,
                    (int32_t)data.len, &arena, &result);
    int error = (int)strtol(column[ERROR], NULL, 10);
    if ((int)result.error != error)
        fail_msg("%s: %d (%s) instead of %d", column[CASE], result.error,
                 result.reason ? result.reason : "", error);
    if (error != 0) {
        assert_non_null(result.reason);
        assert_memory_equal(data.data, before.data, data.len);
    }
    bool same = strcmp(column[ERROR], column[KAFKA_ERROR]) == 0;
    if (same && error != 0) {
        assert_int_equal(result.from_log, column[FROM_LOG][0] == '1');
        assert_true(result.by_leader || !result.from_log);
        if (!str_eq_z(result.message, column[MESSAGE]) &&
            !(str_is_null(result.message) && column[MESSAGE][0] == 0))
            fail_msg("%s: %.*s", column[CASE], STR_FMT(result.message));
        char *errors = record_errors_text(&result);
        assert_string_equal(errors, column[ERRORS]);
        free(errors);
    }
    if (error == 0) {
        struct record_batch ours = parse(result.batch, record_batch_get_size(result.batch));
        assert_int_equal(result.header.max_timestamp, ours.header.max_timestamp);
        assert_int_equal(result.log_append_time_ms,
                         config.log_append_time ? result.header.max_timestamp : -1);
    }
    if (error == 0 && same)
        compare_stored(&result, column[STORED]);
    record_validation_release(&result);
    arena_release(&arena);
    bytebuf_release(&before);
    bytebuf_release(&data);
}

static void as_kafka_does(void **state)
{
    (void)state;
    FILE *f = fopen(TEST_DATA "/batches/produce.tsv", "r");
    assert_non_null(f);
    struct record_validator v;
    record_validator_init(&v);
    char *line = NULL;
    size_t capacity = 0;
    int cases = 0;
    assert_true(getline(&line, &capacity, f) > 0);
    while (getline(&line, &capacity, f) > 0) {
        line[strcspn(line, "\n")] = 0;
        char *column[COLUMNS], *rest = line;
        for (int i = 0; i < COLUMNS; i++)
            column[i] = strsep(&rest, "\t");
        assert_non_null(column[COLUMNS - 1]);
        replay(&v, column);
        cases++;
    }
    assert_true(cases > 100);
    free(line);
    record_validator_release(&v);
    fclose(f);
}

struct fixture {
    struct record_validator v;
    struct arena arena;
    struct record_validation result;
    struct record_validate_config config;
    struct bytebuf data;
};

static int set_up(void **state)
{
    struct fixture *f = mem_calloc(1, sizeof(*f));
    record_validator_init(&f->v);
    arena_init(&f->arena, 0);
    f->config = config_of("p");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    record_validation_release(&f->result);
    record_validator_release(&f->v);
    arena_release(&f->arena);
    bytebuf_release(&f->data);
    free(f);
    return 0;
}

/* `count` records with the given key at timestamp 1000, 1001, ... */
static void produce(struct fixture *f, enum compression_codec codec, int count, struct bytes key)
{
    struct record_batch_builder b;
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    options.codec = codec;
    options.level = compression_level_default(codec);
    record_batch_builder_init(&b);
    record_batch_builder_start(&b, &options);
    for (int i = 0; i < count; i++)
        assert_int_equal(record_batch_builder_append(&b, 1000 + i, key, BYTES("v"), NULL, 0), 0);
    f->data.len = 0;
    record_batch_builder_close(&b, &f->data);
    record_batch_builder_release(&b);
}

static enum kafka_error validate(struct fixture *f, int16_t version, int32_t len)
{
    record_validation_release(&f->result);
    arena_reset(&f->arena);
    record_validate(&f->v, &f->config, version, 5000, f->data.data, len, &f->arena, &f->result);
    return f->result.error;
}

static void null_and_short_records(void **state)
{
    struct fixture *f = *state;
    produce(f, COMPRESSION_NONE, 3, BYTES("k"));
    int32_t len = (int32_t)f->data.len;
    assert_int_equal(validate(f, VERSION, -1), KAFKA_ERROR_INVALID_RECORD);
    for (int32_t cut = 0; cut < len; cut++) {
        assert_int_equal(validate(f, VERSION, cut), KAFKA_ERROR_INVALID_RECORD);
        assert_false(f->result.from_log);
        assert_false(f->result.by_leader);
    }
    assert_int_equal(validate(f, VERSION, len), KAFKA_ERROR_NONE);
    assert_int_equal(f->result.header.count, 3);
    assert_ptr_equal(f->result.batch, f->data.data);
    assert_int_equal(f->result.rebuilt.len, 0);
}

static void zstd_needs_version_7(void **state)
{
    struct fixture *f = *state;
    produce(f, COMPRESSION_ZSTD, 3, BYTES("k"));
    assert_int_equal(validate(f, 6, (int32_t)f->data.len),
                     KAFKA_ERROR_UNSUPPORTED_COMPRESSION_TYPE);
    assert_int_equal(validate(f, 7, (int32_t)f->data.len), KAFKA_ERROR_NONE);
    produce(f, COMPRESSION_LZ4, 3, BYTES("k"));
    assert_int_equal(validate(f, 3, (int32_t)f->data.len), KAFKA_ERROR_NONE);
}

static void the_list_of_errors_is_bounded(void **state)
{
    struct fixture *f = *state;
    f->config.compacted = true;
    produce(f, COMPRESSION_GZIP, 2500, BYTES_NULL);
    assert_int_equal(validate(f, VERSION, (int32_t)f->data.len), KAFKA_ERROR_INVALID_RECORD);
    assert_int_equal(f->result.record_error_count, RECORD_ERRORS_MAX);
    assert_int_equal(f->result.record_errors[999].batch_index, 999);
    static const char start[] = "One or more records have been rejected due to 2500 record errors "
                                "in total, and only showing the first three errors at most: "
                                "[RecordError(batchIndex=0, message='Compacted topic";
    assert_true(str_starts_with(f->result.message, str_of(start)));
    /* The timestamps' message takes precedence once one of them is bad. */
    f->config.timestamp_before_max_ms = 100;
    produce(f, COMPRESSION_NONE, 3, BYTES("k"));
    assert_int_equal(validate(f, VERSION, (int32_t)f->data.len), KAFKA_ERROR_INVALID_TIMESTAMP);
    assert_int_equal(f->result.record_error_count, 3);
}

static void a_bomb_is_refused(void **state)
{
    struct fixture *f = *state;
    f->config.max_uncompressed_bytes = 100000;
    for (int codec = 1; codec < COMPRESSION_CODECS; codec++) {
        produce(f, (enum compression_codec)codec, 9000, BYTES("kkk"));
        assert_int_equal(validate(f, VERSION, (int32_t)f->data.len), KAFKA_ERROR_MESSAGE_TOO_LARGE);
        produce(f, (enum compression_codec)codec, 5000, BYTES("kkk"));
        assert_int_equal(validate(f, VERSION, (int32_t)f->data.len), KAFKA_ERROR_NONE);
    }
    /* Uncompressed records are limited by the size of the batch alone... */
    produce(f, COMPRESSION_NONE, 9000, BYTES("kkk"));
    assert_int_equal(validate(f, VERSION, (int32_t)f->data.len), KAFKA_ERROR_NONE);
    /* ... but for a rebuilt batch they are what the limit counts. */
    f->config.codec = COMPRESSION_GZIP;
    f->config.level = 1;
    assert_int_equal(validate(f, VERSION, (int32_t)f->data.len), KAFKA_ERROR_MESSAGE_TOO_LARGE);
    f->config.max_uncompressed_bytes = 200000;
    assert_int_equal(validate(f, VERSION, (int32_t)f->data.len), KAFKA_ERROR_NONE);
    assert_true(f->result.rebuilt.len > 0 && f->result.rebuilt.len < 40000);
    assert_int_equal(f->result.header.count, 9000);
    assert_int_equal(f->result.header.attributes, COMPRESSION_GZIP);
}

/* Whatever one wrong byte does, with the checksum made right: no crash, and only these answers. */
static void every_byte_wrong(void **state)
{
    struct fixture *f = *state;
    f->config.max_uncompressed_bytes = 1 << 20;
    for (int codec = 0; codec < COMPRESSION_CODECS; codec++) {
        for (int target = RECORD_CODEC_PRODUCER; target < 2; target++) {
            f->config.codec = target;
            f->config.level = -1;
            produce(f, (enum compression_codec)codec, 3, BYTES("k"));
            struct bytebuf good = f->data;
            for (size_t at = RECORD_BATCH_AT_ATTRIBUTES; at < good.len; at++) {
                f->data = (struct bytebuf){.data = malloc(good.len), .len = good.len};
                memcpy(f->data.data, good.data, good.len);
                f->data.data[at] ^= 0x15;
                record_batch_seal(f->data.data, good.len);
                enum kafka_error error = validate(f, VERSION, (int32_t)good.len);
                assert_true(error == KAFKA_ERROR_NONE || error == KAFKA_ERROR_INVALID_RECORD ||
                            error == KAFKA_ERROR_INVALID_TIMESTAMP ||
                            error == KAFKA_ERROR_MESSAGE_TOO_LARGE ||
                            error == KAFKA_ERROR_UNSUPPORTED_COMPRESSION_TYPE);
                bytebuf_release(&f->data);
            }
            f->data = good;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_kafka_does),
        cmocka_unit_test_setup_teardown(null_and_short_records, set_up, tear_down),
        cmocka_unit_test_setup_teardown(zstd_needs_version_7, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_list_of_errors_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bomb_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_byte_wrong, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
