/*
 * Answers to Fetch, and what of them goes into the log: whole batches that follow ours without a
 * gap, with right checksums, of epochs that do not go back, and below the leader's high watermark.
 */
#include "raft/quorum_observer_internal.h"

#include "common/protocol/messages/fetch.h"
#include "common/storage/log_epochs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Nothing of a fetch was committed yet: a moment later it is. */
#define COMMIT_PAUSE_MS 5

void observer_note_voters(struct quorum_observer *o, int64_t offset, struct quorum_voters *voters)
{
    VEC_PUSH(o->voters, o->voters_count, o->voters_capacity) =
        (struct observer_voters){offset, quorum_voters_ref(voters)};
}

void observer_forget_voters(struct quorum_observer *o, int64_t from_offset)
{
    while (o->voters_count > 0 && o->voters[o->voters_count - 1].offset >= from_offset)
        quorum_voters_unref(o->voters[--o->voters_count].voters);
}

struct quorum_voters *observer_voters_at(const struct quorum_observer *o, int64_t end_offset)
{
    for (size_t i = o->voters_count; i-- > 0;)
        if (o->voters[i].offset < end_offset)
            return o->voters[i].voters;
    return NULL;
}

void observer_fetch(struct quorum_observer *o)
{
    struct quorum_node *node = o->node;
    struct fetch_request_fetch_partition partition;
    struct fetch_request_fetch_topic topic;
    struct fetch_request request;
    message_init(&fetch_request_desc, &request);
    message_struct_init(&fetch_request_fetch_topic_struct, &topic, 1);
    message_struct_init(&fetch_request_fetch_partition_struct, &partition, 1);
    partition.current_leader_epoch = o->scouting ? MAX(node->epoch, o->scout_epoch) : node->epoch;
    partition.fetch_offset = log_end_offset(node->log);
    partition.last_fetched_epoch = o->last_epoch;
    partition.log_start_offset = log_start_offset(node->log);
    partition.replica_directory_id = node->config.directory_id;
    partition.high_watermark = node->high_watermark;
    topic.topic_id = UUID_METADATA_TOPIC;
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.cluster_id = str_of(o->config->cluster_id);
    /* A scout takes nothing: nobody is to remember it. */
    int32_t replica_id = o->scouting ? -1 : node->config.node_id;
    if (o->fetch_version >= 15)
        request.replica_state.replica_id = replica_id;
    else
        request.replica_id = replica_id;
    request.max_wait_ms = o->scouting ? 0 : OBSERVER_MAX_WAIT_MS;
    request.max_bytes = o->config->fetch_max_bytes;
    request.session_epoch = -1;
    request.topics = &topic;
    request.topics_count = 1;
    request.rack_id = STR_EMPTY;
    o->state = OBSERVER_FETCHING;
    observer_ask(o, API_FETCH, o->fetch_version, &request, observer_fetched);
}

/* --- records ------------------------------------------------------------------------------- */

struct taking {
    struct quorum_observer *o;
    int64_t high_watermark; /* the leader's */
    int64_t next;
    int32_t epoch;
    size_t bytes;      /* of the batches that fit */
    bool more;         /* there are batches that are not committed yet */
    const char *wrong; /* NULL: nothing */
};

static bool judge(struct taking *t, const struct record_batch *batch)
{
    const struct record_batch_header *h = &batch->header;
    if (h->base_offset != t->next)
        t->wrong = "offsets that do not follow";
    else if (h->last_offset_delta < 0 || h->count <= 0 || h->count > h->last_offset_delta + 1)
        t->wrong = "a batch that contradicts itself";
    else if (h->partition_leader_epoch < t->epoch || h->partition_leader_epoch > t->o->node->epoch)
        t->wrong = "a batch of an epoch that cannot be";
    else if (!record_batch_crc_ok(batch))
        t->wrong = "a batch with a wrong checksum";
    return t->wrong == NULL;
}

