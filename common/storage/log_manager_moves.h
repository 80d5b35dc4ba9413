/*
 * A log on its way to another directory of log.dirs (KIP-113): beside the log in <dir>/<t>-<p> a
 * copy grows in <other>/<t>-<p>.<unique>-future, the future log. When it has all, it takes the
 * log's place: it is renamed to <t>-<p> in its directory, the old one to -delete in its own.
 *
 * A crash between the two renames leaves two directories of one name. Both have all that was ever
 * promised, as nothing is appended meanwhile; the metadata says which one is the log
 * (log_manager_open_log). Otherwise the copy is found again at the next start: log_manager_future.
 *
 * A future log is opened and given back like any other. Threads as in log_manager.h.
 */
#ifndef KRAFTD_STORAGE_LOG_MANAGER_MOVES_H
#define KRAFTD_STORAGE_LOG_MANAGER_MOVES_H

#include "common/storage/log_manager.h"

/* The number of the directory with that path, as log_dir.path has it; -1: there is none. */
int log_manager_find_dir(const struct log_manager *m, struct str path);
/* The name of a future log would be longer than file systems take. */
bool log_manager_name_too_long(struct str topic, int32_t partition);

/* A log that is not there yet shall be made in that directory. Kept in memory only, and no more
 * than some thousands: what nobody makes is forgotten first. */
void log_manager_prefer(struct log_manager *m, struct str topic, int32_t partition, size_t dir);

/* Where a start found a future log of this partition, not opened yet; -1: it did not. */
int log_manager_future(struct log_manager *m, struct str topic, int32_t partition);

/* Blocks. Opens the future log, or makes it in `dir` (args->directory_id does not count). Errors as
 * log_manager_open_log; -EBUSY also while one in another directory is on its way out. */
int log_manager_open_future(struct log_manager *m, const struct log_manager_log_args *args,
                            size_t dir, struct log **ret_log);

/*
 * Blocks. The future log, which has all that the log has, becomes the log; the log is closed and
 * its directory goes. Both are detached, and durable in the new place is what was in the old one.
 * After an error nothing has changed but that the new directory is offline. After 0 the old one may
 * be: look at log_manager_dir_status.
 */
int log_manager_replace(struct log_manager *m, struct log *log, struct log *future,
                        struct uuid unique, int64_t now_ms);

#endif
