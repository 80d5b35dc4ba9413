/*
 * The logs of a node over all its log.dirs: which partition is where, opening and creating,
 * deletion of whole partitions, the checkpoints, and directories that fail.
 *
 * Thread: any; a mutex guards the table, held for no disk access. What is marked "blocks" runs on
 * workers (or at start and stop). A log that was opened here belongs to its loop from then on and
 * is given back by log_manager_close_log; what the checkpoints need of it is read from atomics.
 *
 * A directory whose disk fails goes offline for good: its logs answer -EIO, the other directories
 * serve on. Order of life: open, begin, any number of open_log, started, ..., stop, free.
 */
#ifndef KRAFTD_STORAGE_LOG_MANAGER_H
#define KRAFTD_STORAGE_LOG_MANAGER_H

#include "common/storage/log_dir.h"

#define LOG_MANAGER_ERROR_LEN 512

struct log_manager;

/*
 * Blocks. Locks and lists the directories; makes those that are missing. Fails, with a sentence for
 * people: -EAGAIN another process holds one; -ENOTSUP one is of ZooKeeper days; -EBADMSG one cannot
 * be understood, or they belong to different clusters or nodes; any other error when all disks
 * fail. A disk that fails while others do not is offline: look at
 * log_manager_dir_status.
 */
int log_manager_open(struct disk *disk, const char *const *paths, size_t count,
                     struct log_manager **ret_manager, char error[LOG_MANAGER_ERROR_LEN]);
/* After stop, or after a kill of all that used it. */
void log_manager_free(struct log_manager *m);

size_t log_manager_dir_count(const struct log_manager *m);
/* For its constant parts: path, meta, trust, broker_epoch, has_metadata_log. */
const struct log_dir *log_manager_dir(const struct log_manager *m, size_t at);
int log_manager_dir_status(struct log_manager *m, size_t at); /* 0, or why it is offline */
/* One that is cordoned (KIP-1066) gets no new logs but those that are meant for it. */
void log_manager_cordon(struct log_manager *m, size_t at, bool cordoned);
bool log_manager_dir_cordoned(struct log_manager *m, size_t at);
/* No meta.properties and no partition in any directory. */
bool log_manager_is_blank(const struct log_manager *m);

/* Blocks. From here on a crash is no clean stop. */
int log_manager_begin(struct log_manager *m);
/* Blocks. All logs the metadata knows are open and strays are set aside: from now on a start on the
 * same boot believes the page cache. */
int log_manager_started(struct log_manager *m);

struct log_manager_log_args {
    struct file_cache *files; /* of the loop that will own it */
    struct str topic;
    int32_t partition;
    struct uuid topic_id;
    /* Where a new one goes; a reserved id, or one that is gone: where the fewest are, in one that
     * is not cordoned, if there is any. While some directory is offline, one that is not found may
     * be there: -EIO. */
    struct uuid directory_id;
    const struct log_config *config;
    bool leads; /* in leader_epoch, from the start of a new log on */
    int32_t leader_epoch;
    struct uuid unique; /* random: for the name of a directory that has to give way */
    uint64_t seed;
    int64_t now_ms;
};

/* Blocks. -EBUSY: the log of an earlier topic of that name is still open or on its way out; try
 * again; -EEXIST: it is in two directories and the metadata (directory_id) names neither. Opens the
 * log, or makes it. One of the same name that belongs to another topic id is renamed -stray first.
 * After an error of the disk its directory is offline; -ENOSPC, -EMFILE and their kind can be tried
 * again. ret_recovery may be NULL. */
int log_manager_open_log(struct log_manager *m, const struct log_manager_log_args *args,
                         struct log **ret_log, struct log_recovery *ret_recovery);
/* Blocks. `clean` writes what a clean start relies on; log_manager_stop syncs it. The log was
 * detached (log_detach) on its loop before; for log_manager_delete_log too. */
int log_manager_close_log(struct log_manager *m, struct log *log, bool clean);
/* Blocks. Closes it and renames its directory -delete; log_manager_purge removes it later. */
int log_manager_delete_log(struct log_manager *m, struct log *log, struct uuid unique,
                           int64_t now_ms);

/* Which directory holds an open log. */
size_t log_manager_dir_of(struct log_manager *m, const struct log *log);
/* The disk of that directory failed: it goes offline. Its logs are still the caller's to close. */
void log_manager_fail_dir(struct log_manager *m, size_t at, int status);

/* Blocks. Writes the checkpoints of all directories, those that changed. */
int log_manager_checkpoint(struct log_manager *m);
/* Blocks. Removes the -delete directories whose delay is over; those found at start at once. */
int log_manager_purge(struct log_manager *m, int64_t now_ms);
int64_t log_manager_purge_due_at_ms(struct log_manager *m); /* INT64_MAX: nothing waits */

/* Blocks. Renames to -stray each partition that was found at start, that nobody opened and of which
 * `known` says no; calls `renamed` (may be NULL) with the old and the new name. */
int log_manager_set_aside_strays(struct log_manager *m,
                                 bool (*known)(void *ctx, struct str topic, int32_t partition),
                                 struct uuid unique,
                                 void (*renamed)(void *ctx, const char *from, const char *to),
                                 void *ctx);

struct log_manager_entry {
    struct str topic;
    int32_t partition;
    bool is_future; /* a copy that is to replace the partition's log (log_manager_moves.h) */
    size_t dir;
    int64_t size_bytes, start_offset, end_offset, segment_count;
};

/* Each open log (DescribeLogDirs, metrics), under the mutex: `each` must not call back. */
void log_manager_each(struct log_manager *m,
                      void (*each)(void *ctx, const struct log_manager_entry *entry), void *ctx);

/* Blocks. All logs were given back: syncs each directory's file system at once, writes the
 * checkpoints and, where all logs were closed clean, the clean-shutdown marker. */
int log_manager_stop(struct log_manager *m, int64_t broker_epoch);

#endif
