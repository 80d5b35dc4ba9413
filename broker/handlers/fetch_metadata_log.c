/*
 * Fetch on a controller listener: brokers and other observers follow the metadata log with it
 * (KIP-595). It has one partition, no sessions, and PartitionMaxBytes says nothing: as in Apache
 * Kafka, whose requests leave it 0. Decided on the metadata loop; a fetch that finds nothing new
 * waits there for the next commit, or until its time is up.
 */
#include "broker/handlers/handlers.h"
#include "broker/server/metadata_loop.h"
#include "broker/server/node.h"
#include "broker/server/request.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/base/disk.h"
#include "common/protocol/messages/fetch.h"
#include "raft/quorum_serve.h"

#define FIRST_VERSION_WITH_ENDPOINTS 17

struct log_op {
    struct shard_call call;
    struct request *request;
    int32_t max_wait_ms;
    int64_t known_high_watermark;
    struct quorum_fetch fetch;
    struct quorum_fetched found;
    struct quorum_wait wait;
    struct timer timer;
};

static void respond_error(struct request *request, enum kafka_error error)
{
    struct fetch_response response;
    message_init(&fetch_response_desc, &response);
    response.error_code = (int16_t)error;
    request_respond(request, &response);
}

static void add_endpoint(struct request *request, const struct quorum_leader *leader,
                         struct fetch_response *response)
{
    if (request->header.request_api_version < FIRST_VERSION_WITH_ENDPOINTS || leader->id < 0 ||
        leader->endpoint.port == 0)
        return;
    response->node_endpoints = MESSAGE_ARRAY(&request->arena, fetch_response_node_endpoint, 1);
    response->node_endpoints_count = 1;
    response->node_endpoints[0].node_id = leader->id;
    response->node_endpoints[0].host = str_of(leader->endpoint.host);
    response->node_endpoints[0].port = leader->endpoint.port;
}

static void fill_partition(const struct quorum_fetched *found,
                           struct fetch_response_partition_data *out)
{
    out->error_code = (int16_t)found->error;
    out->high_watermark = found->high_watermark;
    out->log_start_offset = found->log_start;
    out->current_leader.leader_id = found->leader.id;
    out->current_leader.leader_epoch = found->leader.epoch;
    if (found->kind == QUORUM_FETCH_DIVERGING) {
        out->diverging_epoch.epoch = found->end_epoch;
        out->diverging_epoch.end_offset = found->end_offset;
    } else if (found->kind == QUORUM_FETCH_SNAPSHOT) {
        out->snapshot_id.epoch = found->end_epoch;
        out->snapshot_id.end_offset = found->end_offset;
    }
    /* data NULL: the bytes come from the file. */
    out->records = found->read.file ? (struct bytes){NULL, found->read.size_bytes}
                                    : (struct bytes){(const uint8_t *)"", 0};
}

static void done(struct shard_call *call)
{
    struct log_op *op = CONTAINER_OF(call, struct log_op, call);
    const struct fetch_request *body = op->request->body;
    struct arena *arena = &op->request->arena;
    struct fetch_response response;
    message_init(&fetch_response_desc, &response);
    response.responses = MESSAGE_ARRAY(arena, fetch_response_fetchable_topic_response, 1);
    response.responses_count = 1;
    response.responses[0].topic = STR("__cluster_metadata");
    response.responses[0].topic_id = UUID_METADATA_TOPIC;
    response.responses[0].partitions = MESSAGE_ARRAY(arena, fetch_response_partition_data, 1);
    response.responses[0].partitions_count = 1;
    response.responses[0].partitions[0].partition_index = body->topics[0].partitions[0].partition;
    fill_partition(&op->found, &response.responses[0].partitions[0]);
    add_endpoint(op->request, &op->found.leader, &response);
    struct response_file file = {op->found.read.file, op->found.read.position};
    request_respond_files(op->request, &response, &file, op->found.read.file ? 1 : 0);
}

static struct quorum_node *quorum_of(const struct log_op *op)
{
    return metadata_loop_quorum(node_metadata_loop(op->request->shard->node));
}

static void look(struct log_op *op)
{
    struct quorum_node *quorum = quorum_of(op);
    if (quorum != NULL)
        quorum_node_fetch(quorum, &op->fetch, &op->found);
    else
        op->found = (struct quorum_fetched){.error = KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER,
                                            .end_offset = -1,
                                            .high_watermark = -1,
                                            .leader.id = -1};
}

static void answer_now(struct log_op *op)
{
    quorum_wait_end(&op->wait);
    timer_stop(&op->timer);
    look(op);
    shard_call_answer(&op->call);
}

static void ready(struct quorum_wait *wait)
{
    answer_now(CONTAINER_OF(wait, struct log_op, wait));
}

static void time_is_up(struct timer *timer)
{
    answer_now(CONTAINER_OF(timer, struct log_op, timer));
}

static bool is_news(const struct log_op *op)
{
    const struct quorum_fetched *found = &op->found;
    return found->error != KAFKA_ERROR_NONE || found->kind != QUORUM_FETCH_BATCHES ||
           found->read.file != NULL || found->high_watermark > op->known_high_watermark;
}

/* On the metadata loop. */
static void run(struct shard_call *call)
{
    struct log_op *op = CONTAINER_OF(call, struct log_op, call);
    look(op);
    if (is_news(op) || op->max_wait_ms == 0 || quorum_of(op) == NULL ||
        !quorum_node_wait(quorum_of(op), &op->wait)) {
        shard_call_answer(call);
        return;
    }
    timer_start_in_ms(&op->timer, op->max_wait_ms);
}

void handle_fetch_metadata_log(struct request *request)
{
    const struct fetch_request *body = request->body;
    struct node *node = request->shard->node;
    if (!str_is_null(body->cluster_id) && !str_eq(body->cluster_id, node_cluster_id(node))) {
        respond_error(request, KAFKA_ERROR_INCONSISTENT_CLUSTER_ID);
        return;
    }
    if (body->topics_count != 1 || body->topics[0].partitions_count != 1 ||
        !uuid_eq(body->topics[0].topic_id, UUID_METADATA_TOPIC) ||
        body->topics[0].partitions[0].partition != 0) {
        respond_error(request, KAFKA_ERROR_INVALID_REQUEST);
        return;
    }
    const struct fetch_request_fetch_partition *in = &body->topics[0].partitions[0];
    struct log_op *op = ARENA_NEW(&request->arena, struct log_op);
    op->request = request;
    op->max_wait_ms = body->max_wait_ms;
    op->known_high_watermark = in->high_watermark;
    op->fetch = (struct quorum_fetch){
        .replica_id = request->header.request_api_version >= 15 ? body->replica_state.replica_id
                                                                : body->replica_id,
        .replica_directory_id = in->replica_directory_id,
        .leader_epoch = in->current_leader_epoch,
        .offset = in->fetch_offset,
        .last_epoch = in->last_fetched_epoch,
        .max_bytes = body->max_bytes,
        .invalid = body->max_wait_ms < 0,
    };
    op->wait.ready = ready;
    list_init(&op->wait.link);
    struct loop *metadata = node_env(node)->loops[0];
    timer_init(&op->timer, metadata, time_is_up);
    shard_call_send(&op->call, request->shard->loop, metadata, run, done);
}
