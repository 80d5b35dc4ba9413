/*
 * A segment: a run of record batches in one file, with its three indexes.
 *
 *   <base offset>.log  batches one behind the other, from the first byte on; with `preallocate` the
 *                      active one is followed by zeros until it is closed
 *
 * Belongs to a log and has its thread. Files open when needed (file_cache.h). Errors are those of
 * the disk, and -EBADMSG where no batch stands at a place that an index names.
 */
#ifndef KRAFTD_STORAGE_SEGMENT_H
#define KRAFTD_STORAGE_SEGMENT_H

#include "common/protocol/record_batch.h"
#include "common/storage/index_file.h"
#include "common/storage/log_config.h"
#include "common/storage/txn_index.h"

struct segment {
    int64_t base_offset;
    int64_t size_bytes; /* of the batches */
    int64_t created_ms, modified_ms;
    int64_t first_timestamp;      /* of the first batch; -1: not looked at, or none */
    int64_t max_timestamp;        /* -1: none */
    int64_t max_timestamp_offset; /* last offset of the batch that has it */
    int64_t jitter_ms;
    int32_t bytes_since_index;
    bool times_known;  /* max_timestamp was made up from the time index or the batches */
    bool dirty;        /* the .log has writes that no sync has covered */
    bool preallocated; /* the file may be longer than size_bytes */
    struct file_slot log_file;
    struct index_file offset_index, time_index;
    struct txn_index txn_index;
};

/* Which of its files are in the directory. */
struct segment_files {
    bool offset_index, time_index, txn_index;
};

struct segment *segment_new(int64_t base_offset, int64_t size_bytes, struct segment_files files,
                            int64_t now_ms);
/* Closes its files. */
void segment_free(struct segment *segment, const struct log_place *place);
void segment_close_files(struct segment *segment, const struct log_place *place);
int segment_open(struct segment *segment, const struct log_place *place);
/* Makes the .log, empty even if one is there. */
int segment_create(struct segment *segment, const struct log_place *place,
                   const struct log_config *config);

/* Writes batches at the end. After an error the file ends where it did, or `*ret_torn` is set: then
 * bytes of them may be behind the end. Index entries follow with segment_note. */
int segment_write(struct segment *segment, const struct log_place *place, const struct iovec *iov,
                  int count, size_t bytes, bool *ret_torn);
/* Bookkeeping for one batch at `position`: timestamps, and index entries where they are due. An
 * error means only that an index entry is missing. */
int segment_note(struct segment *segment, const struct log_place *place, int64_t last_offset,
                 int64_t max_timestamp, int64_t position, int64_t size_bytes,
                 int32_t index_interval_bytes);
/* No more appends: the time index gets its last entry, indexes are written out, zeros are cut. */
int segment_finish(struct segment *segment, const struct log_place *place);

struct segment_found {
    int64_t position; /* size_bytes of the segment: no such batch */
    int64_t base_offset, last_offset;
    int32_t size_bytes; /* 0: not looked at */
};

/* The first batch whose last offset is `offset` or more. */
int segment_find(struct segment *segment, const struct log_place *place, int64_t offset,
                 struct segment_found *ret_found);
/* Learns max_timestamp from the time index. */
int segment_load_times(struct segment *segment, const struct log_place *place);
/* That of its first batch; -1: empty or none. */
int segment_first_timestamp(struct segment *segment, const struct log_place *place,
                            int64_t *ret_timestamp);
/* What retention.ms goes by: the largest timestamp, or when the file was last written. */
int segment_retention_timestamp(struct segment *segment, const struct log_place *place,
                                int64_t *ret_timestamp);
/* Cuts log and indexes to `size_bytes`, where a batch of base offset `offset` began. */
int segment_truncate(struct segment *segment, const struct log_place *place, int64_t size_bytes,
                     int64_t offset);

#endif
