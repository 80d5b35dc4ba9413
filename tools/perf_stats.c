#include "tools/perf_stats.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEGABYTE (1024.0 * 1024.0)

static const struct {
    const char *name;
    double share;
} percentiles[] = {{"50th", 0.5}, {"95th", 0.95}, {"99th", 0.99}, {"99.9th", 0.999}};

void perf_stats_init(struct perf_stats *stats, int64_t now_ms, int64_t interval_ms, bool steady)
{
    *stats = (struct perf_stats){.interval_ms = interval_ms,
                                 .steady = steady,
                                 .window = {.since_ms = now_ms},
                                 .total = {.since_ms = now_ms}};
}

void perf_stats_release(struct perf_stats *stats)
{
    free(stats->by_latency);
    *stats = (struct perf_stats){0};
}

static void add(struct perf_sums *sums, int64_t latency_ms, int64_t bytes)
{
    sums->count++;
    sums->bytes += bytes;
    sums->latency_ms += latency_ms;
    sums->latency_max_ms = MAX(sums->latency_max_ms, latency_ms);
}

static void count_latency(struct perf_stats *stats, size_t latency_ms)
{
    if (latency_ms >= stats->latencies) {
        size_t room = MAX(latency_ms + 1, stats->latencies * 2);
        stats->by_latency = mem_realloc(stats->by_latency, room * sizeof(*stats->by_latency));
        memset(stats->by_latency + stats->latencies, 0,
               (room - stats->latencies) * sizeof(*stats->by_latency));
        stats->latencies = room;
    }
    stats->by_latency[latency_ms]++;
}

static double per_second(double amount, const struct perf_sums *sums, int64_t now_ms)
{
    return 1000.0 * amount / (double)MAX(now_ms - sums->since_ms, 1);
}

/* As Java says it where there is none. */
static const char *average(const struct perf_sums *sums, int digits, char text[48])
{
    if (sums->count == 0)
        return "NaN";
    snprintf(text, 48, "%.*f", digits, (double)sums->latency_ms / (double)sums->count);
    return text;
}

static void print_window(const struct perf_stats *stats, int64_t now_ms)
{
    const struct perf_sums *w = &stats->window;
    char text[48];
    printf("%" PRId64 " records sent, %.1f records/sec (%.2f MB/sec), %s ms avg latency, %.1f ms "
           "max latency.\n",
           w->count, per_second((double)w->count, w, now_ms),
           per_second((double)w->bytes / MEGABYTE, w, now_ms), average(w, 1, text),
           (double)w->latency_max_ms);
    fflush(stdout);
}

void perf_stats_record(struct perf_stats *stats, int64_t latency_ms, int64_t bytes, int64_t now_ms)
{
    latency_ms = MAX(latency_ms, 0);
    add(&stats->total, latency_ms, bytes);
    add(&stats->window, latency_ms, bytes);
    count_latency(stats, (size_t)latency_ms);
    if (now_ms - stats->window.since_ms < stats->interval_ms)
        return;
    if (!stats->quiet && stats->steady && stats->total.count == stats->window.count)
        puts("In steady state.");
    if (!stats->quiet)
        print_window(stats, now_ms);
    stats->window = (struct perf_sums){.since_ms = now_ms};
}

int64_t perf_stats_percentile(const struct perf_stats *stats, double share)
{
    int64_t place = (int64_t)(share * (double)stats->total.count), before = 0;
    for (size_t ms = 0; ms < stats->latencies; ms++) {
        before += stats->by_latency[ms];
        if (before > place)
            return (int64_t)ms;
    }
    return 0;
}

void perf_stats_print_total(const struct perf_stats *stats, int64_t now_ms)
{
    const struct perf_sums *t = &stats->total;
    char text[48];
    printf("%" PRId64 "%s records sent, %f records/sec (%.2f MB/sec), %s ms avg latency, %.2f ms "
           "max latency",
           t->count, stats->steady ? " steady state" : "", per_second((double)t->count, t, now_ms),
           per_second((double)t->bytes / MEGABYTE, t, now_ms), average(t, 2, text),
           (double)t->latency_max_ms);
    for (size_t i = 0; i < ARRAY_LEN(percentiles); i++)
        printf(", %" PRId64 " ms %s", perf_stats_percentile(stats, percentiles[i].share),
               percentiles[i].name);
    puts(".");
}

json_t *perf_stats_json(const struct perf_stats *stats, int64_t now_ms)
{
    const struct perf_sums *t = &stats->total;
    json_t *out = json_object(), *shares = json_object();
    for (size_t i = 0; i < ARRAY_LEN(percentiles); i++)
        json_object_set_new(shares, percentiles[i].name,
                            json_integer(perf_stats_percentile(stats, percentiles[i].share)));
    json_object_set_new(out, "records", json_integer(t->count));
    json_object_set_new(out, "recordsPerSec", json_real(per_second((double)t->count, t, now_ms)));
    json_object_set_new(out, "bytes", json_integer(t->bytes));
    json_object_set_new(out, "mbPerSec",
                        json_real(per_second((double)t->bytes / MEGABYTE, t, now_ms)));
    json_object_set_new(out, "avgLatencyMs",
                        t->count == 0 ? json_null()
                                      : json_real((double)t->latency_ms / (double)t->count));
    json_object_set_new(out, "maxLatencyMs", json_integer(t->latency_max_ms));
    json_object_set_new(out, "latencyMs", shares);
    return out;
}
