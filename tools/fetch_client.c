/* What to read, from where, and waiting for it. */
#include "tools/fetch_client.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/list_offsets.h"
#include "tools/fetch_internal.h"
#include "tools/topic_filter.h"

#include <stdlib.h>
#include <time.h>

/* Special timestamps of ListOffsets. */
enum { TIMESTAMP_LATEST = -1, TIMESTAMP_EARLIEST = -2 };

struct fetch_client *fetch_client_new(struct client *client,
                                      const struct client_config *client_config,
                                      const struct fetch_config *config)
{
    struct fetch_client *f = mem_calloc(1, sizeof(*f));
    f->client = client;
    f->client_config = client_config;
    f->config = config;
    f->cancel_fd = -1;
    f->last_answer = &f->answers;
    f->stale = true;
    f->metadata_backoff_ms = client_config->retry_backoff_ms;
    links_init(&f->links, client, client_config);
    record_scratch_init(&f->scratch);
    return f;
}

static void free_topic(struct fetch_topic *topic)
{
    for (size_t i = 0; i < topic->count; i++) {
        free(topic->partitions[i]->aborted);
        free(topic->partitions[i]);
    }
    free(topic->partitions);
    free((char *)(uintptr_t)topic->name.data);
    free(topic);
}

void fetch_client_free(struct fetch_client *f)
{
    if (f == NULL)
        return;
    if (f->in_batch)
        record_iter_release(&f->iter);
    while (f->answers != NULL) {
        struct fetch_answer *answer = f->answers;
        f->answers = answer->next;
        fetch_answer_free(answer);
    }
    for (size_t i = 0; i < f->links.count; i++)
        for (size_t k = 0; k < f->links.items[i]->request_count; k++)
            free(f->links.items[i]->requests[k].what);
    links_release(&f->links);
    for (size_t i = 0; i < f->topics_count; i++)
        free_topic(f->topics[i]);
    free(f->topics);
    record_scratch_release(&f->scratch);
    free(f);
}

void fetch_client_set_cancel(struct fetch_client *f, int fd)
{
    f->cancel_fd = fd;
}

static struct fetch_topic *find_topic(const struct fetch_client *f, struct str name)
{
    for (size_t i = 0; i < f->topics_count; i++)
        if (str_eq(f->topics[i]->name, name))
            return f->topics[i];
    return NULL;
}

static struct fetch_topic *need_topic(struct fetch_client *f, struct str name)
{
    struct fetch_topic *topic = find_topic(f, name);
    if (topic != NULL)
        return topic;
    topic = mem_calloc(1, sizeof(*topic));
    topic->name = (struct str){str_dup_z(name), name.len};
    VEC_PUSH(f->topics, f->topics_count, f->topics_capacity) = topic;
    return topic;
}

static struct fetch_partition *find_partition(const struct fetch_topic *topic, int32_t index)
{
    for (size_t i = 0; i < topic->count; i++)
        if (topic->partitions[i]->index == index)
            return topic->partitions[i];
    return NULL;
}

static struct fetch_partition *need_partition(struct fetch_topic *topic, int32_t index)
{
    struct fetch_partition *partition = find_partition(topic, index);
    if (partition != NULL)
        return partition;
    partition = mem_calloc(1, sizeof(*partition));
    partition->topic = topic;
    partition->index = index;
    partition->leader = -1;
    partition->offset = FETCH_FROM_RESET;
    VEC_PUSH(topic->partitions, topic->count, topic->capacity) = partition;
    return partition;
}

void fetch_client_add_partition(struct fetch_client *f, struct str topic, int32_t partition,
                                int64_t offset)
{
    need_partition(need_topic(f, topic), partition)->offset = offset;
    f->stale = true;
}

void fetch_client_add_topic(struct fetch_client *f, struct str topic)
{
    need_topic(f, topic)->all = true;
    f->stale = true;
}

void fetch_client_add_filter(struct fetch_client *f, const struct topic_filter *filter)
{
    f->filter = filter;
    f->stale = true;
}

/* Topics in which somebody has to be looked for again, because of what the answer lacks. */
static bool take_topic(struct fetch_topic *topic, const struct admin_topic *from)
{
    bool complete = true;
    topic->id = from->id;
    for (int32_t i = 0; i < from->partitions_count; i++) {
        const struct admin_partition *p = &from->partitions[i];
        struct fetch_partition *partition =
            topic->all ? need_partition(topic, p->index) : find_partition(topic, p->index);
        if (partition == NULL)
            continue;
        partition->leader = p->leader;
        partition->leader_epoch = p->leader_epoch;
    }
    for (size_t i = 0; i < topic->count; i++)
        complete = complete && topic->partitions[i]->leader >= 0;
    return complete;
}

