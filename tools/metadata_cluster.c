/*
 * The metadata log from a running cluster: asked of the quorum's leader, as an observer of the
 * cluster asks (Fetch, FetchSnapshot; KIP-595, KIP-630), but without a node id, so that nobody
 * counts us. Only what is committed is given out.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/describe_quorum.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/fetch_snapshot.h"
#include "common/protocol/record_batch.h"
#include "tools/client_internal.h"
#include "tools/metadata_source.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define TOPIC "__cluster_metadata"

enum {
    FETCH_BYTES = 8 << 20,
    SNAPSHOT_BYTES = 4 << 20,
};

/* What a snapshot may hold; it is in memory whole. */
#define SNAPSHOT_BYTES_MAX ((size_t)2000 << 20)

struct cluster_source {
    struct metadata_source source;
    struct client *client;
    enum client_kind kind;
    struct endpoint endpoint; /* of the leader */
    struct peer *peer;        /* NULL: not connected */
    int32_t leader_id, leader_epoch;
    /* The epoch of the record before this offset, where it is known. */
    int64_t known_offset;
    int32_t known_epoch;
    struct arena arena; /* of the last answer */
};

static void drop_leader(struct cluster_source *c)
{
    peer_free(c->peer);
    c->peer = NULL;
}

/* --- who leads -------------------------------------------------------------------------------- */

static bool ask_quorum(struct cluster_source *c, struct client_op *op,
                       struct describe_quorum_response *ret_response, struct failure *failure)
{
    struct describe_quorum_request_partition_data partition = {.partition_index = 0};
    struct describe_quorum_request_topic_data topic = {
        .topic_name = STR(TOPIC), .partitions = &partition, .partitions_count = 1};
    struct describe_quorum_request request;
    message_init(&describe_quorum_request_desc, &request);
    request.topics = &topic;
    request.topics_count = 1;
    return client_call(op, CLIENT_CONTROLLER, API_DESCRIBE_QUORUM, &request, ret_response, failure);
}

/* Where the leader listens, from the answer or, where that does not say, from DescribeCluster. */
static bool find_endpoint(struct cluster_source *c, struct client_op *op,
                          const struct describe_quorum_response *response, struct failure *failure)
{
    for (int32_t i = 0; i < response->nodes_count; i++) {
        const struct describe_quorum_response_node *node = &response->nodes[i];
        if (node->node_id != c->leader_id || node->listeners_count < 1)
            continue;
        snprintf(c->endpoint.host, sizeof(c->endpoint.host), "%.*s",
                 STR_FMT(node->listeners[0].host));
        c->endpoint.port = node->listeners[0].port;
        return true;
    }
    if (c->kind == CLIENT_OF_CONTROLLERS)
        return client_find_node(op, c->leader_id, &c->endpoint, failure);
    return failure_set(failure, KAFKA_ERROR_UNSUPPORTED_VERSION,
                       "The brokers do not say where controller %d listens; give it with "
                       "--bootstrap-controller",
                       c->leader_id);
}

/* One look. False with failure->error NONE: nobody leads, another look may help. */
static bool look_for_leader(struct cluster_source *c, struct client_op *op, struct failure *failure)
{
    struct describe_quorum_response response;
    *failure = (struct failure){0};
    if (!ask_quorum(c, op, &response, failure))
        return false;
    const struct describe_quorum_response_partition_data *p =
        response.topics_count == 1 && response.topics[0].partitions_count == 1
            ? &response.topics[0].partitions[0]
            : NULL;
    int16_t error = response.error_code ? response.error_code : p ? p->error_code : 0;
    if (kafka_error_retriable(error) || (error == 0 && (p == NULL || p->leader_id < 0))) {
        client_forget_nodes(c->client);
        return false;
    }
    if (error != 0)
        return failure_set_error(failure, error,
                                 response.error_code ? response.error_message : p->error_message);
    c->leader_id = p->leader_id;
    c->leader_epoch = p->leader_epoch;
    return find_endpoint(c, op, &response, failure);
}

