#include "broker/replica/follower_state.h"

#include "common/base/check.h"

#define BACKOFF_FIRST_MS 10

int64_t follower_truncation_offset(const struct follower_log *log, struct log_epoch_end leader,
                                   struct log_epoch_end own)
{
    int64_t end = log->end_offset;
    if (leader.end_offset < 0)
        return MIN(log->high_watermark, end);
    if (leader.epoch < 0 || own.epoch < 0 || own.end_offset < 0)
        return MIN(leader.end_offset, end);
    /* An epoch that the leader names and we do not know: ours before it ends where it ends here. */
    if (own.epoch != leader.epoch)
        return MIN(own.end_offset, end);
    return MIN(MIN(own.end_offset, leader.end_offset), end);
}

enum follower_reset follower_out_of_range(const struct follower_log *log, int64_t leader_start,
                                          int64_t leader_end, int64_t *ret_offset)
{
    if (leader_end < log->end_offset) {
        *ret_offset = leader_end;
        return leader_end < log->start_offset ? FOLLOWER_START_AT : FOLLOWER_TRUNCATE;
    }
    if (leader_start > log->end_offset) {
        *ret_offset = leader_start;
        return FOLLOWER_START_AT;
    }
    return FOLLOWER_FETCH_ON;
}

enum follower_reset follower_copy_cut(const struct follower_log *copy, int32_t last_epoch,
                                      int64_t log_start, struct log_epoch_end end,
                                      struct log_epoch_end own, int64_t *ret_offset)
{
    bool empty = copy->end_offset == copy->start_offset;
    *ret_offset = log_start;
    /* A power cut may take the first segments of a copy and leave later ones. */
    if (copy->end_offset < log_start || copy->start_offset > log_start)
        return FOLLOWER_START_AT;
    if (empty || last_epoch < 0) {
        if (copy->end_offset <= end.end_offset)
            return FOLLOWER_FETCH_ON;
        *ret_offset = empty ? log_start : end.end_offset;
        return empty ? FOLLOWER_START_AT : FOLLOWER_TRUNCATE;
    }
    if (end.epoch < 0 || end.end_offset < 0)
        return FOLLOWER_START_AT;
    /* Where the log's epochs are gone with its records nothing tells whether the copy's are the
     * same. */
    if (end.end_offset <= log_start && copy->start_offset < log_start)
        return FOLLOWER_START_AT;
    if (end.epoch == last_epoch && end.end_offset >= copy->end_offset)
        return FOLLOWER_FETCH_ON;
    int64_t offset = follower_truncation_offset(copy, end, own);
    if (offset >= copy->end_offset)
        return FOLLOWER_FETCH_ON;
    if (offset <= copy->start_offset || offset <= log_start)
        return FOLLOWER_START_AT;
    *ret_offset = offset;
    return FOLLOWER_TRUNCATE;
}

int64_t follower_high_watermark(const struct follower_log *log, int64_t leader_high_watermark)
{
    int64_t end = log->sync_first ? MIN(log->durable_end, log->end_offset) : log->end_offset;
    return MAX(MIN(leader_high_watermark, end), log->high_watermark);
}

int64_t follower_backoff_ms(unsigned errors, int64_t max_ms)
{
    int64_t pause_ms = (int64_t)BACKOFF_FIRST_MS << MIN(errors, 20U);
    return MIN(pause_ms, MAX(max_ms, 1));
}
