/*
 * The churner of the record load: a person who deletes the topic `churn` and makes it again, lets
 * it grow, and deletes records of all topics. What becomes of a request is seen from outside
 * (deletion_watch.h): whether the topic is there is looked up in the newest image, and what was
 * asked for in vain may be done late. At the end each partition has its records deleted once more,
 * until that is answered.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/create_partitions.h"
#include "common/protocol/messages/delete_records.h"
#include "common/protocol/messages/delete_topics.h"
#include "tests/sim/deletion_watch.h"
#include "tests/sim/record_client.h"
#include "tests/sim/workload.h"

#include <errno.h>

struct churner {
    struct record_client client;
    struct timer tick;
    bool waiting;
    int partition; /* of the request */
    struct deletion deletion;
    bool last[RECORD_LOAD_PARTITIONS]; /* its last deletion is answered */
    bool makes_last_topic;             /* or leaves none */
};

static struct record_topic *topic_of(struct churner *c)
{
    struct record_load *load = c->client.load;
    return &load->topics[load->topic_count - 1];
}

static struct watched_partition *watched(const struct churner *c, int partition)
{
    return c->client.load->partitions[partition].watched;
}

/* How many partitions the topic has now. */
static int32_t count_of(const struct churner *c)
{
    const struct record_load *load = c->client.load;
    int32_t count = 0;
    for (int i = 0; i < load->partition_count; i++)
        count += load->partitions[i].topic->churns && !watched_partition_is_absent(watched(c, i));
    return count;
}

static void answered(void *ctx, int status, const void *response)
{
    struct churner *c = ctx;
    c->waiting = false;
    if (status == -EPROTO)
        sim_fail(c->client.load->sim, "an answer to the churner cannot be decoded");
    record_client_ask(&c->client);
}

static void create(struct churner *c)
{
    const struct record_topic *t = topic_of(c);
    c->waiting = record_topic_create(c->client.load, t,
                                     1 + (int32_t)workload_random(c->client.env, t->partitions),
                                     record_client_any(&c->client), answered, c) == 0;
}

static void delete_topic(struct churner *c)
{
    struct delete_topics_request request;
    struct delete_topics_request_delete_topic_state state;
    message_init(&delete_topics_request_desc, &request);
    message_struct_init(&delete_topics_request_delete_topic_state_struct, &state, 1);
    if (workload_random(c->client.env, 2) == 0)
        state.name = str_of(topic_of(c)->name);
    else
        state.topic_id =
            watched(c, c->client.load->partition_count - topic_of(c)->partitions)->topic_id;
    request.topics = &state;
    request.topics_count = 1;
    request.timeout_ms = 3000;
    c->waiting = session_call(record_client_any(&c->client), API_DELETE_TOPICS, 6, &request, 4000,
                              answered, c) == 0;
}

static void grow(struct churner *c)
{
    struct create_partitions_request request;
    struct create_partitions_request_create_partitions_topic topic;
    message_init(&create_partitions_request_desc, &request);
    message_struct_init(&create_partitions_request_create_partitions_topic_struct, &topic, 1);
    topic.name = str_of(topic_of(c)->name);
    topic.count = count_of(c) + 1;
    topic.assignments_count = -1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 3000;
    c->waiting = session_call(record_client_any(&c->client), API_CREATE_PARTITIONS, 3, &request,
                              4000, answered, c) == 0;
}

static void records_deleted(void *ctx, int status, const void *response)
{
    struct churner *c = ctx;
    struct record_load *load = c->client.load;
    const struct delete_records_response *r = response;
    struct watched_partition *p = watched(c, c->partition);
    answered(c, status, response);
    if (status != 0 || r->topics_count != 1 || r->topics[0].partitions_count != 1)
        return;
    int16_t error = r->topics[0].partitions[0].error_code;
    sim_log(load->sim, "churner", "DeleteRecords of %s-%d up to %lld: error %d, low watermark %lld",
            p->topic, p->index, (long long)c->deletion.offset, error,
            (long long)r->topics[0].partitions[0].low_watermark);
    if (error == 0) {
        watched_partition_deleted(p, &c->deletion, r->topics[0].partitions[0].low_watermark);
        load->records_deleted++;
        c->last[c->partition] = load->quiet && c->deletion.life == p->life;
        p->same_starts |= c->last[c->partition] && p->losses == 0;
    } else if (error != KAFKA_ERROR_OFFSET_OUT_OF_RANGE && !workload_retriable(error)) {
        sim_fail(load->sim, "%s-%d: DeleteRecords is answered with error %d", p->topic, p->index,
                 error);
    }
}

