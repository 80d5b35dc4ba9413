#include "broker/replica/replication_quota.h"

#include "common/base/check.h"

void replication_quota_init(struct replication_quota *quota, int64_t samples, int64_t sample_ms)
{
    *quota = (struct replication_quota){
        .samples = (int)MIN(MAX(samples, 1), REPLICATION_QUOTA_SAMPLES_MAX),
        .sample_ms = MAX(sample_ms, 1),
    };
    atomic_store(&quota->bytes_per_second, INT64_MAX);
}

void replication_quota_set(struct replication_quota *quota, int64_t bytes_per_second)
{
    atomic_store_explicit(&quota->bytes_per_second, bytes_per_second, memory_order_relaxed);
}

void replication_quota_note(struct replication_quota *quota, int64_t now_ms, int64_t bytes)
{
    int64_t number = now_ms / quota->sample_ms + 1; /* 0: never used */
    int at = (int)(number % quota->samples);
    int64_t kept = atomic_load_explicit(&quota->kept[at].number, memory_order_relaxed);
    if (kept != number && atomic_compare_exchange_strong(&quota->kept[at].number, &kept, number))
        atomic_store_explicit(&quota->kept[at].bytes, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&quota->kept[at].bytes, bytes, memory_order_relaxed);
}

bool replication_quota_exceeded(const struct replication_quota *quota, int64_t now_ms)
{
    int64_t limit = atomic_load_explicit(&quota->bytes_per_second, memory_order_relaxed);
    if (limit == INT64_MAX)
        return false;
    int64_t now = now_ms / quota->sample_ms + 1, bytes = 0;
    for (int i = 0; i < quota->samples; i++)
        if (atomic_load_explicit(&quota->kept[i].number, memory_order_relaxed) >
            now - quota->samples)
            bytes += atomic_load_explicit(&quota->kept[i].bytes, memory_order_relaxed);
    /* All samples but the one that is under way are whole. */
    int64_t span_ms = (quota->samples - 1) * quota->sample_ms + now_ms % quota->sample_ms;
    return (double)bytes * 1000 > (double)limit * (double)MAX(span_ms, 1);
}
