/*
 * Fetch by a follower: the request names what changed at its side, the loops that own the
 * partitions add what changed at theirs (feed_read.h), and the answer holds nothing else. So its
 * cost follows what happens, not how many partitions are replicated.
 *
 *   handle -> READING -> enough, or no time to wait: respond
 *                ^ \-> WAITING
 *                \------ woken, time is up, or the session's next request is here
 */
#include "broker/handlers/feed_read.h"
#include "broker/handlers/fetch_asked.h"
#include "broker/handlers/handlers.h"
#include "broker/server/broker_metrics.h"
#include "broker/server/node.h"
#include "broker/server/request.h"
#include "broker/server/shard.h"
#include "broker/server/shard_topics.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/messages/fetch.h"
#include "metadata/config/server_config.h"
#include "metadata/image.h"

#include <stdlib.h>

/* How long a new high watermark waits for records to go with. */
#define NEWS_DELAY_MS 5

struct replica_op {
    struct request *request;
    const struct fetch_request *body;
    struct fetch_params params;
    int32_t session_id;
    bool waiting, woken, time_up;
    bool news_due; /* the timer is the one of the news */
    struct feed_part *parts;
    int part_count, outstanding;
    struct timer timer;
    struct shard_hurry hurry;
};

static void op_read(struct replica_op *op);

static void respond_error(struct request *request, enum kafka_error error)
{
    struct fetch_response response;
    message_init(&fetch_response_desc, &response);
    response.error_code = (int16_t)error;
    request_respond(request, &response);
}

/* --- the answer ---------------------------------------------------------------------------- */

struct answer {
    struct fetch_response response;
    struct fetch_response_partition_data *rooms;
    struct response_file *files;
    int32_t used, file_count;
    int64_t bytes;
};

static void add_entry(const struct replica_op *op, const struct fetch_entry *entry,
                      struct answer *answer)
{
    int32_t topics = answer->response.responses_count;
    struct fetch_response_fetchable_topic_response *topic = answer->response.responses + topics - 1;
    if (topics == 0 || !uuid_eq(topic->topic_id, entry->at.topic_id)) {
        topic = &answer->response.responses[answer->response.responses_count++];
        topic->topic_id = entry->at.topic_id;
        topic->partitions = &answer->rooms[answer->used];
    }
    topic->partitions_count++;
    struct fetch_response_partition_data *room = &answer->rooms[answer->used++];
    fetch_entry_fill(entry, &op->params, entry->read.size_bytes, room);
    if (entry->read.size_bytes == 0)
        return;
    answer->bytes += entry->read.size_bytes;
    answer->files[answer->file_count++] =
        (struct response_file){disk_file_ref(entry->read.file), entry->read.position};
}

static void op_respond(struct replica_op *op)
{
    struct request *request = op->request;
    struct arena *arena = &request->arena;
    struct answer answer = {0};
    int32_t count = 0;
    for (int i = 0; i < op->part_count; i++)
        count += (int32_t)op->parts[i].count;
    message_init(&fetch_response_desc, &answer.response);
    answer.response.session_id = op->session_id;
    answer.response.responses =
        MESSAGE_ARRAY(arena, fetch_response_fetchable_topic_response, count);
    answer.rooms = MESSAGE_ARRAY(arena, fetch_response_partition_data, count);
    answer.files = ARENA_ARRAY(arena, struct response_file, count);
    for (int i = 0; i < op->part_count; i++) {
        for (size_t k = 0; k < op->parts[i].count; k++)
            add_entry(op, &op->parts[i].entries[k], &answer);
        feed_part_release(&op->parts[i]);
    }
    timer_stop(&op->timer);
    list_remove(&op->hurry.link);
    fetch_session_ended(request->shard->sessions, op->session_id, op);
    replication_metrics_count(request->shard->metrics, REPLICATION_BYTES_OUT, answer.bytes);
    request_respond_files(request, &answer.response, answer.files, answer.file_count);
}

/* --- reading and waiting ------------------------------------------------------------------- */