static void take_voters(struct taking *t, const struct record_batch *batch)
{
    struct quorum_control control;
    if (quorum_control_parse(batch, &control) != 0) {
        t->wrong = "a control batch that cannot be read";
        return;
    }
    if (control.voters) {
        observer_note_voters(t->o, batch->header.base_offset, control.voters);
        t->o->node->voters_offset = MIN(t->o->node->voters_offset, batch->header.base_offset);
    }
    quorum_voters_unref(control.voters);
}

static void survey(struct taking *t, struct bytes records)
{
    struct record_batches run = record_batches_of(records);
    struct record_batch batch;
    const uint8_t *start = run.at;
    int rv;
    while ((rv = record_batches_next(&run, &batch)) == 1 && judge(t, &batch)) {
        if (record_batch_next_offset(&batch.header) > t->high_watermark) {
            t->more = true;
            return;
        }
        take_voters(t, &batch);
        if (t->wrong)
            return;
        t->next = record_batch_next_offset(&batch.header);
        t->epoch = batch.header.partition_leader_epoch;
        t->bytes = (size_t)(batch.bytes.data + batch.bytes.len - start);
    }
    /* The last batch may be cut off. */
    if (rv < 0 && rv != -EAGAIN)
        t->wrong = "bytes that are no batch";
}

/* False: the node or the connection ended. */
static bool append(struct taking *t, struct bytes records)
{
    struct quorum_node *node = t->o->node;
    struct log_append_args args = {
        .batches = {records.data, (int32_t)t->bytes},
        .origin = LOG_APPEND_REPLICA,
        .leader_epoch = node->epoch,
        .now_ms = env_wall_ms(node->env),
    };
    struct log_append_info info;
    int64_t end = log_end_offset(node->log);
    int rv = t->bytes > 0 ? log_append(node->log, &args, &info) : 0;
    if (rv != 0)
        observer_forget_voters(t->o, end);
    if (rv == -ENOSPC) {
        observer_say(t->o,
                     "The disk of %s is full: the metadata does not go on until there is "
                     "room",
                     node->directory);
        observer_retry(t->o, 1000);
        return false;
    }
    if (rv != 0) {
        node_fail(node, "cannot write the metadata log in %s: %s", node->directory, strerror(-rv));
        return false;
    }
    CHECK(log_end_offset(node->log) == t->next);
    t->o->last_epoch = t->epoch;
    t->o->unsynced_bytes += (int64_t)t->bytes;
    return true;
}

static void take_records(struct quorum_observer *o,
                         const struct fetch_response_partition_data *data)
{
    struct quorum_node *node = o->node;
    int64_t end = log_end_offset(node->log);
    struct taking t = {
        .o = o, .high_watermark = data->high_watermark, .next = end, .epoch = o->last_epoch};
    survey(&t, data->records);
    if (!append(&t, data->records))
        return;
    int64_t high_watermark = MIN(data->high_watermark, t.next);
    bool news = t.bytes > 0 || high_watermark > node->high_watermark;
    if (high_watermark > node->high_watermark) {
        node->high_watermark = high_watermark;
        log_set_high_watermark(node->log, high_watermark);
    }
    if (data->high_watermark >= 0 && t.next >= data->high_watermark)
        node->settled = true;
    node_schedule(node);
    if (t.wrong) {
        observer_give_up(o, "sends %s behind offset %" PRId64, t.wrong, t.next);
        return;
    }
    o->attempts = 0;
    bool at_once = env_now_ms(node->env) - o->asked_ms < OBSERVER_MAX_WAIT_MS / 2;
    if (t.more && t.bytes == 0)
        observer_pause(o, COMMIT_PAUSE_MS);
    else if (!news && at_once)
        observer_pause(o, o->config->retry_backoff_ms);
    else
        observer_fetch(o);
}

/* --- what does not fit --------------------------------------------------------------------- */

/* The leader's log does not have the end of ours. What was never known as committed, in a log that
 * Kafka wrote, may go; else our history is another one. */
