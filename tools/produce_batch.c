/* Batches: filled, closed, kept in order, numbered, split. */
#include "tools/produce_internal.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/endian.h"

#include <stdlib.h>

/* Where a batch's header (record_batch.h) holds what is written when it is sent. */
enum { PRODUCER_ID_AT = 43, PRODUCER_EPOCH_AT = 51, BASE_SEQUENCE_AT = 53 };

/* A codec is never expected to do better than this: what it cannot compress must still fit. */
#define BEST_RATIO 0.05

void produce_batch_enqueue(struct produce_batch *batch)
{
    struct produce_batch **at = &batch->partition->queue;
    while (*at != NULL && (*at)->number <= batch->number)
        at = &(*at)->next;
    batch->next = *at;
    *at = batch;
}

void produce_batch_free(struct produce_batch *batch)
{
    bytebuf_release(&batch->data);
    free(batch->tags);
    free(batch);
}

static void start_batch(struct produce_client *p, struct produce_partition *partition,
                        size_t record_bytes)
{
    const struct produce_config *config = p->config;
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    options.codec = config->codec;
    options.level = config->level;
    /* batch.size is what goes over the wire, the builder's limit is before compression. */
    double ratio = config->codec == COMPRESSION_NONE ? 1 : partition->topic->ratio;
    size_t limit = (size_t)((double)config->batch_bytes / ratio);
    options.max_bytes = MAX(limit, RECORD_BATCH_HEADER_SIZE + record_bytes);
    record_batch_builder_start(&partition->builder, &options);
    partition->open = true;
    partition->opened_ms = client_now_ms();
    if (partition->active)
        return;
    partition->active = true;
    VEC_PUSH(p->active, p->active_count, p->active_capacity) = partition;
}

bool produce_batch_append(struct produce_client *p, struct produce_partition *partition,
                          const struct produce_record *record)
{
    struct record_batch_builder *builder = &partition->builder;
    size_t size = record_batch_builder_record_size(record->key, record->value, record->headers,
                                                   record->header_count);
    if (!partition->open)
        start_batch(p, partition, size);
    int32_t count = record_batch_builder_count(builder);
    size_t before = record_batch_builder_size(builder);
    if (record_batch_builder_append(builder, record->timestamp_ms, record->key, record->value,
                                    record->headers, record->header_count) != 0) {
        CHECK(count > 0);
        produce_batch_close(p, partition);
        return false;
    }
    size_t tags = (size_t)count;
    VEC_PUSH(partition->tags, tags, partition->tags_capacity) = record->tag;
    p->used_bytes += (int64_t)(record_batch_builder_size(builder) - before);
    return true;
}

/* Follows the codec's success slowly upwards and at once downwards, as a batch that comes out
 * larger than it should costs more than one that comes out smaller. */
static void learn_ratio(struct produce_topic *topic, size_t plain, size_t compressed)
{
    double ratio = (double)compressed / (double)plain;
    topic->ratio = ratio > topic->ratio ? ratio : topic->ratio * 0.9 + ratio * 0.1;
    topic->ratio = MAX(MIN(topic->ratio, 1), BEST_RATIO);
}

void produce_batch_close(struct produce_client *p, struct produce_partition *partition)
{
    struct record_batch_builder *builder = &partition->builder;
    int32_t count = record_batch_builder_count(builder);
    if (!partition->open)
        return;
    struct produce_batch *batch = mem_calloc(1, sizeof(*batch));
    size_t plain = record_batch_builder_size(builder);
    batch->partition = partition;
    batch->number = p->next_number++;
    batch->count = count;
    batch->sequence = RECORD_NO_SEQUENCE;
    batch->created_ms = partition->opened_ms;
    batch->memory_bytes = plain - RECORD_BATCH_HEADER_SIZE;
    batch->tags = mem_alloc((size_t)count * sizeof(*batch->tags));
    memcpy(batch->tags, partition->tags, (size_t)count * sizeof(*batch->tags));
    bytebuf_init(&batch->data);
    record_batch_builder_close(builder, &batch->data);
    partition->open = false;
    if (p->config->codec != COMPRESSION_NONE)
        learn_ratio(partition->topic, plain, batch->data.len);
    produce_batch_enqueue(batch);
}

