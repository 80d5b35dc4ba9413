/*
 * The inside of the log manager, for log_manager*.c.
 */
#ifndef KRAFTD_STORAGE_LOG_MANAGER_INTERNAL_H
#define KRAFTD_STORAGE_LOG_MANAGER_INTERNAL_H

#include "common/base/map.h"
#include "common/storage/log_manager.h"

#include <pthread.h>

/* What the checkpoints say of a log. */
struct log_position {
    int64_t recovery_point, high_watermark;
    int64_t start_offset; /* -1: not listed */
};

struct managed_log {
    char *name; /* of its directory; the key's topic points into it */
    struct str topic;
    int32_t partition;
    size_t dir;
    struct log *log;              /* NULL: not open */
    struct log_position position; /* while it is not open */
    bool found;                   /* at start, and never opened */
    bool busy;                    /* being opened, closed or renamed */
    bool unclean;                 /* it was not closed in order */
    int64_t finished_end;         /* it was, and waits for log_manager_stop to sync it; else -1 */
    /* Directories of this name on other disks, of topics that had it at other times: of the
     * deletion of one, or of the making of another, a disk that was offline knows nothing. Not in
     * the table; only while nobody has opened the log. */
    struct managed_log *twin;
    struct uuid topic_id; /* of those with twins; zero: not readable */
};

struct doomed_dir {
    char *path;
    size_t dir;
    int64_t due_ms;
};

/* Hashes of what the checkpoint files hold. */
struct written {
    uint64_t recovery_point, replication, log_start;
};

struct log_manager {
    struct disk *disk;
    pthread_mutex_t mutex;            /* all below but `dirs` itself and its constant parts */
    pthread_mutex_t checkpoint_mutex; /* held while checkpoints are written */
    struct log_dir **dirs;
    size_t dir_count;
    struct written *written; /* one per directory */
    struct map logs;         /* topic and partition -> struct managed_log */
    struct map by_log;       /* address of struct log -> struct managed_log */
    struct doomed_dir *doomed;
    size_t doomed_count, doomed_capacity;
};

struct managed_log *log_manager_add(struct log_manager *m, size_t dir, struct str topic,
                                    int32_t partition);
/* Another one of that name, which is not in the table. */
void log_manager_add_twin(struct log_manager *m, struct managed_log *managed, size_t dir);
void log_manager_forget(struct log_manager *m, struct managed_log *managed);
void log_manager_forget_twins(struct log_manager *m, struct managed_log *managed);
struct managed_log *log_manager_find(struct log_manager *m, struct str topic, int32_t partition);
/* Renames a partition's directory to -delete or -stray; *ret_name (may be NULL) is fresh memory. */
int log_manager_rename(struct log_manager *m, const struct managed_log *managed,
                       enum log_dir_kind kind, struct uuid unique, char **ret_name);
void log_manager_doom(struct log_manager *m, size_t dir, const char *name, int64_t due_ms);

#endif
