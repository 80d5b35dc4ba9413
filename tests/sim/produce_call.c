#include "tests/sim/produce_call.h"

#include "common/base/check.h"
#include "common/protocol/messages/init_producer_id.h"
#include "tests/sim/workload.h"

#define VERSION_MIN 3
#define VERSIONS    11
#define BY_ID_FROM  13 /* topics are named by their ids */

int produce_call_send(struct session *session, struct env *env, const struct produce_call *call,
                      void (*done)(void *ctx, int status, const void *response), void *ctx)
{
    struct produce_request request;
    struct produce_request_topic_produce_data topic;
    struct produce_request_partition_produce_data part;
    int16_t version = (int16_t)(VERSION_MIN + workload_random(env, VERSIONS));
    if (call->by_id)
        version = MAX(version, BY_ID_FROM);
    message_init(&produce_request_desc, &request);
    message_struct_init(&produce_request_topic_produce_data_struct, &topic, 1);
    message_struct_init(&produce_request_partition_produce_data_struct, &part, 1);
    if (version >= BY_ID_FROM)
        topic.topic_id = call->topic_id;
    else
        topic.name = str_of(call->topic);
    topic.partition_data = &part;
    topic.partition_data_count = 1;
    part.index = call->partition;
    part.records = call->records;
    request.acks = call->acks;
    request.timeout_ms = call->timeout_ms;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    return session_call(session, API_PRODUCE, version, &request, call->patience_ms, done, ctx);
}

const struct produce_response_partition_produce_response *
produce_call_answer(const struct produce_response *response)
{
    if (response->responses_count != 1 || response->responses[0].partition_responses_count != 1)
        return NULL;
    return &response->responses[0].partition_responses[0];
}

bool produce_call_id(struct session *session, int32_t patience_ms,
                     void (*done)(void *ctx, int status, const void *response), void *ctx)
{
    struct init_producer_id_request request;
    message_init(&init_producer_id_request_desc, &request);
    request.transactional_id = STR_NULL;
    request.transaction_timeout_ms = 60000;
    return session_call(session, API_INIT_PRODUCER_ID, 4, &request, patience_ms, done, ctx) == 0;
}
