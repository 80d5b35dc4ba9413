/* DescribeProducers: the producers that a partition remembers (KIP-664). */
#include "broker/handlers/handlers.h"
#include "broker/server/fan_out.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/messages/describe_producers.h"
#include "common/storage/log_txn.h"

#include <stdlib.h>

typedef struct describe_producers_response_partition_response answered_partition;

struct producers_op {
    struct fan_out fan;
    struct describe_producers_response response;
};

/* Filled on the owner's loop, hence memory of its own. */
struct producer_list {
    struct describe_producers_response_producer_state *items;
    size_t count, capacity;
};

static void add_producer(void *ctx, const struct log_producer *producer)
{
    struct producer_list *list = ctx;
    struct describe_producers_response_producer_state state;
    message_struct_init(&describe_producers_response_producer_state_struct, &state, 1);
    state.producer_id = producer->producer_id;
    state.producer_epoch = producer->producer_epoch;
    state.last_sequence = producer->last_sequence;
    state.last_timestamp = producer->last_timestamp;
    state.coordinator_epoch = producer->coordinator_epoch;
    state.current_txn_start_offset = producer->txn_start_offset;
    VEC_PUSH(list->items, list->count, list->capacity) = state;
}

static void handle_one(struct fan_out *fan, struct fan_out_item *item, struct partition *p)
{
    answered_partition *out = item->out;
    /* Any replica tells what it has. */
    item->error = p == NULL ? KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER : partition_check_reader(p, -1);
    if (item->error != KAFKA_ERROR_NONE)
        return;
    struct producer_list list = {0};
    log_producers(partition_log(p), add_producer, &list);
    out->active_producers = list.items;
    out->active_producers_count = (int32_t)list.count;
}

static void done(struct fan_out *fan)
{
    struct producers_op *op = CONTAINER_OF(fan, struct producers_op, fan);
    struct arena *arena = &fan->request->arena;
    for (int32_t i = 0; i < fan->count; i++) {
        answered_partition *out = fan->items[i].out;
        out->error_code = (int16_t)fan->items[i].error;
        /* Kafka explains what is not known, and nothing else. */
        if (fan->items[i].error == KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION)
            out->error_message = str_of(kafka_error_message(out->error_code));
        if (out->active_producers_count == 0)
            continue;
        struct describe_producers_response_producer_state *filled = out->active_producers;
        out->active_producers = MESSAGE_ARRAY(arena, describe_producers_response_producer_state,
                                              out->active_producers_count);
        memcpy(out->active_producers, filled,
               (size_t)out->active_producers_count * sizeof(*filled));
        free(filled);
    }
    request_respond(fan->request, &op->response);
}

void handle_describe_producers(struct request *request)
{
    const struct describe_producers_request *body = request->body;
    struct arena *arena = &request->arena;
    struct producers_op *op = ARENA_NEW(arena, struct producers_op);
    message_init(&describe_producers_response_desc, &op->response);
    op->response.topics =
        MESSAGE_ARRAY(arena, describe_producers_response_topic_response, body->topics_count);
    op->response.topics_count = body->topics_count;
    for (int32_t t = 0; t < body->topics_count; t++)
        op->fan.count += body->topics[t].partition_indexes_count;
    op->fan.items = ARENA_ARRAY(arena, struct fan_out_item, op->fan.count);
    struct fan_out_item *item = op->fan.items;
    for (int32_t t = 0; t < body->topics_count; t++) {
        const struct describe_producers_request_topic_request *in = &body->topics[t];
        struct describe_producers_response_topic_response *out = &op->response.topics[t];
        out->name = in->name;
        out->partitions = MESSAGE_ARRAY(arena, describe_producers_response_partition_response,
                                        in->partition_indexes_count);
        out->partitions_count = in->partition_indexes_count;
        for (int32_t i = 0; i < in->partition_indexes_count; i++, item++) {
            item->out = &out->partitions[i];
            out->partitions[i].partition_index = in->partition_indexes[i];
            fan_out_resolve(request, in->name, in->partition_indexes[i], item);
        }
    }
    op->fan.request = request;
    op->fan.handle = handle_one;
    op->fan.done = done;
    fan_out_start(&op->fan);
}
