#include "broker/server/controller_channel.h"

#define LOG_MODULE "controller_channel"

#include "broker/server/controller_call.h"
#include "broker/server/envelope.h"
#include "broker/server/metadata_loop.h"
#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/net/client.h"
#include "common/protocol/frame.h"
#include "common/protocol/messages/api_versions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_MS = 3000,
    REQUEST_TIMEOUT_MS = 30000, /* controller.socket.timeout.ms */
    RETRY_MS = 50,
    BACK_OFF_MAX_MS = 1000,
    IN_FLIGHT_MAX = 1000,
    ANSWER_MAX_BYTES = 100 << 20,
    APIS_MAX = 128,
};

/* Versions of one API in a word: they are read on every loop. */
#define VERSIONS(min, max) ((uint32_t)(uint16_t)(min) << 16 | (uint16_t)(max))
#define VERSIONS_NONE      VERSIONS(1, 0)

enum channel_state { CHANNEL_CLOSED, CHANNEL_CONNECTING, CHANNEL_ASKING, CHANNEL_READY };

struct controller_channel {
    struct node *node;
    struct loop *loop;
    enum channel_state state;
    struct metadata_leader leader; /* whom `client` talks to */
    struct client *client;
    struct list waiting; /* controller_call, in order */
    struct list flights;
    struct timer timer; /* the next try, or the next call whose time is over */
    int64_t retry_ms;   /* not before this time */
    int back_off_ms;
    char client_id[12];
    _Atomic bool knows_versions;
    _Atomic uint32_t versions[APIS_MAX];
    int64_t call_max_ms; /* INT64_MAX: as it says */
    bool stopping;
    int closing; /* clients that are on their way out, and the stop itself */
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

/* A request on the connection; it outlives a call whose time is over. */
struct flight {
    struct client_request request;
    struct list link;
    struct controller_channel *channel;
    struct controller_call *call; /* NULL: ApiVersions, or nobody waits any more */
    int16_t version;
};

static void pump(struct controller_channel *ch);
static void send_waiting(struct controller_channel *ch);
static void flight_done(struct client_request *request, int status, struct buf *frame);

static struct logger *logger_of(const struct controller_channel *ch)
{
    return node_env(ch->node)->logger;
}

static int64_t now_of(const struct controller_channel *ch)
{
    return env_now_ms(node_env(ch->node));
}

/* --- time --------------------------------------------------------------------------------- */

static void arm(struct controller_channel *ch)
{
    int64_t due_ms = INT64_MAX;
    LIST_FOR_EACH (item, &ch->waiting)
        due_ms = MIN(due_ms, LIST_ITEM(item, struct controller_call, link)->due_ms);
    if (due_ms != INT64_MAX && ch->state == CHANNEL_CLOSED)
        due_ms = MIN(due_ms, MAX(ch->retry_ms, now_of(ch) + 1));
    LIST_FOR_EACH (item, &ch->flights) {
        const struct flight *flight = LIST_ITEM(item, struct flight, link);
        if (flight->call != NULL)
            due_ms = MIN(due_ms, flight->call->due_ms);
    }
    if (due_ms == INT64_MAX)
        timer_stop(&ch->timer);
    else
        timer_start_at_us(&ch->timer, due_ms * 1000);
}

static void answer(struct controller_call *call, enum kafka_error error)
{
    call->error = error;
    shard_call_answer(&call->call);
}

static void expire(struct controller_channel *ch)
{
    int64_t now_ms = now_of(ch);
    struct list expired;
    list_init(&expired);
    LIST_FOR_EACH (item, &ch->waiting) {
        if (LIST_ITEM(item, struct controller_call, link)->due_ms > now_ms)
            continue;
        list_remove(item);
        list_push_back(&expired, item);
    }
    LIST_FOR_EACH (item, &ch->flights) {
        struct flight *flight = LIST_ITEM(item, struct flight, link);
        if (flight->call == NULL || flight->call->due_ms > now_ms)
            continue;
        list_push_back(&expired, &flight->call->link);
        flight->call = NULL;
    }
    struct list *item;
    while ((item = list_pop_front(&expired)) != NULL)
        answer(LIST_ITEM(item, struct controller_call, link), KAFKA_ERROR_REQUEST_TIMED_OUT);
}

static void on_timer(struct timer *timer)
{
    struct controller_channel *ch = CONTAINER_OF(timer, struct controller_channel, timer);
    expire(ch);
    pump(ch);
}

/* --- the connection ----------------------------------------------------------------------- */

static void check_stopped(struct controller_channel *ch)
{
    if (ch->closing == 0 && ch->stopped != NULL)
        ch->stopped(ch->stopped_ctx);
}

static void client_gone(void *owner)
{
    struct controller_channel *ch = owner;
    ch->closing--;
    check_stopped(ch);
}

/* What is under way comes back with an error and is sent again. */
static void drop_client(struct controller_channel *ch)
{
    if (ch->client == NULL)
        return;
    struct client *client = ch->client;
    ch->client = NULL;
    ch->state = CHANNEL_CLOSED;
    ch->closing++;
    client_close(client, client_gone, ch);
}

static void back_off(struct controller_channel *ch)
{
    ch->back_off_ms = MIN(MAX(ch->back_off_ms * 2, RETRY_MS), BACK_OFF_MAX_MS);
    ch->retry_ms = now_of(ch) + ch->back_off_ms;
}

static void lost(struct controller_channel *ch, int status)
{
    char address[HOST_MAX + 9];
    endpoint_format(&ch->leader.endpoint, address);
    log_at(logger_of(ch), ch->back_off_ms > 0 ? LOG_DEBUG : LOG_INFO,
           "No connection to the active controller node=%d at %s: %s", ch->leader.id, address,
           strerror(-status));
    drop_client(ch);
    back_off(ch);
    arm(ch);
}

static void on_disconnected(void *owner, int status)
{
    lost(owner, status);
}

/* The controller's table: what is not in it is not served there. */
static void note_versions(struct controller_channel *ch, const struct api_versions_response *r)
{
    uint32_t versions[APIS_MAX];
    for (int i = 0; i < APIS_MAX; i++)
        versions[i] = VERSIONS_NONE;
    for (int32_t i = 0; i < r->api_keys_count; i++)
        if (r->api_keys[i].api_key >= 0 && r->api_keys[i].api_key < APIS_MAX)
            versions[r->api_keys[i].api_key] =
                VERSIONS(r->api_keys[i].min_version, r->api_keys[i].max_version);
    for (int i = 0; i < APIS_MAX; i++)
        atomic_store(&ch->versions[i], versions[i]);
    atomic_store(&ch->knows_versions, true);
}

static int read_versions(struct controller_channel *ch, const struct flight *flight,
                         struct buf *frame)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct bytes input = {frame->data, (int32_t)frame->size_bytes};
    struct response_header header;
    struct api_versions_response response;
    const struct api *api = api_find(API_API_VERSIONS);
    int rv = response_header_decode(api, flight->version, &input, &arena, &header);
    /* A version that it lacks is answered in version 0. */
    struct bytes again = input;
    if (rv == 0)
        rv = message_decode(api->response, flight->version, &input, &arena, &response);
    if (rv != 0)
        rv = message_decode(api->response, 0, &again, &arena, &response);
    if (rv == 0 && response.error_code != KAFKA_ERROR_NONE) {
        log_warn(logger_of(ch), "The controller node=%d refused to tell its versions: %s",
                 ch->leader.id, kafka_error_name(response.error_code));
        rv = -EPROTO;
    }
    if (rv == 0)
        note_versions(ch, &response);
    arena_release(&arena);
    return rv;
}