static void diverged(struct quorum_observer *o, int32_t epoch, int64_t end_offset)
{
    struct quorum_node *node = o->node;
    int64_t end = log_end_offset(node->log);
    struct log_epoch_end ours = log_end_offset_for_epoch(node->log, epoch);
    int64_t cut = ours.end_offset >= 0 ? MIN(ours.end_offset, end_offset) : end_offset;
    if (epoch < 0 || cut < 0 || cut >= end) {
        observer_give_up(o, "says that logs differ where they do not, at offset %" PRId64, cut);
        return;
    }
    if (cut < node->high_watermark || cut < log_start_offset(node->log)) {
        node_fail(node,
                  "The metadata log of the leader, node %" PRId32 " in epoch %" PRId32
                  ", has no more than offset %" PRId64 " of epoch %" PRId32
                  " in common with the one in %s, of which all below offset %" PRId64
                  " was committed: the controllers have lost metadata, or are those of another "
                  "cluster. If the controllers are right, start this node with an empty %s",
                  node->leader_id, node->epoch, cut, epoch, node->directory, node->high_watermark,
                  node->directory);
        return;
    }
    observer_forget_voters(o, cut);
    o->state = OBSERVER_TRUNCATING;
    o->cut_offset = cut;
    node_schedule(node);
}

static void offered_snapshot(struct quorum_observer *o, struct quorum_checkpoint_id id)
{
    if (id.epoch < 0 || id.epoch > o->node->epoch || id.end_offset <= 0) {
        observer_give_up(o, "offers a checkpoint that cannot be, at offset %" PRId64,
                         id.end_offset);
    } else if (id.end_offset < o->node->high_watermark) {
        observer_give_up(o,
                         "offers a checkpoint at offset %" PRId64
                         ", where this node has all below offset %" PRId64,
                         id.end_offset, o->node->high_watermark);
    } else {
        observer_take_snapshot(o, id);
    }
}

/* --- answers ------------------------------------------------------------------------------- */

static const struct endpoint *endpoint_of(const struct fetch_response *response, int32_t node_id,
                                          struct endpoint *room)
{
    for (int32_t i = 0; i < response->node_endpoints_count; i++) {
        const struct fetch_response_node_endpoint *in = &response->node_endpoints[i];
        if (in->node_id != node_id || in->port <= 0 || in->port > UINT16_MAX || in->host.len <= 0 ||
            in->host.len > HOST_MAX)
            continue;
        memcpy(room->host, in->host.data, (size_t)in->host.len);
        room->host[in->host.len] = '\0';
        room->port = (uint16_t)in->port;
        return room;
    }
    return NULL;
}

static const struct fetch_response_partition_data *partition_of(const struct fetch_response *r)
{
    if (r->responses_count != 1 || r->responses[0].partitions_count != 1 ||
        !uuid_eq(r->responses[0].topic_id, UUID_METADATA_TOPIC) ||
        r->responses[0].partitions[0].partition_index != 0)
        return NULL;
    return &r->responses[0].partitions[0];
}

static void take_partition(struct quorum_observer *o,
                           const struct fetch_response_partition_data *data)
{
    switch (data->error_code) {
    case KAFKA_ERROR_NONE:
        break;
    case KAFKA_ERROR_FENCED_LEADER_EPOCH:
    case KAFKA_ERROR_UNKNOWN_LEADER_EPOCH:
    case KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER:
        observer_go_to_leader(o);
        return;
    default:
        observer_give_up(o, "refuses the metadata log: %s", kafka_error_name(data->error_code));
        return;
    }
    o->heard_ms = env_now_ms(o->node->env);
    if (o->node->leader_id < 0)
        observer_give_up(o, "answers as a leader and names none");
    else if (data->diverging_epoch.epoch >= 0 || data->diverging_epoch.end_offset >= 0)
        diverged(o, data->diverging_epoch.epoch, data->diverging_epoch.end_offset);
    else if (data->snapshot_id.epoch >= 0 || data->snapshot_id.end_offset >= 0)
        offered_snapshot(o, (struct quorum_checkpoint_id){data->snapshot_id.end_offset,
                                                          data->snapshot_id.epoch});
    else
        take_records(o, data);
}

