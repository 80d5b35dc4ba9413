/*
 * What metrics.c (registry), metrics_histogram.c and metrics_render.c share.
 */
#ifndef KRAFTD_BASE_METRICS_INTERNAL_H
#define KRAFTD_BASE_METRICS_INTERNAL_H

#include "common/base/map.h"
#include "common/base/metrics.h"

#include <pthread.h>

enum {
    METRIC_NAME_ROOM = 256,
    /* Buckets of a histogram: eight per power of two, exact below eight. */
    HISTOGRAM_SUB_BITS = 3,
    HISTOGRAM_VALUE_BITS = 32, /* above: in the last bucket */
    HISTOGRAM_BUCKETS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS,
};

struct metric_family {
    char *name; /* as rendered */
    enum metric_kind kind;
    struct map metrics; /* by labels */
};

/* Counts of one shard; they may wrap, only their growth is looked at. */
struct histogram_shard {
    _Atomic uint32_t counts[HISTOGRAM_BUCKETS];
};

/* The renderer's: growth since it looked last is added to what it saw, which fades. */
struct histogram_view {
    int64_t rendered_us;
    uint32_t seen[HISTOGRAM_BUCKETS];
    float weights[HISTOGRAM_BUCKETS];
};

struct metric_histogram {
    _Atomic bool in_us;
    struct histogram_view *view;                /* NULL until something was rendered */
    _Atomic(struct histogram_shard *) shards[]; /* NULL until something was recorded */
};

struct cell_slab {
    struct cell_slab *next;
    _Atomic int64_t cells[512];
};

struct metrics_shard {
    struct cell_slab *slabs;
    size_t used; /* of the first slab */
    _Atomic int64_t **free_cells;
    size_t free_count, free_capacity;
};

struct collector {
    void (*collect)(void *ctx, struct metrics_writer *writer);
    void *ctx;
};

struct metrics {
    pthread_mutex_t mutex;        /* of families and shards */
    pthread_mutex_t render_mutex; /* held while rendering; of the collectors; taken first */
    int shard_count;
    struct metrics_shard *shards;
    struct map families; /* by name */
    struct collector *collectors;
    size_t collector_count, collector_capacity;
};

struct metric_histogram *histogram_new(int shard_count);
void histogram_free(struct metric_histogram *histogram, int shard_count);
/* Brings the weights up to now and gives the value below which each share of them lies (0 where
 * nothing was recorded). Shares in ascending order. */
void histogram_quantiles(struct metric_histogram *histogram, int shard_count, int64_t now_us,
                         const double *shares, int count, double *ret_values);

/* "a=\"b\",c=\"d\"" in fresh memory. */
char *metric_labels_format(const struct metric_label *labels, int label_count);

#endif