static int send(struct controller_channel *ch, const struct api *api, int16_t version,
                const void *body, struct controller_call *call)
{
    struct bytebuf out;
    bytebuf_init(&out);
    int32_t id = client_next_correlation_id(ch->client);
    int rv = frame_encode_request(api, version, id, str_of(ch->client_id), body, &out, NULL);
    if (rv != 0) {
        bytebuf_release(&out);
        return rv;
    }
    struct flight *flight = mem_calloc(1, sizeof(*flight));
    flight->channel = ch;
    flight->call = call;
    flight->version = version;
    struct buf *frame = bytebuf_to_buf(&out);
    struct out_chunk chunk = {.buf = frame, .len = frame->size_bytes};
    flight->request.done = flight_done;
    rv = client_send(ch->client, &flight->request, &chunk, 1, id, REQUEST_TIMEOUT_MS);
    if (rv != 0) {
        buf_unref(frame);
        free(flight);
        return rv;
    }
    list_push_back(&ch->flights, &flight->link);
    return 0;
}

/* --- calls -------------------------------------------------------------------------------- */

/* Of the broker's own requests: the newest version that both know. */
static bool choose_version(const struct controller_channel *ch, const struct api *api,
                           int16_t *ret_version)
{
    int16_t min, max;
    int16_t own_max = (int16_t)(api->request->max_version - (api->latest_version_unstable ? 1 : 0));
    if (!controller_channel_versions(ch, api->key, &min, &max))
        return false;
    *ret_version = MIN(max, own_max);
    return *ret_version >= MAX(min, api->request->min_version);
}

