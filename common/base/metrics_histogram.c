#include "common/base/metrics_internal.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <math.h>
#include <stdlib.h>

/* Kafka's reservoirs decay by exp(-0.015 t). */
#define FADE_PER_S 0.015

static unsigned bucket_of(int64_t value)
{
    if (value < 0)
        value = 0;
    uint64_t v = MIN((uint64_t)value, (1ULL << HISTOGRAM_VALUE_BITS) - 1);
    if (v < 1u << HISTOGRAM_SUB_BITS)
        return (unsigned)v;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(v); /* of the leading bit */
    unsigned shift = exponent - HISTOGRAM_SUB_BITS;
    return ((shift + 1) << HISTOGRAM_SUB_BITS) +
           (unsigned)((v >> shift) & ((1u << HISTOGRAM_SUB_BITS) - 1));
}

/* The middle of a bucket. */
static double value_of(unsigned bucket)
{
    unsigned sub = 1u << HISTOGRAM_SUB_BITS;
    if (bucket < sub)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    double low = (double)((uint64_t)(sub + (bucket & (sub - 1))) << shift);
    return low + (double)((1ULL << shift) - 1) / 2;
}

struct metric_histogram *histogram_new(int shard_count)
{
    struct metric_histogram *h = NULL;
    return mem_calloc(1, sizeof(*h) + (size_t)shard_count * sizeof(h->shards[0]));
}

void histogram_free(struct metric_histogram *h, int shard_count)
{
    if (h == NULL)
        return;
    for (int i = 0; i < shard_count; i++)
        free(atomic_load(&h->shards[i]));
    free(h->view);
    free(h);
}

void metric_record(struct metric *metric, int shard, int64_t value)
{
    struct metric_histogram *h = metric->histogram;
    struct histogram_shard *s = atomic_load_explicit(&h->shards[shard], memory_order_relaxed);
    if (s == NULL) {
        s = mem_calloc(1, sizeof(*s));
        atomic_store_explicit(&h->shards[shard], s, memory_order_release);
    }
    _Atomic uint32_t *count = &s->counts[bucket_of(value)];
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    metric_add(metric, shard, 1);
}

void metric_record_us(struct metric *metric, int shard, int64_t value_us)
{
    if (!atomic_load_explicit(&metric->histogram->in_us, memory_order_relaxed))
        atomic_store_explicit(&metric->histogram->in_us, true, memory_order_relaxed);
    metric_record(metric, shard, value_us);
}

static bool is_empty(const struct metric_histogram *h, int shard_count)
{
    for (int i = 0; i < shard_count; i++)
        if (atomic_load_explicit(&h->shards[i], memory_order_relaxed) != NULL)
            return false;
    return true;
}

/* Returns the sum of the weights. */
static double refresh(struct metric_histogram *h, int shard_count, int64_t now_us)
{
    if (h->view == NULL)
        h->view = mem_calloc(1, sizeof(*h->view));
    struct histogram_view *view = h->view;
    double elapsed_s = view->rendered_us > 0 ? (double)(now_us - view->rendered_us) / 1e6 : 0;
    double fade = exp(-FADE_PER_S * MAX(elapsed_s, 0));
    double total = 0;
    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        uint32_t count = 0;
        for (int i = 0; i < shard_count; i++) {
            struct histogram_shard *s = atomic_load_explicit(&h->shards[i], memory_order_acquire);
            if (s != NULL)
                count += atomic_load_explicit(&s->counts[bucket], memory_order_relaxed);
        }
        uint32_t growth = count - view->seen[bucket];
        view->weights[bucket] = (float)(view->weights[bucket] * fade + growth);
        view->seen[bucket] = count;
        total += view->weights[bucket];
    }
    view->rendered_us = now_us;
    return total;
}

void histogram_quantiles(struct metric_histogram *h, int shard_count, int64_t now_us,
                         const double *shares, int count, double *ret_values)
{
    double total = is_empty(h, shard_count) ? 0 : refresh(h, shard_count, now_us), below = 0;
    double scale = atomic_load_explicit(&h->in_us, memory_order_relaxed) ? 0.001 : 1;
    int at = 0;
    double last = 0;
    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS && at < count && total > 0; bucket++) {
        if (h->view->weights[bucket] <= 0)
            continue;
        below += h->view->weights[bucket];
        last = value_of(bucket) * scale;
        while (at < count && below >= shares[at] * total)
            ret_values[at++] = last;
    }
    while (at < count) /* rounding, or nothing recorded */
        ret_values[at++] = last;
}