static bool op_enough(const struct replica_op *op)
{
    if (op->time_up || op->part_count == 0 || op->body->max_wait_ms <= 0)
        return true;
    int64_t bytes = 0;
    for (int i = 0; i < op->part_count; i++) {
        if (op->parts[i].urgent || op->parts[i].take_news)
            return true;
        bytes += op->parts[i].bytes;
    }
    return bytes > 0 && bytes >= op->body->min_bytes;
}

static void op_set_timer(struct replica_op *op)
{
    bool news = false;
    for (int i = 0; i < op->part_count; i++)
        news |= op->parts[i].has_news;
    if (!timer_running(&op->timer) || (news && !op->news_due))
        timer_start_in_ms(&op->timer,
                          news ? MIN(NEWS_DELAY_MS, op->body->max_wait_ms) : op->body->max_wait_ms);
    op->news_due |= news;
}

static void op_after_reading(struct replica_op *op)
{
    if (--op->outstanding > 0)
        return;
    if (op_enough(op)) {
        op_respond(op);
        return;
    }
    op_set_timer(op);
    op->waiting = true;
    op->request->shard->waiting_fetches++;
    if (op->woken)
        op_read(op);
}

static void part_done(struct shard_call *call)
{
    op_after_reading(CONTAINER_OF(call, struct feed_part, call)->op);
}

static void op_read(struct replica_op *op)
{
    op->request->shard->waiting_fetches -= op->waiting;
    op->waiting = op->woken = false;
    op->outstanding = op->part_count + 1;
    for (int i = 0; i < op->part_count; i++)
        shard_call_send(&op->parts[i].call, op->request->shard->loop, op->parts[i].shard->loop,
                        feed_part_read, part_done);
    op_after_reading(op);
}

void replica_op_wake(struct shard *shard, int32_t session_id)
{
    struct replica_op *op = fetch_session_op(shard->sessions, session_id);
    if (op == NULL)
        return;
    op->woken = true;
    if (op->waiting)
        op_read(op);
}

static void end_waiting(struct replica_op *op)
{
    op->time_up = true;
    for (int i = 0; op->waiting && i < op->part_count; i++)
        op->parts[i].take_news = true;
    if (op->waiting)
        op_read(op);
}

static void time_is_up(struct timer *timer)
{
    end_waiting(CONTAINER_OF(timer, struct replica_op, timer));
}

static void hurry(struct shard_hurry *hurried)
{
    end_waiting(CONTAINER_OF(hurried, struct replica_op, hurry));
}

/* --- the request --------------------------------------------------------------------------- */

static uint64_t bit_of(const struct shard *owner)
{
    return (uint64_t)1 << (owner->index % 64);
}

/* Every loop that has, or gets, partitions of the session. */
static void make_parts(struct replica_op *op, uint64_t owners, int32_t named, int32_t forgotten)
{
    struct request *request = op->request;
    struct node *node = request->shard->node;
    int loops = shard_count(node);
    op->parts = ARENA_ARRAY(&request->arena, struct feed_part, loops);
    for (int i = 0; i < loops; i++) {
        struct shard *owner = node_shard(node, i);
        if ((owners & bit_of(owner)) == 0)
            continue;
        op->parts[op->part_count++] = (struct feed_part){
            .shard = owner,
            .op = op,
            .params = &op->params,
            .session_id = op->session_id,
            .request = op->body->session_epoch,
            .asker = request->shard->index,
            .min_bytes = op->body->min_bytes,
            .named = ARENA_ARRAY(&request->arena, struct fetch_partition *, named),
            .forgotten = ARENA_ARRAY(&request->arena, struct fetch_partition *, forgotten),
        };
    }
    for (int i = 0; i < op->part_count; i++)
        op->parts[i].max_bytes = MAX(op->params.max_bytes / op->part_count, 1);
}

static struct feed_part *part_of(struct replica_op *op, const struct fetch_partition *at)
{
    const struct shard *owner = shard_of(op->request->shard->node, at->topic_id, at->partition);
    for (int i = 0; i < op->part_count; i++)
        if (op->parts[i].shard == owner)
            return &op->parts[i];
    return NULL;
}

