/*
 * Kafka's text checkpoints: a version, the number of entries, one entry per line.
 *
 *   recovery-point-offset-checkpoint, replication-offset-checkpoint,      0
 *   log-start-offset-checkpoint, cleaner-offset-checkpoint:               2
 *   one per log dir, entries in no order                                  orders 0 42
 *                                                                         orders 1 17
 *   leader-epoch-checkpoint, one per partition: entry "epoch offset"
 *
 * All blocks on the disk: workers. Errors: -ENOENT, -EBADMSG (malformed, -ENOTSUP another version)
 * and those of the disk.
 */
#ifndef KRAFTD_STORAGE_CHECKPOINT_FILE_H
#define KRAFTD_STORAGE_CHECKPOINT_FILE_H

#include "common/base/buf.h"
#include "common/base/disk.h"
#include "common/base/map.h"

#define CHECKPOINT_RECOVERY_POINT "recovery-point-offset-checkpoint"
#define CHECKPOINT_REPLICATION    "replication-offset-checkpoint"
#define CHECKPOINT_LOG_START      "log-start-offset-checkpoint"
#define CHECKPOINT_CLEANER        "cleaner-offset-checkpoint"

/* Calls `entry` for each line behind version and count; it returns 0 or an error that is passed on.
 * The lines live in *ret_text, which the caller frees. */
int checkpoint_read(struct disk *disk, const char *path, char **ret_text,
                    int (*entry)(void *ctx, struct str line), void *ctx);

/* Builds one in memory. */
struct checkpoint_writer {
    struct bytebuf body;
    int64_t count;
};

void checkpoint_writer_init(struct checkpoint_writer *writer);
void checkpoint_writer_release(struct checkpoint_writer *writer);
void checkpoint_writer_add(struct checkpoint_writer *writer, struct str topic, int32_t partition,
                           int64_t offset);
void checkpoint_writer_add_epoch(struct checkpoint_writer *writer, int32_t epoch, int64_t offset);
/* Replaces the file: atomic and, with `sync`, durable when it returns 0. */
int checkpoint_writer_save(const struct checkpoint_writer *writer, struct disk *disk,
                           const char *path, bool sync);

/* The offsets of one file, by topic and partition. */
struct offset_checkpoint {
    char *text; /* topics point into it */
    struct map offsets;
    int64_t *values;
    size_t count;
};

/* Empty, for a file that is not there. */
void offset_checkpoint_init(struct offset_checkpoint *checkpoint);
/* Over a fresh one; empty on error. */
int offset_checkpoint_load(struct offset_checkpoint *checkpoint, struct disk *disk,
                           const char *path);
void offset_checkpoint_release(struct offset_checkpoint *checkpoint);
/* `missing` when it is not listed. */
int64_t offset_checkpoint_get(const struct offset_checkpoint *checkpoint, struct str topic,
                              int32_t partition, int64_t missing);

#endif
