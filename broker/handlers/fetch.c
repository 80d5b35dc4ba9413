/*
 * Fetch: what to read comes from the request and its session; the loops that own the partitions
 * name the bytes (fetch_read.h); here they are gathered under the request's limits, waited for, and
 * sent from their files.
 *
 *   handle_fetch -> READING -> enough, or no time to wait: respond
 *                      ^ \-> SETTING (waits are being set) -> WAITING
 *                      \---------- woken, or time is up ------/
 */
#include "broker/handlers/describe_metadata.h"
#include "broker/handlers/fetch_asked.h"
#include "broker/handlers/fetch_read.h"
#include "broker/handlers/handlers.h"
#include "broker/server/broker_metrics.h"
#include "broker/server/node.h"
#include "broker/server/request.h"
#include "broker/server/shard.h"
#include "broker/server/shard_topics.h"
#include "common/base/check.h"
#include "common/base/map.h"
#include "common/protocol/messages/fetch.h"
#include "metadata/config/server_config.h"

#include <stdlib.h>

#define RACK_AWARE_SELECTOR "org.apache.kafka.common.replica.RackAwareReplicaSelector"

enum fetch_phase { FETCH_READING, FETCH_SETTING, FETCH_WAITING };

struct fetch_op {
    struct request *request;
    const struct fetch_request *body;
    struct fetch_params params;
    enum fetch_phase phase;
    bool incremental, has_session, time_up, woken;
    bool finished; /* responds as soon as no wake-up is on its way */
    int32_t session_id;
    struct fetch_entry *entries;
    int32_t count;
    struct fetch_group *groups;
    int32_t group_count, outstanding;
    struct timer timer;
    struct shard_hurry hurry;
    struct fetch_op *earlier; /* of the same session, still waiting; only while planning */
};

static void op_read(struct fetch_op *op);

static struct fetch_op *op_of(struct fetch_group *group)
{
    return group->op;
}

/* Answers the whole request with one error. */
static void respond_error(struct request *request, enum kafka_error error)
{
    struct fetch_response response;
    message_init(&fetch_response_desc, &response);
    response.error_code = (int16_t)error;
    request_respond(request, &response);
}

/* A session knows by itself what is named twice. Without one a partition is read where it was named
 * first, as it was named last. Returns how many are left. */
static int32_t without_repeats(const struct fetch_op *op, struct fetch_partition *asked,
                               int32_t count)
{
    bool by_id = op->params.version >= 13;
    struct map seen;
    int32_t left = 0;
    if (count < 2)
        return count;
    map_init(&seen, by_id ? MAP_UUID : MAP_STR_BORROWED);
    for (int32_t i = 0; i < count; i++) {
        struct map_key key = by_id ? map_key_uuid_int(asked[i].topic_id, asked[i].partition)
                                   : map_key_str_int(asked[i].topic, asked[i].partition);
        struct fetch_partition *place = map_get(&seen, key);
        if (place == NULL) {
            place = &asked[left++];
            map_put(&seen, key, place);
        }
        *place = asked[i];
    }
    map_release(&seen);
    return left;
}

/* From names to ids or back; what is not known is answered without asking a partition. */
static void entry_resolve(struct fetch_op *op, struct fetch_entry *entry)
{
    bool by_id = op->params.version >= 13;
    struct topic_ref topic;
    bool known = by_id ? shard_topic_by_id(op->request->shard, entry->at.topic_id, &topic)
                       : shard_topic_by_name(op->request->shard, entry->at.topic, &topic);
    if (!known) {
        entry->error =
            by_id ? KAFKA_ERROR_UNKNOWN_TOPIC_ID : KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        return;
    }
    entry->at.topic_id = topic.id;
    if (entry->at.partition < 0 || entry->at.partition >= topic.partition_count)
        entry->error = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
}

static struct fetch_group *op_group(struct fetch_op *op, struct shard *owner)
{
    for (int32_t g = 0; g < op->group_count; g++)
        if (op->groups[g].shard == owner)
            return &op->groups[g];
    struct fetch_group *group = &op->groups[op->group_count++];
    group->shard = owner;
    group->op = op;
    group->params = &op->params;
    group->asker = op->request->shard->loop;
    group->entries = ARENA_ARRAY(&op->request->arena, struct fetch_entry *, op->count);
    return group;
}

