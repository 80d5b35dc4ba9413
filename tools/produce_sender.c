/* Requests out, answers in, and what becomes of batches. */
#include "tools/produce_internal.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/init_producer_id.h"
#include "tools/tool_log.h"

#include <errno.h>
#include <stdlib.h>

/* From this version on topics are named by id. */
enum { PRODUCE_BY_ID = 13 };

/* Tells the outcome of every record. Failed: record_failure, or the batch's own failure. */
static void finish(struct produce_client *p, struct produce_batch *batch, int64_t base_offset,
                   const struct produce_response_partition_produce_response *answer)
{
    const struct failure *failure =
        batch->failure.error == KAFKA_ERROR_NONE ? NULL : &batch->failure;
    struct produce_outcome outcome = {.topic = batch->partition->topic->name,
                                      .partition = batch->partition->index};
    for (int32_t i = 0; i < batch->count; i++) {
        struct failure own;
        outcome.tag = batch->tags[i];
        outcome.offset = failure || base_offset < 0 ? -1 : base_offset + i;
        outcome.failure = failure;
        for (int32_t k = 0; failure && answer && k < answer->record_errors_count; k++) {
            if (answer->record_errors[k].batch_index != i)
                continue;
            failure_set_error(&own, answer->error_code,
                              answer->record_errors[k].batch_index_error_message);
            outcome.failure = &own;
        }
        p->done(p->owner, &outcome);
    }
    p->counts.records_failed += failure != NULL ? batch->count : 0;
    p->used_bytes -= (int64_t)batch->memory_bytes;
    produce_batch_free(batch);
}

/* The sequence has a hole now, if it had one at all. */
static void give_up(struct produce_client *p, struct produce_batch *batch,
                    const struct produce_response_partition_produce_response *answer)
{
    struct produce_partition *partition = batch->partition;
    if (batch->sequence != RECORD_NO_SEQUENCE) {
        partition->draining = true;
        partition->renumber = true;
    }
    finish(p, batch, -1, answer);
    if (partition->in_flight == 0)
        produce_batch_drained(p, partition);
}

static bool expired(const struct produce_client *p, const struct produce_batch *batch,
                    int64_t now_ms)
{
    return now_ms - batch->created_ms >= p->config->delivery_timeout_ms;
}

/* An error that may pass: the batch waits for its next try, and what is behind it too. */
static void put_back(struct produce_client *p, struct produce_batch *batch, int64_t now_ms)
{
    batch->partition->draining = true;
    batch->attempts++;
    if (batch->attempts > p->config->retries || expired(p, batch, now_ms)) {
        give_up(p, batch, NULL);
        return;
    }
    tool_log(LOG_WARN, "producer", "%.*s-%d: %s; trying again (%d attempts left)",
             STR_FMT(batch->partition->topic->name), batch->partition->index, batch->failure.text,
             p->config->retries - batch->attempts + 1);
    p->counts.records_retried += batch->count;
    batch->retry_at_ms = now_ms + p->client_config->retry_backoff_ms;
    produce_batch_enqueue(batch);
}

/* A batch before it failed, so the broker refused this one unseen. That counts as no try. */
static void put_back_behind(struct produce_batch *batch)
{
    batch->partition->draining = true;
    batch->failure.error = KAFKA_ERROR_NONE;
    produce_batch_enqueue(batch);
}

/* Whether a batch before this one has not been acknowledged. */
static bool is_overtaken(const struct produce_batch *batch)
{
    const struct produce_batch *first = batch->partition->queue;
    return first != NULL && first->number < batch->number;
}

