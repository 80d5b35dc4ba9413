/*
 * Making a log durable, and warming cold data: jobs in three steps. begin and end run on the
 * owner loop, run on a worker (it blocks) while the loop goes on appending and reading.
 *
 *   if (log_flush_due(log, now_ms) && (flush = log_flush_begin(log, false, now_ms)) != NULL)
 *       submit: log_flush_run(flush); then on the loop: rv = log_flush_end(log, flush);
 *
 * Group commit: one flush is in flight at a time; what is appended meanwhile is covered by the
 * next, so after log_flush_end begin again while the durable end is below what somebody waits for.
 * A log must not be closed, truncated or freed while a job is in flight: log_busy.
 */
#ifndef KRAFTD_STORAGE_LOG_FLUSH_H
#define KRAFTD_STORAGE_LOG_FLUSH_H

#include "common/storage/log.h"

struct log_flush;
struct log_snapshot;
struct log_warm;

/* flush.messages or flush.ms ask for a flush now. */
bool log_flush_due(const struct log *log, int64_t now_ms);
/* When flush.ms will next ask for one; INT64_MAX: not without a further append. */
int64_t log_flush_due_at_ms(const struct log *log);
/* Bytes appended since the last flush began; since the last one with checkpoint began. */
int64_t log_unflushed_bytes(const struct log *log);
int64_t log_unchecked_bytes(const struct log *log);
/* The background flusher's policy: a flush with checkpoint is due, because so many bytes were
 * appended since the last one, or because some were so long ago. It bounds what a recovery reads.
 */
bool log_checkpoint_due(const struct log *log, int64_t bytes, int64_t ms, int64_t now_ms);

/*
 * NULL when all is durable already, when a flush is in flight or when the log has failed. With
 * `checkpoint` the indexes are synced as well and the recovery point advances: what the background
 * flusher does; now and then a producer snapshot is written, too, so that no start has to read far
 * back. Without, only what acknowledged records need: the durable end advances.
 */
struct log_flush *log_flush_begin(struct log *log, bool checkpoint, int64_t now_ms);
void log_flush_run(struct log_flush *flush);
/* Frees the job. 0, or the error of the sync: the log is failed from then on. */
int log_flush_end(struct log *log, struct log_flush *flush);
/* All three at once, for places that may block (start, stop, tests). */
int log_flush_now(struct log *log, bool checkpoint, int64_t now_ms);

/* Notes down what producers wrote, when more bytes than that were appended since it was noted last:
 * a start reads headers from there on. It is synced by the next flush with checkpoint. NULL: not
 * now. `end` frees the job; after an error the log is failed. */
struct log_snapshot *log_snapshot_begin(struct log *log, int64_t above_bytes);
void log_snapshot_run(struct log_snapshot *job);
int log_snapshot_end(struct log *log, struct log_snapshot *job);

/* Some job is in flight. */
bool log_busy(const struct log *log);

/* Opens what reading there needs and brings its bytes into the page cache. Never NULL. */
struct log_warm *log_warm_begin(struct log *log, int64_t offset, int32_t max_bytes);
void log_warm_run(struct log_warm *warm);
/* Frees the job; an error only says that the read itself will meet it. */
int log_warm_end(struct log *log, struct log_warm *warm);

#endif
