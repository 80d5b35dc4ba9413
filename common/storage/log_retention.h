/*
 * What leaves a log at its start: retention by time and size, delete-records, deletion below a
 * snapshot. Segments first leave the list (loop), are renamed to .deleted (worker), and are
 * unlinked after file.delete.delay.ms (worker), so that readers which hold their files finish.
 *
 *   job = log_retention_begin(log, now_ms)   NULL: nothing to do
 *   log_deletion_run(job)                    worker: renames
 *   log_deletion_end(log, job)               loop: frees
 *   job = log_unlink_begin(log, now_ms)      later, when the delay is over; run and end as above
 */
#ifndef KRAFTD_STORAGE_LOG_RETENTION_H
#define KRAFTD_STORAGE_LOG_RETENTION_H

#include "common/storage/log.h"

struct log_deletion;

/* Moves the log start offset up to at most the high watermark: OFFSET_OUT_OF_RANGE above it; a
 * lower offset than now changes nothing. Segments wholly below leave with the next retention tick.
 */
enum kafka_error log_increment_start_offset(struct log *log, int64_t offset);
/* The start was moved off the first segment's base: it belongs in log-start-offset-checkpoint. */
bool log_start_offset_checkpointed(const struct log *log);

/*
 * Takes out the segments that retention.ms, retention.bytes (only with the delete policy) or the
 * log start offset give up. Only whole segments below the high watermark; when all segments are
 * due a new active one is rolled first, so this may create files.
 */
struct log_deletion *log_retention_begin(struct log *log, int64_t now_ms);
/* The .deleted files whose delay is over, also those of an earlier run of the node. */
struct log_deletion *log_unlink_begin(struct log *log, int64_t now_ms);
/* When the next file is due; INT64_MAX: none waits. */
int64_t log_unlink_due_at_ms(const struct log *log);
int32_t log_deletion_segments(const struct log_deletion *job);
int64_t log_deletion_bytes(const struct log_deletion *job);
void log_deletion_run(struct log_deletion *job);
int log_deletion_end(struct log *log, struct log_deletion *job);

#endif
