/*
 * Produce: each batch is validated on the connection's loop, appended on the loop that owns its
 * partition, and acknowledged when what acks and the topic ask for holds: committed (acks=all),
 * synced (flush.messages). A partition named twice is taken once, the last one, as Kafka does.
 */
#include "broker/handlers/describe_metadata.h"
#include "broker/handlers/handlers.h"
#include "broker/replica/partition_lead.h"
#include "broker/server/broker_metrics.h"
#include "broker/server/request.h"
#include "broker/server/shard.h"
#include "broker/server/shard_topics.h"
#include "common/base/check.h"
#include "common/base/map.h"
#include "common/protocol/messages/produce.h"
#include "common/storage/log.h"

typedef struct produce_request_partition_produce_data asked_partition;
typedef struct produce_response_partition_produce_response answered_partition;

struct produce_group;

struct produce_entry {
    const asked_partition *in;
    answered_partition *out;
    struct topic_ref topic;
    struct produce_group *group; /* NULL: refused before it came to a partition */
    struct record_validation validation;
    enum kafka_error error;
    struct partition_appended appended;
    bool is_appended;
    int64_t log_start_offset;        /* -1: no partition that leads has seen it */
    int32_t leader_id, leader_epoch; /* where it is led, when not here */
    struct ack_wait wait;
};

/* The entries that one loop owns; that loop's between the send and the answer. */
struct produce_group {
    struct shard_call call;
    struct timer timer; /* on the owner's loop: what is not committed in time */
    struct produce_op *op;
    struct shard *owner;
    struct produce_entry **entries;
    int32_t count, pending;
};

struct produce_op {
    struct request *request;
    const struct produce_request *body;
    struct produce_response response;
    struct produce_entry *entries;
    int32_t count;
    struct produce_group *groups;
    int32_t group_count, outstanding;
};

static void one_acked(struct produce_group *group)
{
    if (--group->pending > 0)
        return;
    if (group->timer.fire != NULL)
        timer_stop(&group->timer);
    shard_call_answer(&group->call);
}

/* Who lost the leadership tells who has it, so that the producer need not ask (KIP-951). */
static void note_leader(struct produce_entry *entry, const struct partition *p)
{
    if (p == NULL || entry->error != KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER)
        return;
    entry->leader_id = partition_get_role(p)->leader_id;
    entry->leader_epoch = partition_get_role(p)->leader_epoch;
}

static void entry_acked(struct ack_wait *wait, enum kafka_error error)
{
    struct produce_entry *entry = CONTAINER_OF(wait, struct produce_entry, wait);
    entry->error = error;
    note_leader(entry, shard_partition(entry->group->owner, entry->topic.id, entry->in->index));
    entry->group->owner->waiting_produces--;
    one_acked(entry->group);
}

static void count_produced(struct shard *shard, const struct produce_entry *entry, struct str topic,
                           int32_t size_bytes)
{
    topic_metrics_produced(shard->metrics,
                           topic_metrics_get(shard->metrics, entry->topic.id, topic), entry->error,
                           size_bytes, entry->validation.header.count);
}

/* Whether the leader says with this error where its log starts. */
static bool tells_log_start(const struct produce_entry *entry)
{
    if (entry->error != KAFKA_ERROR_NONE && entry->error == entry->validation.error)
        return entry->validation.from_log;
    switch (entry->error) {
    case KAFKA_ERROR_MESSAGE_TOO_LARGE:
    case KAFKA_ERROR_RECORD_LIST_TOO_LARGE:
    case KAFKA_ERROR_KAFKA_STORAGE_ERROR:
        return false;
    default:
        return true;
    }
}

/* Who leads and may take records says what is wrong with them; nobody else does. */
static enum kafka_error append_batch(struct produce_entry *entry, struct partition *p,
                                     struct bytes batch, int16_t acks)
{
    enum kafka_error error = partition_check_leader(p, -1);
    if (error == KAFKA_ERROR_NONE && acks == -1)
        error = partition_check_in_sync(p);
    if (error == KAFKA_ERROR_NONE)
        error = entry->validation.error;
    return error != KAFKA_ERROR_NONE
               ? error
               : partition_append(p, batch, LOG_APPEND_CLIENT, &entry->appended);
}