/* Somebody who answers as the leader is all that a scout looks for. */
static void look_for_leader(struct quorum_observer *o, const struct fetch_response *response)
{
    struct quorum_node *node = o->node;
    const struct fetch_response_partition_data *data = partition_of(response);
    struct endpoint room;
    if (response->error_code != KAFKA_ERROR_NONE || !data || data->current_leader.leader_id < 0 ||
        data->current_leader.leader_id == node->config.node_id ||
        data->current_leader.leader_epoch < MAX(node->epoch, o->scout_epoch)) {
        observer_go_to_leader(o);
        return;
    }
    const struct endpoint *endpoint = endpoint_of(response, data->current_leader.leader_id, &room);
    o->news |= o->scout_epoch != data->current_leader.leader_epoch ||
               o->scout_leader != data->current_leader.leader_id;
    o->scout_epoch = data->current_leader.leader_epoch;
    o->scout_leader = data->current_leader.leader_id;
    if (endpoint) {
        o->leader_endpoint = *endpoint;
        o->known_endpoint = true;
    }
    if (data->error_code != KAFKA_ERROR_NONE) {
        observer_go_to_leader(o);
        return;
    }
    o->found = true;
    o->state = OBSERVER_PAUSED;
    node_schedule(node);
}

static void take_response(struct quorum_observer *o, const struct fetch_response *response)
{
    if (o->scouting) {
        look_for_leader(o, response);
        return;
    }
    if (response->error_code == KAFKA_ERROR_INCONSISTENT_CLUSTER_ID) {
        observer_ask_cluster(o);
        return;
    }
    if (response->error_code != KAFKA_ERROR_NONE) {
        observer_give_up(o, "refuses to be followed: %s", kafka_error_name(response->error_code));
        return;
    }
    const struct fetch_response_partition_data *data = partition_of(response);
    if (!data) {
        observer_give_up(o, "answers for another log than the metadata log");
        return;
    }
    struct endpoint room;
    int32_t leader_id = data->current_leader.leader_id;
    if (observer_learn(o, data->current_leader.leader_epoch, leader_id,
                       endpoint_of(response, leader_id, &room)))
        take_partition(o, data);
}

void observer_fetched(struct client_request *request, int status, struct buf *frame)
{
    struct quorum_observer *o = observer_of(request);
    if (!observer_was_answered(o, status))
        return;
    struct arena arena;
    struct fetch_response response;
    arena_init(&arena, 0);
    if (observer_decode(o, API_FETCH, o->fetch_version, frame, &arena, &response))
        take_response(o, &response);
    arena_release(&arena);
    buf_unref(frame);
}

/* --- the disk ------------------------------------------------------------------------------ */

static void sync_run(struct work *work)
{
    struct quorum_node *node = CONTAINER_OF(work, struct quorum_node, flush_work);
    log_flush_run(node->flush);
    if (node->new_mark >= 0)
        node->mark_rv = quorum_mark_write(node->disk, node->directory, node->new_mark);
}

static void sync_done(struct work *work)
{
    struct quorum_node *node = CONTAINER_OF(work, struct quorum_node, flush_work);
    int rv = log_flush_end(node->log, node->flush);
    node->flush = NULL;
    node->flushing = false;
    if (node->new_mark >= 0) {
        node->mark = node->new_mark;
        rv = rv != 0 ? rv : node->mark_rv;
    }
    if (rv != 0)
        node_fail(node, "cannot sync the metadata log in %s: %s", node->directory, strerror(-rv));
    node_schedule(node);
    node_close_if_idle(node);
}

/* Now and then, so that a start has little to check. */
void observer_sync(struct quorum_observer *o)
{
    struct quorum_node *node = o->node;
    if (o->unsynced_bytes < QUORUM_MARK_BYTES || node->flushing || o->job_mine ||
        node->job.in_flight)
        return;
    node->flush = log_flush_begin(node->log, false, env_wall_ms(node->env));
    if (!node->flush)
        return;
    node->flushing = true;
    o->unsynced_bytes = 0;
    node->new_mark = log_durable_end_offset(node->log);
    node->flush_work = (struct work){.run = sync_run, .done = sync_done, .loop = node->loop};
    work_submit(&node->flush_work, WORK_QUORUM);
}
