#include "common/storage/log_epochs.h"

#include "common/storage/log_internal.h"

void log_assign_epoch(struct log *log, int32_t epoch)
{
    CHECK(epoch >= 0);
    epoch_cache_assign(&log->epochs, epoch, log->end_offset);
}

void log_forget_open_epoch(struct log *log)
{
    epoch_cache_truncate_end(&log->epochs, log->end_offset);
}

int32_t log_latest_epoch(const struct log *log)
{
    return epoch_cache_latest(&log->epochs);
}

int32_t log_epoch_of(const struct log *log, int64_t offset)
{
    return epoch_cache_of(&log->epochs, offset);
}

struct log_epoch_end log_end_offset_for_epoch(const struct log *log, int32_t epoch)
{
    struct log_epoch_end end;
    epoch_cache_end_of(&log->epochs, epoch, log->end_offset, &end.epoch, &end.end_offset);
    return end;
}
