/* DeleteRecords: moves a partition's log start offset up (KIP-107); -1 means to the high watermark.
 * It is answered when all live replicas have followed, or the request's time is over. Of a
 * partition that is named twice the last offset counts. */
#include "broker/handlers/handlers.h"
#include "broker/replica/partition_delete.h"
#include "broker/server/fan_out.h"
#include "broker/server/shard_topics.h"
#include "common/base/check.h"
#include "common/protocol/messages/delete_records.h"

typedef struct delete_records_request_delete_records_partition asked_partition;
typedef struct delete_records_response_delete_records_partition_result answered_partition;

/* The owner's loop while its item is held there. */
struct delete_wait {
    struct low_wait low;
    struct timer timer;
    struct fan_out_item *item;
};

struct delete_records_op {
    struct fan_out fan;
    struct delete_wait *waits; /* one for each item */
    int32_t timeout_ms;
    struct delete_records_response response;
};

static void waited(struct low_wait *low, enum kafka_error error, int64_t low_watermark)
{
    struct delete_wait *wait = CONTAINER_OF(low, struct delete_wait, low);
    answered_partition *out = wait->item->out;
    timer_stop(&wait->timer);
    wait->item->error = error;
    out->low_watermark = low_watermark;
    fan_out_let_go(wait->item);
}

/* The low watermark stays what it was at first, as in Kafka. */
static void time_is_up(struct timer *timer)
{
    struct delete_wait *wait = CONTAINER_OF(timer, struct delete_wait, timer);
    list_remove(&wait->low.link);
    wait->item->error = KAFKA_ERROR_REQUEST_TIMED_OUT;
    fan_out_let_go(wait->item);
}

static void wait_for_others(struct delete_records_op *op, struct fan_out_item *item,
                            struct partition *p, int64_t offset)
{
    struct delete_wait *wait = &op->waits[item - op->fan.items];
    wait->item = item;
    wait->low = (struct low_wait){.offset = offset, .done = waited};
    list_init(&wait->low.link);
    if (partition_wait_low(p, &wait->low))
        return;
    timer_init(&wait->timer, fan_out_hold(item), time_is_up);
    timer_start_in_ms(&wait->timer, op->timeout_ms);
}

static void handle_one(struct fan_out *fan, struct fan_out_item *item, struct partition *p)
{
    const asked_partition *in = item->in;
    answered_partition *out = item->out;
    int64_t offset = in->offset;
    item->error =
        p != NULL ? partition_delete_records(p, &offset) : KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    if (item->error != KAFKA_ERROR_NONE)
        return;
    out->low_watermark = partition_low_watermark(p);
    wait_for_others(CONTAINER_OF(fan, struct delete_records_op, fan), item, p, offset);
}

static void done(struct fan_out *fan)
{
    struct delete_records_op *op = CONTAINER_OF(fan, struct delete_records_op, fan);
    for (int32_t i = 0; i < fan->count; i++) {
        answered_partition *out = fan->items[i].out;
        out->error_code = (int16_t)fan->items[i].error;
        if (fan->items[i].error != KAFKA_ERROR_NONE &&
            fan->items[i].error != KAFKA_ERROR_REQUEST_TIMED_OUT)
            out->low_watermark = -1;
    }
    request_respond(fan->request, &op->response);
}

/* One item for each partition; the last mention of it counts. Returns the number of topics. */
static int32_t gather_items(struct delete_records_op *op, const struct delete_records_request *body)
{
    struct arena *arena = &op->fan.request->arena;
    int32_t asked = 0;
    for (int32_t t = 0; t < body->topics_count; t++)
        asked += body->topics[t].partitions_count;
    op->fan.items = ARENA_ARRAY(arena, struct fan_out_item, asked);
    for (int32_t t = 0; t < body->topics_count; t++) {
        const struct delete_records_request_delete_records_topic *topic = &body->topics[t];
        for (int32_t i = 0; i < topic->partitions_count; i++)
            op->fan.items[op->fan.count++] =
                (struct fan_out_item){.topic = topic->name,
                                      .partition = topic->partitions[i].partition_index,
                                      .in = &topic->partitions[i]};
    }
    return fan_out_gather(&op->fan);
}

void handle_delete_records(struct request *request)
{
    const struct delete_records_request *body = request->body;
    struct arena *arena = &request->arena;
    struct delete_records_op *op = ARENA_NEW(arena, struct delete_records_op);
    message_init(&delete_records_response_desc, &op->response);
    op->fan.request = request;
    op->timeout_ms = body->timeout_ms;
    struct delete_records_response_delete_records_topic_result *topic = MESSAGE_ARRAY(
        arena, delete_records_response_delete_records_topic_result, gather_items(op, body));
    answered_partition *rooms = MESSAGE_ARRAY(
        arena, delete_records_response_delete_records_partition_result, op->fan.count);
    op->waits = ARENA_ARRAY(arena, struct delete_wait, op->fan.count);
    op->response.topics = topic;
    for (int32_t i = 0; i < op->fan.count; i++) {
        struct fan_out_item *item = &op->fan.items[i];
        if (item->begins_topic) {
            topic = &op->response.topics[op->response.topics_count++];
            topic->name = item->topic;
            topic->partitions = &rooms[i];
        }
        topic->partitions_count++;
        rooms[i].partition_index = item->partition;
        item->out = &rooms[i];
        fan_out_resolve(request, item->topic, item->partition, item);
        if (topic_is_internal(item->topic))
            item->error = KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
    }
    op->fan.handle = handle_one;
    op->fan.done = done;
    fan_out_start(&op->fan);
}