/* -EPROTONOSUPPORT, -EINVAL: it can never be sent; else client_send's. */
static int send_call(struct controller_channel *ch, struct controller_call *call)
{
    const struct api *api = call->api;
    int16_t version = call->version, min, max;
    if (call->request != NULL) {
        struct envelope_request envelope;
        if (!controller_channel_versions(ch, api->key, &min, &max) || version < min ||
            version > max)
            return -EPROTONOSUPPORT;
        int rv = envelope_make(call->request, call->body, call->arena, &envelope);
        if (rv != 0)
            return rv;
        return send(ch, api_find(API_ENVELOPE), 0, &envelope, call);
    }
    if (version < 0 && !choose_version(ch, api, &version))
        return -EPROTONOSUPPORT;
    return send(ch, api, version, call->body, call);
}

static enum kafka_error decode_answer(const struct api *api, int16_t version, struct bytes input,
                                      struct arena *arena, void *response)
{
    struct response_header header;
    message_init(api->response, response);
    if (response_header_decode(api, version, &input, arena, &header) != 0 ||
        message_decode(api->response, version, &input, arena, response) != 0)
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    return KAFKA_ERROR_NONE;
}

/* An envelope that could not be opened says nothing to the client but that. */
static enum kafka_error open_envelope(struct controller_call *call, struct bytes frame)
{
    struct envelope_response envelope;
    enum kafka_error error =
        decode_answer(api_find(API_ENVELOPE), 0, frame, call->arena, &envelope);
    if (error != KAFKA_ERROR_NONE)
        return error;
    if (envelope.error_code == KAFKA_ERROR_NOT_CONTROLLER ||
        envelope.error_code == KAFKA_ERROR_UNSUPPORTED_VERSION)
        return kafka_error_of(envelope.error_code);
    if (envelope.error_code != KAFKA_ERROR_NONE || envelope.response_data.len < 0)
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    return decode_answer(call->api, call->version, envelope.response_data, call->arena,
                         call->response);
}

static enum kafka_error read_answer(const struct flight *flight, struct buf *frame)
{
    struct controller_call *call = flight->call;
    /* What is decoded points into its input. */
    struct bytes copy =
        arena_bytes(call->arena, (struct bytes){frame->data, (int32_t)frame->size_bytes});
    if (call->request != NULL)
        return open_envelope(call, copy);
    enum kafka_error error =
        decode_answer(call->api, flight->version, copy, call->arena, call->response);
    const int16_t *code = controller_call_error_field(call->api->response, call->response);
    return error == KAFKA_ERROR_NONE && code != NULL && *code == KAFKA_ERROR_NOT_CONTROLLER
               ? KAFKA_ERROR_NOT_CONTROLLER
               : error;
}

static void take_back(struct controller_channel *ch, struct controller_call *call)
{
    if (ch->stopping) {
        answer(call, KAFKA_ERROR_NOT_CONTROLLER);
        return;
    }
    list_push_back(&ch->waiting, &call->link);
    send_waiting(ch);
    arm(ch);
}

