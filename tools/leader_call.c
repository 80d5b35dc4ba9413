#include "tools/leader_call.h"

#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/delete_records.h"
#include "common/protocol/messages/list_offsets.h"
#include "tools/admin.h"

#include <stdlib.h>

/* A partition that no broker knows may have been created a moment ago, but not longer. Kafka's
 * tools ask for it for a minute. */
enum { UNKNOWN_MAX_MS = 5000 };

void leader_item_settle(struct leader_item *item, int16_t error, int64_t output)
{
    item->output = output;
    item->done = error == 0 || !kafka_error_retriable(error);
    if (error != 0 && item->done)
        failure_set_error(&item->failure, error, STR_NULL);
}

static void fail_rest(struct leader_item *items, size_t count, const struct failure *failure)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].done)
            continue;
        items[i].done = true;
        items[i].failure = *failure;
    }
}

static bool all_done(const struct leader_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!items[i].done)
            return false;
    return true;
}

static const struct admin_topic *find_topic(const struct admin_topics *topics, struct str name)
{
    for (size_t i = 0; i < topics->count; i++)
        if (str_eq(topics->items[i].name, name))
            return &topics->items[i];
    return NULL;
}

static void take_leader(struct leader_item *item, const struct admin_topic *topic, bool patient)
{
    item->leader = -1;
    if (topic != NULL && topic->error != 0 && !kafka_error_retriable(topic->error)) {
        leader_item_settle(item, topic->error, 0);
        if (topic->error == KAFKA_ERROR_INVALID_TOPIC_EXCEPTION)
            failure_set(&item->failure, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION,
                        "Failed to fetch metadata for partition %.*s-%d due to invalid topic "
                        "`%.*s`",
                        STR_FMT(item->topic), item->partition, STR_FMT(item->topic));
        return;
    }
    bool known = false;
    for (int32_t i = 0; topic != NULL && i < topic->partitions_count; i++) {
        if (topic->partitions[i].index != item->partition)
            continue;
        known = true;
        item->leader = topic->partitions[i].leader;
        item->leader_epoch = topic->partitions[i].leader_epoch;
    }
    if (known || patient)
        return;
    item->done = true;
    failure_set_error(&item->failure, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION, STR_NULL);
}

static int compare_names(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* False: with failure->error NONE, try again. */
static bool look_up(struct client_op *op, struct leader_item *items, size_t count, bool patient,
                    struct failure *failure)
{
    struct admin_topics topics;
    struct str *names = ARENA_ARRAY(op->arena, struct str, count);
    int32_t names_count = 0, distinct = 0;
    for (size_t i = 0; i < count; i++)
        if (!items[i].done)
            names[names_count++] = items[i].topic;
    qsort(names, (size_t)names_count, sizeof(*names), compare_names);
    for (int32_t i = 0; i < names_count; i++)
        if (i == 0 || !str_eq(names[i], names[distinct - 1]))
            names[distinct++] = names[i];
    if (!admin_try_topics(op, names, distinct, false, &topics, failure))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!items[i].done)
            take_leader(&items[i], find_topic(&topics, items[i].topic), patient);
    return true;
}

