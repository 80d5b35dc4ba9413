/*
 * What a producer's performance test counts: records, bytes and latencies of a window, which is
 * printed when its interval is over, and of the whole. Milliseconds of the monotonic clock, given
 * by the caller. One thread.
 */
#ifndef KRAFTD_TOOLS_PERF_STATS_H
#define KRAFTD_TOOLS_PERF_STATS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct perf_sums {
    int64_t since_ms;
    int64_t count, bytes;
    int64_t latency_ms, latency_max_ms; /* all of them, the worst */
};

struct perf_stats {
    int64_t interval_ms;
    bool steady; /* of the records behind the warm-up */
    bool quiet;  /* prints no windows */
    struct perf_sums window, total;
    int64_t *by_latency; /* records by their milliseconds */
    size_t latencies;
};

void perf_stats_init(struct perf_stats *stats, int64_t now_ms, int64_t interval_ms, bool steady);
void perf_stats_release(struct perf_stats *stats);
void perf_stats_record(struct perf_stats *stats, int64_t latency_ms, int64_t bytes, int64_t now_ms);

/* The latency that this share of all records does not exceed; 0 without any. */
int64_t perf_stats_percentile(const struct perf_stats *stats, double share);
void perf_stats_print_total(const struct perf_stats *stats, int64_t now_ms);
json_t *perf_stats_json(const struct perf_stats *stats, int64_t now_ms);

#endif