static void versions_done(struct controller_channel *ch, const struct flight *flight,
                          struct buf *frame)
{
    int rv = read_versions(ch, flight, frame);
    if (rv != 0) {
        lost(ch, rv);
        return;
    }
    ch->state = CHANNEL_READY;
    pump(ch);
}

static void call_done(struct controller_channel *ch, const struct flight *flight, int status,
                      struct buf *frame)
{
    if (flight->call == NULL)
        return;
    enum kafka_error error = status == 0 ? read_answer(flight, frame) : KAFKA_ERROR_NOT_CONTROLLER;
    if (error != KAFKA_ERROR_NOT_CONTROLLER) {
        ch->back_off_ms = 0;
        answer(flight->call, error);
        return;
    }
    /* It does not lead any more, and may not know who does: the news come from the quorum. */
    if (status == 0) {
        drop_client(ch);
        back_off(ch);
    }
    take_back(ch, flight->call);
}

static void flight_done(struct client_request *request, int status, struct buf *frame)
{
    struct flight *flight = CONTAINER_OF(request, struct flight, request);
    struct controller_channel *ch = flight->channel;
    list_remove(&flight->link);
    if (ch->state == CHANNEL_ASKING && request->client == ch->client && flight->call == NULL) {
        if (status == 0)
            versions_done(ch, flight, frame);
    } else {
        call_done(ch, flight, status, frame);
    }
    buf_unref(frame);
    free(flight);
}

static void ask_versions(struct controller_channel *ch)
{
    struct api_versions_request body;
    const struct api *api = api_find(API_API_VERSIONS);
    message_init(api->request, &body);
    body.client_software_name = STR("kraftd");
    body.client_software_version = STR("1");
    body.cluster_id = node_cluster_id(ch->node);
    body.node_id = ch->leader.id;
    ch->state = CHANNEL_ASKING;
    int rv = send(ch, api, api->request->max_version, &body, NULL);
    if (rv != 0)
        lost(ch, rv);
}

static void on_connected(void *owner, int status)
{
    struct controller_channel *ch = owner;
    if (status == 0)
        ask_versions(ch);
    else
        lost(ch, status);
}

static const struct client_handler handler = {on_connected, on_disconnected};

static void connect_to(struct controller_channel *ch, const struct metadata_leader *leader)
{
    ch->leader = *leader;
    ch->state = CHANNEL_CONNECTING;
    struct client_options options = {.endpoint = leader->endpoint,
                                     .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                     .in_flight_max = IN_FLIGHT_MAX,
                                     .response_max_bytes = ANSWER_MAX_BYTES};
    ch->client = client_new(ch->loop, &options, &handler, ch);
}

static void send_waiting(struct controller_channel *ch)
{
    while (ch->state == CHANNEL_READY && !list_empty(&ch->waiting)) {
        struct controller_call *call =
            LIST_ITEM(list_pop_front(&ch->waiting), struct controller_call, link);
        int rv = send_call(ch, call);
        if (rv == -EBUSY || rv == -ENOTCONN) {
            list_push_front(&ch->waiting, &call->link);
            return;
        }
        if (rv != 0)
            answer(call, rv == -EPROTONOSUPPORT ? KAFKA_ERROR_UNSUPPORTED_VERSION
                                                : KAFKA_ERROR_UNKNOWN_SERVER_ERROR);
    }
}

/* We lead: what waits is decided here. A call may come straight back, so each has one go. */
static void decide_waiting(struct controller_channel *ch)
{
    struct list calls;
    list_init(&calls);
    while (!list_empty(&ch->waiting))
        list_push_back(&calls, list_pop_front(&ch->waiting));
    struct list *item;
    while ((item = list_pop_front(&calls)) != NULL)
        metadata_loop_decide(node_metadata_loop(ch->node),
                             LIST_ITEM(item, struct controller_call, link));
}

/* Whatever its epoch: who began to lead anew may have heard of that before us, and have done what
 * we asked for since. Who stopped leading in between says so itself, and a process that is gone
 * ends its connection. */
static bool same_place(const struct metadata_leader *a, const struct metadata_leader *b)
{
    return a->id == b->id && a->endpoint.port == b->endpoint.port &&
           strcmp(a->endpoint.host, b->endpoint.host) == 0;
}