static bool connect_leader(struct cluster_source *c, struct client_op *op, struct failure *failure)
{
    if (c->peer != NULL)
        return true;
    *failure = (struct failure){0};
    if (!look_for_leader(c, op, failure))
        return false;
    const struct client_config *config = c->client->config;
    int rv = peer_open(&c->endpoint, config->client_id,
                       client_time_left(op, config->connect_timeout_ms), &c->peer);
    if (rv == -EPROTO || rv == -EBADMSG || rv == -EMSGSIZE)
        return failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                           "What listens at controller %d (%s:%d) does not speak Kafka's protocol",
                           c->leader_id, c->endpoint.host, c->endpoint.port);
    return rv == 0;
}

/* --- one question ----------------------------------------------------------------------------- */

/* An exchange with the leader. False with failure->error NONE: try again. */
static bool ask_leader(struct cluster_source *c, enum api_key key, const void *request, int wait_ms,
                       void *ret_response, struct failure *failure)
{
    const struct api *api = api_find(key);
    int timeout_ms = c->client->config->request_timeout_ms;
    int16_t version;
    *failure = (struct failure){0};
    int rv = peer_version(c->peer, api, INT16_MAX, &version);
    if (rv != 0)
        return failure_set(failure, KAFKA_ERROR_UNSUPPORTED_VERSION,
                           "Controller %d (%s:%d) does not serve %s, with which the metadata log "
                           "is read",
                           c->leader_id, c->endpoint.host, c->endpoint.port, api->name);
    arena_reset(&c->arena);
    rv = peer_send(c->peer, api, version, request, timeout_ms);
    if (rv == 0)
        rv = peer_receive(c->peer, api, version, timeout_ms + wait_ms, &c->arena, ret_response);
    if (rv != 0)
        drop_leader(c);
    return rv == 0;
}

/* Before the next try; false when the time is up. */
static bool wait_again(struct client_op *op, struct failure *failure)
{
    return client_backoff(op) || client_timed_out(op, failure);
}

/* Another node leads, or will. */
static bool is_passing(int16_t error)
{
    return error == KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER ||
           error == KAFKA_ERROR_FENCED_LEADER_EPOCH || error == KAFKA_ERROR_UNKNOWN_LEADER_EPOCH ||
           kafka_error_retriable(error);
}

/* An answer with an error: false with failure->error NONE where asking again may help. */
static bool judge(struct cluster_source *c, int16_t error, struct failure *failure)
{
    if (error == 0)
        return true;
    if (!is_passing(error))
        return failure_set_error(failure, error, STR_NULL);
    drop_leader(c);
    return false;
}

static bool try_fetch(struct cluster_source *c, struct client_op *op, int64_t offset, int32_t epoch,
                      int wait_ms, struct fetch_response_partition_data *ret_data,
                      struct failure *failure)
{
    struct fetch_request_fetch_partition partition;
    struct fetch_request_fetch_topic topic = {.topic = STR(TOPIC),
                                              .topic_id = UUID_METADATA_TOPIC,
                                              .partitions = &partition,
                                              .partitions_count = 1};
    struct fetch_request request;
    struct fetch_response response;
    if (!connect_leader(c, op, failure))
        return false;
    message_struct_init(&fetch_request_fetch_partition_struct, &partition, 1);
    partition.current_leader_epoch = c->leader_epoch;
    partition.fetch_offset = offset;
    partition.last_fetched_epoch = epoch >= 0 ? epoch : c->leader_epoch;
    partition.partition_max_bytes = FETCH_BYTES;
    message_init(&fetch_request_desc, &request);
    request.max_wait_ms = wait_ms;
    request.min_bytes = wait_ms > 0;
    request.max_bytes = FETCH_BYTES;
    request.topics = &topic;
    request.topics_count = 1;
    if (!ask_leader(c, API_FETCH, &request, wait_ms, &response, failure) ||
        !judge(c, response.error_code, failure))
        return false;
    if (response.responses_count != 1 || response.responses[0].partitions_count != 1)
        return failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                           "Controller %d answered a question that was not asked", c->leader_id);
    *ret_data = response.responses[0].partitions[0];
    return judge(c, ret_data->error_code, failure);
}

/* Until there is an answer or the client's time is up. epoch -1: not known. */
static bool fetch(struct cluster_source *c, int64_t offset, int32_t epoch, int wait_ms,
                  struct fetch_response_partition_data *ret_data, struct failure *failure)
{
    struct arena arena;
    struct client_op op;
    arena_init(&arena, 0);
    client_op_begin(&op, c->client, "fetchMetadata", &arena);
    bool ok;
    do {
        ok = try_fetch(c, &op, offset, epoch, wait_ms, ret_data, failure);
    } while (!ok && failure->error == KAFKA_ERROR_NONE && wait_again(&op, failure));
    arena_release(&arena);
    return ok;
}