static void handle_error(struct produce_client *p, struct produce_batch *batch,
                         const struct produce_response_partition_produce_response *answer)
{
    int64_t now_ms = client_now_ms();
    int16_t error = answer->error_code;
    failure_set_error(&batch->failure, error, answer->error_message);
    switch (error) {
    case KAFKA_ERROR_MESSAGE_TOO_LARGE:
        if (produce_batch_split(p, batch)) {
            p->counts.batches_split++;
            return;
        }
        failure_set(&batch->failure, KAFKA_ERROR_MESSAGE_TOO_LARGE,
                    "The request included a message larger than the max message size the server "
                    "will accept.");
        give_up(p, batch, answer);
        return;
    case KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER:
    case KAFKA_ERROR_UNKNOWN_PRODUCER_ID:
        if (is_overtaken(batch)) {
            put_back_behind(batch);
            return;
        }
        /* The broker has forgotten the producer. */
        batch->partition->renumber = true;
        put_back(p, batch, now_ms);
        return;
    default:
        if (!kafka_error_retriable(error)) {
            give_up(p, batch, answer);
            return;
        }
        p->stale = true;
        put_back(p, batch, now_ms);
    }
}

static void settle(struct produce_client *p, struct produce_batch *batch,
                   const struct produce_response_partition_produce_response *answer)
{
    struct produce_partition *partition = batch->partition;
    partition->in_flight--;
    if (answer->error_code == 0 || answer->error_code == KAFKA_ERROR_DUPLICATE_SEQUENCE_NUMBER) {
        batch->failure.error = KAFKA_ERROR_NONE;
        finish(p, batch, answer->error_code == 0 ? answer->base_offset : -1, answer);
    } else {
        handle_error(p, batch, answer);
    }
    if (partition->in_flight == 0 && partition->draining)
        produce_batch_drained(p, partition);
}

static bool is_of(const struct produce_response_topic_produce_response *topic,
                  const struct produce_topic *ours, int16_t version)
{
    return version >= PRODUCE_BY_ID ? uuid_eq(topic->topic_id, ours->id)
                                    : str_eq(topic->name, ours->name);
}

static void settle_flight(struct produce_client *p, struct produce_flight *flight,
                          const struct produce_response *response, int16_t version)
{
    static const struct produce_response_partition_produce_response missing = {
        .error_code = KAFKA_ERROR_UNKNOWN_SERVER_ERROR, .error_message = {NULL, -1}};
    int64_t took_ms = client_now_ms() - flight->sent_ms;
    p->counts.responses++;
    p->counts.latency_ms += took_ms;
    p->counts.latency_max_ms = MAX(p->counts.latency_max_ms, took_ms);
    for (size_t i = 0; i < flight->count; i++) {
        struct produce_batch *batch = flight->batches[i];
        const struct produce_response_partition_produce_response *found = &missing;
        for (int32_t t = 0; t < response->responses_count; t++) {
            const struct produce_response_topic_produce_response *topic = &response->responses[t];
            if (!is_of(topic, batch->partition->topic, version))
                continue;
            for (int32_t k = 0; k < topic->partition_responses_count; k++)
                if (topic->partition_responses[k].index == batch->partition->index)
                    found = &topic->partition_responses[k];
        }
        settle(p, batch, found);
    }
    free(flight);
}

static void lose_flight(struct produce_client *p, struct produce_flight *flight)
{
    int64_t now_ms = client_now_ms();
    for (size_t i = 0; i < flight->count; i++) {
        struct produce_batch *batch = flight->batches[i];
        struct produce_partition *partition = batch->partition;
        partition->in_flight--;
        failure_set_error(&batch->failure, KAFKA_ERROR_NETWORK_EXCEPTION, STR_NULL);
        put_back(p, batch, now_ms); /* which may have ended it */
        if (partition->in_flight == 0 && partition->draining)
            produce_batch_drained(p, partition);
    }
    free(flight);
}

/* The request cannot be said in any version that the broker knows. */
static void refuse_flight(struct produce_client *p, struct produce_flight *flight)
{
    for (size_t i = 0; i < flight->count; i++) {
        flight->batches[i]->partition->in_flight--;
        failure_set(&flight->batches[i]->failure, KAFKA_ERROR_UNSUPPORTED_VERSION,
                    "The node does not support PRODUCE");
        give_up(p, flight->batches[i], NULL);
    }
    free(flight);
}

static void lose_link(struct produce_client *p, struct link *link)
{
    struct produce_flight *flight;
    link_drop(link, &p->links);
    p->stale = true;
    while ((flight = link_lost(link)) != NULL)
        lose_flight(p, flight);
}

