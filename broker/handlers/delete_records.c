/* DeleteRecords: moves a partition's log start offset up (KIP-107); -1 means to the high watermark.
 */
#include "broker/handlers/handlers.h"
#include "broker/server/fan_out.h"
#include "broker/server/shard_topics.h"
#include "common/base/check.h"
#include "common/protocol/messages/delete_records.h"

struct delete_records_op {
    struct fan_out fan;
    struct delete_records_response response;
};

static void handle_one(struct fan_out *fan, struct fan_out_item *item, struct partition *p)
{
    const struct delete_records_request_delete_records_partition *in = item->in;
    struct delete_records_response_delete_records_partition_result *out = item->out;
    if (p == NULL)
        item->error = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    else
        item->error = partition_delete_records(p, in->offset, &out->low_watermark);
}

static void done(struct fan_out *fan)
{
    struct delete_records_op *op = CONTAINER_OF(fan, struct delete_records_op, fan);
    for (int32_t i = 0; i < fan->count; i++) {
        struct delete_records_response_delete_records_partition_result *out = fan->items[i].out;
        out->error_code = (int16_t)fan->items[i].error;
        if (fan->items[i].error != KAFKA_ERROR_NONE)
            out->low_watermark = -1;
    }
    request_respond(fan->request, &op->response);
}

void handle_delete_records(struct request *request)
{
    const struct delete_records_request *body = request->body;
    struct arena *arena = &request->arena;
    struct delete_records_op *op = ARENA_NEW(arena, struct delete_records_op);
    message_init(&delete_records_response_desc, &op->response);
    op->response.topics = MESSAGE_ARRAY(arena, delete_records_response_delete_records_topic_result,
                                        body->topics_count);
    op->response.topics_count = body->topics_count;
    for (int32_t t = 0; t < body->topics_count; t++)
        op->fan.count += body->topics[t].partitions_count;
    op->fan.items = ARENA_ARRAY(arena, struct fan_out_item, op->fan.count);
    struct fan_out_item *item = op->fan.items;
    for (int32_t t = 0; t < body->topics_count; t++) {
        const struct delete_records_request_delete_records_topic *in = &body->topics[t];
        struct delete_records_response_delete_records_topic_result *out = &op->response.topics[t];
        out->name = in->name;
        out->partitions = MESSAGE_ARRAY(
            arena, delete_records_response_delete_records_partition_result, in->partitions_count);
        out->partitions_count = in->partitions_count;
        for (int32_t i = 0; i < in->partitions_count; i++, item++) {
            out->partitions[i].partition_index = in->partitions[i].partition_index;
            item->in = &in->partitions[i];
            item->out = &out->partitions[i];
            fan_out_resolve(request, in->name, in->partitions[i].partition_index, item);
            if (topic_is_internal(in->name))
                item->error = KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
        }
    }
    op->fan.request = request;
    op->fan.handle = handle_one;
    op->fan.done = done;
    fan_out_start(&op->fan);
}
