/*
 * Metrics of a node: counters, gauges and histograms, named by Kafka's MBeans and rendered as the
 * Prometheus text that people get from the JMX exporter with its usual Kafka rules:
 *
 *   kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec
 * kafka_server_brokertopicmetrics_bytesin_total kafka.server:type=raft-metrics,name=current-epoch
 * kafka_server_raftmetrics_current_epoch
 *
 * Every metric has a cell per shard; a shard is written by one thread only (the loop of that
 * index), without locks or locked instructions. Rendering sums the shards. Registering, removing
 * and rendering: any thread, under a mutex, never on a hot path. Collectors run without that mutex.
 *
 * What exists once per partition is not registered but written by a collector while rendering.
 */
#ifndef KRAFTD_BASE_METRICS_H
#define KRAFTD_BASE_METRICS_H

#include "common/base/buf.h"
#include "common/base/str.h"

#include <stdatomic.h>

struct metrics;
struct metrics_writer;

struct metric_label {
    const char *name;
    struct str value;
};

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* Opaque but for the cells, which metric_add touches. */
struct metric {
    struct metric_family *family;
    struct metric_histogram *histogram; /* or NULL */
    char *labels;                       /* rendered, without braces */
    int references;
    _Atomic int64_t *cells[]; /* one per shard */
};

struct metrics *metrics_new(int shard_count);
/* All metrics were removed, or nobody uses them any more. */
void metrics_free(struct metrics *metrics);

/* The metric of this MBean and these labels; made when it is new, else the same one again. Each
 * call is paired with metrics_remove. */
struct metric *metrics_register(struct metrics *metrics, enum metric_kind kind, const char *mbean,
                                const struct metric_label *labels, int label_count);
void metrics_remove(struct metrics *metrics, struct metric *metric);

/* Counters go up only. A gauge shows the sum of what its shards hold. */
static inline void metric_add(struct metric *metric, int shard, int64_t n)
{
    _Atomic int64_t *cell = metric->cells[shard];
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline void metric_set(struct metric *metric, int shard, int64_t value)
{
    atomic_store_explicit(metric->cells[shard], value, memory_order_relaxed);
}

int64_t metric_sum(const struct metrics *metrics, const struct metric *metric);

/* Histograms of times: recorded in microseconds, shown in milliseconds, about 6% exact, from 1 us
 * to an hour. Quantiles weigh recent values more (half after 46 s, as in Kafka's reservoir). */
void metric_record_us(struct metric *metric, int shard, int64_t value_us);
/* Histograms of sizes and other numbers, shown as they are. One metric uses one of the two. */
void metric_record(struct metric *metric, int shard, int64_t value);

/* `collect` is called at each rendering, on the rendering thread, with metrics_write at hand; it
 * calls nothing else here. After metrics_remove_collector it is called no more. */
void metrics_add_collector(struct metrics *metrics,
                           void (*collect)(void *ctx, struct metrics_writer *writer), void *ctx);
void metrics_remove_collector(struct metrics *metrics, void *ctx);
void metrics_write(struct metrics_writer *writer, enum metric_kind kind, const char *mbean,
                   const struct metric_label *labels, int label_count, double value);
/* With a name as it stands in the output (process_open_fds). */
void metrics_write_plain(struct metrics_writer *writer, enum metric_kind kind, const char *name,
                         const struct metric_label *labels, int label_count, double value);

/* Appends everything in the text format 0.0.4. */
void metrics_render(struct metrics *metrics, int64_t now_us, struct bytebuf *out);

/* The exporter's name for an MBean, into text; -EINVAL when it is no "domain:type=T,name=N" or does
 * not fit. */
int metrics_name(enum metric_kind kind, const char *mbean, char *text, size_t room);

#endif
