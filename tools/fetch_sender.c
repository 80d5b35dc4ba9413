/* Requests out, answers in. */
#include "tools/fetch_internal.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/codec.h"

#include <errno.h>
#include <stdlib.h>

/* From this version on topics are named by id. */
enum { FETCH_BY_ID = 13 };
/* Answers of a node that wait to be read, beyond which no more is asked for. */
enum { ANSWERS_AHEAD = 2 };

void fetch_answer_free(struct fetch_answer *answer)
{
    arena_release(&answer->arena);
    free(answer);
}

static bool may_ask(const struct fetch_partition *partition, int64_t now_ms)
{
    return !partition->asked && partition->leader >= 0 && partition->offset >= 0 &&
           partition->retry_at_ms <= now_ms;
}

static size_t answers_of(const struct fetch_client *f, int32_t node)
{
    size_t count = 0;
    for (const struct fetch_answer *a = f->answers; a != NULL; a = a->next)
        count += a->node == node;
    return count;
}

/* Partitions of one topic stand together. */
static void fill_request(const struct fetch_client *f, const struct fetch_question *question,
                         struct arena *arena, struct fetch_request *request)
{
    int32_t count = (int32_t)question->count;
    message_init(&fetch_request_desc, request);
    request->max_wait_ms = f->config->max_wait_ms;
    request->min_bytes = f->config->min_bytes;
    request->max_bytes = f->config->max_bytes;
    request->isolation_level = f->config->read_committed;
    request->session_epoch = -1;
    struct fetch_request_fetch_partition *partitions =
        MESSAGE_ARRAY(arena, fetch_request_fetch_partition, count);
    request->topics = MESSAGE_ARRAY(arena, fetch_request_fetch_topic, count);
    request->topics_count = 0;
    for (int32_t i = 0; i < count; i++) {
        const struct fetch_partition *partition = question->partitions[i];
        if (i == 0 || question->partitions[i - 1]->topic != partition->topic) {
            struct fetch_request_fetch_topic *topic = &request->topics[request->topics_count++];
            topic->topic = partition->topic->name;
            topic->topic_id = partition->topic->id;
            topic->partitions = &partitions[i];
        }
        partitions[i].partition = partition->index;
        partitions[i].current_leader_epoch = partition->leader_epoch;
        partitions[i].fetch_offset = partition->offset;
        partitions[i].partition_max_bytes = f->config->max_partition_bytes;
        request->topics[request->topics_count - 1].partitions_count++;
    }
}

static int16_t version_for(const struct link *link, const struct fetch_question *question)
{
    int16_t max = INT16_MAX, version;
    for (size_t i = 0; i < question->count; i++)
        if (uuid_is_zero(question->partitions[i]->topic->id))
            max = FETCH_BY_ID - 1;
    return peer_version(link->peer, api_find(API_FETCH), max, &version) == 0 ? version : -1;
}

static void take_back(struct fetch_client *f, struct fetch_question *question)
{
    int64_t retry_at_ms = client_now_ms() + f->client_config->retry_backoff_ms;
    for (size_t i = 0; i < question->count; i++) {
        question->partitions[i]->asked = false;
        question->partitions[i]->retry_at_ms = retry_at_ms;
    }
    free(question);
}

static void lose_link(struct fetch_client *f, struct link *link)
{
    struct fetch_question *question;
    link_drop(link, &f->links);
    f->stale = true;
    while ((question = link_lost(link)) != NULL)
        take_back(f, question);
}

static bool send_question(struct fetch_client *f, struct link *link,
                          struct fetch_question *question, struct failure *failure)
{
    struct arena arena;
    struct fetch_request request;
    arena_init(&arena, 0);
    fill_request(f, question, &arena, &request);
    int16_t version = version_for(link, question);
    int rv = -EPROTONOSUPPORT;
    if (version >= 0)
        rv = link_send(link, &f->links, API_FETCH, version, &request, true, question);
    arena_release(&arena);
    if (rv == 0)
        return true;
    take_back(f, question);
    if (rv == -EPROTONOSUPPORT || rv == -EINVAL)
        return failure_set(failure, KAFKA_ERROR_UNSUPPORTED_VERSION,
                           "The node does not support FETCH");
    lose_link(f, link);
    return true;
}

