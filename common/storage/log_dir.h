/*
 * One directory of log.dirs: its lock, what its files say about the last stop, and which partitions
 * it has. The log manager owns these.
 *
 *   .lock                 held while a process uses the directory, as Kafka does
 *   meta.properties       whose disk it is (meta_properties.h)
 *   .kafka_cleanshutdown  there after a stop in order; removed before anything is written
 *   kraftd.boot           "version: 1\nboot_id: <cache_id of disk.h>": every log here was recovered
 *                         while that kernel ran and this file system was mounted, so as long as
 *                         both last the page cache can be believed. Our own; Kafka takes no notice
 *                         of it. Goes when a sync fails: from then on the page cache shows what the
 *                         disk may not have, and the next start writes it anew (log_write_again).
 *                         Another one tells that the disk alone speaks: there was a boot or a mount
 *                         since, or this is a copy.
 *   four checkpoints      checkpoint_file.h
 *
 * All blocks on the disk. Not thread-safe.
 */
#ifndef KRAFTD_STORAGE_LOG_DIR_H
#define KRAFTD_STORAGE_LOG_DIR_H

#include "common/storage/checkpoint_file.h"
#include "common/storage/log.h"
#include "common/storage/log_names.h"
#include "common/storage/meta_properties.h"

struct log_dir {
    struct disk *disk;
    char *path;
    struct disk_file *lock;
    int status; /* 0, or why it is offline */
    bool has_meta;
    struct meta_properties meta;
    enum log_trust trust; /* of its logs until log_dir_started */
    bool rewrite;         /* there is no kraftd.boot: for log_open */
    int64_t broker_epoch; /* of the last clean stop, -1 when unknown */
    struct offset_checkpoint recovery_points, high_watermarks, start_offsets, cleaned_offsets;
    char **names; /* of partition directories of all kinds, but not __cluster_metadata-0 */
    size_t name_count, name_capacity;
    bool has_metadata_log;
    int32_t partitions; /* live ones, kept by the log manager */
    bool cordoned;      /* gets no new ones unless it is named; the log manager's too */
};

/* Makes the directory if it is missing. -EAGAIN: another process holds it; -ENOTSUP, -EBADMSG:
 * meta.properties, see there. On an error of the disk the directory is given back too, offline:
 * *ret_dir is always set. */
int log_dir_open(struct disk *disk, const char *path, struct log_dir **ret_dir);
/* Gives the lock back and frees. */
void log_dir_close(struct log_dir *dir);

/* Before the first log is opened: a crash from here on is no clean stop. */
int log_dir_begin(struct log_dir *dir);
/* All logs are open: what their recovery found holds as long as this kernel runs. */
int log_dir_started(struct log_dir *dir);
/* Some sync in the log directory failed. Touches names only, nothing has to reach the disk. The
 * path is that of the directory, or of a log in it. */
void log_dir_distrust(struct disk *disk, const char *directory);
void log_dir_distrust_of(struct disk *disk, const char *log_path);
/* All logs were closed in order and the checkpoints are written. */
int log_dir_stopped(struct log_dir *dir, int64_t broker_epoch);

/* Fills what the checkpoints say of a partition. */
void log_dir_fill(const struct log_dir *dir, struct str topic, int32_t partition,
                  struct log_open_args *args);
char *log_dir_file(const struct log_dir *dir, const char *name); /* fresh memory */

#endif