/* --- the source ------------------------------------------------------------------------------- */

static bool cluster_start(struct metadata_source *source, int64_t *ret_offset, bool *ret_alone,
                          struct failure *failure)
{
    struct cluster_source *c = (struct cluster_source *)source;
    struct fetch_response_partition_data data;
    *ret_alone = false;
    if (!fetch(c, 0, 0, 0, &data, failure))
        return false;
    *ret_offset = data.snapshot_id.end_offset >= 0 ? MAX(data.log_start_offset, 0) : 0;
    return true;
}

static bool try_part(struct cluster_source *c, struct client_op *op,
                     const struct fetch_response_snapshot_id *id, int64_t position,
                     struct fetch_snapshot_response_partition_snapshot *ret_part,
                     struct failure *failure)
{
    struct fetch_snapshot_request_partition_snapshot partition;
    struct fetch_snapshot_request_topic_snapshot topic = {
        .name = STR(TOPIC), .partitions = &partition, .partitions_count = 1};
    struct fetch_snapshot_request request;
    struct fetch_snapshot_response response;
    if (!connect_leader(c, op, failure))
        return false;
    message_struct_init(&fetch_snapshot_request_partition_snapshot_struct, &partition, 1);
    partition.current_leader_epoch = c->leader_epoch;
    partition.snapshot_id.end_offset = id->end_offset;
    partition.snapshot_id.epoch = id->epoch;
    partition.position = position;
    message_init(&fetch_snapshot_request_desc, &request);
    request.replica_id = -1;
    request.max_bytes = SNAPSHOT_BYTES;
    request.topics = &topic;
    request.topics_count = 1;
    if (!ask_leader(c, API_FETCH_SNAPSHOT, &request, 0, &response, failure) ||
        !judge(c, response.error_code, failure))
        return false;
    if (response.topics_count != 1 || response.topics[0].partitions_count != 1)
        return failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                           "Controller %d answered a question that was not asked", c->leader_id);
    *ret_part = response.topics[0].partitions[0];
    return judge(c, ret_part->error_code, failure);
}

/* All of a snapshot, part by part. */
static bool fetch_snapshot(struct cluster_source *c, const struct fetch_response_snapshot_id *id,
                           struct bytebuf *out, struct failure *failure)
{
    struct fetch_snapshot_response_partition_snapshot part = {.size = INT64_MAX};
    struct arena arena;
    bool ok = true;
    arena_init(&arena, 0);
    while (ok && (int64_t)out->len < part.size) {
        struct client_op op;
        client_op_begin(&op, c->client, "fetchMetadataSnapshot", &arena);
        do {
            ok = try_part(c, &op, id, (int64_t)out->len, &part, failure);
        } while (!ok && failure->error == KAFKA_ERROR_NONE && wait_again(&op, failure));
        if (!ok)
            break;
        if (part.position != (int64_t)out->len || part.unaligned_records.len <= 0 ||
            part.size > (int64_t)SNAPSHOT_BYTES_MAX)
            ok = failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                             "Controller %d sent no part of the snapshot at %zu of %lld bytes",
                             c->leader_id, out->len, (long long)part.size);
        else
            bytebuf_append(out, part.unaligned_records.data, (size_t)part.unaligned_records.len);
    }
    arena_release(&arena);
    return ok;
}

