/*
 * Leader epochs of a log, kept in leader-epoch-checkpoint (KIP-101, KIP-279). Owner loop.
 */
#ifndef KRAFTD_STORAGE_LOG_EPOCHS_H
#define KRAFTD_STORAGE_LOG_EPOCHS_H

#include "common/storage/log.h"

struct log_epoch_end {
    int32_t epoch;      /* -1: unknown */
    int64_t end_offset; /* -1: unknown */
};

/* A leader of this epoch begins at the end offset. The file follows with its first batch, or when
 * the log is closed: a start that leads ten thousand partitions writes no file for each. */
void log_assign_epoch(struct log *log, int32_t epoch);
/* A leader that appended nothing leaves no epoch behind: the last one, if it begins at the end. The
 * file follows as above. */
void log_forget_open_epoch(struct log *log);
/* -1 when the log knows none. */
int32_t log_latest_epoch(const struct log *log);
/* The epoch that wrote `offset`; -1 when that is not known. */
int32_t log_epoch_of(const struct log *log, int64_t offset);
/* The answer of OffsetForLeaderEpoch: the largest known epoch not above `epoch`, and where it ends.
 */
struct log_epoch_end log_end_offset_for_epoch(const struct log *log, int32_t epoch);

#endif