void produce_receive(struct produce_client *p)
{
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < p->links.count; i++) {
        struct link *link = p->links.items[i];
        while (link_readable(link)) {
            struct produce_response response;
            void *flight;
            int16_t version = link->request_count > 0 ? link->requests[0].version : 0;
            arena_reset(&arena);
            if (link_receive(link, &p->links, API_PRODUCE, &arena, &response, &flight) != 0)
                lose_link(p, link);
            else
                settle_flight(p, flight, &response, version);
        }
    }
    arena_release(&arena);
}

/* Part of drive: requests that nobody answers in time. */
static void check_timeouts(struct produce_client *p, int64_t now_ms)
{
    for (size_t i = 0; i < p->links.count; i++) {
        struct link *link = p->links.items[i];
        if (link->peer != NULL && link->request_count > 0 &&
            now_ms - link->requests[0].sent_ms >= p->client_config->request_timeout_ms)
            lose_link(p, link);
    }
}

static void fail_queue(struct produce_client *p, struct produce_partition *partition,
                       const struct failure *failure)
{
    while (partition->queue != NULL) {
        struct produce_batch *batch = partition->queue;
        partition->queue = batch->next;
        batch->failure = *failure;
        give_up(p, batch, NULL);
    }
}

static void expire(struct produce_client *p, struct produce_partition *partition, int64_t now_ms)
{
    while (partition->queue != NULL && expired(p, partition->queue, now_ms)) {
        struct produce_batch *batch = partition->queue;
        partition->queue = batch->next;
        if (batch->failure.error == KAFKA_ERROR_NONE)
            failure_set(&batch->failure, KAFKA_ERROR_REQUEST_TIMED_OUT,
                        "Expiring %d record(s) for %.*s-%d:%lld ms has passed since batch creation",
                        batch->count, STR_FMT(partition->topic->name), partition->index,
                        (long long)(now_ms - batch->created_ms));
        give_up(p, batch, NULL);
    }
}

/* False: not now, or never (then all that waits has failed). */
static bool have_producer_id(struct produce_client *p, struct produce_partition *partition)
{
    if (!p->config->idempotent || partition->producer_id != RECORD_NO_PRODUCER_ID)
        return true;
    int64_t now_ms = client_now_ms();
    if (p->producer_id == RECORD_NO_PRODUCER_ID && now_ms < p->producer_id_retry_at_ms)
        return false;
    if (p->producer_id == RECORD_NO_PRODUCER_ID) {
        struct arena arena;
        struct client_op op;
        struct failure failure;
        struct init_producer_id_request request;
        struct init_producer_id_response response;
        arena_init(&arena, 0);
        client_op_begin(&op, p->client, "initProducerId", &arena);
        message_init(&init_producer_id_request_desc, &request);
        request.transactional_id = STR_NULL;
        request.transaction_timeout_ms = INT32_MAX;
        bool answered =
            client_try(&op, CLIENT_ANY_NODE, API_INIT_PRODUCER_ID, &request, &response, &failure);
        if (answered && response.error_code == 0) {
            p->producer_id = response.producer_id;
            p->producer_epoch = response.producer_epoch;
        } else if (answered && !kafka_error_retriable(response.error_code)) {
            failure_set_error(&failure, response.error_code, STR_NULL);
        }
        arena_release(&arena);
        if (p->producer_id == RECORD_NO_PRODUCER_ID) {
            p->producer_id_retry_at_ms = now_ms + p->client_config->retry_backoff_ms;
            if (failure.error != KAFKA_ERROR_NONE)
                fail_queue(p, partition, &failure);
            return false;
        }
    }
    partition->producer_id = p->producer_id;
    partition->epoch = p->producer_epoch;
    return true;
}

static bool may_send(const struct produce_partition *partition, int64_t now_ms)
{
    return partition->queue != NULL && !partition->draining && partition->leader >= 0 &&
           partition->queue->retry_at_ms <= now_ms;
}

