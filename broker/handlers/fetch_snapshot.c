/*
 * FetchSnapshot: a node that is behind the metadata log takes a checkpoint, piece by piece
 * (KIP-630). Which one and whether we may give it is asked of the metadata loop; the file is opened
 * on a worker and its bytes go out from it.
 */
#include "broker/handlers/handlers.h"
#include "broker/server/metadata_loop.h"
#include "broker/server/node.h"
#include "broker/server/request.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/base/disk.h"
#include "common/protocol/messages/fetch_snapshot.h"
#include "raft/quorum_serve.h"

#include <errno.h>
#include <stdlib.h>

#define METADATA_TOPIC "__cluster_metadata"
/* An answer is one frame. */
#define PIECE_MAX_BYTES ((int64_t)1 << 30)

struct snapshot_op {
    struct shard_call call;
    struct work work;
    struct request *request;
    const struct fetch_snapshot_request_partition_snapshot *asked;
    enum kafka_error error;
    bool with_leader; /* the answer says who leads */
    struct quorum_leader leader;
    char *path;
    struct disk_file *file;
    int64_t size_bytes;
};

static void respond_error(struct request *request, enum kafka_error error)
{
    struct fetch_snapshot_response response;
    message_init(&fetch_snapshot_response_desc, &response);
    response.error_code = (int16_t)error;
    request_respond(request, &response);
}

static void fill(const struct snapshot_op *op,
                 struct fetch_snapshot_response_partition_snapshot *out)
{
    out->index = op->asked->partition;
    out->error_code = (int16_t)op->error;
    if (op->with_leader) {
        out->current_leader.leader_id = op->leader.id;
        out->current_leader.leader_epoch = op->leader.epoch;
    }
    out->unaligned_records = (struct bytes){(const uint8_t *)"", 0};
    if (op->error != KAFKA_ERROR_NONE)
        return;
    const struct fetch_snapshot_request *body = op->request->body;
    int64_t piece = MIN(MAX(body->max_bytes, 0), op->size_bytes - op->asked->position);
    out->snapshot_id.end_offset = op->asked->snapshot_id.end_offset;
    out->snapshot_id.epoch = op->asked->snapshot_id.epoch;
    out->size = op->size_bytes;
    out->position = op->asked->position;
    if (piece > 0)
        out->unaligned_records = (struct bytes){NULL, (int32_t)MIN(piece, PIECE_MAX_BYTES)};
}

static void respond(struct snapshot_op *op)
{
    struct request *request = op->request;
    const struct fetch_snapshot_request *body = request->body;
    struct arena *arena = &request->arena;
    struct fetch_snapshot_response response;
    message_init(&fetch_snapshot_response_desc, &response);
    response.topics = MESSAGE_ARRAY(arena, fetch_snapshot_response_topic_snapshot, 1);
    response.topics_count = 1;
    response.topics[0].name = body->topics[0].name;
    response.topics[0].partitions =
        MESSAGE_ARRAY(arena, fetch_snapshot_response_partition_snapshot, 1);
    response.topics[0].partitions_count = 1;
    struct fetch_snapshot_response_partition_snapshot *out = &response.topics[0].partitions[0];
    fill(op, out);
    if (request->header.request_api_version >= 1 && op->leader.id >= 0 &&
        op->leader.endpoint.port != 0) {
        response.node_endpoints = MESSAGE_ARRAY(arena, fetch_snapshot_response_node_endpoint, 1);
        response.node_endpoints_count = 1;
        response.node_endpoints[0].node_id = op->leader.id;
        response.node_endpoints[0].host = str_of(op->leader.endpoint.host);
        response.node_endpoints[0].port = op->leader.endpoint.port;
    }
    bool with_file = out->unaligned_records.len > 0;
    struct response_file file = {op->file, op->asked->position};
    if (!with_file)
        disk_file_unref(op->file);
    request_respond_files(request, &response, &file, with_file ? 1 : 0);
}

static void open_run(struct work *work)
{
    struct snapshot_op *op = CONTAINER_OF(work, struct snapshot_op, work);
    struct disk *disk = node_env(op->request->shard->node)->disk;
    int rv = disk_open(disk, op->path, DISK_READ, &op->file);
    free(op->path);
    if (rv == 0) {
        op->size_bytes = disk->ops->size(op->file);
        rv = op->size_bytes < 0 ? (int)op->size_bytes : 0;
    }
    if (rv == -ENOENT)
        op->error = KAFKA_ERROR_SNAPSHOT_NOT_FOUND;
    else if (rv != 0)
        op->error = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    else if (op->asked->position < 0 || op->asked->position >= op->size_bytes)
        op->error = KAFKA_ERROR_POSITION_OUT_OF_RANGE;
}

static void open_done(struct work *work)
{
    respond(CONTAINER_OF(work, struct snapshot_op, work));
}

/* On the metadata loop. */
static void find(struct shard_call *call)
{
    struct snapshot_op *op = CONTAINER_OF(call, struct snapshot_op, call);
    struct quorum_node *quorum = metadata_loop_quorum(node_metadata_loop(op->request->shard->node));
    struct quorum_fetch_snapshot fetch = {
        .leader_epoch = op->asked->current_leader_epoch,
        .id = {op->asked->snapshot_id.end_offset, op->asked->snapshot_id.epoch},
    };
    op->leader.id = -1;
    op->error = quorum == NULL ? KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER
                               : quorum_node_fetch_snapshot(quorum, &fetch, &op->leader, &op->path);
    shard_call_answer(call);
}

static void found(struct shard_call *call)
{
    struct snapshot_op *op = CONTAINER_OF(call, struct snapshot_op, call);
    if (op->error != KAFKA_ERROR_NONE) {
        respond(op);
        return;
    }
    op->work = (struct work){.run = open_run, .done = open_done, .loop = op->request->shard->loop};
    work_submit(&op->work, WORK_DISK);
}

void handle_fetch_snapshot(struct request *request)
{
    const struct fetch_snapshot_request *body = request->body;
    struct node *node = request->shard->node;
    if (!str_is_null(body->cluster_id) && !str_eq(body->cluster_id, node_cluster_id(node))) {
        respond_error(request, KAFKA_ERROR_INCONSISTENT_CLUSTER_ID);
        return;
    }
    if (body->topics_count != 1 || body->topics[0].partitions_count != 1) {
        respond_error(request, KAFKA_ERROR_INVALID_REQUEST);
        return;
    }
    struct snapshot_op *op = ARENA_NEW(&request->arena, struct snapshot_op);
    op->request = request;
    op->asked = &body->topics[0].partitions[0];
    op->leader.id = -1;
    if (!str_eq_z(body->topics[0].name, METADATA_TOPIC) || op->asked->partition != 0) {
        op->error = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        respond(op);
        return;
    }
    op->with_leader = true;
    shard_call_send(&op->call, request->shard->loop, node_env(node)->loops[0], find, found);
}
