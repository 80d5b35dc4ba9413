/*
 * The inside of struct log, for the log_*.c files of this folder. Invariants:
 *
 *   start_offset <= high_watermark <= end_offset
 *   recovery_point <= durable_end <= end_offset
 *   segments are ordered by base offset, there is always one, the last one is active and ends at
 *   end_offset; the first one may begin below start_offset
 *   producers.end_offset == end_offset
 */
#ifndef KRAFTD_STORAGE_LOG_INTERNAL_H
#define KRAFTD_STORAGE_LOG_INTERNAL_H

#include "common/base/check.h"
#include "common/storage/batch_reader.h"
#include "common/storage/epoch_cache.h"
#include "common/storage/log.h"
#include "common/storage/log_txn.h"
#include "common/storage/producer_state.h"
#include "common/storage/segment.h"

#define LOG_HINTS 8

/* Where a batch that begins with `offset` stands in the active segment. */
struct log_hint {
    int64_t offset, position;
};

/* A file that was given up and is to be unlinked. */
struct log_doomed {
    char *path;
    int64_t due_ms;
};

/* For other threads: what the checkpoints and descriptions need. */
struct log_published {
    _Atomic int64_t recovery_point, high_watermark, size_bytes;
    _Atomic int64_t first_offset, end_offset, segment_count;
    _Atomic int64_t start_offset; /* -1: not for log-start-offset-checkpoint */
};

struct log {
    struct log_place place;
    struct file_cache own_files; /* while no loop's cache is in use */
    struct log_config config;
    struct uuid topic_id;
    uint64_t seed;
    struct segment **segments;
    size_t segment_count, segment_capacity;
    int64_t start_offset, end_offset, high_watermark;
    int64_t durable_end, recovery_point;
    int64_t size_bytes;
    int64_t unflushed_bytes;        /* appended since the last flush began */
    int64_t unchecked_bytes;        /* appended since the last flush with checkpoint began */
    int64_t first_unchecked_ms;     /* when the first of them were appended */
    int64_t bytes_since_snapshot;   /* appended since the newest producer snapshot */
    int64_t flush_requested_offset; /* all below is covered by a flush that ended or is in flight */
    int64_t first_unflushed_ms;     /* when the oldest record behind it was appended */
    struct epoch_cache epochs;
    struct producer_state producers;
    int64_t *snapshots; /* end offsets of the producer snapshots there are, ascending */
    size_t snapshot_count, snapshot_capacity;
    int64_t synced_snapshot; /* the newest that a flush has covered; -1: none that is known */
    struct log_doomed *doomed;
    size_t doomed_count, doomed_capacity;
    struct log_hint hints[LOG_HINTS];
    uint8_t next_hint;
    bool failed;
    bool flushing;
    bool dir_dirty;      /* names changed in the directory since its last sync */
    bool parent_dirty;   /* the directory itself is new */
    bool metadata_dirty; /* partition.metadata is new */
    bool snapshot_dirty; /* the newest snapshot is new */
    bool epochs_dirty;   /* leader-epoch-checkpoint is new */
    int32_t jobs;        /* in flight */
    struct log_published published;
};

void log_publish(struct log *log); /* after any change of it */

static inline struct segment *log_active(const struct log *log)
{
    return log->segments[log->segment_count - 1];
}

/* Where the segment ends: the base offset of the next one, or the log's end. */
static inline int64_t log_segment_end(const struct log *log, size_t at)
{
    return at + 1 < log->segment_count ? log->segments[at + 1]->base_offset : log->end_offset;
}

/* The number of the segment that would hold the offset; 0 below the first. */
size_t log_segment_at(const struct log *log, int64_t offset);
/* Any error but ENOSPC of a write or sync ends the log's life; returns rv. */
int log_fail(struct log *log, int rv);

/* log_roll.c */
/* An empty log that begins within a batch, as a follower's does after records were deleted at its
 * leader: that batch is its first one. Its segment begins where the batch does then. */
bool log_takes_earlier(const struct log *log);
int log_begin_earlier(struct log *log, int64_t base_offset, int64_t now_ms);
/* New segments begin where the log ends, even if the next batch leaves a gap: so a gap between
 * segments means that something was lost. */
int log_roll_to(struct log *log, int64_t now_ms);
void log_add_segment(struct log *log, struct segment *segment);
/* Makes and adds an empty segment. */
int log_new_segment(struct log *log, int64_t base_offset, int64_t now_ms);
void log_forget_hints(struct log *log);

/* log_snapshots.c: the producer snapshots of the directory */
void log_snapshot_found(struct log *log, int64_t offset);
/* One is no longer there. */
void log_snapshot_forget(struct log *log, int64_t offset);
bool log_snapshot_is_there(const struct log *log, int64_t offset);
int64_t log_snapshot_newest(const struct log *log); /* -1: none */
/* One was written elsewhere, and `old` (-1: none) unlinked. */
void log_snapshot_replaced(struct log *log, int64_t old, int64_t offset);
/* Writes one for the end offset, if it is not there. */
int log_snapshot_take(struct log *log);
int log_snapshot_retake(struct log *log); /* even where there is one */
/* Two logs with one end exchange what they know of producers. */
void log_exchange_producers(struct log *log, struct log *other);
/* Loads the newest readable snapshot at or below `limit`, or an empty state for the start of the
 * first segment. Unreadable ones are removed. */
int log_producers_load(struct log *log, int64_t limit, int64_t now_ms);
/* Applies the batches from where the state ends up to `offset`. */
int log_producers_advance(struct log *log, int64_t offset);
/* Both: the state at `offset`. */
int log_producers_rebuild(struct log *log, int64_t offset, int64_t now_ms);
/* Removes those that belong to no segment's start, but the newest: left by stops and flushes. */
int log_snapshots_prune(struct log *log);
/* Removes the snapshots above `above` and below `below`. */
int log_snapshots_drop(struct log *log, int64_t above, int64_t below);

/* log_retention.c */
/* Renames a segment's files to .deleted and has them unlinked at due_ms; frees the segment. */
int log_doom_segment(struct log *log, struct segment *segment, int64_t due_ms);
void log_doom_path(struct log *log, char *path, int64_t due_ms);

/* log_recover.c: brings segments and producer state in line with what is on the disk, and finds the
 * end offset. The segments have been listed. */
int log_recover(struct log *log, const struct log_open_args *args, struct log_recovery *report);
/* Reads headers behind the last index entry of a segment: its end offset, timestamps and distance
 * to the next entry. -EBADMSG: something else than batches is there. */
int log_scan_tail(struct log *log, struct segment *segment, int64_t *ret_end_offset);
/* Makes the leader epochs of all segments again from their batches. */
int log_rebuild_epochs(struct log *log);

int log_save_epochs(struct log *log);

#endif
