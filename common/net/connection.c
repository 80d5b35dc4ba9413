#include "common/net/connection_internal.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void settle_flow(struct connection *c)
{
    if (c->parsing || c->disconnected)
        return;
    /* A whole header that was held back may be all there is of an empty frame. */
    bool held_back = c->leftover.len > 0 || c->reader.header_len == 4;
    bool want_pause = c->blocked != 0 || held_back;
    if (want_pause != c->reading_paused) {
        c->reading_paused = want_pause;
        if (want_pause)
            stream_read_pause(c->stream);
        else
            stream_read_resume(c->stream);
    }
    if (c->blocked == 0 && held_back)
        group_resume_later(c);
}

void connection_block(struct connection *c, unsigned set, unsigned clear)
{
    c->blocked = (c->blocked & ~clear) | set;
    settle_flow(c);
}

void connection_maybe_free(struct connection *c)
{
    if (c->stream != NULL || c->in_flight > 0)
        return;
    timer_stop(&c->throttle_timer);
    list_remove(&c->wait_link);
    struct connection_group *group = c->group;
    void *token = c->token;
    group->handler->on_closed(c);
    bytebuf_release(&c->leftover);
    free(c);
    if (group->on_gone != NULL)
        group->on_gone(group, token);
}

static void stream_closed(void *owner)
{
    struct connection *c = owner;
    c->stream = NULL;
    list_remove(&c->activity_link);
    stat_add(&c->group->stats.open_count, -1);
    stat_add(&c->group->stats.closed_total, 1);
    c->in_flight++; /* the handler may answer all slots right here: that must not free it yet */
    slots_drop(c);
    if (c->group->handler->on_disconnect != NULL)
        c->group->handler->on_disconnect(c, c->end_reason);
    c->in_flight--;
    connection_maybe_free(c);
}

static void stop_reading(struct connection *c)
{
    c->blocked |= BLOCK_ENDING;
    if (c->reader.body != NULL)
        group_unhold(c->group, c->reader.body->size_bytes);
    frame_reader_release(&c->reader);
    list_remove(&c->wait_link);
    bytebuf_release(&c->leftover);
}

void connection_disconnect(struct connection *c, bool flush, const char *reason)
{
    if (c->disconnected)
        return;
    c->disconnected = true;
    if (c->end_reason == NULL)
        c->end_reason = reason;
    c->flushing = flush;
    stop_reading(c);
    stream_close(c->group->loop->env, c->stream, flush, stream_closed, c);
}

/* What a peer of another kind sends reads as an absurd length; say what it was. */
static const char *describe_length(const uint8_t header[4], int32_t len)
{
    static const char methods[][5] = {"GET ", "POST", "PUT ", "HEAD", "DELE",
                                      "OPTI", "PATC", "CONN", "PRI "};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (memcmp(header, methods[i], 4) == 0)
            return "an HTTP request was sent to a Kafka listener";
    if (header[0] == 0x16 && header[1] == 0x03)
        return "a TLS handshake was sent to a listener without TLS; check the client's "
               "security.protocol";
    if (len < 0)
        return "negative frame length";
    return "frame length above the limit (socket.request.max.bytes, or less before authentication)";
}

/* Begins the frame whose length is in header. False: not now, or never. */
static bool begin_frame(struct connection *c)
{
    int32_t len = frame_reader_length(&c->reader);
    int32_t max = c->group->limits.request_max_bytes;
    if (c->frame_max_bytes > 0)
        max = MIN(max, c->frame_max_bytes);
    if (len < 0 || len > max) {
        connection_drain(c, describe_length(c->reader.header, len));
        return false;
    }
    if (!connection_within_limits(c, (size_t)len)) {
        c->blocked |= BLOCK_LIMIT;
        return false;
    }
    if (!group_hold(c, (size_t)len)) {
        c->blocked |= BLOCK_GROUP;
        return false;
    }
    if (!frame_reader_begin_body(&c->reader)) {
        group_unhold(c->group, (size_t)len);
        connection_drain(c, "no memory for the request");
        return false;
    }
    return true;
}

static void deliver_frame(struct connection *c, struct buf *frame)
{
    struct slot *slot = slot_new(c, frame->size_bytes);
    stat_add(&c->group->stats.request_total, 1);
    if (!connection_within_limits(c, 0))
        c->blocked |= BLOCK_LIMIT;
    c->group->handler->on_request(c, &slot->base, frame);
}

/* Takes what may be taken of newly read bytes and returns how many are left. */
static size_t parse(struct connection *c, const uint8_t *data, size_t len)
{
    c->parsing = true;
    while (!c->disconnected) {
        if (c->reader.body == NULL) {
            if (c->blocked != 0 || !frame_reader_take_header(&c->reader, &data, &len) ||
                !begin_frame(c))
                break;
        }
        struct buf *frame = frame_reader_take_body(&c->reader, &data, &len);
        if (frame == NULL)
            break;
        deliver_frame(c, frame);
    }
    c->parsing = false;
    return len;
}