/* Partitions of one topic stand together in a request. */
static void fill_request(struct produce_request *request, const struct produce_flight *flight,
                         struct arena *arena)
{
    int32_t count = (int32_t)flight->count;
    struct produce_request_partition_produce_data *data =
        MESSAGE_ARRAY(arena, produce_request_partition_produce_data, count);
    request->topic_data = MESSAGE_ARRAY(arena, produce_request_topic_produce_data, count);
    request->topic_data_count = 0;
    for (int32_t i = 0; i < count; i++) {
        const struct produce_batch *batch = flight->batches[i];
        const struct produce_topic *topic = batch->partition->topic;
        if (i == 0 || flight->batches[i - 1]->partition->topic != topic) {
            struct produce_request_topic_produce_data *entry =
                &request->topic_data[request->topic_data_count++];
            entry->name = topic->name;
            entry->topic_id = topic->id;
            entry->partition_data = &data[i];
        }
        data[i].index = batch->partition->index;
        data[i].records = (struct bytes){batch->data.data, (int32_t)batch->data.len};
        request->topic_data[request->topic_data_count - 1].partition_data_count++;
    }
}

static int16_t version_for(const struct link *link, const struct produce_flight *flight)
{
    int16_t max = INT16_MAX, version = 0;
    for (size_t i = 0; i < flight->count; i++)
        if (uuid_is_zero(flight->batches[i]->partition->topic->id))
            max = PRODUCE_BY_ID - 1;
    if (peer_version(link->peer, api_find(API_PRODUCE), max, &version) != 0)
        return -1;
    return version;
}

static void count_flight(struct produce_counts *counts, struct produce_flight *flight)
{
    flight->sent_ms = client_now_ms();
    counts->requests++;
    counts->batches += (int64_t)flight->count;
    for (size_t i = 0; i < flight->count; i++) {
        int64_t bytes = (int64_t)flight->batches[i]->data.len;
        counts->records += flight->batches[i]->count;
        counts->batch_bytes += bytes;
        counts->batch_max_bytes = MAX(counts->batch_max_bytes, bytes);
    }
}

static void send_flight(struct produce_client *p, struct link *link, struct produce_flight *flight)
{
    static const struct produce_response_partition_produce_response done = {.base_offset = -1};
    struct arena arena;
    struct produce_request request;
    arena_init(&arena, 0);
    message_init(&produce_request_desc, &request);
    request.transactional_id = STR_NULL;
    request.acks = p->config->acks;
    request.timeout_ms = p->client_config->request_timeout_ms;
    fill_request(&request, flight, &arena);
    count_flight(&p->counts, flight);
    int16_t version = version_for(link, flight);
    bool answered = p->config->acks != 0;
    int rv = version < 0
                 ? -EPROTONOSUPPORT
                 : link_send(link, &p->links, API_PRODUCE, version, &request, answered, flight);
    arena_release(&arena);
    if (rv == -EPROTONOSUPPORT || rv == -EINVAL) {
        refuse_flight(p, flight);
    } else if (rv != 0) {
        lose_flight(p, flight);
        lose_link(p, link);
    } else if (!answered) {
        for (size_t i = 0; i < flight->count; i++)
            settle(p, flight->batches[i], &done);
        free(flight);
    }
}

/* Takes the first batches of partitions [*at, end), which have one leader, as far as they fit. */
static struct produce_flight *take_flight(struct produce_client *p, size_t *at, size_t end)
{
    struct produce_flight *flight =
        mem_alloc(sizeof(*flight) + (end - *at) * sizeof(flight->batches[0]));
    size_t bytes = 0;
    for (flight->count = 0; *at < end; (*at)++) {
        struct produce_partition *partition = p->eligible[*at];
        if (!have_producer_id(p, partition))
            continue;
        struct produce_batch *batch = partition->queue;
        if (flight->count > 0 && bytes + batch->data.len > (size_t)p->config->max_request_bytes)
            break;
        produce_batch_stamp(p, batch);
        partition->queue = batch->next;
        partition->in_flight++;
        bytes += batch->data.len;
        flight->batches[flight->count++] = batch;
    }
    if (flight->count > 0)
        return flight;
    free(flight);
    return NULL;
}

static int compare_eligible(const void *a, const void *b)
{
    const struct produce_partition *x = *(struct produce_partition *const *)a,
                                   *y = *(struct produce_partition *const *)b;
    if (x->leader != y->leader)
        return x->leader < y->leader ? -1 : 1;
    if (x->topic != y->topic)
        return str_cmp(x->topic->name, y->topic->name);
    return x->index < y->index ? -1 : x->index > y->index;
}