static bool cluster_snapshot(struct metadata_source *source, int64_t limit, metadata_take_fn take,
                             void *ctx, struct metadata_snapshot *ret_snapshot,
                             struct failure *failure)
{
    struct cluster_source *c = (struct cluster_source *)source;
    struct fetch_response_partition_data data;
    struct bytebuf bytes;
    bool ok = false;
    *ret_snapshot = (struct metadata_snapshot){0};
    bytebuf_init(&bytes);
    /* The leader may delete the snapshot that it named and make another one. */
    for (int tries = 0; tries < 3 && !ok; tries++) {
        if (!fetch(c, 0, 0, 0, &data, failure))
            break;
        struct fetch_response_snapshot_id id = data.snapshot_id;
        if (id.end_offset < 0)
            return true;
        if (id.end_offset > limit) {
            failure_set(failure, KAFKA_ERROR_OFFSET_OUT_OF_RANGE,
                        "Offset %lld is no longer there: the cluster's log begins at offset %lld "
                        "and its snapshot ends at offset %lld",
                        (long long)limit - 1, (long long)data.log_start_offset,
                        (long long)id.end_offset);
            break;
        }
        bytes.len = 0;
        ok = fetch_snapshot(c, &id, &bytes, failure);
        ret_snapshot->end_offset = c->known_offset = id.end_offset;
        ret_snapshot->epoch = c->known_epoch = id.epoch;
        if (!ok && failure->error != KAFKA_ERROR_SNAPSHOT_NOT_FOUND)
            break;
    }
    ok = ok && take(ctx, (struct bytes){bytes.data, (int32_t)bytes.len}, failure);
    bytebuf_release(&bytes);
    return ok;
}

/* Whole batches below the high watermark. */
static struct bytes committed(struct cluster_source *c, struct bytes records,
                              int64_t high_watermark)
{
    struct record_batches run = record_batches_of(records);
    struct record_batch batch;
    int32_t len = 0;
    while (record_batches_next(&run, &batch) == 1 &&
           record_batch_last_offset(&batch.header) < high_watermark) {
        len += batch.bytes.len;
        c->known_offset = record_batch_next_offset(&batch.header);
        c->known_epoch = batch.header.partition_leader_epoch;
    }
    return (struct bytes){records.data, len};
}

static bool cluster_read(struct metadata_source *source, int64_t offset, int wait_ms,
                         struct bytes *ret_batches, struct failure *failure)
{
    struct cluster_source *c = (struct cluster_source *)source;
    struct fetch_response_partition_data data;
    int64_t deadline_ms = client_now_ms() + wait_ms;
    for (;;) {
        int left_ms = (int)MAX(deadline_ms - client_now_ms(), 0);
        int32_t epoch = offset == 0 ? 0 : offset == c->known_offset ? c->known_epoch : -1;
        if (!fetch(c, offset, epoch, left_ms, &data, failure))
            return false;
        if (data.snapshot_id.end_offset >= 0)
            return failure_set(failure, KAFKA_ERROR_OFFSET_OUT_OF_RANGE,
                               "Offset %lld is no longer there: the cluster's log begins at "
                               "offset %lld",
                               (long long)offset, (long long)data.log_start_offset);
        if (data.diverging_epoch.end_offset >= 0)
            return failure_set(failure, KAFKA_ERROR_OFFSET_OUT_OF_RANGE,
                               "The cluster's log has no offset %lld: it ends at offset %lld",
                               (long long)offset, (long long)data.diverging_epoch.end_offset - 1);
        *ret_batches = committed(c, data.records, data.high_watermark);
        if (ret_batches->len > 0 || left_ms == 0)
            return true;
        /* There is something that is not committed yet: the leader does not wait for us then. */
        if (data.records.len > 0)
            poll(NULL, 0, 10);
    }
}

static bool cluster_leader(const struct metadata_source *source, int32_t *ret_id,
                           int32_t *ret_epoch)
{
    const struct cluster_source *c = (const struct cluster_source *)source;
    *ret_id = c->leader_id;
    *ret_epoch = c->leader_epoch;
    return c->leader_epoch >= 0;
}

static void cluster_free(struct metadata_source *source)
{
    struct cluster_source *c = (struct cluster_source *)source;
    drop_leader(c);
    arena_release(&c->arena);
    free(c);
}

static const struct metadata_source_ops cluster_ops = {
    .start = cluster_start,
    .snapshot = cluster_snapshot,
    .read = cluster_read,
    .leader = cluster_leader,
    .free = cluster_free,
};

bool metadata_cluster_open(struct client *client, enum client_kind kind,
                           struct metadata_source **ret_source, struct failure *failure)
{
    struct cluster_source *c = mem_calloc(1, sizeof(*c));
    c->source = (struct metadata_source){.ops = &cluster_ops, .live = true};
    c->client = client;
    c->kind = kind;
    c->leader_id = c->leader_epoch = -1;
    c->known_offset = -1;
    arena_init(&c->arena, 0);
    *ret_source = &c->source;
    return true;
}
