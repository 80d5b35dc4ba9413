/*
 * Open files of one loop's logs, within a budget: cold ones are closed, least recently used first,
 * and opened again when needed. A file with unsynced writes is pinned, because an error of writing
 * it back is reported for sure only to descriptors that were open then.
 *
 * A slot is embedded in its owner. Owner loop (or whoever has the log to itself, with no other log
 * of that cache in use meanwhile).
 */
#ifndef KRAFTD_STORAGE_FILE_CACHE_H
#define KRAFTD_STORAGE_FILE_CACHE_H

#include "common/base/disk.h"
#include "common/base/list.h"

struct file_cache {
    struct list recent; /* unpinned open slots, most recent first */
    size_t open_count, pinned_count;
    size_t capacity; /* of open files; pinned ones may go beyond it */
};

struct file_slot {
    struct disk_file *file; /* NULL: closed */
    struct list link;
    bool pinned;
};

void file_cache_init(struct file_cache *cache, size_t capacity);
/* Every slot has been closed. */
void file_cache_release(struct file_cache *cache);

void file_slot_init(struct file_slot *slot);
/* Opens for reading and writing unless it is open. `flags` adds DISK_CREATE and the like. */
int file_slot_open(struct file_cache *cache, struct file_slot *slot, struct disk *disk,
                   const char *path, int flags);
/* Takes over a file that was opened elsewhere (a worker); dropped when the slot has one. */
void file_slot_adopt(struct file_cache *cache, struct file_slot *slot, struct disk_file *file);
void file_slot_close(struct file_cache *cache, struct file_slot *slot);
/* Keeps an open file open. */
void file_slot_pin(struct file_cache *cache, struct file_slot *slot);
void file_slot_unpin(struct file_cache *cache, struct file_slot *slot);

#endif
