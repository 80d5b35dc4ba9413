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
    char *name;     /* of its directory; the key's topic points into it */
    bool is_future; /* a copy that is to replace the log: in `futures` */
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
     * deletion of one, or of the making of another, a disk that was offline knows nothing. Or of
     * the same topic: a crash came between the two renames of a move, or the disk with the old one
     * was offline for the second. Not in the table; only while nobody has opened the log. */
    struct managed_log *twin;
    struct uuid topic_id; /* of those with twins; zero: not readable */
};

struct doomed_dir {
    char *path;
    size_t dir;
    int64_t due_ms, delay_ms; /* the delay: should the clock be set back */
};

/* Asked for before there was a log. */
struct preferred_dir {
    size_t dir;
    char topic[];
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
    struct map futures;      /* the same, of logs on their way to another directory */
    struct map preferred;    /* the same -> struct preferred_dir: where it is made */
    struct map *stale;       /* one per directory: the same, of which its checkpoints may still have
                              * a line though there is no such log any more */
    struct map by_log;       /* address of struct log -> struct managed_log */
    struct doomed_dir *doomed;
    size_t doomed_count, doomed_capacity;
};

/* The table of both kinds, for 0 and 1. */
static inline struct map *log_manager_table(struct log_manager *m, int at)
{
    return at == 0 ? &m->logs : &m->futures;
}

/* `name` is its directory's; NULL: that of the log itself. */
struct managed_log *log_manager_add(struct log_manager *m, size_t dir, struct str topic,
                                    int32_t partition, const char *name);
/* Another one for the same partition, which is not in the table. */
void log_manager_add_twin(struct log_manager *m, struct managed_log *managed, size_t dir,
                          const char *name);
/* The future log becomes the log: another name, in the other table. */
void log_manager_promote(struct log_manager *m, struct managed_log *managed);
void log_manager_forget(struct log_manager *m, struct managed_log *managed);
/* One that is in no table any more; its lines in the checkpoints are stale. */
void log_manager_release(struct log_manager *m, struct managed_log *managed);
void log_manager_forget_twins(struct log_manager *m, struct managed_log *managed);
struct managed_log *log_manager_find(struct log_manager *m, struct str topic, int32_t partition);
/* Renames a partition's directory to -delete or -stray; *ret_name (may be NULL) is fresh memory. */
int log_manager_rename(struct log_manager *m, const struct managed_log *managed,
                       enum log_dir_kind kind, struct uuid unique, char **ret_name);
/* Of partition.metadata in that directory; zero when it cannot be read. */
struct uuid log_manager_topic_id_in(const struct log_manager *m, size_t dir, const char *name);
/* log_manager_logs.c: opens what was claimed, which is busy until then, and enters it in by_log. */
int log_manager_open_claimed(struct log_manager *m, const struct log_manager_log_args *args,
                             struct managed_log *managed, struct log **ret_log,
                             struct log_recovery *ret_recovery);
/* Blocks. As log_manager_checkpoint, of one directory, which stays online whatever happens. */
int log_manager_checkpoint_dir(struct log_manager *m, size_t at);
/* Takes the log out of by_log, with its last position. Busy from then on. */
struct managed_log *log_manager_give_back(struct log_manager *m, struct log *log, bool finished);
/* Its directory has that id. */
bool log_manager_lies_in(const struct log_manager *m, const struct managed_log *managed,
                         struct uuid directory_id);
/* Not just something there is too little of at the moment, nor what one log's own files say. */
bool log_manager_disk_failed(int rv);
/* log_manager_moves.c: a future log that the metadata takes for the log, where there is no log, is
 * it from now on. Blocks. */
int log_manager_take_abandoned(struct log_manager *m, const struct log_manager_log_args *args);
/* Blocks. A log is about to be made in that place: what the checkpoints have under its name is of
 * another one, and no start must take it for this one's. */
int log_manager_clear_lines(struct log_manager *m, const struct managed_log *managed);
/* Under the mutex: those of a directory, which are the caller's then. */
struct map log_manager_take_stale(struct log_manager *m, size_t at);
void log_manager_put_back_stale(struct log_manager *m, size_t at, const struct map *stale);
/* Under the mutex: where the log is to be made, if anybody said so and the disk is there. */
bool log_manager_preferred(struct log_manager *m, struct str topic, int32_t partition,
                           size_t *ret_dir);
void log_manager_forget_preferred(struct log_manager *m, struct str topic, int32_t partition);
void log_manager_doom(struct log_manager *m, size_t dir, const char *name, int64_t now_ms,
                      int64_t delay_ms);

#endif
