#include "tests/sim/session.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/net/client.h"
#include "common/protocol/frame.h"
#include "tests/sim/sim_env.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct session {
    struct session_options options;
    struct client *client;
    struct timer retry;
    bool up;
    int power_cuts;
};

struct call {
    struct client_request request;
    const struct api *api;
    int16_t version;
    void (*done)(void *ctx, int status, const void *response);
    void *ctx;
};

static uint32_t random_below(struct session *s, uint32_t bound)
{
    uint32_t value;
    env_random(s->options.loop->env, &value, sizeof(value));
    return value % bound;
}

static void closed(void *owner)
{
    struct session *s = owner;
    s->client = NULL;
    timer_start_in_ms(&s->retry, 20 + random_below(s, 200));
}

static void lost(void *owner, int status)
{
    struct session *s = owner;
    bool was_up = s->up;
    s->up = false;
    if (was_up && s->options.changed)
        s->options.changed(s->options.owner, false);
    client_close(s->client, closed, s);
}

static void connected(void *owner, int status)
{
    struct session *s = owner;
    if (status != 0) {
        lost(s, status);
        return;
    }
    s->up = true;
    s->power_cuts = sim_node_power_cuts(s->options.server);
    if (s->options.changed)
        s->options.changed(s->options.owner, true);
}

static const struct client_handler handler = {.on_connected = connected, .on_disconnected = lost};

static void connect_now(struct timer *timer)
{
    struct session *s = CONTAINER_OF(timer, struct session, retry);
    struct client_options options = {
        .endpoint.port = s->options.port,
        .connect_timeout_ms = 2000,
        .in_flight_max = 20,
        .response_max_bytes = 64 << 20,
    };
    strncpy(options.endpoint.host, sim_node_name(s->options.server), HOST_MAX);
    s->client = client_new(s->options.loop, &options, &handler, s);
}

struct session *session_new(const struct session_options *options)
{
    struct session *s = mem_calloc(1, sizeof(*s));
    s->options = *options;
    timer_init(&s->retry, options->loop, connect_now);
    timer_start_in_ms(&s->retry, 0);
    return s;
}

bool session_is_up(const struct session *s)
{
    return s->up;
}

int session_power_cuts(const struct session *s)
{
    return s->power_cuts;
}

static void answered(struct client_request *request, int status, struct buf *frame)
{
    struct call *call = CONTAINER_OF(request, struct call, request);
    struct arena arena;
    struct response_header header;
    void *response = NULL;
    arena_init(&arena, 0);
    if (status == 0) {
        struct bytes input = {frame->data, (int32_t)frame->size_bytes};
        response = arena_alloc(&arena, call->api->response->body->size_bytes);
        status = response_header_decode(call->api, call->version, &input, &arena, &header);
        if (status == 0)
            status = message_decode(call->api->response, call->version, &input, &arena, response);
        if (status == 0 && input.len != 0)
            status = -EPROTO;
    }
    call->done(call->ctx, status, status == 0 ? response : NULL);
    arena_release(&arena);
    buf_unref(frame);
    free(call);
}

int session_call(struct session *s, enum api_key api_key, int16_t version, const void *request,
                 int timeout_ms, void (*done)(void *ctx, int status, const void *response),
                 void *ctx)
{
    if (!s->up)
        return -ENOTCONN;
    struct call *call = mem_calloc(1, sizeof(*call));
    *call = (struct call){
        .request.done = answered,
        .api = api_find(api_key),
        .version = version,
        .done = done,
        .ctx = ctx,
    };
    struct bytebuf out;
    bytebuf_init(&out);
    int32_t id = client_next_correlation_id(s->client);
    int rv = frame_encode_request(call->api, version, id, str_of(s->options.client_id), request,
                                  &out, NULL);
    CHECK(rv == 0);
    struct out_chunk chunk = {.len = out.len};
    chunk.buf = bytebuf_to_buf(&out);
    rv = client_send(s->client, &call->request, &chunk, 1, id, timeout_ms);
    if (rv != 0) {
        buf_unref(chunk.buf);
        free(call);
    }
    return rv;
}