static void pump(struct controller_channel *ch)
{
    struct metadata_leader leader;
    if (ch->stopping)
        return;
    const struct metadata_loop *ml = node_metadata_loop(ch->node);
    if (metadata_loop_is_active(ml)) {
        drop_client(ch);
        if (now_of(ch) >= ch->retry_ms)
            decide_waiting(ch);
    } else if (metadata_loop_leader(ml, &leader) && leader.id != node_id(ch->node)) {
        if (ch->client != NULL && !same_place(&leader, &ch->leader))
            drop_client(ch);
        if (ch->client == NULL && !list_empty(&ch->waiting) && now_of(ch) >= ch->retry_ms)
            connect_to(ch, &leader);
        send_waiting(ch);
    }
    if (ch->client == NULL && !list_empty(&ch->waiting))
        ch->retry_ms = MAX(ch->retry_ms, now_of(ch) + RETRY_MS);
    arm(ch);
}

/* --- life --------------------------------------------------------------------------------- */

bool controller_channel_take(struct controller_channel *ch, struct controller_call *call)
{
    if (ch->stopping)
        return false;
    if (ch->call_max_ms != INT64_MAX)
        call->due_ms = MIN(call->due_ms, now_of(ch) + ch->call_max_ms);
    list_push_back(&ch->waiting, &call->link);
    /* Refused by our own controller, it would come straight back. */
    if (metadata_loop_is_active(node_metadata_loop(ch->node))) {
        ch->retry_ms = now_of(ch) + RETRY_MS;
        arm(ch);
    } else {
        pump(ch);
    }
    return true;
}

void controller_channel_leader_changed(struct controller_channel *ch)
{
    ch->back_off_ms = 0;
    ch->retry_ms = 0;
    pump(ch);
}

void controller_channel_hurry(struct controller_channel *ch, int64_t timeout_ms)
{
    int64_t due_ms = now_of(ch) + timeout_ms;
    ch->call_max_ms = timeout_ms;
    LIST_FOR_EACH (item, &ch->waiting) {
        struct controller_call *call = LIST_ITEM(item, struct controller_call, link);
        call->due_ms = MIN(call->due_ms, due_ms);
    }
    LIST_FOR_EACH (item, &ch->flights) {
        struct controller_call *call = LIST_ITEM(item, struct flight, link)->call;
        if (call != NULL)
            call->due_ms = MIN(call->due_ms, due_ms);
    }
    arm(ch);
}

void controller_channel_stop(struct controller_channel *ch, void (*stopped)(void *ctx), void *ctx)
{
    ch->stopping = true;
    ch->stopped = stopped;
    ch->stopped_ctx = ctx;
    timer_stop(&ch->timer);
    ch->closing++;
    drop_client(ch);
    while (!list_empty(&ch->waiting))
        answer(LIST_ITEM(list_pop_front(&ch->waiting), struct controller_call, link),
               KAFKA_ERROR_NOT_CONTROLLER);
    ch->closing--;
    check_stopped(ch);
}

bool controller_channel_versions(const struct controller_channel *ch, int16_t api_key,
                                 int16_t *ret_min, int16_t *ret_max)
{
    if (api_key < 0 || api_key >= APIS_MAX || !atomic_load(&ch->knows_versions))
        return false;
    uint32_t versions = atomic_load(&ch->versions[api_key]);
    *ret_min = (int16_t)(versions >> 16);
    *ret_max = (int16_t)(versions & 0xffff);
    return true;
}

struct controller_channel *controller_channel_new(struct node *node)
{
    struct controller_channel *ch = mem_calloc(1, sizeof(*ch));
    ch->node = node;
    ch->loop = node_env(node)->loops[0];
    ch->call_max_ms = INT64_MAX;
    list_init(&ch->waiting);
    list_init(&ch->flights);
    timer_init(&ch->timer, ch->loop, on_timer);
    snprintf(ch->client_id, sizeof(ch->client_id), "%d", (int)node_id(node));
    return ch;
}

void controller_channel_free(struct controller_channel *ch)
{
    if (ch == NULL)
        return;
    CHECK(list_empty(&ch->waiting) && list_empty(&ch->flights));
    free(ch);
}
