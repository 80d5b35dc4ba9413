/*
 * For tests: the metadata log and the checkpoints of a directory that Kafka wrote, read whole.
 */
#ifndef KRAFTD_TESTS_METADATA_DIR_H
#define KRAFTD_TESTS_METADATA_DIR_H

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/protocol/record_batch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

struct checkpoint_file {
    int64_t end_offset;
    int32_t epoch;
    struct bytebuf bytes;
};

struct metadata_dir {
    struct bytebuf log; /* all segments */
    struct checkpoint_file checkpoints[64];
    int count;
};

static inline bool read_file(const char *path, struct bytebuf *out)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    size_t got;
    do {
        got = fread(bytebuf_reserve(out, 65536), 1, 65536, file);
        out->len += got;
    } while (got > 0);
    fclose(file);
    return true;
}

static inline int by_file_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* False when there is no such directory. */
static inline bool metadata_dir_read(struct metadata_dir *dir, const char *path)
{
    struct dirent **names;
    int count = scandir(path, &names, NULL, by_file_name);
    *dir = (struct metadata_dir){0};
    if (count < 0)
        return false;
    for (int i = 0; i < count; i++) {
        char *full = mem_printf("%s/%s", path, names[i]->d_name);
        struct str name = str_of(names[i]->d_name);
        if (str_ends_with(name, STR(".log"))) {
            read_file(full, &dir->log);
        } else if (str_ends_with(name, STR(".checkpoint"))) {
            struct checkpoint_file *checkpoint = &dir->checkpoints[dir->count++];
            checkpoint->end_offset = strtoll(name.data, NULL, 10);
            checkpoint->epoch = (int32_t)strtol(name.data + 21, NULL, 10);
            read_file(full, &checkpoint->bytes);
        }
        free(full);
        free(names[i]);
    }
    free(names);
    return true;
}

static inline void metadata_dir_release(struct metadata_dir *dir)
{
    for (int i = 0; i < dir->count; i++)
        bytebuf_release(&dir->checkpoints[i].bytes);
    bytebuf_release(&dir->log);
}

static inline struct bytes bytebuf_bytes(const struct bytebuf *b)
{
    return (struct bytes){b->data, (int32_t)b->len};
}

/* The batches of the log from offset `from` up to `to`, both batch ends. */
static inline struct bytes metadata_dir_batches(const struct metadata_dir *dir, int64_t from,
                                                int64_t to)
{
    struct record_batches run = record_batches_of(bytebuf_bytes(&dir->log));
    struct record_batch batch;
    const uint8_t *start = NULL, *end = NULL;
    while (record_batches_next(&run, &batch) == 1) {
        if (batch.header.base_offset < from || record_batch_next_offset(&batch.header) > to)
            continue;
        if (!start)
            start = batch.bytes.data;
        end = batch.bytes.data + batch.bytes.len;
    }
    return (struct bytes){start, (int32_t)(end - start)};
}

#endif