static void op_route(struct fetch_op *op)
{
    struct shard *shard = op->request->shard;
    op->groups = ARENA_ARRAY(&op->request->arena, struct fetch_group,
                             MIN(op->count, shard_count(shard->node)));
    for (int32_t i = 0; i < op->count; i++) {
        struct fetch_entry *entry = &op->entries[i];
        list_init(&entry->wait.link);
        fetch_entry_clear(entry);
        if (op->params.isolation_level < 0 || op->params.isolation_level > 1 ||
            op->params.max_bytes < 0)
            entry->error = KAFKA_ERROR_INVALID_REQUEST;
        else
            entry_resolve(op, entry);
        if (entry->error != KAFKA_ERROR_NONE)
            continue;
        struct fetch_group *group =
            op_group(op, shard_of(shard->node, entry->at.topic_id, entry->at.partition));
        entry->group = group;
        group->entries[group->count++] = entry;
    }
}

static void op_free(struct fetch_op *op)
{
    timer_stop(&op->timer);
    list_remove(&op->hurry.link);
    fetch_session_ended(op->request->shard->sessions, op->session_id, op);
    for (int32_t i = 0; i < op->count; i++)
        fetch_entry_clear(&op->entries[i]);
}

static void fill_partition(struct fetch_op *op, const struct fetch_entry *entry, int32_t size_bytes,
                           struct fetch_response_partition_data *out)
{
    fetch_entry_fill(entry, &op->params, size_bytes, out);
    out->preferred_read_replica = entry->preferred_replica;
    if (entry->aborted_count > 0) {
        out->aborted_transactions = MESSAGE_ARRAY(
            &op->request->arena, fetch_response_aborted_transaction, (int32_t)entry->aborted_count);
        out->aborted_transactions_count = (int32_t)entry->aborted_count;
        for (size_t i = 0; i < entry->aborted_count; i++) {
            out->aborted_transactions[i].producer_id = entry->aborted[i].producer_id;
            out->aborted_transactions[i].first_offset = entry->aborted[i].first_offset;
        }
    }
}

/* In an incremental answer only what is new appears; the session takes note of it. */
static bool session_wants(struct fetch_op *op, const struct fetch_entry *entry, int32_t size_bytes)
{
    if (!op->has_session)
        return true;
    struct fetch_session_outcome outcome = {.topic = entry->at.topic,
                                            .topic_id = entry->at.topic_id,
                                            .partition = entry->at.partition,
                                            .has_error = entry->error != KAFKA_ERROR_NONE,
                                            .has_records = size_bytes > 0,
                                            .must_send = entry->diverging_epoch >= 0 ||
                                                         entry->preferred_replica >= 0,
                                            .high_watermark = entry->high_watermark,
                                            .log_start_offset = entry->log_start_offset};
    bool wanted =
        fetch_session_includes(op->request->shard->sessions, op->session_id, &outcome, true);
    return wanted || !op->incremental;
}

/* How many bytes of this read fit; a batch that does not fit whole is left out, but for the first.
 */
static int32_t fitting_bytes(const struct fetch_op *op, const struct fetch_entry *entry,
                             int64_t sent_bytes)
{
    if (entry->read.file == NULL || entry->error != KAFKA_ERROR_NONE)
        return 0;
    if (sent_bytes == 0)
        return entry->read.size_bytes;
    int64_t left = MAX((int64_t)op->params.max_bytes - sent_bytes, 0);
    int64_t fits = MIN(MIN((int64_t)entry->read.size_bytes, left), (int64_t)entry->at.max_bytes);
    return entry->read.first_batch_bytes > fits ? 0 : (int32_t)fits;
}

static bool same_topic(const struct fetch_op *op, const struct fetch_entry *a,
                       const struct fetch_entry *b)
{
    return op->params.version >= 13 ? uuid_eq(a->at.topic_id, b->at.topic_id)
                                    : str_eq(a->at.topic, b->at.topic);
}

