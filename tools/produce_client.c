/* Records in: topics and partitions, memory, waiting. */
#include "tools/produce_client.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/endian.h"
#include "tools/admin.h"
#include "tools/produce_internal.h"

#include <stdlib.h>
#include <sys/random.h>

/* What a record costs beside its key, value and headers in the size that max.request.size bounds:
 * the batch's header and the largest length, timestamp, offset and attributes. */
enum { RECORD_OVERHEAD = RECORD_BATCH_HEADER_SIZE + 21 };

struct produce_client *produce_client_new(struct client *client,
                                          const struct client_config *client_config,
                                          const struct produce_config *config, produce_done_fn done,
                                          void *owner)
{
    struct produce_client *p = mem_calloc(1, sizeof(*p));
    p->client = client;
    p->client_config = client_config;
    p->config = config;
    p->done = done;
    p->owner = owner;
    p->cancel_fd = -1;
    p->producer_id = RECORD_NO_PRODUCER_ID;
    links_init(&p->links, client, client_config);
    return p;
}

static void free_partition(struct produce_partition *partition)
{
    while (partition->queue != NULL) {
        struct produce_batch *batch = partition->queue;
        partition->queue = batch->next;
        produce_batch_free(batch);
    }
    record_batch_builder_release(&partition->builder);
    free(partition->tags);
    free(partition);
}

static void free_flights(struct link *link)
{
    for (size_t i = 0; i < link->request_count; i++) {
        struct produce_flight *flight = link->requests[i].what;
        for (size_t k = 0; k < flight->count; k++)
            produce_batch_free(flight->batches[k]);
        free(flight);
    }
}

void produce_client_free(struct produce_client *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->links.count; i++)
        free_flights(p->links.items[i]);
    links_release(&p->links);
    for (size_t i = 0; i < p->topics_count; i++) {
        struct produce_topic *topic = p->topics[i];
        for (int32_t k = 0; k < topic->count; k++)
            free_partition(topic->partitions[k]);
        free(topic->partitions);
        free((char *)(uintptr_t)topic->name.data);
        free(topic);
    }
    free(p->topics);
    free(p->active);
    free(p->eligible);
    free(p);
}

void produce_client_set_cancel(struct produce_client *p, int fd)
{
    p->cancel_fd = fd;
}

bool produce_cancelled(const struct produce_client *p)
{
    struct links_wait wait = {{p->cancel_fd, -1}, {0}};
    struct links none = {0};
    if (p->cancel_fd < 0)
        return false;
    links_wait(&none, &wait, 0);
    return wait.ready[0];
}

static struct produce_topic *find_topic(struct produce_client *p, struct str name)
{
    for (size_t i = 0; i < p->topics_count; i++)
        if (str_eq(p->topics[i]->name, name))
            return p->topics[i];
    struct produce_topic *topic = mem_calloc(1, sizeof(*topic));
    topic->name = (struct str){str_dup_z(name), name.len};
    topic->sticky = -1;
    topic->ratio = 1;
    VEC_PUSH(p->topics, p->topics_count, p->topics_capacity) = topic;
    return topic;
}

static struct produce_partition *new_partition(struct produce_topic *topic, int32_t index)
{
    struct produce_partition *partition = mem_calloc(1, sizeof(*partition));
    partition->topic = topic;
    partition->index = index;
    partition->leader = -1;
    partition->producer_id = RECORD_NO_PRODUCER_ID;
    record_batch_builder_init(&partition->builder);
    return partition;
}

static void take_topic(struct produce_topic *topic, const struct admin_topic *from)
{
    topic->id = from->id;
    if (from->partitions_count > topic->count)
        topic->partitions = mem_realloc(topic->partitions, (size_t)from->partitions_count *
                                                               sizeof(*topic->partitions));
    while (topic->count < from->partitions_count) {
        topic->partitions[topic->count] = new_partition(topic, topic->count);
        topic->count++;
    }
    for (int32_t i = 0; i < from->partitions_count; i++) {
        int32_t index = from->partitions[i].index, leader = from->partitions[i].leader;
        if (index < 0 || index >= topic->count)
            continue;
        struct produce_partition *partition = topic->partitions[index];
        /* What is on its way to the old leader comes first. */
        if (partition->leader != leader && partition->in_flight > 0)
            partition->draining = true;
        partition->leader = leader;
    }
}