/* Everything that `node` leads and that may be asked for; NULL: nothing. */
static struct fetch_question *collect(struct fetch_client *f, int32_t node, int64_t now_ms)
{
    size_t most = 0;
    for (size_t i = 0; i < f->topics_count; i++)
        most += f->topics[i]->count;
    struct fetch_question *question =
        mem_alloc(sizeof(*question) + most * sizeof(question->partitions[0]));
    question->node = node;
    question->count = 0;
    for (size_t i = 0; i < f->topics_count; i++) {
        for (size_t k = 0; k < f->topics[i]->count; k++) {
            struct fetch_partition *partition = f->topics[i]->partitions[k];
            if (partition->leader == node && may_ask(partition, now_ms))
                question->partitions[question->count++] = partition;
        }
    }
    if (question->count > 0)
        return question;
    free(question);
    return NULL;
}

static bool ask_node(struct fetch_client *f, int32_t node, int64_t now_ms, struct failure *failure)
{
    struct link *link = links_get(&f->links, node);
    if (link == NULL) {
        f->stale = true;
        return true;
    }
    if (link->request_count > 0 || answers_of(f, node) >= ANSWERS_AHEAD)
        return true;
    struct fetch_question *question = collect(f, node, now_ms);
    if (question == NULL)
        return true;
    for (size_t i = 0; i < question->count; i++)
        question->partitions[i]->asked = true;
    return send_question(f, link, question, failure);
}

static void check_timeouts(struct fetch_client *f, int64_t now_ms)
{
    for (size_t i = 0; i < f->links.count; i++) {
        struct link *link = f->links.items[i];
        if (link->peer != NULL && link->request_count > 0 &&
            now_ms - link->requests[0].sent_ms >= f->client_config->request_timeout_ms)
            lose_link(f, link);
    }
}

bool fetch_drive(struct fetch_client *f, int64_t now_ms, struct failure *failure)
{
    check_timeouts(f, now_ms);
    bool due = f->stale || now_ms - f->metadata_at_ms >= f->config->metadata_max_age_ms;
    *failure = (struct failure){0};
    if (due && now_ms >= f->metadata_retry_at_ms && !fetch_refresh(f, failure) &&
        failure->error != KAFKA_ERROR_NONE)
        return false;
    if (!fetch_find_offsets(f, failure) && failure->error != KAFKA_ERROR_NONE)
        return false;
    for (size_t i = 0; i < f->topics_count; i++) {
        for (size_t k = 0; k < f->topics[i]->count; k++) {
            const struct fetch_partition *partition = f->topics[i]->partitions[k];
            if (may_ask(partition, now_ms) && !ask_node(f, partition->leader, now_ms, failure))
                return false;
        }
    }
    return true;
}

static int64_t earlier(int64_t at_ms, int64_t other_ms, int64_t now_ms)
{
    return other_ms > now_ms ? MIN(at_ms, other_ms) : at_ms;
}

int64_t fetch_due_at(const struct fetch_client *f, int64_t now_ms)
{
    int64_t at_ms = earlier(INT64_MAX, links_retry_at(&f->links), now_ms);
    at_ms = earlier(at_ms, f->metadata_retry_at_ms, now_ms);
    at_ms = earlier(at_ms, f->metadata_at_ms + f->config->metadata_max_age_ms, now_ms);
    for (size_t i = 0; i < f->topics_count; i++)
        for (size_t k = 0; k < f->topics[i]->count; k++)
            at_ms = earlier(at_ms, f->topics[i]->partitions[k]->retry_at_ms, now_ms);
    for (size_t i = 0; i < f->links.count; i++) {
        const struct link *link = f->links.items[i];
        if (link->request_count > 0)
            at_ms = earlier(at_ms, link->requests[0].sent_ms + f->client_config->request_timeout_ms,
                            now_ms);
    }
    return at_ms;
}