static void count_fetched(const struct fetch_op *op, const struct fetch_entry *entry,
                          int32_t size_bytes)
{
    struct shard *shard = op->request->shard;
    struct topic_metrics *metrics = topic_metrics_find(shard->metrics, entry->at.topic_id);
    struct topic_ref topic;
    if (entry->group == NULL)
        return;
    if (fetch_is_by_replica(&op->params)) {
        replication_metrics_count(shard->metrics, REPLICATION_BYTES_OUT, size_bytes);
        size_bytes = 0;
    }
    if (metrics == NULL && shard_topic_by_id(shard, entry->at.topic_id, &topic))
        metrics = topic_metrics_get(shard->metrics, topic.id, topic.name);
    if (metrics != NULL)
        topic_metrics_fetched(shard->metrics, metrics, entry->error, size_bytes);
}

struct answer {
    struct fetch_response response;
    struct fetch_response_partition_data *rooms;
    struct response_file *files;
    int32_t used, file_count;
    int64_t sent_bytes;
    const struct fetch_entry *before;
    struct leader_nodes leaders;
};

static void add_entry(struct fetch_op *op, struct fetch_entry *entry, struct answer *answer)
{
    struct fetch_response *response = &answer->response;
    int32_t size_bytes = fitting_bytes(op, entry, answer->sent_bytes);
    count_fetched(op, entry, size_bytes);
    if (!session_wants(op, entry, size_bytes))
        return;
    if (answer->before == NULL || !same_topic(op, answer->before, entry)) {
        struct fetch_response_fetchable_topic_response *topic =
            &response->responses[response->responses_count++];
        topic->topic = entry->at.topic;
        topic->topic_id = entry->at.topic_id;
        topic->partitions = &answer->rooms[answer->used];
    }
    answer->before = entry;
    fill_partition(op, entry, size_bytes, &answer->rooms[answer->used++]);
    if (op->params.version >= 16 && op->params.replica_id < 0 && entry->leader_epoch >= 0)
        describe_leader_node(op->request, entry->leader_id, &answer->leaders);
    response->responses[response->responses_count - 1].partitions_count++;
    answer->sent_bytes += size_bytes;
    if (size_bytes > 0)
        answer->files[answer->file_count++] =
            (struct response_file){disk_file_ref(entry->read.file), entry->read.position};
}

/* In the order of the session or the request; what needed no partition comes last, as in Kafka. */
static void op_respond(struct fetch_op *op)
{
    struct arena *arena = &op->request->arena;
    struct answer answer = {
        .rooms = MESSAGE_ARRAY(arena, fetch_response_partition_data, op->count),
        .files = ARENA_ARRAY(arena, struct response_file, op->count),
    };
    struct fetch_response *response = &answer.response;
    message_init(&fetch_response_desc, response);
    response->session_id = op->session_id;
    if (op->params.isolation_level < 0 || op->params.isolation_level > 1)
        response->error_code = KAFKA_ERROR_INVALID_REQUEST;
    response->responses = MESSAGE_ARRAY(arena, fetch_response_fetchable_topic_response, op->count);
    for (int32_t i = 0; i < op->count; i++)
        if (op->entries[i].group != NULL)
            add_entry(op, &op->entries[i], &answer);
    for (int32_t i = 0; i < op->count; i++)
        if (op->entries[i].group == NULL)
            add_entry(op, &op->entries[i], &answer);
    struct request *request = op->request;
    DESCRIBE_NODE_ENDPOINTS(request, response, fetch_response_node_endpoint, &answer.leaders);
    op_free(op);
    request_respond_files(request, response, answer.files, answer.file_count);
}