bool produce_refresh(struct produce_client *p, struct failure *failure)
{
    struct arena arena;
    struct client_op op;
    struct admin_topics topics;
    int64_t now_ms = client_now_ms();
    arena_init(&arena, 0);
    client_op_begin(&op, p->client, "metadata", &arena);
    struct str *names = ARENA_ARRAY(&arena, struct str, p->topics_count + 1);
    for (size_t i = 0; i < p->topics_count; i++)
        names[i] = p->topics[i]->name;
    p->metadata_retry_at_ms = now_ms + p->client_config->retry_backoff_ms;
    bool ok = admin_try_topics(&op, names, (int32_t)p->topics_count, true, &topics, failure);
    if (ok) {
        p->metadata_at_ms = now_ms;
        p->stale = false;
    }
    for (size_t i = 0; ok && i < topics.count; i++) {
        const struct admin_topic *from = &topics.items[i];
        if (from->error == 0)
            take_topic(find_topic(p, from->name), from);
        else if (from->error == KAFKA_ERROR_INVALID_TOPIC_EXCEPTION)
            failure_set(failure, from->error, "Invalid topics: [%.*s]", STR_FMT(from->name));
        else if (from->error == KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED)
            failure_set(failure, from->error, "Not authorized to access topics: [%.*s]",
                        STR_FMT(from->name));
    }
    arena_release(&arena);
    return ok && failure->error == KAFKA_ERROR_NONE;
}

static void forget_topic(struct produce_client *p, const struct produce_topic *topic)
{
    CHECK(topic->count == 0 && p->topics[p->topics_count - 1] == topic);
    p->topics_count--;
    free((char *)(uintptr_t)topic->name.data);
    free((void *)(uintptr_t)topic);
}

static bool has_partition(const struct produce_topic *topic, int32_t partition)
{
    return topic->count > 0 && partition < topic->count;
}

/* Waits until the topic, and the partition where one is named, is there. */
static struct produce_topic *await_topic(struct produce_client *p, struct str name,
                                         int32_t partition, struct failure *failure)
{
    struct produce_topic *topic = find_topic(p, name);
    if (has_partition(topic, partition))
        return topic;
    int64_t deadline_ms = client_now_ms() + p->config->max_block_ms;
    *failure = (struct failure){0};
    for (;;) {
        bool ok = produce_refresh(p, failure);
        if (has_partition(topic, partition))
            return topic;
        int64_t left_ms = deadline_ms - client_now_ms();
        if ((!ok && failure->error != KAFKA_ERROR_NONE) || left_ms <= 0)
            break;
        (void)produce_client_wait(p, -1, MIN(left_ms, p->client_config->retry_backoff_ms));
        if (produce_cancelled(p))
            break;
    }
    if (failure->error == KAFKA_ERROR_NONE && topic->count > 0)
        failure_set(failure, KAFKA_ERROR_REQUEST_TIMED_OUT,
                    "Partition %d of topic %.*s with partition count %d is not present in metadata "
                    "after %lld ms.",
                    partition, STR_FMT(name), topic->count, (long long)p->config->max_block_ms);
    else if (failure->error == KAFKA_ERROR_NONE)
        failure_set(failure, KAFKA_ERROR_REQUEST_TIMED_OUT,
                    "Topic %.*s not present in metadata after %lld ms.", STR_FMT(name),
                    (long long)p->config->max_block_ms);
    if (topic->count == 0)
        forget_topic(p, topic);
    return NULL;
}

/* MurmurHash2 by Austin Appleby (public domain), with the seed that Kafka's producers share. */
static uint32_t murmur2(const uint8_t *data, size_t len)
{
    const uint32_t m = 0x5bd1e995;
    uint32_t hash = 0x9747b28cU ^ (uint32_t)len;
    for (; len >= 4; data += 4, len -= 4) {
        uint32_t k = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
                     (uint32_t)data[3] << 24;
        k *= m;
        k ^= k >> 24;
        hash = hash * m ^ k * m;
    }
    uint32_t rest = 0;
    for (size_t i = 0; i < len; i++)
        rest |= (uint32_t)data[i] << (8 * i);
    if (len > 0)
        hash = (hash ^ rest) * m;
    hash ^= hash >> 13;
    hash *= m;
    return hash ^ hash >> 15;
}

int32_t produce_partition_of_key(struct bytes key, int32_t partition_count)
{
    return (int32_t)(murmur2(key.data, (size_t)key.len) & INT32_MAX) % partition_count;
}

/* Records without a key stay with one partition for as long as a batch takes. */
static int32_t pick_sticky(struct produce_client *p, struct produce_topic *topic, size_t size)
{
    if (topic->sticky < 0 || topic->sticky_bytes >= p->config->batch_bytes) {
        uint32_t number = 0;
        if (getrandom(&number, sizeof(number), 0) < 0)
            number = (uint32_t)client_now_ms();
        topic->sticky_bytes = 0;
        topic->sticky = (int32_t)(number % (uint32_t)topic->count);
        /* Rather one that has a leader. */
        for (int32_t i = 0; i < topic->count && topic->partitions[topic->sticky]->leader < 0; i++)
            topic->sticky = (topic->sticky + 1) % topic->count;
    }
    topic->sticky_bytes += (int64_t)size;
    return topic->sticky;
}