/* False: look again soon, or the failure. */
static bool take_answer(struct fetch_client *f, const struct admin_topic *from,
                        struct failure *failure)
{
    struct fetch_topic *topic = find_topic(f, from->name);
    if (topic == NULL && from->error == 0 && f->filter != NULL &&
        topic_filter_allows(f->filter, from->name) &&
        !(f->config->exclude_internal_topics && from->internal)) {
        topic = need_topic(f, from->name);
        topic->all = true;
    }
    if (topic == NULL)
        return true;
    if (from->error == 0)
        return take_topic(topic, from);
    for (size_t i = 0; i < topic->count; i++)
        topic->partitions[i]->leader = -1;
    if (from->error == KAFKA_ERROR_INVALID_TOPIC_EXCEPTION)
        return failure_set(failure, from->error, "Invalid topics: [%.*s]", STR_FMT(from->name));
    if (from->error == KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED)
        return failure_set(failure, from->error, "Not authorized to access topics: [%.*s]",
                           STR_FMT(from->name));
    return false;
}

bool fetch_refresh(struct fetch_client *f, struct failure *failure)
{
    struct arena arena;
    struct client_op op;
    struct admin_topics topics;
    int64_t now_ms = client_now_ms();
    arena_init(&arena, 0);
    client_op_begin(&op, f->client, "metadata", &arena);
    struct str *names = ARENA_ARRAY(&arena, struct str, f->topics_count + 1);
    for (size_t i = 0; i < f->topics_count; i++)
        names[i] = f->topics[i]->name;
    int32_t count = f->filter != NULL ? -1 : (int32_t)f->topics_count;
    f->metadata_retry_at_ms = now_ms + f->metadata_backoff_ms;
    f->metadata_backoff_ms =
        MIN(f->metadata_backoff_ms * 2, f->client_config->retry_backoff_max_ms);
    bool ok = admin_try_topics(&op, names, count, f->config->create_topics && count >= 0, &topics,
                               failure);
    bool complete = ok;
    for (size_t i = 0; ok && i < topics.count && failure->error == KAFKA_ERROR_NONE; i++)
        complete = take_answer(f, &topics.items[i], failure) && complete;
    arena_release(&arena);
    if (ok)
        f->metadata_at_ms = now_ms;
    f->stale = !complete;
    if (complete)
        f->metadata_backoff_ms = f->client_config->retry_backoff_ms;
    return complete;
}

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t start_timestamp(const struct fetch_config *config)
{
    switch (config->reset) {
    case FETCH_RESET_EARLIEST:
        return TIMESTAMP_EARLIEST;
    case FETCH_RESET_DURATION:
        return wall_ms() - config->reset_duration_ms;
    default:
        return TIMESTAMP_LATEST;
    }
}

/* Partitions of one leader that have no offset. */
struct lookup {
    struct fetch_partition **partitions;
    size_t count;
    int64_t timestamp;
};

static void fill_lookup(const struct fetch_client *f, const struct lookup *lookup,
                        struct arena *arena, struct list_offsets_request *request)
{
    int32_t count = (int32_t)lookup->count;
    message_init(&list_offsets_request_desc, request);
    request->isolation_level = f->config->read_committed;
    request->timeout_ms = f->client_config->request_timeout_ms;
    request->topics = MESSAGE_ARRAY(arena, list_offsets_request_list_offsets_topic, count);
    request->topics_count = 0;
    struct list_offsets_request_list_offsets_partition *partitions =
        MESSAGE_ARRAY(arena, list_offsets_request_list_offsets_partition, count);
    for (int32_t i = 0; i < count; i++) {
        const struct fetch_partition *partition = lookup->partitions[i];
        if (i == 0 || lookup->partitions[i - 1]->topic != partition->topic) {
            struct list_offsets_request_list_offsets_topic *topic =
                &request->topics[request->topics_count++];
            topic->name = partition->topic->name;
            topic->partitions = &partitions[i];
        }
        partitions[i].partition_index = partition->index;
        partitions[i].current_leader_epoch = partition->leader_epoch;
        partitions[i].timestamp = lookup->timestamp;
        request->topics[request->topics_count - 1].partitions_count++;
    }
}

static bool take_offset(struct fetch_client *f, struct fetch_partition *partition,
                        const struct list_offsets_response_list_offsets_partition_response *from,
                        struct failure *failure)
{
    if (from->error_code == 0) {
        partition->offset = from->offset;
        return true;
    }
    if (from->error_code == KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED)
        return failure_set(failure, from->error_code, "Not authorized to access topics: [%.*s]",
                           STR_FMT(partition->topic->name));
    if (!kafka_error_retriable(from->error_code))
        return failure_set_error(failure, from->error_code, STR_NULL);
    f->stale = true;
    return true;
}

static bool look_up(struct fetch_client *f, const struct lookup *lookup, struct failure *failure)
{
    struct arena arena;
    struct client_op op;
    struct list_offsets_request request;
    struct list_offsets_response response;
    arena_init(&arena, 0);
    client_op_begin(&op, f->client, "listOffsets", &arena);
    fill_lookup(f, lookup, &arena, &request);
    bool ok = client_try(&op, lookup->partitions[0]->leader, API_LIST_OFFSETS, &request, &response,
                         failure);
    for (size_t i = 0; ok && i < lookup->count; i++) {
        struct fetch_partition *partition = lookup->partitions[i];
        for (int32_t t = 0; t < response.topics_count; t++) {
            if (!str_eq(response.topics[t].name, partition->topic->name))
                continue;
            for (int32_t k = 0; ok && k < response.topics[t].partitions_count; k++)
                if (response.topics[t].partitions[k].partition_index == partition->index)
                    ok = take_offset(f, partition, &response.topics[t].partitions[k], failure);
        }
    }
    arena_release(&arena);
    return ok;
}

