#include "common/storage/log_copy.h"

#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/protocol/record_batch.h"
#include "common/storage/log_internal.h"

#include <errno.h>
#include <stdlib.h>

struct bytes log_right_batches(const struct log *log, struct bytes records, bool *ret_corrupt)
{
    struct record_batches run = record_batches_of(records);
    struct record_batch batch;
    int64_t next = log_end_offset(log);
    bool first = log_takes_earlier(log);
    const uint8_t *good = run.at;
    int rv;
    *ret_corrupt = false;
    while ((rv = record_batches_next(&run, &batch)) == 1) {
        int64_t end = record_batch_next_offset(&batch.header);
        if (batch.header.last_offset_delta < 0 || !record_batch_crc_ok(&batch) ||
            (batch.header.base_offset < next && !(first && end > next)))
            break;
        first = false;
        next = end;
        good = batch.bytes.data + batch.bytes.len;
    }
    *ret_corrupt = rv == 1 || (rv < 0 && rv != -EAGAIN);
    return records.len > 0 ? (struct bytes){records.data, (int32_t)(good - records.data)} : records;
}

static int read_records(struct log *from, int64_t offset, int32_t max_bytes,
                        struct bytes *ret_records)
{
    struct log_read_args args = {.offset = offset,
                                 .upper_offset = log_end_offset(from),
                                 .max_bytes = max_bytes,
                                 .min_one = true};
    struct log_read_result found;
    *ret_records = BYTES_NULL;
    int rv = log_read(from, &args, &found);
    if (rv != 0 || found.file == NULL)
        return rv;
    uint8_t *data = mem_alloc((size_t)found.size_bytes);
    ssize_t n = disk_pread(found.file, data, (size_t)found.size_bytes, found.position);
    disk_file_unref(found.file);
    if (n != found.size_bytes) {
        free(data);
        return n < 0 ? (int)n : -EIO;
    }
    *ret_records = (struct bytes){data, found.size_bytes};
    return 0;
}

int log_copy(struct log *from, struct log *to, int32_t max_bytes, int64_t now_ms,
             int64_t *ret_bytes, bool *ret_reading)
{
    struct bytes records;
    bool corrupt;
    *ret_bytes = 0;
    *ret_reading = true;
    if (log_end_offset(to) >= log_end_offset(from))
        return 0;
    int rv = read_records(from, log_end_offset(to), max_bytes, &records);
    if (rv != 0)
        return rv;
    struct bytes right = log_right_batches(to, records, &corrupt);
    if (right.len <= 0) {
        rv = -EBADMSG;
    } else {
        struct log_append_args args = {.batches = right,
                                       .origin = LOG_APPEND_REPLICA,
                                       .leader_epoch = INT32_MAX,
                                       .now_ms = now_ms};
        struct log_append_info info;
        *ret_reading = false;
        rv = log_append(to, &args, &info);
        *ret_bytes = rv == 0 ? right.len : 0;
    }
    free((void *)(uintptr_t)records.data);
    return rv;
}
