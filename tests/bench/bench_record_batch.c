/*
 * bench_record_batch [SECONDS]: CPU time of what happens to the records of a Produce request, per
 * batch and per GB: checksum, validation (with the checksum), reading, building. A small request
 * has a budget of 10 microseconds in all.
 */
#include "common/base/check.h"
#include "common/protocol/crc32c.h"
#include "common/protocol/record_batch_fields.h"
#include "common/protocol/record_validate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct subject {
    struct record_validator validator;
    struct record_validate_config config;
    struct arena arena;
    struct bytebuf data;
    struct bytebuf scratch; /* a copy for what changes the batch */
    enum compression_codec codec;
    int records, value_bytes;
    uint64_t sum; /* keeps the compiler from leaving work out */
};

static double cpu_seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void build(struct subject *s, struct bytebuf *out)
{
    struct record_batch_builder *b = &s->validator.builder;
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    options.codec = s->codec;
    options.level = compression_level_default(s->codec);
    record_batch_builder_start(b, &options);
    uint8_t value[4096];
    CHECK(s->value_bytes <= (int)sizeof(value));
    for (int i = 0; i < s->records; i++) {
        memset(value, 'a' + i % 26, (size_t)s->value_bytes);
        for (int j = 0; j < s->value_bytes; j += 3)
            value[j] = (uint8_t)(i * 31 + j * 7);
        struct bytes key = {(const uint8_t *)"key-0123", 8};
        CHECK(record_batch_builder_append(b, 1000000 + i, key,
                                          (struct bytes){value, s->value_bytes}, NULL, 0) == 0);
    }
    out->len = 0;
    record_batch_builder_close(b, out);
}

static void run_build(struct subject *s)
{
    build(s, &s->scratch);
    s->sum += s->scratch.len;
}

static void run_crc(struct subject *s)
{
    s->sum += crc32c(s->data.data, s->data.len);
}

static void run_validate(struct subject *s)
{
    struct record_validation result;
    record_validate(&s->validator, &s->config, 9, 1000000, s->data.data, (int32_t)s->data.len,
                    &s->arena, &result);
    CHECK(result.error == KAFKA_ERROR_NONE);
    s->sum += (uint64_t)result.header.max_timestamp;
    record_validation_release(&result);
}

/* Every batch gets a timestamp of its own: the checksum is computed twice. */
static void run_log_append_time(struct subject *s)
{
    s->config.log_append_time = true;
    record_batch_set_attributes(s->data.data, (int16_t)s->codec);
    record_batch_set_max_timestamp(s->data.data, 0);
    record_batch_seal(s->data.data, s->data.len);
    run_validate(s);
    s->config.log_append_time = false;
}

static void run_read(struct subject *s)
{
    struct record_batch batch;
    struct record_iter it;
    struct record r;
    CHECK(record_batch_parse(s->data.data, s->data.len, &batch) == 0);
    CHECK(record_iter_init(&it, &batch, SIZE_MAX, &s->validator.scratch) == 0);
    while (record_iter_next(&it, &r) == 1)
        s->sum += (uint64_t)r.value.len;
    record_iter_release(&it);
}

static void measure(struct subject *s, const char *what, void (*run)(struct subject *),
                    double seconds)
{
    double start = cpu_seconds(), took;
    uint64_t rounds = 0;
    do {
        for (int i = 0; i < 64; i++)
            run(s);
        rounds += 64;
        took = cpu_seconds() - start;
    } while (took < seconds);
    double per_batch = took / (double)rounds;
    double bytes = (double)s->records * (double)(s->value_bytes + 8);
    printf("%-8s %5d x %4d B  %-16s %10.3f us/batch %8.1f ns/record %8.3f CPU s/GB\n",
           compression_name((int)s->codec), s->records, s->value_bytes, what, per_batch * 1e6,
           per_batch * 1e9 / s->records, per_batch / bytes * 1e9);
}

int main(int argc, char **argv)
{
    static const struct {
        int records, value_bytes;
    } shapes[] = {{1, 100}, {10, 100}, {160, 100}, {16, 1024}, {1000, 1024}};
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.3;
    struct subject s = {.config = {.topic = STR("t"),
                                   .max_message_bytes = 64 << 20,
                                   .timestamp_before_max_ms = INT64_MAX,
                                   .timestamp_after_max_ms = 3600000,
                                   .codec = RECORD_CODEC_PRODUCER}};
    record_validator_init(&s.validator);
    arena_init(&s.arena, 0);
    for (int codec = 0; codec < COMPRESSION_CODECS; codec++) {
        for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
            s.codec = (enum compression_codec)codec;
            s.records = shapes[i].records;
            s.value_bytes = shapes[i].value_bytes;
            build(&s, &s.data);
            measure(&s, "crc", run_crc, seconds);
            measure(&s, "validate", run_validate, seconds);
            measure(&s, "log append time", run_log_append_time, seconds);
            measure(&s, "read", run_read, seconds);
            measure(&s, "build", run_build, seconds);
        }
    }
    arena_release(&s.arena);
    record_validator_release(&s.validator);
    bytebuf_release(&s.data);
    bytebuf_release(&s.scratch);
    fprintf(stderr, "(%llu)\n", (unsigned long long)s.sum);
    return 0;
}