static bool look_up_leader(struct fetch_client *f, struct lookup *lookup, struct failure *failure)
{
    lookup->timestamp = start_timestamp(f->config);
    bool ok = look_up(f, lookup, failure);
    /* Nothing is that young: what comes next is. */
    size_t missing = 0;
    for (size_t i = 0; i < lookup->count; i++)
        if (lookup->partitions[i]->offset < 0)
            lookup->partitions[missing++] = lookup->partitions[i];
    lookup->count = missing;
    if (ok && missing > 0 && lookup->timestamp >= 0) {
        lookup->timestamp = TIMESTAMP_LATEST;
        ok = look_up(f, lookup, failure);
    }
    int64_t retry_at_ms = client_now_ms() + f->client_config->retry_backoff_ms;
    for (size_t i = 0; i < lookup->count; i++) {
        if (lookup->partitions[i]->offset >= 0)
            continue;
        lookup->partitions[i]->retry_at_ms = retry_at_ms;
        f->stale = true;
    }
    return ok;
}

static bool is_lost(const struct fetch_partition *partition, int64_t now_ms)
{
    return partition->offset < 0 && partition->leader >= 0 && partition->retry_at_ms <= now_ms;
}

bool fetch_find_offsets(struct fetch_client *f, struct failure *failure)
{
    int64_t now_ms = client_now_ms();
    struct fetch_partition *first = NULL;
    size_t most = 0;
    for (size_t i = 0; i < f->topics_count; i++) {
        most += f->topics[i]->count;
        for (size_t k = 0; k < f->topics[i]->count && first == NULL; k++)
            if (is_lost(f->topics[i]->partitions[k], now_ms))
                first = f->topics[i]->partitions[k];
    }
    if (first == NULL)
        return true;
    if (f->config->reset == FETCH_RESET_NONE)
        return failure_set(failure, KAFKA_ERROR_OFFSET_OUT_OF_RANGE,
                           "Undefined offset with no reset policy for partitions: [%.*s-%d]",
                           STR_FMT(first->topic->name), first->index);
    struct lookup lookup = {.partitions = mem_calloc(most, sizeof(*lookup.partitions))};
    for (size_t i = 0; i < f->topics_count; i++)
        for (size_t k = 0; k < f->topics[i]->count; k++) {
            struct fetch_partition *partition = f->topics[i]->partitions[k];
            if (partition->leader == first->leader && is_lost(partition, now_ms))
                lookup.partitions[lookup.count++] = partition;
        }
    bool ok = look_up_leader(f, &lookup, failure);
    free(lookup.partitions);
    /* Those of the next leader; a lookup that failed is put off, so this ends. */
    return ok ? fetch_find_offsets(f, failure)
              : failure->error == KAFKA_ERROR_NONE && fetch_find_offsets(f, failure);
}

bool fetch_out_of_range(struct fetch_client *f, struct fetch_partition *partition,
                        struct failure *failure)
{
    if (f->config->reset == FETCH_RESET_NONE)
        return failure_set(failure, KAFKA_ERROR_OFFSET_OUT_OF_RANGE,
                           "Offset %lld is out of range for partition %.*s-%d, and "
                           "auto.offset.reset is none",
                           (long long)partition->offset, STR_FMT(partition->topic->name),
                           partition->index);
    partition->offset = FETCH_FROM_RESET;
    return true;
}

int fetch_client_next(struct fetch_client *f, int64_t timeout_ms, struct fetched_record *ret_record,
                      struct failure *failure)
{
    int64_t deadline_ms = client_now_ms() + timeout_ms;
    for (;;) {
        int rv = fetch_read(f, ret_record, failure);
        if (rv != 0)
            return rv;
        if (f->failure.error != KAFKA_ERROR_NONE) {
            *failure = f->failure;
            return -1;
        }
        int64_t now_ms = client_now_ms();
        fetch_receive(f);
        /* What comes next travels while what has come is read. */
        if (!fetch_drive(f, now_ms, failure))
            return -1;
        if (f->failure.error != KAFKA_ERROR_NONE && f->answers == NULL)
            continue;
        struct links_wait wait = {{f->cancel_fd, -1}, {0}};
        int64_t until_ms = MIN(fetch_due_at(f, now_ms), deadline_ms);
        if (f->answers != NULL)
            until_ms = 0;
        links_wait(&f->links, &wait, MAX(0, until_ms - client_now_ms()));
        if (wait.ready[0] || (f->answers == NULL && client_now_ms() >= deadline_ms))
            return 0;
    }
}