/* Whether an answer is due now: Kafka's reasons not to wait. */
static bool op_enough(const struct fetch_op *op)
{
    if (op->time_up || op->count == 0 || op->body->max_wait_ms <= 0)
        return true;
    int64_t bytes = 0;
    for (int32_t i = 0; i < op->count; i++) {
        const struct fetch_entry *entry = &op->entries[i];
        if (entry->error != KAFKA_ERROR_NONE || entry->diverging_epoch >= 0 ||
            entry->preferred_replica >= 0)
            return true;
        /* A follower learns at once what is committed: consumers and its next leader need it. */
        if (op->has_session && fetch_is_by_replica(&op->params) &&
            entry->high_watermark > entry->at.sent_high_watermark)
            return true;
        bytes += entry->read.size_bytes;
    }
    return bytes >= op->body->min_bytes;
}

static void op_send(struct fetch_op *op, enum fetch_phase phase, void (*run)(struct shard_call *),
                    void (*done)(struct shard_call *))
{
    op->phase = phase;
    /* One more than there are, so that answers given at once do not end the phase too early. */
    op->outstanding = op->group_count + 1;
    for (int32_t g = 0; g < op->group_count; g++)
        shard_call_send(&op->groups[g].call, op->request->shard->loop, op->groups[g].shard->loop,
                        run, done);
}

static void op_after_setting(struct fetch_op *op)
{
    if (--op->outstanding > 0)
        return;
    op->phase = FETCH_WAITING;
    op->request->shard->waiting_fetches++;
    if (op->woken || op->time_up)
        op_read(op);
}

static void group_waits(struct shard_call *call)
{
    op_after_setting(op_of(CONTAINER_OF(call, struct fetch_group, call)));
}

static void op_finish(struct fetch_op *op)
{
    op->finished = true;
    for (int32_t g = 0; g < op->group_count; g++)
        if (op->groups[g].wake_queued)
            return;
    op_respond(op);
}

static void op_after_reading(struct fetch_op *op)
{
    if (--op->outstanding > 0)
        return;
    if (op_enough(op)) {
        op_finish(op);
        return;
    }
    op->woken = false;
    if (!timer_running(&op->timer))
        timer_start_in_ms(&op->timer, op->body->max_wait_ms);
    op_send(op, FETCH_SETTING, fetch_group_wait, group_waits);
    op_after_setting(op);
}

static void group_read(struct shard_call *call)
{
    op_after_reading(op_of(CONTAINER_OF(call, struct fetch_group, call)));
}

static void op_read(struct fetch_op *op)
{
    if (op->phase == FETCH_WAITING)
        op->request->shard->waiting_fetches--;
    op_send(op, FETCH_READING, fetch_group_read, group_read);
    op_after_reading(op);
}

static void group_wake(struct task *task)
{
    struct fetch_group *group = CONTAINER_OF(task, struct fetch_group, wake);
    struct fetch_op *op = op_of(group);
    group->wake_queued = false;
    op->woken = true;
    if (op->finished)
        op_finish(op);
    else if (op->phase == FETCH_WAITING)
        op_read(op);
}

static void end_waiting(struct fetch_op *op)
{
    op->time_up = true;
    if (op->phase == FETCH_WAITING)
        op_read(op);
}

static void time_is_up(struct timer *timer)
{
    end_waiting(CONTAINER_OF(timer, struct fetch_op, timer));
}

static void hurry(struct shard_hurry *hurried)
{
    end_waiting(CONTAINER_OF(hurried, struct fetch_op, hurry));
}

/* A follower whose registration has not come here yet. It gets no session: one of a reader would
 * not feed it once it is known (fetch_by_replica.c). */
static bool may_be_known_later(const struct fetch_op *op)
{
    return op->params.version >= 15 && fetch_is_by_replica(&op->params);
}

