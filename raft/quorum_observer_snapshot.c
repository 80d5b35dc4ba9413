/*
 * A checkpoint from the leader: asked for piece by piece, each written by a worker before the next
 * is asked for. The whole file is checked before it gets its name; then it takes the place of the
 * log and of all older checkpoints. A transfer that breaks begins anew.
 */
#define LOG_MODULE "quorum_observer"

#include "raft/quorum_observer_internal.h"

#include "common/protocol/messages/fetch_snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void ask_for_piece(struct quorum_observer *o);

/* --- writing ------------------------------------------------------------------------------- */

static bool is_last(const struct quorum_observer *o)
{
    return o->snapshot_position + o->piece.len == o->snapshot_size;
}

static void write_run(struct work *work)
{
    struct quorum_observer *o = CONTAINER_OF(work, struct quorum_observer, snapshot_work);
    int rv = 0;
    if (o->snapshot_position == 0) {
        /* What a transfer that broke off left behind goes. */
        quorum_checkpoint_receiver_abort(o->receiver);
        o->receiver = NULL;
        rv = quorum_checkpoint_receive(o->node->disk, o->node->directory, o->snapshot_id,
                                       &o->receiver);
    }
    if (rv == 0)
        rv = quorum_checkpoint_receiver_put(o->receiver, o->piece.data, (size_t)o->piece.len);
    if (rv == 0 && is_last(o)) {
        rv = quorum_checkpoint_receiver_finish(o->receiver, &o->snapshot_info);
        o->receiver = NULL;
    }
    if (rv != 0) {
        quorum_checkpoint_receiver_abort(o->receiver);
        o->receiver = NULL;
    }
    o->snapshot_rv = rv;
}

static void write_done(struct work *work)
{
    struct quorum_observer *o = CONTAINER_OF(work, struct quorum_observer, snapshot_work);
    bool last = is_last(o);
    o->writing = false;
    o->snapshot_position += o->piece.len;
    buf_unref(o->piece_frame);
    o->piece_frame = NULL;
    if (o->state != OBSERVER_SNAPSHOT) {
        node_schedule(o->node);
        node_close_if_idle(o->node);
    } else if (o->snapshot_rv == -EBADMSG) {
        observer_give_up(o, "sent a damaged checkpoint of offset %" PRId64,
                         o->snapshot_id.end_offset);
    } else if (o->snapshot_rv != 0) {
        observer_say(o, "The checkpoint of offset %" PRId64 " cannot be written to %s: %s",
                     o->snapshot_id.end_offset, o->node->directory, strerror(-o->snapshot_rv));
        observer_retry(o, 1000);
    } else if (last) {
        o->state = OBSERVER_INSTALLING;
        node_schedule(o->node);
    } else {
        ask_for_piece(o);
    }
}

/* --- answers ------------------------------------------------------------------------------- */

static const struct endpoint *endpoint_of(const struct fetch_snapshot_response *response,
                                          int32_t node_id, struct endpoint *room)
{
    for (int32_t i = 0; i < response->node_endpoints_count; i++) {
        const struct fetch_snapshot_response_node_endpoint *in = &response->node_endpoints[i];
        if (in->node_id != node_id || in->port == 0 || in->host.len <= 0 || in->host.len > HOST_MAX)
            continue;
        memcpy(room->host, in->host.data, (size_t)in->host.len);
        room->host[in->host.len] = '\0';
        room->port = in->port;
        return room;
    }
    return NULL;
}

/* The bytes are where we asked for them, of the file that we asked for, which did not change. */
static const char *judge(const struct quorum_observer *o,
                         const struct fetch_snapshot_response_partition_snapshot *in)
{
    if (in->snapshot_id.end_offset != o->snapshot_id.end_offset ||
        in->snapshot_id.epoch != o->snapshot_id.epoch)
        return "another checkpoint than it was asked for";
    if (in->position != o->snapshot_position)
        return "another part of the checkpoint than it was asked for";
    if (in->size <= 0 || in->size > OBSERVER_SNAPSHOT_MAX_BYTES ||
        (o->snapshot_position > 0 && in->size != o->snapshot_size))
        return "a checkpoint of an impossible size";
    if (in->unaligned_records.len <= 0 || in->unaligned_records.len > in->size - in->position)
        return "a part of the checkpoint that cannot be";
    return NULL;
}

static void take_piece(struct quorum_observer *o, struct buf *frame,
                       const struct fetch_snapshot_response_partition_snapshot *in)
{
    const char *wrong = judge(o, in);
    if (wrong) {
        observer_give_up(o, "sends %s", wrong);
        return;
    }
    o->snapshot_size = in->size;
    o->piece_frame = buf_ref(frame);
    o->piece = in->unaligned_records;
    o->writing = true;
    o->snapshot_work = (struct work){.run = write_run, .done = write_done, .loop = o->node->loop};
    work_submit(&o->snapshot_work, WORK_DISK);
}