static void append_entry(struct produce_entry *entry, struct partition *p, int16_t acks)
{
    if (p == NULL) {
        struct partition_elsewhere elsewhere =
            shard_elsewhere(entry->group->owner, entry->topic.id, entry->in->index);
        entry->error = KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
        entry->leader_id = elsewhere.leader_id;
        entry->leader_epoch = elsewhere.leader_epoch;
        return;
    }
    struct bytes batch = entry->in->records;
    if (entry->validation.error == KAFKA_ERROR_NONE)
        batch = (struct bytes){entry->validation.batch,
                               entry->validation.header.batch_length + RECORD_BATCH_LOG_OVERHEAD};
    entry->error = append_batch(entry, p, batch, acks);
    entry->is_appended = entry->error == KAFKA_ERROR_NONE;
    if (partition_check_leader(p, -1) == KAFKA_ERROR_NONE && tells_log_start(entry))
        entry->log_start_offset = log_start_offset(partition_log(p));
    count_produced(entry->group->owner, entry, partition_topic(p), batch.len);
    note_leader(entry, p);
    if (entry->error != KAFKA_ERROR_NONE || acks == 0)
        return;
    entry->wait = (struct ack_wait){.offset = entry->appended.info.last_offset + 1,
                                    .committed = acks == -1,
                                    .durable = entry->appended.sync_first,
                                    .done = entry_acked};
    list_init(&entry->wait.link);
    if (partition_wait_ack(p, &entry->wait))
        return;
    entry->group->pending++;
    entry->group->owner->waiting_produces++;
}

static struct partition *entry_partition(const struct produce_group *group, int32_t i)
{
    const struct produce_entry *entry = group->entries[i];
    return shard_partition(group->owner, entry->topic.id, entry->in->index);
}

/* The records are there and may be committed yet: only nobody waits for it any more. */
static void time_is_up(struct timer *timer)
{
    struct produce_group *group = CONTAINER_OF(timer, struct produce_group, timer);
    group->pending++; /* until all were ended */
    for (int32_t i = 0; i < group->count; i++) {
        struct ack_wait *wait = &group->entries[i]->wait;
        if (wait->done == NULL || list_empty(&wait->link))
            continue;
        list_remove(&wait->link);
        wait->done(wait, KAFKA_ERROR_REQUEST_TIMED_OUT);
    }
    one_acked(group);
}

static void group_append(struct shard_call *call)
{
    struct produce_group *group = CONTAINER_OF(call, struct produce_group, call);
    for (int32_t i = 0; i < group->count; i++) {
        struct partition *p = entry_partition(group, i);
        if (p != NULL && !partition_wait_open(p, call))
            return;
    }
    group->pending = 1; /* until all were begun */
    for (int32_t i = 0; i < group->count; i++)
        append_entry(group->entries[i], entry_partition(group, i), group->op->body->acks);
    if (group->pending > 1) {
        timer_init(&group->timer, group->owner->loop, time_is_up);
        timer_start_in_ms(&group->timer, group->op->body->timeout_ms);
    }
    one_acked(group);
}

static void fill_record_errors(struct produce_op *op, const struct produce_entry *entry)
{
    const struct record_validation *v = &entry->validation;
    entry->out->error_message = v->message;
    if (v->record_error_count == 0)
        return;
    entry->out->record_errors = MESSAGE_ARRAY(
        &op->request->arena, produce_response_batch_index_and_error_message, v->record_error_count);
    entry->out->record_errors_count = v->record_error_count;
    for (int32_t i = 0; i < v->record_error_count; i++) {
        entry->out->record_errors[i].batch_index = v->record_errors[i].batch_index;
        entry->out->record_errors[i].batch_index_error_message = v->record_errors[i].message;
    }
}

static void fill_entry(struct produce_op *op, const struct produce_entry *entry,
                       struct leader_nodes *leaders)
{
    answered_partition *out = entry->out;
    out->error_code = (int16_t)entry->error;
    out->base_offset = -1;
    out->log_start_offset = entry->log_start_offset;
    if (entry->is_appended) { /* also what was not committed in time is there */
        out->base_offset = entry->appended.info.first_offset;
        out->log_append_time_ms = entry->appended.info.append_time_ms;
    }
    if (entry->error == KAFKA_ERROR_NONE)
        return;
    if (entry->error == entry->validation.error)
        fill_record_errors(op, entry);
    if (op->request->header.request_api_version >= 10 && entry->leader_epoch >= 0) {
        out->current_leader.leader_id = entry->leader_id;
        out->current_leader.leader_epoch = entry->leader_epoch;
        describe_leader_node(op->request, entry->leader_id, leaders);
    }
}

static void op_finish(struct produce_op *op)
{
    struct request *request = op->request;
    enum kafka_error first_error = KAFKA_ERROR_NONE;
    struct leader_nodes leaders = {0};
    for (int32_t i = 0; i < op->count; i++) {
        struct produce_entry *entry = &op->entries[i];
        fill_entry(op, entry, &leaders);
        record_validation_release(&entry->validation);
        if (first_error == KAFKA_ERROR_NONE)
            first_error = entry->error;
    }
    DESCRIBE_NODE_ENDPOINTS(request, &op->response, produce_response_node_endpoint, &leaders);
    if (op->body->acks != 0)
        request_respond(request, &op->response);
    else if (first_error == KAFKA_ERROR_NONE)
        request_skip(request);
    else /* nobody reads an answer: the closed connection is what tells the producer */
        request_refuse(request, "Produce with acks=0 failed with %s",
                       kafka_error_name((int16_t)first_error));
}