/* Where the partition goes on behind these records. */
static int64_t next_offset(struct bytes records, int64_t offset)
{
    struct record_batches run = record_batches_of(records);
    struct record_batch batch;
    while (record_batches_next(&run, &batch) == 1)
        offset = MAX(offset, record_batch_next_offset(&batch.header));
    return offset;
}

static void take_error(struct fetch_client *f, struct fetch_partition *partition, int16_t error)
{
    if (error == KAFKA_ERROR_OFFSET_OUT_OF_RANGE) {
        (void)fetch_out_of_range(f, partition, &f->failure);
    } else if (error == KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED) {
        failure_set(&f->failure, KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED,
                    "Not authorized to access topics: [%.*s]", STR_FMT(partition->topic->name));
    } else if (kafka_error_retriable(error) && error != KAFKA_ERROR_CORRUPT_MESSAGE) {
        f->stale = true;
        partition->retry_at_ms = client_now_ms() + f->client_config->retry_backoff_ms;
    } else {
        failure_set_error(&f->failure, error, STR_NULL);
    }
}

static void take_partition(struct fetch_client *f, struct fetch_answer *answer,
                           struct fetch_partition *partition,
                           const struct fetch_response_partition_data *data)
{
    if (data->error_code != 0) {
        take_error(f, partition, data->error_code);
        return;
    }
    if (data->records.len <= 0)
        return;
    answer->pieces[answer->count++] = (struct fetch_piece){
        .partition = partition,
        .from = partition->offset,
        .records = data->records,
        .aborted = data->aborted_transactions,
        .aborted_count = data->aborted_transactions_count,
    };
    partition->offset = next_offset(data->records, partition->offset);
}

static bool is_of(const struct fetch_response_fetchable_topic_response *topic,
                  const struct fetch_topic *ours, int16_t version)
{
    return version >= FETCH_BY_ID ? uuid_eq(topic->topic_id, ours->id)
                                  : str_eq(topic->topic, ours->name);
}

static void take_answer(struct fetch_client *f, struct fetch_answer *answer,
                        const struct fetch_question *question, int16_t version)
{
    const struct fetch_response *response = &answer->response;
    answer->pieces = ARENA_ARRAY(&answer->arena, struct fetch_piece, question->count + 1);
    for (size_t i = 0; i < question->count; i++) {
        struct fetch_partition *partition = question->partitions[i];
        partition->asked = false;
        if (response->error_code != 0)
            take_error(f, partition, response->error_code);
        for (int32_t t = 0; t < response->responses_count; t++) {
            const struct fetch_response_fetchable_topic_response *topic = &response->responses[t];
            if (!is_of(topic, partition->topic, version))
                continue;
            for (int32_t k = 0; k < topic->partitions_count; k++)
                if (topic->partitions[k].partition_index == partition->index)
                    take_partition(f, answer, partition, &topic->partitions[k]);
        }
    }
}

static void receive_one(struct fetch_client *f, struct link *link)
{
    struct fetch_answer *answer = mem_calloc(1, sizeof(*answer));
    arena_init(&answer->arena, 0);
    answer->node = link->node;
    void *question;
    int16_t version = link->request_count > 0 ? link->requests[0].version : 0;
    if (link_receive(link, &f->links, API_FETCH, &answer->arena, &answer->response, &question) !=
        0) {
        lose_link(f, link);
        fetch_answer_free(answer);
        return;
    }
    take_answer(f, answer, question, version);
    free(question);
    if (answer->count == 0) {
        fetch_answer_free(answer);
        return;
    }
    *f->last_answer = answer;
    f->last_answer = &answer->next;
}

void fetch_receive(struct fetch_client *f)
{
    for (size_t i = 0; i < f->links.count; i++)
        while (link_readable(f->links.items[i]))
            receive_one(f, f->links.items[i]);
}