static int compare_items(const void *a, const void *b)
{
    const struct leader_item *x = *(struct leader_item *const *)a,
                             *y = *(struct leader_item *const *)b;
    if (x->leader != y->leader)
        return x->leader < y->leader ? -1 : 1;
    int order = str_cmp(x->topic, y->topic);
    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static bool ask_leaders(const struct leader_call *call, struct client_op *op,
                        struct leader_item *items, size_t count, struct failure *failure)
{
    struct leader_item **ready = ARENA_ARRAY(op->arena, struct leader_item *, count);
    size_t ready_count = 0;
    for (size_t i = 0; i < count; i++)
        if (!items[i].done && items[i].leader >= 0)
            ready[ready_count++] = &items[i];
    qsort(ready, ready_count, sizeof(struct leader_item *), compare_items);
    for (size_t at = 0; at < ready_count;) {
        size_t end = at;
        while (end < ready_count && ready[end]->leader == ready[at]->leader)
            end++;
        if (!call->ask(op, ready[at]->leader, ready + at, end - at, call->argument, failure))
            return false;
        at = end;
    }
    return true;
}

void leader_call_run(const struct leader_call *call, struct client *client,
                     struct leader_item *items, size_t count)
{
    struct arena arena;
    struct client_op op;
    struct failure failure = {0};
    arena_init(&arena, 0);
    client_op_begin(&op, client, call->lookup_name, &arena);
    int64_t patient_until_ms = client_now_ms() + UNKNOWN_MAX_MS;
    while (!all_done(items, count)) {
        bool patient = client_now_ms() < patient_until_ms;
        arena_reset(&arena);
        op.name = call->lookup_name;
        bool ok = look_up(&op, items, count, patient, &failure);
        if (ok) {
            op.name = call->ask_name;
            ok = ask_leaders(call, &op, items, count, &failure);
        }
        if (!ok && failure.error != KAFKA_ERROR_NONE)
            break;
        if (all_done(items, count))
            break;
        op.name = call->lookup_name;
        if (ok ? !client_retry(&op, KAFKA_ERROR_LEADER_NOT_AVAILABLE, STR_NULL, &failure)
               : !client_try_later(&op, &failure))
            break;
    }
    fail_rest(items, count, &failure);
    arena_release(&arena);
}

/* Takes in what a leader says of a partition. */
static void settle(struct leader_item **items, size_t count, struct str topic, int32_t partition,
                   int16_t error, int64_t output)
{
    for (size_t i = 0; i < count; i++)
        if (items[i]->partition == partition && str_eq(items[i]->topic, topic))
            leader_item_settle(items[i], error, output);
}

/* Items are in order: where those of a topic begin. */
static bool begins_topic(struct leader_item *const *items, size_t at)
{
    return at == 0 || !str_eq(items[at]->topic, items[at - 1]->topic);
}

static bool ask_offsets(struct client_op *op, int32_t leader, struct leader_item **items,
                        size_t count, const void *argument, struct failure *failure)
{
    const bool *read_committed = argument;
    struct list_offsets_request request;
    struct list_offsets_response response;
    message_init(&list_offsets_request_desc, &request);
    request.isolation_level = *read_committed;
    request.timeout_ms = client_time_left(op, INT32_MAX);
    request.topics =
        MESSAGE_ARRAY(op->arena, list_offsets_request_list_offsets_topic, (int32_t)count);
    request.topics_count = 0;
    struct list_offsets_request_list_offsets_partition *partitions =
        MESSAGE_ARRAY(op->arena, list_offsets_request_list_offsets_partition, (int32_t)count);
    for (size_t i = 0; i < count; i++) {
        if (begins_topic(items, i)) {
            request.topics[request.topics_count].name = items[i]->topic;
            request.topics[request.topics_count++].partitions = &partitions[i];
        }
        request.topics[request.topics_count - 1].partitions_count++;
        partitions[i].partition_index = items[i]->partition;
        partitions[i].current_leader_epoch = items[i]->leader_epoch;
        partitions[i].timestamp = items[i]->input;
    }
    if (!client_call(op, leader, API_LIST_OFFSETS, &request, &response, failure))
        return false;
    for (int32_t t = 0; t < response.topics_count; t++)
        for (int32_t k = 0; k < response.topics[t].partitions_count; k++) {
            const struct list_offsets_response_list_offsets_partition_response *from =
                &response.topics[t].partitions[k];
            settle(items, count, response.topics[t].name, from->partition_index, from->error_code,
                   from->offset);
        }
    return true;
}

static bool ask_deletion(struct client_op *op, int32_t leader, struct leader_item **items,
                         size_t count, const void *argument, struct failure *failure)
{
    (void)argument;
    struct delete_records_request request;
    struct delete_records_response response;
    message_init(&delete_records_request_desc, &request);
    request.timeout_ms = client_time_left(op, INT32_MAX);
    request.topics =
        MESSAGE_ARRAY(op->arena, delete_records_request_delete_records_topic, (int32_t)count);
    request.topics_count = 0;
    struct delete_records_request_delete_records_partition *partitions =
        MESSAGE_ARRAY(op->arena, delete_records_request_delete_records_partition, (int32_t)count);
    for (size_t i = 0; i < count; i++) {
        if (begins_topic(items, i)) {
            request.topics[request.topics_count].name = items[i]->topic;
            request.topics[request.topics_count++].partitions = &partitions[i];
        }
        request.topics[request.topics_count - 1].partitions_count++;
        partitions[i].partition_index = items[i]->partition;
        partitions[i].offset = items[i]->input;
    }
    if (!client_call(op, leader, API_DELETE_RECORDS, &request, &response, failure))
        return false;
    for (int32_t t = 0; t < response.topics_count; t++)
        for (int32_t k = 0; k < response.topics[t].partitions_count; k++) {
            const struct delete_records_response_delete_records_partition_result *from =
                &response.topics[t].partitions[k];
            settle(items, count, response.topics[t].name, from->partition_index, from->error_code,
                   from->low_watermark);
        }
    return true;
}

void leader_call_list_offsets(struct client *client, bool read_committed, struct leader_item *items,
                              size_t count)
{
    const struct leader_call call = {"listOffsets(api=METADATA)", "listOffsets(api=LIST_OFFSETS)",
                                     ask_offsets, &read_committed};
    leader_call_run(&call, client, items, count);
}

void leader_call_delete_records(struct client *client, struct leader_item *items, size_t count)
{
    const struct leader_call call = {"deleteRecords(api=METADATA)",
                                     "deleteRecords(api=DELETE_RECORDS)", ask_deletion, NULL};
    leader_call_run(&call, client, items, count);
}
