#include "raft/cluster_lookup.h"

#define LOG_MODULE "formation"

#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/net/client.h"
#include "common/protocol/frame.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/describe_cluster.h"
#include "common/storage/meta_properties.h"

#include <errno.h>
#include <stdlib.h>

#define VERSION            1 /* the first one that controllers answer */
#define OF_CONTROLLERS     2 /* endpoint_type */
#define RESPONSE_MAX_BYTES (1 << 20)
#define PAUSE_MAX_MS       1000

struct cluster_lookup {
    struct cluster_lookup_config config;
    struct endpoint *controllers;
    struct timer timer, found_timer;
    struct client *client;
    struct client_request request;
    unsigned attempts;
    int said; /* of the last attempt; 0: nothing */
    char cluster_id[CLUSTER_ID_MAX + 1];
    bool stopping, closing;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

static void closed(void *owner)
{
    struct cluster_lookup *l = owner;
    l->closing = false;
    if (l->stopping)
        l->stopped(l->stopped_ctx);
}

static void drop_client(struct cluster_lookup *l)
{
    struct client *client = l->client;
    l->client = NULL;
    if (!client)
        return;
    l->closing = true;
    client_close(client, closed, l);
}

static const struct endpoint *target(const struct cluster_lookup *l)
{
    return &l->controllers[(l->attempts - 1) % l->config.count];
}

static void again(struct cluster_lookup *l, int status)
{
    char where[HOST_MAX + 16];
    if (l->stopping)
        return;
    drop_client(l);
    if (status != l->said) {
        bool led = l->config.led_cluster_id;
        const char *why = strerror(-status);
        if (status == -ENODATA)
            why = led ? "it knows nobody" : "it has none yet";
        else if (status == -EPROTOTYPE)
            why = "it is a broker's listener; controllers are reached at their own";
        else if (status == -EBADMSG)
            why = "it does not answer as Kafka does";
        endpoint_format(target(l), where);
        log_info(l->config.loop->env->logger, "The controller at %s does not say %s: %s", where,
                 led ? "who leads" : "which cluster it is of", why);
        l->said = status;
    }
    int64_t pause_ms = MAX(l->config.backoff_ms, 1) << MIN(l->attempts / l->config.count, 10U);
    timer_start_in_ms(&l->timer, MIN(pause_ms, PAUSE_MAX_MS));
}

/* 0 or why it is no answer: -EBADMSG, -EPROTOTYPE, -ENODATA. */
static int take(struct cluster_lookup *l, struct buf *frame)
{
    const struct api *api = api_find(API_DESCRIBE_CLUSTER);
    struct bytes input = {frame->data, (int32_t)frame->size_bytes};
    struct response_header header;
    struct describe_cluster_response response;
    struct arena arena;
    arena_init(&arena, 0);
    arena.limit_bytes = RESPONSE_MAX_BYTES;
    const struct cluster_lookup_config *config = &l->config;
    int rv = 0;
    if (response_header_decode(api, VERSION, &input, &arena, &header) != 0 ||
        message_decode(api->response, VERSION, &input, &arena, &response) != 0)
        rv = -EBADMSG;
    else if (response.error_code == KAFKA_ERROR_MISMATCHED_ENDPOINT_TYPE)
        rv = -EPROTOTYPE;
    else if (response.error_code != KAFKA_ERROR_NONE || response.cluster_id.len <= 0 ||
             response.cluster_id.len > CLUSTER_ID_MAX)
        rv = -ENODATA;
    else if (config->led_cluster_id &&
             (!str_eq_z(response.cluster_id, config->led_cluster_id) ||
              response.controller_id < 0 || response.controller_id == config->node_id))
        rv = -ENODATA;
    else
        memcpy(l->cluster_id, response.cluster_id.data, (size_t)response.cluster_id.len);
    arena_release(&arena);
    return rv;
}

static void on_answer(struct client_request *request, int status, struct buf *frame)
{
    struct cluster_lookup *l = CONTAINER_OF(request, struct cluster_lookup, request);
    int rv = status != 0 ? status : take(l, frame);
    buf_unref(frame);
    if (l->stopping)
        return;
    if (rv != 0) {
        again(l, rv);
        return;
    }
    drop_client(l);
    timer_start_in_ms(&l->found_timer, 0);
}

static void on_found(struct timer *timer)
{
    struct cluster_lookup *l = CONTAINER_OF(timer, struct cluster_lookup, found_timer);
    l->config.found(l->config.ctx, str_of(l->cluster_id));
}

static void on_connected(void *owner, int status)
{
    struct cluster_lookup *l = owner;
    if (status != 0) {
        again(l, status);
        return;
    }
    struct describe_cluster_request request;
    message_init(&describe_cluster_request_desc, &request);
    request.endpoint_type = OF_CONTROLLERS;
    struct bytebuf frame;
    bytebuf_init(&frame);
    int32_t correlation_id = client_next_correlation_id(l->client);
    int rv = frame_encode_request(api_find(API_DESCRIBE_CLUSTER), VERSION, correlation_id,
                                  STR("kraftd"), &request, &frame, NULL);
    CHECK(rv == 0);
    struct buf *buf = bytebuf_to_buf(&frame);
    struct out_chunk chunk = {.buf = buf, .len = buf->size_bytes};
    l->request.done = on_answer;
    rv = client_send(l->client, &l->request, &chunk, 1, correlation_id, l->config.timeout_ms);
    if (rv == 0)
        return;
    buf_unref(buf);
    again(l, rv);
}

/* The answer to the request has told it already. */
static void on_disconnected(void *owner, int status)
{
}

static const struct client_handler client_handler = {
    .on_connected = on_connected,
    .on_disconnected = on_disconnected,
};

static void ask_next(struct timer *timer)
{
    struct cluster_lookup *l = CONTAINER_OF(timer, struct cluster_lookup, timer);
    if (l->closing) {
        timer_start_in_ms(&l->timer, 1);
        return;
    }
    l->attempts++;
    struct client_options options = {
        .endpoint = *target(l),
        .connect_timeout_ms = l->config.timeout_ms,
        .in_flight_max = 1,
        .response_max_bytes = RESPONSE_MAX_BYTES,
    };
    l->client = client_new(l->config.loop, &options, &client_handler, l);
}

struct cluster_lookup *cluster_lookup_new(const struct cluster_lookup_config *config)
{
    CHECK(config->count > 0);
    struct cluster_lookup *l = mem_calloc(1, sizeof(*l));
    l->config = *config;
    l->controllers = mem_calloc(config->count, sizeof(*l->controllers));
    for (size_t i = 0; i < config->count; i++)
        l->controllers[i] = config->controllers[i];
    timer_init(&l->timer, config->loop, ask_next);
    timer_init(&l->found_timer, config->loop, on_found);
    timer_start_in_ms(&l->timer, 0);
    return l;
}

static void on_stopped(struct timer *timer)
{
    struct cluster_lookup *l = CONTAINER_OF(timer, struct cluster_lookup, timer);
    l->stopped(l->stopped_ctx);
}

void cluster_lookup_stop(struct cluster_lookup *l, void (*stopped)(void *ctx), void *ctx)
{
    l->stopping = true;
    l->stopped = stopped;
    l->stopped_ctx = ctx;
    timer_stop(&l->timer);
    timer_stop(&l->found_timer);
    drop_client(l);
    if (l->closing)
        return;
    timer_init(&l->timer, l->config.loop, on_stopped);
    timer_start_in_ms(&l->timer, 0);
}

void cluster_lookup_free(struct cluster_lookup *l)
{
    if (!l)
        return;
    CHECK(!l->client && !l->closing);
    free(l->controllers);
    free(l);
}