/* The session decides which partitions are read; names are copied, for it may go meanwhile. */
static enum kafka_error op_plan(struct fetch_op *op)
{
    struct request *request = op->request;
    struct arena *arena = &request->arena;
    struct fetch_partition *asked, *forgotten;
    int32_t asked_count = fetch_asked_partitions(op->body, false, arena, &asked);
    /* Before the initialisers below: they have no order among themselves. */
    int32_t forgotten_count = fetch_asked_forgotten(op->body, false, arena, &forgotten);
    uint32_t random;
    env_random(request->shard->host.env, &random, sizeof(random));
    bool stranger = may_be_known_later(op);
    if (stranger && op->body->session_epoch > FETCH_SESSION_INITIAL_EPOCH)
        return KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND;
    struct fetch_session_request session = {
        .session_id = stranger ? 0 : op->body->session_id,
        .epoch = stranger ? FETCH_SESSION_FINAL_EPOCH : op->body->session_epoch,
        .uses_topic_ids = op->params.version >= 13,
        .privileged = false, /* replicas' sessions are those of fetch_by_replica.c */
        .partitions = asked,
        .partition_count = asked_count,
        .forgotten_count = forgotten_count,
        .forgotten = forgotten,
        .now_ms = env_now_ms(request->shard->host.env),
        .random = random,
        .op = op,
    };
    struct fetch_session_plan plan;
    enum kafka_error error = fetch_session_begin(request->shard->sessions, &session, &plan);
    if (error != KAFKA_ERROR_NONE)
        return error;
    /* Whoever sends the next request does not wait for the answer to the one before. */
    if (plan.earlier != NULL)
        op->earlier = plan.earlier;
    op->incremental = plan.incremental;
    op->has_session = plan.session != NULL;
    op->session_id = plan.answer_session_id;
    op->count = plan.session != NULL ? plan.count : without_repeats(op, asked, asked_count);
    if (plan.session != NULL) {
        asked = ARENA_ARRAY(arena, struct fetch_partition, plan.count);
        fetch_session_partitions(plan.session, asked);
    }
    op->entries = ARENA_ARRAY(arena, struct fetch_entry, op->count);
    for (int32_t i = 0; i < op->count; i++) {
        op->entries[i].at = asked[i];
        op->entries[i].at.topic = arena_str(arena, asked[i].topic);
    }
    return KAFKA_ERROR_NONE;
}

/* Consumers that say where they are may read from followers, and are sent there where the broker
 * chooses by rack. */
static void set_closest(struct fetch_op *op)
{
    struct fetch_params *params = &op->params;
    struct str selector = server_config_text(node_config(op->request->shard->node),
                                             CONFIG_BROKER_REPLICA_SELECTOR_CLASS);
    params->listener = op->request->listener->name;
    params->any_replica =
        (params->replica_id == -1 || params->replica_id == DEBUGGING_REPLICA_ID) &&
        params->version >= 11;
    if (params->any_replica && str_eq_z(selector, RACK_AWARE_SELECTOR))
        params->rack = op->body->rack_id;
}

void handle_fetch(struct request *request)
{
    if (request->listener->api_mask == API_ON_CONTROLLER) {
        handle_fetch_metadata_log(request);
        return;
    }
    const struct fetch_request *body = request->body;
    if (fetch_is_by_known_replica(request)) {
        handle_fetch_by_replica(request);
        return;
    }
    struct fetch_op *op = ARENA_NEW(&request->arena, struct fetch_op);
    op->request = request;
    op->body = body;
    op->params = (struct fetch_params){
        .version = request->header.request_api_version,
        .replica_id = request->header.request_api_version >= 15 ? body->replica_state.replica_id
                                                                : body->replica_id,
        .replica_epoch = body->replica_state.replica_epoch,
        .max_bytes =
            MIN(body->max_bytes, (int32_t)server_config_integer(node_config(request->shard->node),
                                                                CONFIG_BROKER_FETCH_MAX_BYTES)),
        .isolation_level = body->isolation_level,
        .read_committed = body->isolation_level == 1,
    };
    set_closest(op);
    enum kafka_error error = op_plan(op);
    if (error != KAFKA_ERROR_NONE) {
        respond_error(request, error);
        return;
    }
    if (op->earlier != NULL)
        end_waiting(op->earlier);
    timer_init(&op->timer, request->shard->loop, time_is_up);
    op->time_up = request->shard->hurry;
    op->hurry.hurry = hurry;
    list_push_back(&request->shard->fetches, &op->hurry.link);
    op_route(op);
    for (int32_t g = 0; g < op->group_count; g++)
        op->groups[g].wake.run = group_wake;
    op_read(op);
}