static void route(struct replica_op *op, uint64_t *owners, struct fetch_partition *named,
                  int32_t named_count, struct fetch_partition *forgotten, int32_t forgotten_count)
{
    struct node *node = op->request->shard->node;
    for (int32_t i = 0; i < named_count; i++)
        *owners |= bit_of(shard_of(node, named[i].topic_id, named[i].partition));
    make_parts(op, *owners, named_count, forgotten_count);
    for (int32_t i = 0; i < named_count; i++) {
        struct feed_part *part = part_of(op, &named[i]);
        part->named[part->named_count++] = &named[i];
    }
    for (int32_t i = 0; i < forgotten_count; i++) {
        struct feed_part *part = part_of(op, &forgotten[i]);
        if (part != NULL)
            part->forgotten[part->forgotten_count++] = &forgotten[i];
    }
}

/* Brokers name each of their fetchers. */
static uint64_t peer_of(const struct request *request)
{
    const struct fetch_request *body = request->body;
    struct str client_id = request->header.client_id;
    return client_id.len > 0
               ? hash_u64(str_hash(client_id) ^ (uint32_t)body->replica_state.replica_id)
               : 0;
}

/* The session's part: which one it is, and what it is from now on. */
static enum kafka_error op_plan(struct replica_op *op, struct replica_op **ret_earlier)
{
    struct request *request = op->request;
    struct fetch_session_request asked = {
        .session_id = op->body->session_id,
        .epoch = op->body->session_epoch,
        .uses_topic_ids = true,
        .privileged = true,
        .now_ms = env_now_ms(request->shard->host.env),
        .op = op,
        .peer = peer_of(request),
        .peer_epoch = op->body->replica_state.replica_epoch,
    };
    struct fetch_partition *named, *forgotten;
    asked.partition_count = fetch_asked_partitions(op->body, true, &request->arena, &named);
    asked.forgotten_count = fetch_asked_forgotten(op->body, true, &request->arena, &forgotten);
    asked.partitions = named;
    asked.forgotten = forgotten;
    env_random(request->shard->host.env, &asked.random, sizeof(asked.random));
    struct fetch_session_plan plan;
    enum kafka_error error = fetch_session_begin(request->shard->sessions, &asked, &plan);
    if (error != KAFKA_ERROR_NONE)
        return error;
    op->session_id = plan.answer_session_id;
    *ret_earlier = plan.earlier;
    if (plan.session != NULL)
        route(op, fetch_session_owners(plan.session), named, asked.partition_count, forgotten,
              asked.forgotten_count);
    return KAFKA_ERROR_NONE;
}

bool fetch_is_by_known_replica(const struct request *request)
{
    const struct fetch_request *body = request->body;
    if (request->header.request_api_version < 15 || body->replica_state.replica_id < 0 ||
        body->session_epoch == FETCH_SESSION_FINAL_EPOCH)
        return false;
    const struct broker_image *broker =
        cluster_image_broker(&request->shard->image->cluster, body->replica_state.replica_id);
    return broker != NULL && broker->epoch == body->replica_state.replica_epoch;
}

void handle_fetch_by_replica(struct request *request)
{
    const struct fetch_request *body = request->body;
    struct replica_op *op = ARENA_NEW(&request->arena, struct replica_op), *earlier = NULL;
    op->request = request;
    op->body = body;
    op->params = (struct fetch_params){
        .version = request->header.request_api_version,
        .replica_id = body->replica_state.replica_id,
        .replica_epoch = body->replica_state.replica_epoch,
        .max_bytes =
            MIN(body->max_bytes, (int32_t)server_config_integer(node_config(request->shard->node),
                                                                CONFIG_BROKER_FETCH_MAX_BYTES)),
        .isolation_level = body->isolation_level,
    };
    enum kafka_error error =
        body->max_bytes < 0 ? KAFKA_ERROR_INVALID_REQUEST : op_plan(op, &earlier);
    if (error != KAFKA_ERROR_NONE) {
        respond_error(request, error);
        return;
    }
    /* Whoever sends the next request does not wait for the answer to the one before. */
    if (earlier != NULL)
        end_waiting(earlier);
    timer_init(&op->timer, request->shard->loop, time_is_up);
    op->time_up = request->shard->hurry;
    op->hurry.hurry = hurry;
    list_push_back(&request->shard->fetches, &op->hurry.link);
    op_read(op);
}