static void take_error(struct quorum_observer *o, int16_t error)
{
    switch (error) {
    case KAFKA_ERROR_SNAPSHOT_NOT_FOUND:
    case KAFKA_ERROR_POSITION_OUT_OF_RANGE:
        /* It has a newer one by now: the next fetch names it. */
        observer_fetch(o);
        return;
    case KAFKA_ERROR_FENCED_LEADER_EPOCH:
    case KAFKA_ERROR_UNKNOWN_LEADER_EPOCH:
    case KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER:
        observer_go_to_leader(o);
        return;
    default:
        observer_give_up(o, "refuses its checkpoint: %s", kafka_error_name(error));
    }
}

static void take_response(struct quorum_observer *o, struct buf *frame,
                          const struct fetch_snapshot_response *response)
{
    if (response->error_code != KAFKA_ERROR_NONE) {
        observer_give_up(o, "refuses its checkpoint: %s", kafka_error_name(response->error_code));
        return;
    }
    if (response->topics_count != 1 || response->topics[0].partitions_count != 1) {
        observer_give_up(o, "answers for another log than the metadata log");
        return;
    }
    const struct fetch_snapshot_response_partition_snapshot *in =
        &response->topics[0].partitions[0];
    int32_t leader_id = in->current_leader.leader_id;
    struct endpoint room;
    if (!observer_learn(o, in->current_leader.leader_epoch, leader_id,
                        endpoint_of(response, leader_id, &room)))
        return;
    if (in->error_code != KAFKA_ERROR_NONE)
        take_error(o, in->error_code);
    else
        take_piece(o, frame, in);
}

static void piece_came(struct client_request *request, int status, struct buf *frame)
{
    struct quorum_observer *o = observer_of(request);
    if (!observer_was_answered(o, status))
        return;
    struct arena arena;
    struct fetch_snapshot_response response;
    arena_init(&arena, 0);
    if (observer_decode(o, API_FETCH_SNAPSHOT, o->snapshot_version, frame, &arena, &response))
        take_response(o, frame, &response);
    arena_release(&arena);
    buf_unref(frame);
}

static void ask_for_piece(struct quorum_observer *o)
{
    struct quorum_node *node = o->node;
    struct fetch_snapshot_request_partition_snapshot partition;
    struct fetch_snapshot_request_topic_snapshot topic;
    struct fetch_snapshot_request request;
    message_init(&fetch_snapshot_request_desc, &request);
    message_struct_init(&fetch_snapshot_request_topic_snapshot_struct, &topic, 1);
    message_struct_init(&fetch_snapshot_request_partition_snapshot_struct, &partition, 1);
    partition.current_leader_epoch = node->epoch;
    partition.snapshot_id.end_offset = o->snapshot_id.end_offset;
    partition.snapshot_id.epoch = o->snapshot_id.epoch;
    partition.position = o->snapshot_position;
    partition.replica_directory_id = node->config.directory_id;
    topic.name = STR("__cluster_metadata");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.cluster_id = str_of(o->config->cluster_id);
    request.replica_id = node->config.node_id;
    request.max_bytes = o->config->snapshot_max_bytes;
    request.topics = &topic;
    request.topics_count = 1;
    o->state = OBSERVER_SNAPSHOT;
    observer_ask(o, API_FETCH_SNAPSHOT, o->snapshot_version, &request, piece_came);
}

void observer_take_snapshot(struct quorum_observer *o, struct quorum_checkpoint_id id)
{
    CHECK(!o->writing);
    o->snapshot_id = id;
    o->snapshot_position = o->snapshot_size = 0;
    ask_for_piece(o);
}

/* --- installing ---------------------------------------------------------------------------- */

void observer_install(struct quorum_observer *o)
{
    struct quorum_node *node = o->node;
    /* Nobody else may touch the log and the list of checkpoints meanwhile. */
    if (node->job.in_flight || node->loading || node->warm || node->flushing || node->cleaning ||
        node->snapshot || log_busy(node->log))
        return;
    o->job_mine = true;
    node->job.offset = o->snapshot_id.end_offset;
    job_submit(node, QUORUM_JOB_INSTALL);
}

void observer_installed(struct quorum_observer *o)
{
    struct quorum_node *node = o->node;
    struct quorum_kept kept = {o->snapshot_id, o->snapshot_info.size_bytes,
                               o->snapshot_info.last_contained_ms};
    log_info(node->env->logger,
             "Took the leader's checkpoint end_offset=%" PRId64 " epoch=%" PRId32 " bytes=%" PRId64,
             kept.id.end_offset, kept.id.epoch, kept.size_bytes);
    node->mark = kept.id.end_offset;
    node->voters_offset = o->snapshot_info.voters ? 0 : INT64_MAX;
    o->last_epoch = kept.id.epoch;
    o->unsynced_bytes = 0;
    observer_forget_voters(o, INT64_MIN);
    if (o->snapshot_info.voters)
        observer_note_voters(o, -1, o->snapshot_info.voters);
    quorum_voters_unref(o->snapshot_info.voters);
    o->snapshot_info = (struct quorum_checkpoint_info){0};
    keep_only(node, &kept);
    give_checkpoint(node, kept.id);
    if (!node_alive(node))
        return;
    if (o->client)
        observer_fetch(o);
    else
        observer_retry(o, 1);
}
