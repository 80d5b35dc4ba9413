/*
 * A partition's log: Kafka's segments with their indexes, leader epochs and producer state in one
 * directory, "<topic>-<partition>".
 *
 * Thread: a log belongs to one loop. log_open, log_close and all of log_truncate.h may block on the
 * disk: they run on a worker (or at start and stop) while nobody else touches the log, which the
 * loop has detached from its file cache before (log_detach). All else in this header runs on the
 * owner loop; log_append and log_read touch the page cache and, for a segment that was cold or is
 * new, open files. Jobs of log_flush.h and log_retention.h run beside the loop. now_ms: Unix time.
 *
 * Errors: int is 0 or a negative errno and means the disk: -ENOSPC left the log as it was; after
 * any other error of a write or fsync the log is failed (log_failed) and refuses appends with -EIO
 * for ever; its directory goes offline. What a client did wrong comes as enum kafka_error instead.
 */
#ifndef KRAFTD_STORAGE_LOG_H
#define KRAFTD_STORAGE_LOG_H

#include "common/base/disk.h"
#include "common/base/str.h"
#include "common/base/uuid.h"
#include "common/protocol/kafka_error.h"
#include "common/storage/log_config.h"

struct file_cache;
struct log;

/* How much of the files can be believed at open. */
enum log_trust {
    LOG_TRUST_CLEAN,     /* stopped in order: nothing is checked */
    LOG_TRUST_SAME_BOOT, /* the process died, the page cache did not: only the tail is checked */
    LOG_TRUST_NONE,      /* all from the recovery point on is checked */
};

struct log_open_args {
    struct disk *disk;
    struct file_cache *files; /* the owner loop's (not touched by log_open), or NULL */
    const char *path;         /* of the partition's directory */
    const struct log_config *config;
    enum log_trust trust;
    bool create;    /* make an empty log when the directory is missing */
    bool strict;    /* damage below the recovery point is -EBADMSG */
    bool rewrite;   /* an fsync may have failed on this kernel: see log_write_again */
    bool check_all; /* check every batch, whatever the trust and the recovery point say */
    /* All below is known to be on the disk; 0 when unknown. Where log_recovery_point comes out
     * lower the checkpoint file has to be written before the first append. */
    int64_t recovery_point;
    int64_t log_start_offset; /* from log-start-offset-checkpoint; 0 when not listed */
    int64_t high_watermark;   /* from replication-offset-checkpoint; 0 when not listed */
    int64_t cleaned_offset;   /* from cleaner-offset-checkpoint; 0 when not listed */
    struct uuid topic_id;     /* written to partition.metadata when that is missing; may be zero */
    bool name_is_free;        /* other topics may have had it: see -ESTALE */
    bool leads;               /* a log that is made begins in leader_epoch: its file is made, too */
    int32_t leader_epoch;
    uint64_t seed; /* for segment.jitter.ms */
    int64_t now_ms;
};

/* What opening found and did. */
struct log_recovery {
    int64_t cut_bytes;    /* of the torn tail; 0: nothing was cut */
    int64_t cut_offset;   /* the end offset after the cut */
    int32_t cut_segments; /* whole segments behind the damage, renamed to .deleted */
    int32_t checked_segments, rebuilt_indexes;
    int64_t checked_bytes;
    bool below_recovery_point; /* synced data is damaged or gone */
    const char *damage;        /* a constant sentence, NULL when none */
    bool set_aside;            /* the manager's: it may be of another topic id */
};

/* -ENOENT without `create`; -ESTALE it is of another topic id than that, or may be (name_is_free,
 * nothing of it was ever synced); -EBADMSG (strict, or a .txnindex that contradicts itself);
 * -EUCLEAN partition.metadata is not readable. ret_recovery may be NULL; set on -EBADMSG. */
int log_open(const struct log_open_args *args, struct log **ret_log,
             struct log_recovery *ret_recovery);
/* Trims, and writes the producer snapshot that a clean start relies on; then syncs all. */
int log_finish(struct log *log);
/* The same without the sync: for many logs, before one disk sync_all. */
int log_finish_unsynced(struct log *log);
/* Frees; with `clean` after log_finish, whose error is returned. */
int log_close(struct log *log, bool clean);

/* On the owner loop: closes the log's files, which from then on stand in a cache of its own, so
 * that another thread may take the log; and back. */
void log_detach(struct log *log);
void log_attach(struct log *log, struct file_cache *files);

const char *log_path(const struct log *log);
struct uuid log_topic_id(const struct log *log); /* of partition.metadata; zero when it has none */
bool log_failed(const struct log *log);
void log_set_config(struct log *log, const struct log_config *config);
const struct log_config *log_get_config(const struct log *log);

int64_t log_start_offset(const struct log *log);
int64_t log_end_offset(const struct log *log);
int64_t log_durable_end_offset(const struct log *log); /* a power cut keeps all below */
int64_t log_recovery_point(const struct log *log);     /* so it does with all indexes */
int64_t log_high_watermark(const struct log *log);
int64_t log_size_bytes(const struct log *log);
int64_t log_segment_count(const struct log *log);
/* Never goes back but by truncation; clamped to the end offset. */
void log_set_high_watermark(struct log *log, int64_t offset);

enum log_append_origin {
    LOG_APPEND_CLIENT,      /* offsets, epoch and LogAppendTime are assigned; sequences checked */
    LOG_APPEND_COORDINATOR, /* likewise; records and transaction markers of our own */
    LOG_APPEND_RAFT,        /* offsets and epoch assigned; producers are not looked at */
    LOG_APPEND_REPLICA,     /* as they are; batches of an epoch above leader_epoch are left out */
};

struct log_append_args {
    struct bytes batches; /* whole, checksums right; not changed, not kept */
    enum log_append_origin origin;
    int32_t leader_epoch;
    int64_t now_ms;
};

struct log_append_info {
    enum kafka_error error;            /* other than NONE: nothing was appended */
    bool duplicate;                    /* it was there already; the offsets are those of then */
    int64_t first_offset, last_offset; /* -1 when nothing was appended */
    int64_t max_timestamp;
    int64_t append_time_ms; /* with LogAppendTime, and of a duplicate; else -1 */
    int64_t log_start_offset;
};

/* -ERANGE: a replica's batch below the end offset; -EBADMSG: not a run of whole batches. */
int log_append(struct log *log, const struct log_append_args *args, struct log_append_info *ret);

struct log_read_args {
    int64_t offset;
    int64_t upper_offset; /* only batches wholly below: high watermark, LSO, end or durable end */
    int32_t max_bytes;    /* the last batch may be cut off by it */
    bool min_one;         /* the first batch is given whole even if larger than max_bytes */
};

struct log_read_result {
    struct disk_file *file; /* one reference for the caller; NULL: no bytes */
    int64_t position;
    int32_t size_bytes;
    int32_t first_batch_bytes; /* 0 when not looked at */
    int64_t segment_base_offset;
};

/* Bytes from the batch that holds `offset` on, within one segment. -ERANGE: below the start or
 * above the end offset. */
int log_read(struct log *log, const struct log_read_args *args, struct log_read_result *ret);
/* False when reading there would open a file or wait for the disk: run log_warm first. */
bool log_is_warm(struct log *log, int64_t offset, int32_t max_bytes);

#endif
