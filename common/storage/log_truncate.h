/*
 * Cutting a log. These block on the disk: on a worker, or on the loop of a log whose segments are
 * small (the metadata log), while nobody else touches the log and no job is in flight.
 *
 * After 0 the cut cannot come back: what it removed is renamed or truncated and the directory is
 * synced before the next append can become durable. Recovery point, durable end and high watermark
 * are clamped; the caller writes the recovery-point checkpoint before it appends again
 * (DESIGN section 5). After an error the log is failed.
 */
#ifndef KRAFTD_STORAGE_LOG_TRUNCATE_H
#define KRAFTD_STORAGE_LOG_TRUNCATE_H

#include "common/storage/log.h"

/* Removes all batches that hold `offset` or follow it; above the end offset nothing happens. A
 * batch that straddles the offset goes as a whole. */
int log_truncate_to(struct log *log, int64_t offset, int64_t now_ms);
/* Removes everything and starts empty at `offset` (a snapshot's end, or a follower out of range).
 * The log start offset becomes start_offset, or `offset` when that is -1. */
int log_truncate_fully(struct log *log, int64_t offset, int64_t start_offset, int64_t now_ms);
/*
 * After a failed fsync the kernel takes the pages for clean: they read back, the next fsync has
 * nothing to write and succeeds, and a power cut brings back what the disk had before. A process
 * that starts on such a kernel cannot tell, so it writes what it may call durable later once more,
 * from the batch that holds `offset` to the end, and the ends of the files: as it reads back, where
 * it was, so that a tear of it changes nothing that was synced. Then a sync means what it says.
 */
int log_write_again(struct log *log, int64_t offset);
/* Its directory has another name now. The log is detached. */
void log_moved(struct log *log, const char *path);
/* Starts a new segment, if the active one is not empty. */
int log_roll(struct log *log, int64_t now_ms);

#endif