static size_t record_size(const struct produce_record *record)
{
    /* The builder's bound counts the number of headers as if it were large. */
    return RECORD_OVERHEAD + (size_t)varint_size((int32_t)record->header_count) +
           record_batch_builder_record_size(record->key, record->value, record->headers,
                                            record->header_count) -
           record_batch_builder_record_size(BYTES_NULL, BYTES_NULL, NULL, 0) + 2;
}

static bool check_size(const struct produce_client *p, size_t size, struct failure *failure)
{
    if (size > (size_t)p->config->max_request_bytes)
        return failure_set(failure, KAFKA_ERROR_RECORD_LIST_TOO_LARGE,
                           "The message is %zu bytes when serialized which is larger than %d, "
                           "which is the value of the max.request.size configuration.",
                           size, p->config->max_request_bytes);
    if ((int64_t)size > p->config->memory_bytes)
        return failure_set(failure, KAFKA_ERROR_RECORD_LIST_TOO_LARGE,
                           "The message is %zu bytes when serialized which is larger than the "
                           "total memory buffer you have configured with the buffer.memory "
                           "configuration.",
                           size);
    return true;
}

static bool await_memory(struct produce_client *p, size_t size, struct failure *failure)
{
    int64_t deadline_ms = client_now_ms() + p->config->max_block_ms;
    while (p->used_bytes + (int64_t)size > p->config->memory_bytes) {
        int64_t left_ms = deadline_ms - client_now_ms();
        if (left_ms <= 0 || produce_cancelled(p))
            return failure_set(failure, KAFKA_ERROR_REQUEST_TIMED_OUT,
                               "Failed to allocate %zu bytes within the configured max blocking "
                               "time %lld ms.",
                               size, (long long)p->config->max_block_ms);
        /* What is open goes out now, full or not. */
        bool flushing = p->flushing;
        p->flushing = true;
        (void)produce_client_wait(p, -1, left_ms);
        p->flushing = flushing;
    }
    return true;
}

bool produce_client_send(struct produce_client *p, const struct produce_record *record,
                         struct failure *failure)
{
    size_t size = record_size(record);
    struct produce_topic *topic = await_topic(p, record->topic, record->partition, failure);
    if (topic == NULL || !check_size(p, size, failure))
        return false;
    if (p->used_bytes + (int64_t)size > p->config->memory_bytes && !await_memory(p, size, failure))
        return false;
    int32_t index = record->partition;
    if (index < 0)
        index = record->key.len >= 0 ? produce_partition_of_key(record->key, topic->count)
                                     : pick_sticky(p, topic, size);
    struct produce_partition *partition = topic->partitions[index];
    if (produce_batch_append(p, partition, record))
        return true;
    /* A batch is full: a good time to send, and to see what has come. */
    CHECK(produce_batch_append(p, partition, record));
    produce_receive(p);
    produce_drive(p, client_now_ms());
    return true;
}

bool produce_client_wait(struct produce_client *p, int fd, int64_t timeout_ms)
{
    int64_t deadline_ms = client_now_ms() + timeout_ms;
    for (;;) {
        struct links_wait wait = {{fd, p->cancel_fd}, {0}};
        int64_t now_ms = client_now_ms();
        int64_t used_bytes = p->used_bytes;
        produce_receive(p);
        produce_drive(p, now_ms);
        int64_t due_ms = MIN(produce_due_at(p, now_ms), deadline_ms);
        /* Room was made, or all is done: who waits for that shall look. */
        if (fd < 0 && (p->used_bytes < used_bytes || (p->flushing && p->active_count == 0)))
            return false;
        links_wait(&p->links, &wait, MAX(0, due_ms - client_now_ms()));
        if (wait.ready[0] || wait.ready[1] || client_now_ms() >= deadline_ms) {
            produce_receive(p);
            return wait.ready[0];
        }
    }
}

void produce_client_flush(struct produce_client *p)
{
    int cancel_fd = p->cancel_fd;
    p->cancel_fd = -1;
    p->flushing = true;
    while (p->active_count > 0)
        (void)produce_client_wait(p, -1, INT32_MAX);
    p->flushing = false;
    p->cancel_fd = cancel_fd;
}

const struct produce_counts *produce_client_counts(struct produce_client *p)
{
    p->counts.memory_bytes = p->config->memory_bytes;
    p->counts.used_bytes = p->used_bytes;
    return &p->counts;
}
