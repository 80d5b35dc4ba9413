/*
 * What the records of a performance test hold: random capital letters, pieces of a file, picked at
 * random, or growing numbers. The same in every run. One thread.
 */
#ifndef KRAFTD_TOOLS_PERF_PAYLOAD_H
#define KRAFTD_TOOLS_PERF_PAYLOAD_H

#include "common/base/str.h"
#include "tools/failure.h"

struct perf_payload {
    enum perf_payload_kind { PAYLOAD_RANDOM, PAYLOAD_OF_FILE, PAYLOAD_MONOTONIC } kind;
    char *text; /* the record's, or the file's */
    size_t size_bytes;
    struct str *pieces;
    size_t piece_count, piece_capacity;
    uint64_t random;
    char number[24];
};

void perf_payload_init_random(struct perf_payload *payload, size_t size_bytes);
void perf_payload_init_monotonic(struct perf_payload *payload);
/* The file cut at every match of the regular expression; piece_count 0: it holds no piece. */
bool perf_payload_init_file(struct perf_payload *payload, const char *path, const char *delimiter,
                            struct failure *failure);
void perf_payload_release(struct perf_payload *payload);

/* Of the record with this number; until the next call. There is a piece. */
struct bytes perf_payload_next(struct perf_payload *payload, int64_t number);

#endif
