/*
 * Offset index and time index of a segment. Entries are big-endian and grow strictly.
 *
 *   .index       8 bytes: int32 last offset of a batch - base offset, int32 position of that batch
 *   .timeindex  12 bytes: int64 largest timestamp so far, int32 last offset of the batch that has
 *                         it - base offset
 *
 * Kafka preallocates the file of an active segment with zeros and cuts it when the segment is
 * closed; a killed one stays padded. Ours is never padded: zeros at the end are cut off when it is
 * loaded.
 *
 * New entries stay in a small tail in memory until it is full, the segment is rolled or a
 * checkpoint flush wants them: recovery makes again what is lost. The file is opened when needed,
 * and need not exist while it is empty.
 *
 * Belongs to a segment and has its thread. Errors are those of the disk.
 */
#ifndef KRAFTD_STORAGE_INDEX_FILE_H
#define KRAFTD_STORAGE_INDEX_FILE_H

#include "common/storage/file_cache.h"
#include "common/storage/log_names.h"

#define INDEX_TAIL_ENTRIES 32

/* Where a log's files are, and what opens them. */
struct log_place {
    struct disk *disk;
    struct file_cache *files;
    char *path;
};

struct index_file {
    struct file_slot slot;
    enum log_file_kind kind; /* LOG_FILE_INDEX or LOG_FILE_TIME_INDEX */
    bool exists;             /* in the directory */
    bool dirty;              /* written since the last sync began */
    bool read_only;          /* leave zeros at the end alone */
    bool remade;             /* written under another name until it is whole */
    uint8_t tail_count;      /* entries of `count` that are in memory only */
    int32_t count;           /* -1: the file has not been looked at */
    int64_t base_offset;
    uint8_t *tail;
};

struct index_entry {
    int64_t offset;
    int64_t timestamp; /* time index */
    int32_t position;  /* offset index */
};

void index_file_init(struct index_file *index, enum log_file_kind kind, int64_t base_offset,
                     bool exists);
/* Closes the file; entries in the tail are dropped. */
void index_file_release(struct index_file *index, const struct log_place *place);

/* Makes the file if it is not there. */
int index_file_open(struct index_file *index, const struct log_place *place);
/* Learns the number of entries. All functions below do it when needed. */
int index_file_load(struct index_file *index, const struct log_place *place);
/* The caller keeps entries growing. Fails only where the full tail cannot be written. */
int index_file_append(struct index_file *index, const struct log_place *place,
                      const struct index_entry *entry);
/* Writes the tail to the file. */
int index_file_push(struct index_file *index, const struct log_place *place);
int index_file_get(struct index_file *index, const struct log_place *place, int32_t at,
                   struct index_entry *ret_entry);

/* The last entry whose offset (by_offset), position (by_position; offset index) or timestamp
 * (by_timestamp; time index) is at most `key`: its number, -1 for none, or an error below that. */
#define INDEX_NONE (-1)
enum index_key { INDEX_BY_OFFSET, INDEX_BY_POSITION, INDEX_BY_TIMESTAMP };
int index_file_floor(struct index_file *index, const struct log_place *place, enum index_key by,
                     int64_t key, int32_t *ret_at, struct index_entry *ret_entry);
/* Keeps the first `count` entries. */
int index_file_truncate(struct index_file *index, const struct log_place *place, int32_t count);
/* Drops what follows the first entry that does not grow or points beyond the segment: for files
 * that a crash may have left half written. */
int index_file_repair(struct index_file *index, const struct log_place *place, int64_t size_bytes);
/* Forgets all entries and makes the file anew beside the old one. index_file_replace syncs it and
 * gives it its name (the caller syncs the directory): at no time is there half an index that looks
 * whole. */
int index_file_remake(struct index_file *index, const struct log_place *place);
int index_file_replace(struct index_file *index, const struct log_place *place);
/* Makes the file exist and hold all entries: what Kafka expects of a segment that is not active. */
int index_file_finish(struct index_file *index, const struct log_place *place);

int32_t index_entry_size(enum log_file_kind kind);
void index_entry_decode(enum log_file_kind kind, int64_t base_offset, const uint8_t *data,
                        struct index_entry *ret_entry);
void index_entry_encode(enum log_file_kind kind, int64_t base_offset,
                        const struct index_entry *entry, uint8_t *data);

#endif
