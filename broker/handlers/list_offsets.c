/*
 * ListOffsets: offsets by time and the special ones (-1 latest, -2 earliest, -3 record with the
 * largest timestamp, -4 earliest local, -5 latest tiered, -6 earliest pending upload). A partition
 * named twice is answered once, with INVALID_REQUEST.
 */
#include "broker/handlers/handlers.h"
#include "broker/server/fan_out.h"
#include "common/base/check.h"
#include "common/protocol/messages/list_offsets.h"
#include "common/storage/log_epochs.h"
#include "common/storage/log_offsets.h"

#include <errno.h>

typedef struct list_offsets_request_list_offsets_partition asked_partition;
typedef struct list_offsets_response_list_offsets_partition_response answered_partition;

struct list_offsets_op {
    struct fan_out fan;
    const struct list_offsets_request *body;
    struct list_offsets_response response;
};

/* The first version that knows each special timestamp. */
static bool timestamp_supported(int64_t timestamp, int16_t version)
{
    switch (timestamp) {
    case LOG_TIMESTAMP_MAX:
        return version >= 7;
    case LOG_TIMESTAMP_EARLIEST_LOCAL:
        return version >= 8;
    case LOG_TIMESTAMP_LATEST_TIERED:
        return version >= 9;
    case LOG_TIMESTAMP_EARLIEST_PENDING_UPLOAD:
        return version >= 11;
    default:
        return timestamp >= LOG_TIMESTAMP_EARLIEST;
    }
}

static enum kafka_error check_role(const struct list_offsets_request *body,
                                   const struct partition *p, int32_t client_epoch)
{
    if (p == NULL)
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    return body->replica_id == DEBUGGING_REPLICA_ID ? partition_check_reader(p, client_epoch)
                                                    : partition_check_leader(p, client_epoch);
}

static int64_t last_fetchable(const struct list_offsets_request *body, const struct partition *p)
{
    if (body->replica_id != -1)
        return log_end_offset(partition_log(p));
    return partition_read_bound(p, body->isolation_level == 1);
}

static enum kafka_error end_not_known(const struct request *request)
{
    return request->header.request_api_version >= 5 ? KAFKA_ERROR_OFFSET_NOT_AVAILABLE
                                                    : KAFKA_ERROR_LEADER_NOT_AVAILABLE;
}

static void handle_one(struct fan_out *fan, struct fan_out_item *item, struct partition *p)
{
    const struct list_offsets_op *op = CONTAINER_OF(fan, struct list_offsets_op, fan);
    const asked_partition *in = item->in;
    answered_partition *out = item->out;
    item->error = check_role(op->body, p, in->current_leader_epoch);
    if (item->error != KAFKA_ERROR_NONE)
        return;
    struct log *log = partition_log(p);
    int64_t bound = last_fetchable(op->body, p);
    bool knows_end = op->body->replica_id != -1 || partition_knows_end(p);
    if (in->timestamp == LOG_TIMESTAMP_LATEST && !knows_end) {
        item->error = end_not_known(fan->request);
        return;
    }
    if (in->timestamp == LOG_TIMESTAMP_LATEST) {
        out->offset = bound;
        out->leader_epoch = partition_get_role(p)->leader_epoch;
        return;
    }
    struct log_offset_found found;
    int rv = log_offset_for_timestamp(log, in->timestamp, &found);
    if (rv != 0) {
        item->error =
            rv == -EBADMSG ? KAFKA_ERROR_CORRUPT_MESSAGE : KAFKA_ERROR_KAFKA_STORAGE_ERROR;
        return;
    }
    bool earliest =
        in->timestamp == LOG_TIMESTAMP_EARLIEST || in->timestamp == LOG_TIMESTAMP_EARLIEST_LOCAL;
    if (!earliest && !knows_end && (found.offset < 0 || found.offset >= bound)) {
        item->error = end_not_known(fan->request);
        return;
    }
    if (found.offset < 0 || (!earliest && found.offset >= bound))
        return;
    out->offset = found.offset;
    out->timestamp = found.timestamp;
    out->leader_epoch = found.leader_epoch;
    /* The epoch of an offset that holds nothing yet is the leader's own. */
    if (earliest && out->leader_epoch < 0)
        out->leader_epoch = partition_get_role(p)->leader_epoch;
}

static void done(struct fan_out *fan)
{
    struct list_offsets_op *op = CONTAINER_OF(fan, struct list_offsets_op, fan);
    for (int32_t i = 0; i < fan->count; i++) {
        answered_partition *out = fan->items[i].out;
        out->error_code = (int16_t)fan->items[i].error;
        if (fan->request->header.request_api_version < 4)
            out->leader_epoch = -1;
    }
    request_respond(fan->request, &op->response);
}

/* What is wrong with one partition of the request before anybody is asked. */
static void check_one(struct request *request, const struct list_offsets_request *body,
                      struct str topic, struct fan_out_item *item)
{
    const asked_partition *in = item->in;
    fan_out_resolve(request, topic, in->partition_index, item);
    if (item->error != KAFKA_ERROR_NONE)
        return;
    if (body->isolation_level < 0 || body->isolation_level > 1)
        item->error = KAFKA_ERROR_INVALID_REQUEST;
    else if (!timestamp_supported(in->timestamp, request->header.request_api_version))
        item->error = KAFKA_ERROR_UNSUPPORTED_VERSION;
}

/* One item for each partition. Returns the number of topics. */
static int32_t gather_items(struct list_offsets_op *op)
{
    const struct list_offsets_request *body = op->body;
    int32_t asked = 0;
    for (int32_t t = 0; t < body->topics_count; t++)
        asked += body->topics[t].partitions_count;
    op->fan.items = ARENA_ARRAY(&op->fan.request->arena, struct fan_out_item, asked);
    for (int32_t t = 0; t < body->topics_count; t++) {
        const struct list_offsets_request_list_offsets_topic *topic = &body->topics[t];
        for (int32_t i = 0; i < topic->partitions_count; i++)
            op->fan.items[op->fan.count++] =
                (struct fan_out_item){.topic = topic->name,
                                      .partition = topic->partitions[i].partition_index,
                                      .in = &topic->partitions[i]};
    }
    return fan_out_gather(&op->fan);
}

void handle_list_offsets(struct request *request)
{
    struct arena *arena = &request->arena;
    struct list_offsets_op *op = ARENA_NEW(arena, struct list_offsets_op);
    op->body = request->body;
    op->fan.request = request;
    message_init(&list_offsets_response_desc, &op->response);
    struct list_offsets_response_list_offsets_topic_response *topic =
        MESSAGE_ARRAY(arena, list_offsets_response_list_offsets_topic_response, gather_items(op));
    answered_partition *rooms =
        MESSAGE_ARRAY(arena, list_offsets_response_list_offsets_partition_response, op->fan.count);
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
        check_one(request, op->body, item->topic, item);
        if (item->repeated)
            item->error = KAFKA_ERROR_INVALID_REQUEST;
    }
    op->fan.handle = handle_one;
    op->fan.done = done;
    fan_out_start(&op->fan);
}
