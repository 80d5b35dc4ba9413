#include "tools/perf_payload.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(struct perf_payload *payload)
{
    uint64_t z = payload->random += 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

void perf_payload_init_random(struct perf_payload *payload, size_t size_bytes)
{
    *payload = (struct perf_payload){
        .kind = PAYLOAD_RANDOM, .text = mem_alloc(size_bytes), .size_bytes = size_bytes};
}

void perf_payload_init_monotonic(struct perf_payload *payload)
{
    *payload = (struct perf_payload){.kind = PAYLOAD_MONOTONIC};
}

void perf_payload_release(struct perf_payload *payload)
{
    free(payload->text);
    free(payload->pieces);
    *payload = (struct perf_payload){0};
}

static bool read_file(struct perf_payload *payload, const char *path, struct failure *failure)
{
    struct stat status;
    FILE *file = fopen(path, "re");
    bool ok = file != NULL && fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode) &&
              status.st_size > 0 && status.st_size <= INT32_MAX;
    if (ok) {
        payload->text = mem_alloc((size_t)status.st_size);
        payload->size_bytes = fread(payload->text, 1, (size_t)status.st_size, file);
        ok = payload->size_bytes > 0;
    }
    if (file != NULL)
        fclose(file);
    return ok || failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                             "File does not exist or empty file provided.");
}

static void add_piece(struct perf_payload *payload, size_t from, size_t to)
{
    VEC_PUSH(payload->pieces, payload->piece_count, payload->piece_capacity) =
        str_from(payload->text + from, to - from);
}

/* The next delimiter at or behind `at`; at `at` alone where it is anchored. */
static bool find(const struct perf_payload *payload, const pcre2_code *code,
                 pcre2_match_data *match, size_t at, uint32_t anchored, const PCRE2_SIZE **ret)
{
    *ret = pcre2_get_ovector_pointer(match);
    return pcre2_match(code, (PCRE2_SPTR)payload->text, payload->size_bytes, at, anchored, match,
                       NULL) > 0;
}

/* As Java's Scanner: one delimiter is passed over, then comes a piece, which may be empty. */
static void cut(struct perf_payload *payload, const pcre2_code *code, pcre2_match_data *match)
{
    size_t at = 0, end = payload->size_bytes;
    const PCRE2_SIZE *found;
    for (;;) {
        if (find(payload, code, match, at, PCRE2_ANCHORED, &found))
            at = found[1];
        if (at == end)
            return;
        bool more = find(payload, code, match, at, 0, &found);
        /* One that is empty where the piece begins would make no way. */
        if (more && found[1] == at)
            more = find(payload, code, match, at + 1, 0, &found);
        size_t to = more ? found[0] : end;
        add_piece(payload, at, to);
        at = to;
    }
}

bool perf_payload_init_file(struct perf_payload *payload, const char *path, const char *delimiter,
                            struct failure *failure)
{
    int error;
    PCRE2_SIZE at;
    *payload = (struct perf_payload){.kind = PAYLOAD_OF_FILE};
    if (!read_file(payload, path, failure))
        return false;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)delimiter, PCRE2_ZERO_TERMINATED, 0, &error, &at, NULL);
    if (code == NULL)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s is an invalid regex",
                           delimiter);
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(code, NULL);
    cut(payload, code, match);
    pcre2_match_data_free(match);
    pcre2_code_free(code);
    return true;
}

struct bytes perf_payload_next(struct perf_payload *payload, int64_t number)
{
    switch (payload->kind) {
    case PAYLOAD_RANDOM:
        for (size_t i = 0; i < payload->size_bytes; i++)
            payload->text[i] = (char)('A' + (next_random(payload) >> 32) % 26);
        return (struct bytes){(const uint8_t *)payload->text, (int32_t)payload->size_bytes};
    case PAYLOAD_MONOTONIC:
        return (struct bytes){
            (const uint8_t *)payload->number,
            snprintf(payload->number, sizeof(payload->number), "%" PRId64, number)};
    default:
        break;
    }
    struct str piece = payload->pieces[next_random(payload) % payload->piece_count];
    return (struct bytes){(const uint8_t *)piece.data, piece.len};
}