static void *read_room(void *owner, size_t *ret_len)
{
    struct connection *c = owner;
    return frame_reader_room(&c->reader, c->group->staging, STAGING_BYTES, ret_len);
}

static void on_read(void *owner, size_t len)
{
    struct connection *c = owner;
    stat_add(&c->group->stats.in_bytes_total, (int64_t)len);
    group_touch(c);
    size_t staged = frame_reader_read(&c->reader, len);
    size_t left = parse(c, c->group->staging, staged);
    /* A connection that ends reads no more: what is left of its input is nobody's. */
    if (left > 0 && !(c->blocked & BLOCK_ENDING))
        bytebuf_append(&c->leftover, c->group->staging + staged - left, left);
    settle_flow(c);
}

void connection_continue(struct connection *c)
{
    if (c->disconnected || c->blocked != 0)
        return;
    struct bytebuf held = c->leftover;
    bytebuf_init(&c->leftover);
    size_t left = parse(c, held.data, held.len);
    if (left > 0 && !(c->blocked & BLOCK_ENDING)) {
        memmove(held.data, held.data + held.len - left, left);
        held.len = left;
        c->leftover = held;
    } else {
        bytebuf_release(&held);
    }
    settle_flow(c);
}

static void on_end(void *owner, int status)
{
    struct connection *c = owner;
    /* After its end a peer may still wait for answers to what it sent. */
    if (status == 0)
        connection_drain(c, "closed by the peer");
    else
        connection_disconnect(c, false,
                              status == -ECONNRESET || status == -EPIPE ? "reset by the peer"
                              : status == -EIO ? "reading a file on its way to the peer failed"
                                               : "network error");
}

static void on_sent(void *owner, size_t queued_bytes)
{
    group_touch(owner);
    slots_sent(owner, queued_bytes);
}

static const struct stream_handler stream_handler = {read_room, on_read, on_end, on_sent};

static void throttle_ended(struct timer *timer)
{
    connection_block(CONTAINER_OF(timer, struct connection, throttle_timer), 0, BLOCK_THROTTLED);
}

struct connection *connection_new(struct connection_group *group, struct stream *stream,
                                  int32_t frame_max_bytes, void *token)
{
    struct connection *c = mem_calloc(1, sizeof(*c));
    c->group = group;
    c->stream = stream;
    c->token = token;
    c->peer = stream->peer;
    c->frame_max_bytes = frame_max_bytes;
    bytebuf_init(&c->leftover);
    list_init(&c->slots);
    list_init(&c->activity_link);
    list_init(&c->wait_link);
    timer_init(&c->throttle_timer, group->loop, throttle_ended);
    stat_add(&group->stats.open_count, 1);
    stat_add(&group->stats.created_total, 1);
    group_touch(c);
    if (group->handler->on_open != NULL)
        group->handler->on_open(c);
    stream_start(stream, group->loop, &stream_handler, c);
    return c;
}

void connection_set_frame_max(struct connection *c, int32_t frame_max_bytes)
{
    c->frame_max_bytes = frame_max_bytes;
}

void connection_mute(struct connection *c)
{
    connection_block(c, BLOCK_MUTED, 0);
}

void connection_unmute(struct connection *c)
{
    connection_block(c, 0, BLOCK_MUTED);
}

void connection_throttle(struct connection *c, int64_t throttle_ms)
{
    int64_t until_us = env_now_us(c->group->loop->env) + throttle_ms * 1000;
    if (throttle_ms <= 0 || c->disconnected ||
        (timer_running(&c->throttle_timer) && c->throttle_timer.due_us >= until_us))
        return;
    timer_start_at_us(&c->throttle_timer, until_us);
    connection_block(c, BLOCK_THROTTLED, 0);
}

void connection_drain(struct connection *c, const char *reason)
{
    if (c->disconnected || (c->blocked & BLOCK_ENDING))
        return;
    c->end_reason = reason;
    stop_reading(c);
    settle_flow(c);
    slots_end_if_answered(c);
}

void connection_close(struct connection *c, const char *reason)
{
    connection_disconnect(c, false, reason);
}

void connection_set_ctx(struct connection *c, void *ctx)
{
    c->ctx = ctx;
}

void *connection_ctx(const struct connection *c)
{
    return c->ctx;
}

struct connection_group *connection_group_of(const struct connection *c)
{
    return c->group;
}

const struct endpoint *connection_peer(const struct connection *c)
{
    return &c->peer;
}

bool connection_is_closed(const struct connection *c)
{
    return c->disconnected;
}