void produce_batch_stamp(struct produce_client *p, struct produce_batch *batch)
{
    struct produce_partition *partition = batch->partition;
    if (!p->config->idempotent || batch->sequence != RECORD_NO_SEQUENCE)
        return;
    batch->sequence = partition->next_sequence;
    partition->next_sequence = record_sequence_add(partition->next_sequence, batch->count);
    put_i64(batch->data.data + PRODUCER_ID_AT, partition->producer_id);
    put_i16(batch->data.data + PRODUCER_EPOCH_AT, partition->epoch);
    put_i32(batch->data.data + BASE_SEQUENCE_AT, batch->sequence);
    record_batch_seal(batch->data.data, batch->data.len);
}

void produce_batch_drained(struct produce_client *p, struct produce_partition *partition)
{
    CHECK(partition->in_flight == 0);
    partition->draining = false;
    if (!partition->renumber)
        return;
    partition->renumber = false;
    /* A broker knows a producer per partition, so a partition may be epochs ahead of the others. A
     * new producer is asked for when they run out. */
    if (partition->epoch == INT16_MAX)
        p->producer_id = partition->producer_id = RECORD_NO_PRODUCER_ID;
    else
        partition->epoch++;
    partition->next_sequence = 0;
    for (struct produce_batch *batch = partition->queue; batch != NULL; batch = batch->next)
        batch->sequence = RECORD_NO_SEQUENCE;
}

static struct produce_batch *half_of(const struct produce_batch *whole, int32_t first,
                                     int32_t count, struct record_batch_builder *builder)
{
    struct produce_batch *half = mem_calloc(1, sizeof(*half));
    *half = (struct produce_batch){
        .partition = whole->partition,
        .number = whole->number,
        .count = count,
        .sequence = whole->sequence,
        .attempts = whole->attempts,
        .created_ms = whole->created_ms,
        .failure = whole->failure,
        .memory_bytes = first == 0 ? whole->memory_bytes : 0,
    };
    if (whole->sequence != RECORD_NO_SEQUENCE)
        half->sequence = record_sequence_add(whole->sequence, first);
    half->tags = mem_alloc((size_t)count * sizeof(*half->tags));
    memcpy(half->tags, whole->tags + first, (size_t)count * sizeof(*half->tags));
    bytebuf_init(&half->data);
    record_batch_builder_close(builder, &half->data);
    return half;
}

/* Copies the next `count` records into a batch of their own. */
static struct produce_batch *copy_half(struct record_iter *it, const struct produce_batch *whole,
                                       const struct record_batch_options *options, int32_t first,
                                       int32_t count, struct record_batch_builder *builder)
{
    record_batch_builder_start(builder, options);
    for (int32_t i = 0; i < count; i++) {
        struct record record;
        if (record_iter_next(it, &record) != 1 ||
            record_batch_builder_copy(builder, record.offset - first, &record) != 0)
            return NULL;
    }
    return half_of(whole, first, count, builder);
}

bool produce_batch_split(struct produce_client *p, struct produce_batch *batch)
{
    struct record_batch view;
    struct record_iter it;
    if (batch->count < 2 || record_batch_parse(batch->data.data, batch->data.len, &view) != 0 ||
        record_iter_init(&it, &view, SIZE_MAX, NULL) != 0)
        return false;
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    options.codec = p->config->codec;
    options.level = p->config->level;
    options.producer_id = view.header.producer_id;
    options.producer_epoch = view.header.producer_epoch;
    options.base_sequence = view.header.base_sequence;
    struct record_batch_builder builder;
    record_batch_builder_init(&builder);
    int32_t first = batch->count / 2;
    struct produce_batch *a = copy_half(&it, batch, &options, 0, first, &builder), *b = NULL;
    if (a != NULL && batch->sequence != RECORD_NO_SEQUENCE)
        options.base_sequence = record_sequence_add(batch->sequence, first);
    if (a != NULL)
        b = copy_half(&it, batch, &options, first, batch->count - first, &builder);
    record_batch_builder_release(&builder);
    record_iter_release(&it);
    if (b == NULL) {
        if (a != NULL)
            produce_batch_free(a);
        return false;
    }
    produce_batch_enqueue(a);
    produce_batch_enqueue(b);
    produce_batch_free(batch);
    return true;
}