static void one_group_done(struct produce_op *op)
{
    if (--op->outstanding == 0)
        op_finish(op);
}

static void group_done(struct shard_call *call)
{
    one_group_done(CONTAINER_OF(call, struct produce_group, call)->op);
}

/* The topic's part in the validation, then the validation. */
static void validate_entry(struct produce_op *op, struct produce_entry *entry)
{
    struct shard *shard = op->request->shard;
    const struct topic_settings *settings = shard_topic_settings(shard, &entry->topic);
    struct record_validate_config config = {
        .topic = entry->topic.name,
        .partition = entry->in->index,
        .max_message_bytes = settings->log.max_message_bytes,
        .timestamp_before_max_ms = settings->timestamp_before_max_ms,
        .timestamp_after_max_ms = settings->timestamp_after_max_ms,
        .log_append_time = settings->log.log_append_time,
        .compacted = settings->log.compact_policy,
        .codec = settings->codec,
        .level = settings->compression_level,
        .max_uncompressed_bytes =
            MIN((size_t)settings->max_decompressed_bytes, RECORD_UNCOMPRESSED_MAX_BYTES),
    };
    record_validate(&shard->validator, &config, op->request->header.request_api_version,
                    env_wall_ms(shard->loop->env), (uint8_t *)(uintptr_t)entry->in->records.data,
                    entry->in->records.len, &op->request->arena, &entry->validation);
    if (!entry->validation.by_leader)
        entry->error = entry->validation.error;
    if (entry->validation.error != KAFKA_ERROR_NONE)
        return;
    /* A transaction has to be opened with its coordinator first. */
    if (entry->validation.header.attributes & RECORD_BATCH_TRANSACTIONAL)
        entry->error = KAFKA_ERROR_INVALID_TXN_STATE;
}

static void check_entry(struct produce_op *op, struct produce_entry *entry,
                        const struct produce_request_topic_produce_data *topic)
{
    bool by_id = op->request->header.request_api_version >= 13;
    if (topic_is_internal(topic->name)) {
        entry->error = KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
        return;
    }
    bool known = by_id ? shard_topic_by_id(op->request->shard, topic->topic_id, &entry->topic)
                       : shard_topic_by_name(op->request->shard, topic->name, &entry->topic);
    if (!known)
        entry->error =
            by_id ? KAFKA_ERROR_UNKNOWN_TOPIC_ID : KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    else if (entry->in->index < 0 || entry->in->index >= entry->topic.partition_count)
        entry->error = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    else if (topic_is_internal(entry->topic.name))
        entry->error = KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
}

static void op_route(struct produce_op *op)
{
    struct shard *shard = op->request->shard;
    int loops = shard_count(shard->node);
    op->groups = ARENA_ARRAY(&op->request->arena, struct produce_group, loops);
    for (int32_t i = 0; i < op->count; i++) {
        struct produce_entry *entry = &op->entries[i];
        if (entry->error != KAFKA_ERROR_NONE)
            continue;
        validate_entry(op, entry);
        if (entry->error != KAFKA_ERROR_NONE) {
            count_produced(shard, entry, entry->topic.name, entry->in->records.len);
            continue;
        }
        struct shard *owner = shard_of(shard->node, entry->topic.id, entry->in->index);
        struct produce_group *group = &op->groups[owner->index];
        if (group->count == 0) {
            group->op = op;
            group->owner = owner;
            group->entries = ARENA_ARRAY(&op->request->arena, struct produce_entry *, op->count);
        }
        entry->group = group;
        group->entries[group->count++] = entry;
    }
}

static void op_send(struct produce_op *op)
{
    struct shard *shard = op->request->shard;
    int loops = shard_count(shard->node);
    op->outstanding = 1; /* until all are sent */
    for (int g = 0; g < loops; g++)
        op->outstanding += op->groups[g].count > 0;
    for (int g = 0; g < loops; g++)
        if (op->groups[g].count > 0)
            shard_call_send(&op->groups[g].call, shard->loop, op->groups[g].owner->loop,
                            group_append, group_done);
    one_group_done(op);
}

/* What a request names twice is one. `seen` knows it; NULL: there is just one partition to know. */
static void *seen_before(const struct map *seen, struct map_key key)
{
    return seen != NULL ? map_get(seen, key) : NULL;
}

static void see(struct map *seen, struct map_key key, void *value)
{
    if (seen != NULL)
        map_put(seen, key, value);
}

