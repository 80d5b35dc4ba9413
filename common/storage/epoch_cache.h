/*
 * Which leader epoch began at which offset of one log, in memory; leader-epoch-checkpoint holds the
 * same entries. Epochs and start offsets both strictly grow.
 *
 * Owner loop, or whoever has the log to itself.
 */
#ifndef KRAFTD_STORAGE_EPOCH_CACHE_H
#define KRAFTD_STORAGE_EPOCH_CACHE_H

#include "common/base/disk.h"

struct epoch_entry {
    int32_t epoch;
    int64_t start_offset;
};

struct epoch_cache {
    struct epoch_entry *entries;
    size_t count, capacity;
    bool changed; /* since the file was written or read */
};

void epoch_cache_init(struct epoch_cache *cache);
void epoch_cache_release(struct epoch_cache *cache);

/* Entries that it contradicts (same or later epoch, same or later start) give way, as a newer
 * leader is right. Known already (the last epoch, not starting earlier): nothing happens. */
void epoch_cache_assign(struct epoch_cache *cache, int32_t epoch, int64_t start_offset);
/* The log now ends at `offset`: entries from there on go. */
void epoch_cache_truncate_end(struct epoch_cache *cache, int64_t offset);
/* The log now starts at `offset`: the entry that covers it starts there, older ones go. */
void epoch_cache_truncate_start(struct epoch_cache *cache, int64_t offset);
void epoch_cache_clear(struct epoch_cache *cache);

/* -1 when there is none. */
int32_t epoch_cache_latest(const struct epoch_cache *cache);
/* The epoch that covers the offset; -1 before the first entry. */
int32_t epoch_cache_of(const struct epoch_cache *cache, int64_t offset);
/* The largest known epoch not above `epoch` and where it ends; see log_end_offset_for_epoch. */
void epoch_cache_end_of(const struct epoch_cache *cache, int32_t epoch, int64_t log_end_offset,
                        int32_t *ret_epoch, int64_t *ret_end_offset);

/* Reads the file over an empty cache. -ENOENT; -EBADMSG: malformed or not growing. */
int epoch_cache_load(struct epoch_cache *cache, struct disk *disk, const char *path);
/* Replaces the file without syncing it: recovery makes entries again from the batches. */
int epoch_cache_save(struct epoch_cache *cache, struct disk *disk, const char *path);

#endif
