/* OffsetForLeaderEpoch: where an epoch ends in the leader's log (KIP-101, KIP-320). */
#include "broker/handlers/handlers.h"
#include "broker/server/fan_out.h"
#include "common/base/check.h"
#include "common/protocol/messages/offset_for_leader_epoch.h"
#include "common/storage/log_epochs.h"

typedef struct offset_for_leader_epoch_request_offset_for_leader_partition asked_partition;
typedef struct offset_for_leader_epoch_response_epoch_end_offset answered_partition;

struct epoch_op {
    struct fan_out fan;
    struct offset_for_leader_epoch_response response;
};

static void handle_one(struct fan_out *fan, struct fan_out_item *item, struct partition *p)
{
    const asked_partition *in = item->in;
    answered_partition *out = item->out;
    item->error = p == NULL ? KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER
                            : partition_check_leader(p, in->current_leader_epoch);
    if (item->error != KAFKA_ERROR_NONE)
        return;
    struct log_epoch_end end = log_end_offset_for_epoch(partition_log(p), in->leader_epoch);
    out->leader_epoch = end.epoch;
    out->end_offset = end.end_offset;
}

static void done(struct fan_out *fan)
{
    struct epoch_op *op = CONTAINER_OF(fan, struct epoch_op, fan);
    for (int32_t i = 0; i < fan->count; i++)
        ((answered_partition *)fan->items[i].out)->error_code = (int16_t)fan->items[i].error;
    request_respond(fan->request, &op->response);
}

void handle_offset_for_leader_epoch(struct request *request)
{
    const struct offset_for_leader_epoch_request *body = request->body;
    struct arena *arena = &request->arena;
    struct epoch_op *op = ARENA_NEW(arena, struct epoch_op);
    message_init(&offset_for_leader_epoch_response_desc, &op->response);
    op->response.topics = MESSAGE_ARRAY(
        arena, offset_for_leader_epoch_response_offset_for_leader_topic_result, body->topics_count);
    op->response.topics_count = body->topics_count;
    for (int32_t t = 0; t < body->topics_count; t++)
        op->fan.count += body->topics[t].partitions_count;
    op->fan.items = ARENA_ARRAY(arena, struct fan_out_item, op->fan.count);
    struct fan_out_item *item = op->fan.items;
    for (int32_t t = 0; t < body->topics_count; t++) {
        const struct offset_for_leader_epoch_request_offset_for_leader_topic *in = &body->topics[t];
        op->response.topics[t].topic = in->topic;
        op->response.topics[t].partitions = MESSAGE_ARRAY(
            arena, offset_for_leader_epoch_response_epoch_end_offset, in->partitions_count);
        op->response.topics[t].partitions_count = in->partitions_count;
        for (int32_t i = 0; i < in->partitions_count; i++, item++) {
            item->in = &in->partitions[i];
            item->out = &op->response.topics[t].partitions[i];
            ((answered_partition *)item->out)->partition = in->partitions[i].partition;
            fan_out_resolve(request, in->topic, in->partitions[i].partition, item);
        }
    }
    op->fan.request = request;
    op->fan.handle = handle_one;
    op->fan.done = done;
    fan_out_start(&op->fan);
}
