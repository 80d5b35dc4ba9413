#include "tools/produce_counts.h"

#include "common/base/check.h"
#include "tools/metric_table.h"

#include <math.h>

enum { METRICS_MAX = 32 };

static double ratio(int64_t a, int64_t b)
{
    return b > 0 ? (double)a / (double)b : NAN;
}

static double largest(int64_t value, int64_t of)
{
    return of > 0 ? (double)value : NAN;
}

/* By name. */
static size_t list(const struct produce_counts *c, int64_t elapsed_ms,
                   struct metric metrics[METRICS_MAX])
{
    double seconds = (double)MAX(elapsed_ms, 1) / 1000;
    const struct metric all[] = {
        {"batch-size-avg", ratio(c->batch_bytes, c->batches)},
        {"batch-size-max", largest(c->batch_max_bytes, c->batches)},
        {"batch-split-rate", (double)c->batches_split / seconds},
        {"batch-split-total", (double)c->batches_split},
        {"buffer-available-bytes", (double)(c->memory_bytes - c->used_bytes)},
        {"buffer-total-bytes", (double)c->memory_bytes},
        {"record-error-rate", (double)c->records_failed / seconds},
        {"record-error-total", (double)c->records_failed},
        {"record-retry-rate", (double)c->records_retried / seconds},
        {"record-retry-total", (double)c->records_retried},
        {"record-send-rate", (double)c->records / seconds},
        {"record-send-total", (double)c->records},
        {"records-per-request-avg", ratio(c->records, c->requests)},
        {"request-latency-avg", ratio(c->latency_ms, c->responses)},
        {"request-latency-max", largest(c->latency_max_ms, c->responses)},
        {"request-rate", (double)c->requests / seconds},
        {"request-total", (double)c->requests},
        {"requests-in-flight", (double)(c->requests - c->responses)},
        {"response-rate", (double)c->responses / seconds},
        {"response-total", (double)c->responses},
    };
    CHECK(ARRAY_LEN(all) <= METRICS_MAX);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        metrics[i] = all[i];
    return ARRAY_LEN(all);
}

void produce_counts_print(const struct produce_counts *counts, struct str client_id,
                          int64_t elapsed_ms)
{
    struct metric metrics[METRICS_MAX];
    size_t count = list(counts, elapsed_ms, metrics);
    metric_table_print("producer-metrics", client_id, metrics, count);
}

json_t *produce_counts_json(const struct produce_counts *counts, int64_t elapsed_ms)
{
    struct metric metrics[METRICS_MAX];
    return metric_table_json(metrics, list(counts, elapsed_ms, metrics));
}
