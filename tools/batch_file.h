/*
 * A file of record batches, read from front to end in runs of whole batches whose checksums are
 * right. It may be written meanwhile, so the end of what can be read is no error: a batch that is
 * cut off, or the last one with a wrong checksum, is left for later (batch_file_torn). Damage with
 * something behind it is an error. One thread.
 */
#ifndef KRAFTD_TOOLS_BATCH_FILE_H
#define KRAFTD_TOOLS_BATCH_FILE_H

#include "common/protocol/record_batch.h"
#include "tools/failure.h"

struct batch_file {
    char *path;
    int fd;
    int64_t position; /* of the next batch */
    int64_t size;     /* at the last look */
    uint8_t *buffer;
    size_t capacity;
    bool torn;
};

/* Gone (ENOENT) is told apart by failure->error UNKNOWN_TOPIC_OR_PARTITION. */
bool batch_file_open(struct batch_file *file, const char *path, struct failure *failure);
/* A zeroed one is fine. */
void batch_file_close(struct batch_file *file);
/* The next run; it lives until the next call. No bytes: there is none, or none that is whole. */
bool batch_file_next(struct batch_file *file, struct bytes *ret_run, struct failure *failure);

#endif
