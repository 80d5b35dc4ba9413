/*
 * What a producer has counted, and how --print-metrics shows it: under the names of Kafka's
 * producer metrics, those that mean the same here. One thread.
 */
#ifndef KRAFTD_TOOLS_PRODUCE_COUNTS_H
#define KRAFTD_TOOLS_PRODUCE_COUNTS_H

#include "common/base/str.h"

#include <jansson.h>

struct produce_counts {
    int64_t records, records_failed, records_retried;
    int64_t batches, batch_bytes, batch_max_bytes, batches_split;
    int64_t requests, responses;
    int64_t latency_ms, latency_max_ms; /* of the answered requests: all, the longest */
    int64_t memory_bytes, used_bytes;
};

/* A table on standard output; rates are of the time since the start. */
void produce_counts_print(const struct produce_counts *counts, struct str client_id,
                          int64_t elapsed_ms);
/* Names to numbers; what has no value is null. */
json_t *produce_counts_json(const struct produce_counts *counts, int64_t elapsed_ms);

#endif
