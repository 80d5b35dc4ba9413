#include "broker/handlers/log_dirs_answer.h"

#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "common/protocol/kafka_error.h"
#include "common/storage/log_manager.h"

#include <stdlib.h>

typedef struct describe_log_dirs_response_describe_log_dirs_result dir_result;
typedef struct describe_log_dirs_response_describe_log_dirs_topic topic_result;
typedef struct describe_log_dirs_response_describe_log_dirs_partition partition_result;

struct found_log {
    struct log_manager_entry entry; /* its topic is in the arena */
    bool wanted;
};

struct found_logs {
    struct arena *arena;
    struct found_log *items;
    size_t count, capacity;
};

static void add_log(void *ctx, const struct log_manager_entry *entry)
{
    struct found_logs *logs = ctx;
    struct found_log log = {.entry = *entry};
    log.entry.topic = arena_str(logs->arena, entry->topic);
    VEC_PUSH(logs->items, logs->count, logs->capacity) = log;
}

static int compare_logs(const void *a, const void *b)
{
    const struct log_manager_entry *x = &((const struct found_log *)a)->entry;
    const struct log_manager_entry *y = &((const struct found_log *)b)->entry;
    int order = str_cmp(x->topic, y->topic);
    if (order == 0)
        order = (x->partition > y->partition) - (x->partition < y->partition);
    return order != 0 ? order : x->is_future - y->is_future;
}

static void choose_partition(struct found_logs *logs, struct str topic, int32_t partition)
{
    for (int future = 0; future < 2; future++) {
        struct found_log key = {
            .entry = {.topic = topic, .partition = partition, .is_future = future != 0}};
        struct found_log *log =
            bsearch(&key, logs->items, logs->count, sizeof(struct found_log), compare_logs);
        if (log != NULL)
            log->wanted = true;
    }
}

static void choose(const struct describe_log_dirs_request *body, struct found_logs *logs)
{
    if (logs->count == 0)
        return;
    qsort(logs->items, logs->count, sizeof(struct found_log), compare_logs);
    if (body->topics_count < 0)
        for (size_t i = 0; i < logs->count; i++)
            logs->items[i].wanted = true;
    for (int32_t t = 0; t < body->topics_count; t++)
        for (int32_t i = 0; i < body->topics[t].partitions_count; i++)
            choose_partition(logs, body->topics[t].topic, body->topics[t].partitions[i]);
}

/* How far the copy in another directory is behind its log, which stands before it; -1 where there
 * is none. A log itself is never behind what is committed. */
static int64_t lag_of(const struct found_logs *logs, size_t at)
{
    const struct log_manager_entry *entry = &logs->items[at].entry;
    if (!entry->is_future)
        return 0;
    const struct log_manager_entry *log = at > 0 ? &logs->items[at - 1].entry : NULL;
    bool found =
        log != NULL && str_eq(log->topic, entry->topic) && log->partition == entry->partition;
    return found ? log->end_offset - entry->end_offset : -1;
}

/* The wanted logs of a directory, by topic. */
static void list_topics(const struct found_logs *logs, size_t dir, struct arena *arena,
                        dir_result *out)
{
    int32_t partitions = 0, topics = 0;
    const struct found_log *before = NULL;
    for (size_t i = 0; i < logs->count; i++) {
        const struct found_log *log = &logs->items[i];
        if (!log->wanted || log->entry.dir != dir)
            continue;
        topics += before == NULL || !str_eq(before->entry.topic, log->entry.topic);
        partitions++;
        before = log;
    }
    out->topics = MESSAGE_ARRAY(arena, describe_log_dirs_response_describe_log_dirs_topic, topics);
    partition_result *at =
        MESSAGE_ARRAY(arena, describe_log_dirs_response_describe_log_dirs_partition, partitions);
    out->topics_count = 0;
    for (size_t i = 0; i < logs->count; i++) {
        const struct log_manager_entry *entry = &logs->items[i].entry;
        if (!logs->items[i].wanted || entry->dir != dir)
            continue;
        topic_result *topic = out->topics_count > 0 ? &out->topics[out->topics_count - 1] : NULL;
        if (topic == NULL || !str_eq(topic->name, entry->topic)) {
            topic = &out->topics[out->topics_count++];
            topic->name = entry->topic;
            topic->partitions = at;
        }
        topic->partitions_count++;
        at->partition_index = entry->partition;
        at->partition_size = entry->size_bytes;
        at->offset_lag = lag_of(logs, i);
        at->is_future_key = entry->is_future;
        at++;
    }
}

void log_dirs_answer(const struct log_dirs_question *question, struct arena *arena,
                     struct describe_log_dirs_response *response)
{
    struct found_logs logs = {.arena = arena};
    log_manager_each(question->logs, add_log, &logs);
    choose(question->body, &logs);
    size_t count = log_manager_dir_count(question->logs);
    response->results =
        MESSAGE_ARRAY(arena, describe_log_dirs_response_describe_log_dirs_result, (int32_t)count);
    response->results_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        dir_result *out = &response->results[i];
        struct disk_usage usage;
        out->log_dir = str_of(log_manager_dir(question->logs, i)->path);
        if (log_manager_dir_status(question->logs, i) != 0 ||
            question->disk->ops->usage(question->disk, out->log_dir.data, &usage) != 0) {
            out->error_code = KAFKA_ERROR_KAFKA_STORAGE_ERROR;
            continue;
        }
        out->total_bytes = usage.total_bytes;
        out->usable_bytes = usage.usable_bytes;
        out->is_cordoned = question->cordoned[i];
        list_topics(&logs, i, arena, out);
    }
    free(logs.items);
}
