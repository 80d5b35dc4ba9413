#define LOG_MODULE "quorum_observer"

#include "raft/quorum_observer_internal.h"

#include "common/storage/log_epochs.h"

#include "common/protocol/messages/api_versions.h"
#include "common/protocol/messages/describe_cluster.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FETCH_VERSION_MIN    13 /* the metadata log has an id and no name on the wire */
#define FETCH_VERSION_MAX    18
#define SNAPSHOT_VERSION_MAX 1
#define CLUSTER_VERSION      1 /* the first one that controllers answer */
/* Above what fetch.max.bytes asks for: a single batch may be larger. */
#define RESPONSE_MAX_BYTES (64 << 20)
#define DECODE_MAX_BYTES   ((size_t)1 << 20)
#define PAUSE_MAX_MS       1000
#define SAY_AGAIN_MS       60000
/* Election timeouts without an answer of a leader. */
#define MISSED_TIMEOUTS 3

static void connect_next(struct quorum_observer *o);

void observer_say(struct quorum_observer *o, const char *format, ...)
{
    char text[QUORUM_SENTENCE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    int64_t now_ms = env_now_ms(o->node->env);
    /* What a scout meets, the core's own connections have told already. */
    if (o->scouting)
        return;
    if (strcmp(text, o->said) == 0 && now_ms - o->said_ms < SAY_AGAIN_MS)
        return;
    memcpy(o->said, text, sizeof(text));
    o->said_ms = now_ms;
    log_warn(o->node->env->logger, "%s", text);
}

/* --- the connection ------------------------------------------------------------------------ */

static void client_closed(void *owner)
{
    struct quorum_observer *o = owner;
    o->closing--;
    node_schedule(o->node);
    node_close_if_idle(o->node);
}

static void drop_client(struct quorum_observer *o)
{
    struct client *client = o->client;
    o->client = NULL;
    if (!client)
        return;
    o->closing++;
    client_close(client, client_closed, o);
}

void observer_retry(struct quorum_observer *o, int64_t pause_ms)
{
    if (o->state == OBSERVER_HALTED)
        return;
    drop_client(o);
    o->state = OBSERVER_IDLE;
    timer_start_in_ms(&o->timer, MAX(pause_ms, 1));
}

/* The configured controllers, then those that the log names. */
static bool candidate(const struct quorum_observer *o, size_t at, struct endpoint *ret_endpoint)
{
    if (at < o->config->bootstrap_count) {
        *ret_endpoint = o->config->bootstrap[at];
        return true;
    }
    at -= o->config->bootstrap_count;
    const struct quorum_voters *voters =
        o->voters_count > 0 ? o->voters[o->voters_count - 1].voters : NULL;
    if (!voters || at >= (size_t)voters->count || voters->servers[at].listener_count == 0)
        return false;
    const struct quorum_listener *listener = &voters->servers[at].listeners[0];
    snprintf(ret_endpoint->host, sizeof(ret_endpoint->host), "%s", listener->host);
    ret_endpoint->port = listener->port;
    return true;
}

static size_t candidate_count(const struct quorum_observer *o)
{
    size_t count = o->config->bootstrap_count;
    if (o->voters_count > 0)
        count += (size_t)o->voters[o->voters_count - 1].voters->count;
    return count;
}

/* Longer with each round over all of them, the leader in between, that led nowhere: after an
 * election most of them know the new leader, but not the first one that is asked. */
static int64_t pause_of(const struct quorum_observer *o)
{
    int64_t pause_ms = MAX(o->config->retry_backoff_ms, 1);
    size_t rounds = o->attempts / (2 * MAX(candidate_count(o), (size_t)1));
    return MIN(pause_ms << MIN(rounds, (size_t)10), PAUSE_MAX_MS);
}

void observer_give_up(struct quorum_observer *o, const char *format, ...)
{
    char where[HOST_MAX + 16], text[QUORUM_SENTENCE_MAX - HOST_MAX - 32];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    endpoint_format(&o->target, where);
    observer_say(o, "The controller at %s %s", where, text);
    observer_retry(o, pause_of(o));
}

static void on_connected(void *owner, int status);

static void on_disconnected(void *owner, int status)
{
    struct quorum_observer *o = owner;
    /* Where a request was under way, its answer has told it already. */
    if (o->client && o->state == OBSERVER_PAUSED)
        observer_retry(o, pause_of(o));
}

static const struct client_handler client_handler = {
    .on_connected = on_connected,
    .on_disconnected = on_disconnected,
};

/* The leader, where we know it; every second time somebody else, who may know better. */
static bool choose(struct quorum_observer *o)
{
    unsigned attempt = o->attempts++;
    if (o->known_endpoint && attempt % 2 == 0) {
        o->target = o->leader_endpoint;
        return true;
    }
    size_t count = candidate_count(o);
    for (size_t i = 0; i < count; i++)
        if (candidate(o, o->rotation++ % count, &o->target))
            return true;
    return false;
}

/* The log calls this node a voter, and nobody leads: it may be needed. */
static bool is_missed(const struct quorum_observer *o)
{
    const struct quorum_voters *voters =
        o->voters_count > 0 ? o->voters[o->voters_count - 1].voters : NULL;
    const struct quorum_node_config *config = &o->node->config;
    int64_t silent_ms = env_now_ms(o->node->env) - o->heard_ms;
    return !o->scouting && !o->config->never_votes && voters &&
           quorum_voters_is_voter(voters, quorum_raft_id(config->directory_id)) &&
           silent_ms > MISSED_TIMEOUTS * (int64_t)config->election_timeout_ms;
}

static void connect_next(struct quorum_observer *o)
{
    if (node_alive(o->node) && is_missed(o)) {
        o->node->promoting = true;
        node_schedule(o->node);
        return;
    }
    if (!node_alive(o->node) || !choose(o)) {
        timer_start_in_ms(&o->timer, PAUSE_MAX_MS);
        return;
    }
    struct client_options options = {
        .endpoint = o->target,
        .connect_timeout_ms = (int)o->config->fetch_timeout_ms,
        .in_flight_max = 1,
        .response_max_bytes = RESPONSE_MAX_BYTES,
    };
    o->state = OBSERVER_CONNECTING;
    o->client = client_new(o->node->loop, &options, &client_handler, o);
}

static void on_timer(struct timer *timer)
{
    struct quorum_observer *o = CONTAINER_OF(timer, struct quorum_observer, timer);
    if (o->state == OBSERVER_PAUSED)
        observer_fetch(o);
    else if (o->state == OBSERVER_IDLE)
        connect_next(o);
}

void observer_pause(struct quorum_observer *o, int64_t pause_ms)
{
    o->state = OBSERVER_PAUSED;
    timer_start_in_ms(&o->timer, MAX(pause_ms, 1));
}

/* --- requests ------------------------------------------------------------------------------ */

void observer_ask(struct quorum_observer *o, int16_t api_key, int16_t version, const void *request,
                  void (*done)(struct client_request *, int status, struct buf *frame))
{
    struct bytebuf frame;
    bytebuf_init(&frame);
    int32_t correlation_id = client_next_correlation_id(o->client);
    int rv = frame_encode_request(api_find(api_key), version, correlation_id, STR("kraftd"),
                                  request, &frame, NULL);
    CHECK(rv == 0);
    struct buf *buf = bytebuf_to_buf(&frame);
    struct out_chunk chunk = {.buf = buf, .len = buf->size_bytes};
    o->request.done = done;
    o->asked_ms = env_now_ms(o->node->env);
    int timeout_ms = (int)MAX(o->config->fetch_timeout_ms, 2 * OBSERVER_MAX_WAIT_MS);
    rv = client_send(o->client, &o->request, &chunk, 1, correlation_id, timeout_ms);
    if (rv == 0) {
        o->asking = true;
        return;
    }
    buf_unref(buf);
    observer_retry(o, pause_of(o));
}

bool observer_decode(struct quorum_observer *o, int16_t api_key, int16_t version, struct buf *frame,
                     struct arena *arena, void *ret_response)
{
    const struct api *api = api_find(api_key);
    struct bytes input = {frame->data, (int32_t)frame->size_bytes};
    struct response_header header;
    arena->limit_bytes = DECODE_MAX_BYTES;
    if (response_header_decode(api, version, &input, arena, &header) == 0 &&
        message_decode(api->response, version, &input, arena, ret_response) == 0)
        return true;
    observer_give_up(o, "sends answers to %s that cannot be read", api->name);
    return false;
}

static int16_t version_of(const struct api_versions_response *response, int16_t key,
                          int16_t max_version)
{
    for (int32_t i = 0; i < response->api_keys_count; i++)
        if (response->api_keys[i].api_key == key)
            return MIN(response->api_keys[i].max_version, max_version);
    return -1;
}

bool observer_was_answered(struct quorum_observer *o, int status)
{
    o->asking = false;
    if (status == 0)
        return true;
    if (status != -ECANCELED)
        observer_give_up(o, "broke the connection: %s", strerror(-status));
    node_schedule(o->node);
    node_close_if_idle(o->node);
    return false;
}

static void on_versions(struct client_request *request, int status, struct buf *frame)
{
    struct quorum_observer *o = observer_of(request);
    if (!observer_was_answered(o, status))
        return;
    struct arena arena;
    struct api_versions_response response;
    arena_init(&arena, 0);
    if (observer_decode(o, API_API_VERSIONS, 3, frame, &arena, &response)) {
        o->fetch_version = version_of(&response, API_FETCH, FETCH_VERSION_MAX);
        o->snapshot_version = version_of(&response, API_FETCH_SNAPSHOT, SNAPSHOT_VERSION_MAX);
        o->cluster_version = version_of(&response, API_DESCRIBE_CLUSTER, CLUSTER_VERSION);
        if (response.error_code == KAFKA_ERROR_NONE && o->fetch_version >= FETCH_VERSION_MIN &&
            o->snapshot_version >= 0)
            observer_fetch(o);
        else
            observer_give_up(o, "does not serve the metadata log: is it a controller's listener?");
    }
    arena_release(&arena);
    buf_unref(frame);
}

static void on_connected(void *owner, int status)
{
    struct quorum_observer *o = owner;
    if (!o->client || o->state == OBSERVER_HALTED)
        return;
    if (status != 0) {
        observer_give_up(o, "cannot be reached: %s", strerror(-status));
        return;
    }
    struct api_versions_request request;
    message_init(&api_versions_request_desc, &request);
    request.client_software_name = STR("kraftd");
    request.client_software_version = STR("1");
    o->state = OBSERVER_VERSIONS;
    observer_ask(o, API_API_VERSIONS, 3, &request, on_versions);
}

static void refuse_cluster(struct quorum_observer *o, struct str theirs)
{
    observer_give_up(o,
                     "is of another cluster, %.*s, than this node, whose cluster.id is %s: correct "
                     "controller.quorum.bootstrap.servers (or controller.quorum.voters), or use "
                     "the log.dirs of that cluster",
                     STR_FMT(theirs), o->config->cluster_id);
}

static void on_cluster(struct client_request *request, int status, struct buf *frame)
{
    struct quorum_observer *o = observer_of(request);
    if (!observer_was_answered(o, status))
        return;
    struct arena arena;
    struct describe_cluster_response response;
    arena_init(&arena, 0);
    if (observer_decode(o, API_DESCRIBE_CLUSTER, CLUSTER_VERSION, frame, &arena, &response))
        refuse_cluster(o, response.error_code == KAFKA_ERROR_NONE ? response.cluster_id
                                                                  : STR("which it does not name"));
    arena_release(&arena);
    buf_unref(frame);
}

void observer_ask_cluster(struct quorum_observer *o)
{
    struct describe_cluster_request request;
    message_init(&describe_cluster_request_desc, &request);
    request.endpoint_type = 2; /* controllers */
    if (o->cluster_version == CLUSTER_VERSION)
        observer_ask(o, API_DESCRIBE_CLUSTER, CLUSTER_VERSION, &request, on_cluster);
    else
        refuse_cluster(o, STR("which it cannot name"));
}

/* --- who leads ----------------------------------------------------------------------------- */

/* Where the leader listens, if the answer did not say. */
static bool find_endpoint(const struct quorum_observer *o, int32_t leader_id,
                          struct endpoint *ret_endpoint)
{
    const struct quorum_voters *voters =
        o->voters_count > 0 ? o->voters[o->voters_count - 1].voters : NULL;
    const struct quorum_server *server = voters ? quorum_voters_find_node(voters, leader_id) : NULL;
    if (server && server->listener_count > 0) {
        snprintf(ret_endpoint->host, sizeof(ret_endpoint->host), "%s", server->listeners[0].host);
        ret_endpoint->port = server->listeners[0].port;
        return true;
    }
    for (size_t i = 0; i < o->config->bootstrap_count; i++) {
        if (o->config->bootstrap_ids && o->config->bootstrap_ids[i] == leader_id) {
            *ret_endpoint = o->config->bootstrap[i];
            return true;
        }
    }
    return false;
}

bool observer_learn(struct quorum_observer *o, int32_t epoch, int32_t leader_id,
                    const struct endpoint *endpoint)
{
    struct quorum_node *node = o->node;
    if (epoch < 0 || epoch < node->epoch) {
        observer_give_up(o, "is behind: it knows of epoch %" PRId32 ", and this node of %" PRId32,
                         epoch, node->epoch);
        return false;
    }
    if (epoch == node->epoch && leader_id >= 0 && node->leader_id >= 0 &&
        leader_id != node->leader_id) {
        observer_give_up(o,
                         "says that node %" PRId32 " leads epoch %" PRId32
                         ", but this node knows node %" PRId32 " as its leader",
                         leader_id, epoch, node->leader_id);
        return false;
    }
    bool same = epoch == node->epoch && (leader_id < 0 || leader_id == node->leader_id);
    if (!same) {
        /* Of an epoch in which this node may have voted the file says more than it could now. */
        o->state_dirty |= o->config->never_votes || epoch > node->epoch;
        node->epoch = epoch;
        node->leader_id = leader_id;
        o->known_endpoint = false;
    }
    bool had_endpoint = o->known_endpoint;
    if (leader_id >= 0 && endpoint) {
        same &= had_endpoint && o->leader_endpoint.port == endpoint->port &&
                strcmp(o->leader_endpoint.host, endpoint->host) == 0;
        o->leader_endpoint = *endpoint;
        o->known_endpoint = true;
    } else if (leader_id >= 0 && !had_endpoint) {
        o->known_endpoint = find_endpoint(o, leader_id, &o->leader_endpoint);
        same &= !o->known_endpoint;
    }
    o->news |= !same;
    if (!same) {
        node->handler->on_follower(node->ctx, node->epoch, node->leader_id);
        node_schedule(node);
    }
    return node_alive(node);
}

void observer_go_to_leader(struct quorum_observer *o)
{
    bool here = o->known_endpoint && o->target.port == o->leader_endpoint.port &&
                strcmp(o->target.host, o->leader_endpoint.host) == 0;
    /* The way to a new leader is free, a circle of nodes that know no better is not. */
    bool at_once = o->known_endpoint && !here && o->news;
    if (at_once)
        o->attempts += o->attempts % 2;
    o->news = false;
    observer_retry(o, at_once ? 1 : pause_of(o));
}

int32_t observer_last_epoch(const struct quorum_observer *o)
{
    return o->last_epoch;
}

bool observer_leader_endpoint(const struct quorum_observer *o, struct endpoint *ret_endpoint)
{
    if (!o->known_endpoint || o->node->leader_id < 0)
        return false;
    *ret_endpoint = o->leader_endpoint;
    return true;
}

/* --- life ---------------------------------------------------------------------------------- */

struct quorum_observer *observer_new(struct quorum_node *node, struct quorum_opening *opening)
{
    struct quorum_observer *o = mem_calloc(1, sizeof(*o));
    o->node = node;
    o->config = node->config.follow;
    o->last_epoch = MAX(opening->last_epoch, 0);
    o->heard_ms = env_now_ms(node->env);
    node->epoch = MAX(opening->state_epoch, o->last_epoch);
    timer_init(&o->timer, node->loop, on_timer);
    for (size_t i = 0; i < opening->named_count; i++)
        observer_note_voters(o, opening->named[i].offset, opening->named[i].voters);
    return o;
}

struct quorum_observer *observer_scout_new(struct quorum_node *node)
{
    struct quorum_observer *o = mem_calloc(1, sizeof(*o));
    struct quorum_voters *voters = quorum_core_voters(node->core);
    o->node = node;
    o->config = node->config.follow;
    o->scouting = true;
    o->scout_epoch = node->epoch;
    o->last_epoch = MAX(log_latest_epoch(node->log), 0);
    timer_init(&o->timer, node->loop, on_timer);
    if (voters)
        observer_note_voters(o, -1, voters);
    return o;
}

bool observer_found(const struct quorum_observer *o)
{
    return o->found;
}

int32_t observer_found_id(const struct quorum_observer *o)
{
    return o->scout_leader;
}

void observer_take_over(struct quorum_observer *o)
{
    struct quorum_node *node = o->node;
    const struct quorum_core *core = node->core;
    uint64_t committed = quorum_index_of(node->high_watermark - 1);
    struct quorum_voters *voters = quorum_core_voters_at(core, committed);
    struct quorum_checkpoint_id newest;
    observer_forget_voters(o, INT64_MIN);
    if (voters && node->voters_offset < node->high_watermark)
        observer_note_voters(o, -1, voters);
    if (quorum_core_change_index(core) > committed)
        observer_note_voters(o, quorum_offset_of(quorum_core_change_index(core)),
                             quorum_core_voters(core));
    bool has_checkpoint = quorum_node_newest_snapshot(node, &newest);
    o->last_epoch = MAX(log_latest_epoch(node->log), has_checkpoint ? newest.epoch : 0);
    o->scouting = false;
}

void observer_follow(struct quorum_observer *o)
{
    o->attempts = 0;
    o->heard_ms = env_now_ms(o->node->env);
    if (observer_learn(o, o->scout_epoch, o->scout_leader,
                       o->known_endpoint ? &o->leader_endpoint : NULL))
        observer_retry(o, 1);
}

void observer_free(struct quorum_observer *o)
{
    if (!o)
        return;
    CHECK(!o->client && o->closing == 0 && !o->asking && !o->writing);
    observer_forget_voters(o, INT64_MIN);
    quorum_checkpoint_receiver_abort(o->receiver);
    quorum_voters_unref(o->snapshot_info.voters);
    free(o->voters);
    free(o);
}

void observer_hand_over(const struct quorum_observer *o, struct quorum_opening *to)
{
    for (size_t i = 0; i < o->voters_count; i++)
        VEC_PUSH(to->named, to->named_count, to->named_capacity) = (struct quorum_named_voters){
            o->voters[i].offset, quorum_voters_ref(o->voters[i].voters)};
}

void observer_start(struct quorum_observer *o)
{
    connect_next(o);
}

void observer_halt(struct quorum_observer *o)
{
    o->state = OBSERVER_HALTED;
    timer_stop(&o->timer);
    drop_client(o);
}

bool observer_may_halt(const struct quorum_observer *o)
{
    return !o->job_mine && o->state != OBSERVER_INSTALLING && o->state != OBSERVER_TRUNCATING;
}

bool observer_in_flight(const struct quorum_observer *o)
{
    return o->client || o->closing > 0 || o->asking || o->writing;
}

static void store_state(struct quorum_observer *o)
{
    struct quorum_node *node = o->node;
    if (!o->state_dirty || node->job.in_flight || o->job_mine)
        return;
    o->state_dirty = false;
    o->storing_state = true;
    node->job.state = QUORUM_STATE_INIT;
    node->job.state.leader_epoch = node->epoch;
    node->job.state.leader_id = node->leader_id;
    job_submit(node, QUORUM_JOB_STATE);
}

void observer_pump(struct quorum_observer *o)
{
    struct quorum_node *node = o->node;
    if (o->storing_state && job_was_done(node))
        o->storing_state = false;
    if (o->storing_state)
        return;
    if (o->job_mine && job_was_done(node)) {
        o->job_mine = false;
        if (o->state == OBSERVER_INSTALLING) {
            observer_installed(o);
        } else if (o->state == OBSERVER_TRUNCATING) {
            node->mark = MIN(node->mark, o->cut_offset);
            o->last_epoch = MAX(log_latest_epoch(node->log), 0);
            observer_fetch(o);
        }
    }
    if (o->job_mine || o->state == OBSERVER_HALTED)
        return;
    if (o->state == OBSERVER_TRUNCATING && !log_busy(node->log)) {
        node->job.offset = o->cut_offset;
        node->job.mark = node->mark;
        o->job_mine = true;
        job_submit(node, QUORUM_JOB_TRUNCATE);
    } else if (o->state == OBSERVER_INSTALLING) {
        observer_install(o);
    }
    if (node_alive(node))
        store_state(o);
    if (node_alive(node))
        observer_sync(o);
}
