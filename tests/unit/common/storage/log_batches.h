/*
 * For the tests of this folder: appending to a log and reading it back.
 */
#ifndef KRAFTD_TEST_LOG_BATCHES_H
#define KRAFTD_TEST_LOG_BATCHES_H

#include "tests/unit/common/storage/log_fixture.h"

/* One batch of `count` records; `options` may be NULL. Value "v<timestamp>" padded to value_bytes.
 */
static inline struct bytes fixture_batch(struct fixture *f, int count, int64_t timestamp,
                                         size_t value_bytes,
                                         const struct record_batch_options *options)
{
    struct record_batch_options plain = RECORD_BATCH_OPTIONS_INIT;
    record_batch_builder_start(&f->builder, options != NULL ? options : &plain);
    uint8_t *value = mem_calloc(1, value_bytes + 32);
    int len = snprintf((char *)value, 32, "v%lld", (long long)timestamp);
    for (int i = 0; i < count; i++)
        assert_int_equal(record_batch_builder_append(
                             &f->builder, timestamp + i, BYTES_NULL,
                             (struct bytes){value, (int32_t)MAX(value_bytes, (size_t)len)}, NULL,
                             0),
                         0);
    free(value);
    f->batches.len = 0;
    record_batch_builder_close(&f->builder, &f->batches);
    return (struct bytes){f->batches.data, (int32_t)f->batches.len};
}

static inline struct log_append_info fixture_append_bytes(struct fixture *f, struct bytes batches,
                                                          enum log_append_origin origin,
                                                          int32_t leader_epoch)
{
    struct log_append_info info;
    struct log_append_args args = {
        .batches = batches,
        .origin = origin,
        .leader_epoch = leader_epoch,
        .now_ms = NOW_MS,
    };
    assert_int_equal(log_append(f->log, &args, &info), 0);
    return info;
}

/* A leader's append of `count` records of one batch. */
static inline struct log_append_info fixture_append(struct fixture *f, int count, int64_t timestamp,
                                                    size_t value_bytes)
{
    struct log_append_info info =
        fixture_append_bytes(f, fixture_batch(f, count, timestamp, value_bytes, NULL),
                             LOG_APPEND_CLIENT, f->leader_epoch);
    assert_int_equal(info.error, KAFKA_ERROR_NONE);
    return info;
}

/* What a reader from `offset` on sees: calls for each batch; returns the offset behind the last. */
static inline int64_t fixture_read(struct fixture *f, int64_t offset, int64_t upper,
                                   int32_t max_bytes)
{
    for (;;) {
        struct log_read_args args = {offset, upper, max_bytes, true};
        struct log_read_result read;
        assert_int_equal(log_read(f->log, &args, &read), 0);
        if (read.size_bytes == 0) {
            assert_null(read.file);
            return offset;
        }
        uint8_t *data = mem_alloc((size_t)read.size_bytes);
        assert_int_equal(disk_pread(read.file, data, (size_t)read.size_bytes, read.position),
                         read.size_bytes);
        disk_file_unref(read.file);
        struct record_batches run = record_batches_of((struct bytes){data, read.size_bytes});
        struct record_batch batch;
        int batches = 0;
        while (record_batches_next(&run, &batch) == 1) {
            assert_true(record_batch_crc_ok(&batch));
            int64_t last = record_batch_last_offset(&batch.header);
            assert_true(last >= offset && last < upper);
            offset = last + 1;
            batches++;
        }
        free(data);
        assert_true(batches > 0);
    }
}

#endif
