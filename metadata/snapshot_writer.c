#include "metadata/snapshot_writer.h"

#include "common/protocol/record_batch_builder.h"

#include <errno.h>

struct writer {
    const struct snapshot_options *options;
    struct record_batch_builder builder;
    struct bytebuf value, batch;
    int64_t next_offset;
};

static void start_batch(struct writer *w)
{
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    options.base_offset = w->next_offset;
    options.leader_epoch = w->options->leader_epoch;
    record_batch_builder_start(&w->builder, &options);
}

static int finish_batch(struct writer *w)
{
    int32_t count = record_batch_builder_count(&w->builder);
    if (count == 0)
        return 0;
    w->next_offset += count;
    w->batch.len = 0;
    record_batch_builder_close(&w->builder, &w->batch);
    return w->options->write(w->options->ctx, (struct bytes){w->batch.data, (int32_t)w->batch.len});
}

static int write_record(void *ctx, const struct metadata_record *record)
{
    struct writer *w = ctx;
    w->value.len = 0;
    int rv = record_codec_encode(record, &w->value);
    if (rv != 0)
        return rv;
    if (record_batch_builder_count(&w->builder) == SNAPSHOT_BATCH_RECORDS ||
        record_batch_builder_size(&w->builder) + w->value.len > SNAPSHOT_BATCH_BYTES) {
        rv = finish_batch(w);
        if (rv != 0)
            return rv;
        start_batch(w);
    }
    return record_batch_builder_append(&w->builder, w->options->timestamp_ms, BYTES_NULL,
                                       (struct bytes){w->value.data, (int32_t)w->value.len}, NULL,
                                       0);
}

int snapshot_write(const struct image *image, const struct snapshot_options *options,
                   int64_t *ret_next_offset)
{
    struct writer w = {.options = options, .next_offset = options->base_offset};
    record_batch_builder_init(&w.builder);
    bytebuf_init(&w.value);
    bytebuf_init(&w.batch);
    start_batch(&w);
    int rv = image_write(image, write_record, &w);
    if (rv == 0)
        rv = finish_batch(&w);
    if (rv == 0)
        *ret_next_offset = w.next_offset;
    bytebuf_release(&w.batch);
    bytebuf_release(&w.value);
    record_batch_builder_release(&w.builder);
    return rv;
}
