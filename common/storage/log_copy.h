/*
 * Taking batches as they are: from a leader's log into a follower's, from a partition's log into
 * the one that is to replace it in another directory.
 *
 * On the loop that owns the logs.
 */
#ifndef KRAFTD_STORAGE_LOG_COPY_H
#define KRAFTD_STORAGE_LOG_COPY_H

#include "common/storage/log.h"

/* The whole and right batches at the front of `records` that may be appended to the log.
 * *ret_corrupt: what follows is not one. */
struct bytes log_right_batches(const struct log *log, struct bytes records, bool *ret_corrupt);

/*
 * Appends to `to` what `from` has behind its end: at most max_bytes, but one batch at least.
 * *ret_bytes: how much, 0: it has all; set in any case. -EBADMSG: a damaged batch comes next in
 * `from`; other errors are of the disk, *ret_reading: of that of `from`. Warm before (log_is_warm).
 */
int log_copy(struct log *from, struct log *to, int32_t max_bytes, int64_t now_ms,
             int64_t *ret_bytes, bool *ret_reading);

#endif
