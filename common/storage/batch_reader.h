/*
 * Steps through the record batches of an open file, reading ahead in large pieces. Without `whole`
 * only what is needed for the headers is read: a run of large batches costs one small read each.
 *
 * Belongs to one thread; blocks on the disk where the file is cold. The file is the caller's.
 */
#ifndef KRAFTD_STORAGE_BATCH_READER_H
#define KRAFTD_STORAGE_BATCH_READER_H

#include "common/base/disk.h"
#include "common/protocol/record_batch.h"

struct batch_reader {
    struct disk_file *file;
    int64_t position, end; /* of the next batch; of what may be read */
    bool whole;
    uint8_t *buffer;
    size_t capacity;
    int64_t buffer_position;
    size_t buffer_len;
    size_t last_size;
    int64_t read_bytes; /* in all */
    const char *damage; /* what -EBADMSG means, a constant; else NULL */
};

struct batch_view {
    struct record_batch_header header;
    int64_t position;
    int32_t size_bytes;
    struct bytes bytes; /* until the next step; null without `whole` */
};

/* Reads [position, end) of the file. */
void batch_reader_init(struct batch_reader *reader, struct disk_file *file, int64_t position,
                       int64_t end, bool whole);
void batch_reader_release(struct batch_reader *reader);
/* On to another place or file with the same buffer. */
void batch_reader_reset(struct batch_reader *reader, struct disk_file *file, int64_t position,
                        int64_t end);

/* 1 and the next batch; 0 at the end; -EBADMSG (see `damage`) with `position` where it starts; -EIO
 * and others of the disk. The checksum is not looked at: batch_view_intact does. */
int batch_reader_next(struct batch_reader *reader, struct batch_view *ret_batch);
/* Fetches the bytes of the batch just returned, when they are not there. */
int batch_reader_fetch(struct batch_reader *reader, struct batch_view *batch);
/* The checksum is right. Only with its bytes. */
bool batch_view_intact(const struct batch_view *batch);

#endif