static size_t collect_eligible(struct produce_client *p, int64_t now_ms)
{
    size_t count = 0;
    for (size_t i = 0; i < p->active_count; i++)
        if (may_send(p->active[i], now_ms))
            VEC_PUSH(p->eligible, count, p->eligible_capacity) = p->active[i];
    if (count > 1)
        qsort(p->eligible, count, sizeof(*p->eligible), compare_eligible);
    return count;
}

/* One round over all partitions that have something to send. False: nothing went out. */
static bool send_round(struct produce_client *p, int64_t now_ms)
{
    size_t count = collect_eligible(p, now_ms);
    bool sent = false;
    for (size_t at = 0; at < count;) {
        int32_t leader = p->eligible[at]->leader;
        size_t end = at;
        while (end < count && p->eligible[end]->leader == leader)
            end++;
        struct link *link = links_get(&p->links, leader);
        p->stale = p->stale || link == NULL;
        while (link != NULL && link->peer != NULL && at < end &&
               link->request_count < (size_t)p->config->in_flight) {
            struct produce_flight *flight = take_flight(p, &at, end);
            if (flight == NULL)
                break;
            send_flight(p, link, flight);
            sent = true;
        }
        at = end;
    }
    return sent;
}

/* Forgets who has nothing more to do. */
static void compact_active(struct produce_client *p)
{
    size_t count = 0;
    for (size_t i = 0; i < p->active_count; i++) {
        struct produce_partition *partition = p->active[i];
        partition->active = partition->open || partition->queue != NULL || partition->in_flight > 0;
        if (partition->active)
            p->active[count++] = partition;
    }
    p->active_count = count;
}

static bool is_due(const struct produce_client *p, const struct produce_partition *partition,
                   int64_t now_ms)
{
    return partition->open &&
           (p->flushing || now_ms - partition->opened_ms >= p->config->linger_ms);
}

void produce_drive(struct produce_client *p, int64_t now_ms)
{
    struct failure failure;
    check_timeouts(p, now_ms);
    for (size_t i = 0; i < p->active_count; i++) {
        struct produce_partition *partition = p->active[i];
        if (is_due(p, partition, now_ms))
            produce_batch_close(p, partition);
        expire(p, partition, now_ms);
        p->stale = p->stale || (partition->queue != NULL && partition->leader < 0);
    }
    if ((p->stale || now_ms - p->metadata_at_ms >= p->config->metadata_max_age_ms) &&
        p->active_count > 0 && now_ms >= p->metadata_retry_at_ms)
        (void)produce_refresh(p, &failure);
    while (send_round(p, now_ms))
        ;
    compact_active(p);
}

static int64_t earlier(int64_t at_ms, int64_t other_ms, int64_t now_ms)
{
    return other_ms > now_ms ? MIN(at_ms, other_ms) : at_ms;
}

int64_t produce_due_at(const struct produce_client *p, int64_t now_ms)
{
    int64_t at_ms = earlier(INT64_MAX, links_retry_at(&p->links), now_ms);
    at_ms = earlier(at_ms, p->metadata_retry_at_ms, now_ms);
    at_ms = earlier(at_ms, p->producer_id_retry_at_ms, now_ms);
    for (size_t i = 0; i < p->active_count; i++) {
        const struct produce_partition *partition = p->active[i];
        const struct produce_batch *first = partition->queue;
        if (partition->open)
            at_ms = earlier(at_ms, partition->opened_ms + p->config->linger_ms, now_ms);
        if (first == NULL)
            continue;
        at_ms = earlier(at_ms, first->retry_at_ms, now_ms);
        at_ms = earlier(at_ms, first->created_ms + p->config->delivery_timeout_ms, now_ms);
    }
    for (size_t i = 0; i < p->links.count; i++) {
        const struct link *link = p->links.items[i];
        if (link->request_count > 0)
            at_ms = earlier(at_ms, link->requests[0].sent_ms + p->client_config->request_timeout_ms,
                            now_ms);
    }
    return at_ms;
}