/* Up to some offset at or below that of the newest batch, which stays: a log that has it has had
 * all. */
static void delete_records(struct churner *c, int partition)
{
    struct delete_records_request request;
    struct delete_records_request_delete_records_topic topic;
    struct delete_records_request_delete_records_partition part;
    struct watched_partition *p = watched(c, partition);
    struct session *session = record_client_leader(&c->client, partition);
    if (!session || p->count == 0) {
        record_client_ask(&c->client);
        return;
    }
    int64_t most = p->committed[p->count - 1].base;
    int64_t offset = MIN(p->asked_start, most); /* that may have been of another life */
    if (most > offset && !c->client.load->quiet)
        offset += workload_random(c->client.env, most - offset + 1);
    else if (most > offset)
        offset = most;
    message_init(&delete_records_request_desc, &request);
    message_struct_init(&delete_records_request_delete_records_topic_struct, &topic, 1);
    message_struct_init(&delete_records_request_delete_records_partition_struct, &part, 1);
    part.partition_index = p->index;
    part.offset = offset;
    topic.name = str_of(p->topic);
    topic.partitions = &part;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = (int32_t)(500 + workload_random(c->client.env, 4000));
    c->partition = partition;
    c->deletion = watched_partition_deletes(p, offset);
    c->waiting =
        session_call(session, API_DELETE_RECORDS, 2, &request, 6000, records_deleted, c) == 0;
}

/* Nothing has to be deleted there any more, or nobody can say up to where. */
static bool is_done(const struct churner *c, int partition)
{
    const struct watched_partition *p = watched(c, partition);
    return c->last[partition] || watched_partition_is_absent(p) || p->losses > 0 || p->count == 0;
}

static void come_to_the_end(struct churner *c)
{
    struct record_load *load = c->client.load;
    if (c->makes_last_topic && count_of(c) == 0) {
        create(c);
        return;
    }
    for (int i = 0; i < load->partition_count; i++) {
        if (load->unanswered[i] > 0 && !watched(c, i)->broken)
            return;
        if (!is_done(c, i)) {
            delete_records(c, i);
            return;
        }
    }
    load->churner_rests = true;
}

static void churn(struct churner *c)
{
    struct record_load *load = c->client.load;
    int32_t count = count_of(c);
    int64_t dice = workload_random(c->client.env, 12);
    if (count == 0)
        create(c);
    else if (dice < 2)
        delete_topic(c);
    else if (dice < 4 && count < topic_of(c)->partitions)
        grow(c);
    else if (dice < 10)
        delete_records(c, (int)workload_random(c->client.env, load->partition_count));
}

static void tick(struct timer *timer)
{
    struct churner *c = CONTAINER_OF(timer, struct churner, tick);
    bool quiet = c->client.load->quiet;
    timer_start_in_ms(timer, 100 + workload_random(c->client.env, quiet ? 100 : 900));
    if (c->waiting || c->client.load->churner_rests)
        return;
    if (quiet)
        come_to_the_end(c);
    else
        churn(c);
}

void *record_churner_boot(struct env *env, void *ctx)
{
    struct churner *c = mem_calloc(1, sizeof(*c));
    record_client_init(&c->client, env, ctx, "churner");
    c->makes_last_topic = workload_random(env, 2) == 0;
    timer_init(&c->tick, env->loops[0], tick);
    timer_start_in_ms(&c->tick, 1000);
    return c;
}