/* The answer of a topic: one for each, however often it is named. */
static struct produce_response_topic_produce_response *
answer_topic(struct produce_op *op, const struct produce_request_topic_produce_data *topic,
             struct map *seen)
{
    bool by_id = op->request->header.request_api_version >= 13;
    struct map_key key = by_id ? map_key_uuid(topic->topic_id) : map_key_str(topic->name);
    struct produce_response_topic_produce_response *out = seen_before(seen, key);
    if (seen == NULL && op->response.responses_count > 0)
        out = op->response.responses;
    if (out != NULL)
        return out;
    out = &op->response.responses[op->response.responses_count++];
    out->name = topic->name;
    out->topic_id = topic->topic_id;
    see(seen, key, out);
    return out;
}

static void add_entry(struct produce_op *op, const struct produce_request_topic_produce_data *topic,
                      const asked_partition *in,
                      struct produce_response_topic_produce_response *out, struct map *seen)
{
    struct map_key key = map_key_u64((uint64_t)(uintptr_t)out);
    key.number = in->index;
    struct produce_entry *entry = seen_before(seen, key);
    if (entry == NULL) {
        entry = &op->entries[op->count++];
        entry->out = &out->partition_responses[out->partition_responses_count++];
        entry->out->index = in->index;
        see(seen, key, entry);
    }
    entry->in = in;
    entry->error = KAFKA_ERROR_NONE;
    entry->leader_id = entry->leader_epoch = -1;
    entry->log_start_offset = -1;
    entry->validation.message = STR_NULL;
    check_entry(op, entry, topic);
}

/* Room for all partitions that the request names under each topic. */
static void make_rooms(struct produce_op *op, struct map *topics)
{
    const struct produce_request *body = op->body;
    for (int32_t t = 0; t < body->topic_data_count; t++)
        if (body->topic_data[t].partition_data_count > 0) /* else it is left out of the answer */
            answer_topic(op, &body->topic_data[t], topics)->partition_responses_count +=
                body->topic_data[t].partition_data_count;
    for (int32_t t = 0; t < op->response.responses_count; t++) {
        struct produce_response_topic_produce_response *out = &op->response.responses[t];
        out->partition_responses =
            MESSAGE_ARRAY(&op->request->arena, produce_response_partition_produce_response,
                          out->partition_responses_count);
        out->partition_responses_count = 0;
    }
}

static void op_build(struct produce_op *op)
{
    const struct produce_request *body = op->body;
    struct map topics, partitions;
    int32_t total = 0;
    for (int32_t t = 0; t < body->topic_data_count; t++)
        total += body->topic_data[t].partition_data_count;
    op->entries = ARENA_ARRAY(&op->request->arena, struct produce_entry, total);
    op->response.responses = MESSAGE_ARRAY(
        &op->request->arena, produce_response_topic_produce_response, body->topic_data_count);
    map_init(&topics, op->request->header.request_api_version >= 13 ? MAP_UUID : MAP_STR_BORROWED);
    map_init(&partitions, MAP_U64);
    /* The usual request asks for one partition: no table then. */
    bool one = total == 1 && body->topic_data_count == 1;
    make_rooms(op, one ? NULL : &topics);
    for (int32_t t = 0; t < body->topic_data_count; t++) {
        const struct produce_request_topic_produce_data *topic = &body->topic_data[t];
        if (topic->partition_data_count == 0)
            continue;
        struct produce_response_topic_produce_response *out =
            answer_topic(op, topic, one ? NULL : &topics);
        for (int32_t i = 0; i < topic->partition_data_count; i++)
            add_entry(op, topic, &topic->partition_data[i], out, one ? NULL : &partitions);
    }
    map_release(&topics);
    map_release(&partitions);
}

/* What is wrong with the request as a whole: the same answer for every partition. */
static enum kafka_error check_request(const struct produce_op *op)
{
    if (op->body->acks < -1 || op->body->acks > 1)
        return KAFKA_ERROR_INVALID_REQUIRED_ACKS;
    if (!str_is_null(op->body->transactional_id))
        return KAFKA_ERROR_NONE;
    for (int32_t i = 0; i < op->count; i++) {
        struct bytes records = op->entries[i].in->records;
        struct record_batch batch;
        if (records.len > 0 && record_batch_parse(records.data, (size_t)records.len, &batch) == 0 &&
            (batch.header.attributes & RECORD_BATCH_TRANSACTIONAL) != 0)
            return KAFKA_ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    }
    return KAFKA_ERROR_NONE;
}

void handle_produce(struct request *request)
{
    struct produce_op *op = ARENA_NEW(&request->arena, struct produce_op);
    op->request = request;
    op->body = request->body;
    message_init(&produce_response_desc, &op->response);
    op_build(op);
    enum kafka_error error = check_request(op);
    for (int32_t i = 0; error != KAFKA_ERROR_NONE && i < op->count; i++)
        op->entries[i].error = error;
    op_route(op);
    op_send(op);
}
