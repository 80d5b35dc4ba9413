#include "common/net/client.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/net/frame_reader.h"

#include <errno.h>
#include <stdlib.h>

enum { ROOM_BYTES = 16 * 1024 };

struct client {
    struct loop *loop;
    struct client_options options;
    const struct client_handler *handler;
    void *owner;
    enum { CLIENT_CONNECTING, CLIENT_CONNECTED, CLIENT_BROKEN, CLIENT_CLOSED } state;
    struct stream *stream;
    struct list requests; /* in the order of their answers */
    int in_flight;
    int32_t next_correlation_id;
    struct frame_reader reader;
    uint8_t *room;
    int holds; /* reasons to stay in memory: a connect, a stream, the owner */
    struct task close_task;
    void (*closed)(void *owner);
    void *closed_owner;
};

static void release(struct client *c)
{
    if (--c->holds > 0)
        return;
    CHECK(list_empty(&c->requests));
    frame_reader_release(&c->reader);
    free(c->room);
    free(c);
}

static void complete(struct client_request *request, int status, struct buf *frame)
{
    timer_stop(&request->timer);
    list_remove(&request->link);
    request->client->in_flight--;
    request->done(request, status, frame);
}

static void complete_all(struct client *c, int status)
{
    while (!list_empty(&c->requests))
        complete(LIST_ITEM(c->requests.next, struct client_request, link), status, NULL);
}

static void stream_closed(void *owner)
{
    release(owner);
}

static void drop_stream(struct client *c)
{
    if (c->stream != NULL)
        stream_close(c->loop->env, c->stream, false, stream_closed, c);
    c->stream = NULL;
}

static void break_off(struct client *c, int status)
{
    if (c->state != CLIENT_CONNECTED)
        return;
    c->state = CLIENT_BROKEN;
    c->holds++; /* the callbacks may close it */
    drop_stream(c);
    complete_all(c, status);
    if (c->state == CLIENT_BROKEN)
        c->handler->on_disconnected(c->owner, status);
    release(c);
}

static int32_t correlation_id_of(const struct buf *frame)
{
    return (int32_t)((uint32_t)frame->data[0] << 24 | (uint32_t)frame->data[1] << 16 |
                     (uint32_t)frame->data[2] << 8 | (uint32_t)frame->data[3]);
}

static void take_answer(struct client *c, struct buf *frame)
{
    if (!list_empty(&c->requests) && frame->size_bytes >= 4) {
        struct client_request *request = LIST_ITEM(c->requests.next, struct client_request, link);
        if (request->correlation_id == correlation_id_of(frame)) {
            complete(request, 0, frame);
            return;
        }
    }
    buf_unref(frame);
    break_off(c, -EPROTO);
}

static bool begin_frame(struct client *c)
{
    int32_t len = frame_reader_length(&c->reader);
    int status = 0;
    if (len < 0)
        status = -EPROTO;
    else if (len > c->options.response_max_bytes)
        status = -EMSGSIZE;
    else if (!frame_reader_begin_body(&c->reader))
        status = -ENOMEM;
    if (status != 0)
        break_off(c, status);
    return status == 0;
}

static void *read_room(void *owner, size_t *ret_len)
{
    struct client *c = owner;
    return frame_reader_room(&c->reader, c->room, ROOM_BYTES, ret_len);
}

static void on_read(void *owner, size_t read_len)
{
    struct client *c = owner;
    const uint8_t *data = c->room;
    size_t len = frame_reader_read(&c->reader, read_len);
    c->holds++;
    while (c->state == CLIENT_CONNECTED) {
        if (c->reader.body == NULL &&
            (!frame_reader_take_header(&c->reader, &data, &len) || !begin_frame(c)))
            break;
        struct buf *frame = frame_reader_take_body(&c->reader, &data, &len);
        if (frame == NULL)
            break;
        take_answer(c, frame);
    }
    release(c);
}

static void on_end(void *owner, int status)
{
    break_off(owner, status == 0 || status == -EPIPE ? -ECONNRESET : status);
}

static const struct stream_handler stream_handler = {read_room, on_read, on_end, NULL};

static void on_connected(void *owner, struct stream *stream, int status)
{
    struct client *c = owner;
    if (c->state == CLIENT_CLOSED) {
        if (stream != NULL)
            stream_close(c->loop->env, stream, false, NULL, NULL);
        release(c);
        return;
    }
    if (stream != NULL) {
        c->state = CLIENT_CONNECTED;
        c->stream = stream;
        c->holds++;
        stream_start(stream, c->loop, &stream_handler, c);
    } else {
        c->state = CLIENT_BROKEN;
    }
    c->handler->on_connected(c->owner, status);
    release(c);
}

struct client *client_new(struct loop *loop, const struct client_options *options,
                          const struct client_handler *handler, void *owner)
{
    struct client *c = mem_calloc(1, sizeof(*c));
    c->loop = loop;
    c->options = *options;
    c->handler = handler;
    c->owner = owner;
    c->room = mem_alloc(ROOM_BYTES);
    c->holds = 2; /* the owner and the connect */
    list_init(&c->requests);
    loop->env->net->connect(loop, &options->endpoint, options->connect_timeout_ms, on_connected, c);
    return c;
}

bool client_is_connected(const struct client *c)
{
    return c->state == CLIENT_CONNECTED;
}

int32_t client_next_correlation_id(struct client *c)
{
    int32_t id = c->next_correlation_id;
    c->next_correlation_id = id == INT32_MAX ? 0 : id + 1;
    return id;
}

static void timed_out(struct timer *timer)
{
    struct client_request *request = CONTAINER_OF(timer, struct client_request, timer);
    struct client *c = request->client;
    c->holds++;
    complete(request, -ETIMEDOUT, NULL);
    break_off(c, -ETIMEDOUT);
    release(c);
}

int client_send(struct client *c, struct client_request *request, struct out_chunk *chunks,
                int count, int32_t correlation_id, int timeout_ms)
{
    if (c->state != CLIENT_CONNECTED)
        return -ENOTCONN;
    if (c->in_flight >= c->options.in_flight_max)
        return -EBUSY;
    request->client = c;
    request->correlation_id = correlation_id;
    timer_init(&request->timer, c->loop, timed_out);
    timer_start_in_ms(&request->timer, timeout_ms);
    list_push_back(&c->requests, &request->link);
    c->in_flight++;
    stream_write(c->stream, chunks, count);
    return 0;
}

int client_send_unanswered(struct client *c, struct out_chunk *chunks, int count)
{
    if (c->state != CLIENT_CONNECTED)
        return -ENOTCONN;
    stream_write(c->stream, chunks, count);
    return 0;
}

static void finish_close(struct task *task)
{
    struct client *c = CONTAINER_OF(task, struct client, close_task);
    complete_all(c, -ECANCELED);
    if (c->closed != NULL)
        c->closed(c->closed_owner);
    release(c);
}

void client_close(struct client *c, void (*closed)(void *owner), void *owner)
{
    CHECK(c->state != CLIENT_CLOSED);
    c->state = CLIENT_CLOSED;
    c->closed = closed;
    c->closed_owner = owner;
    drop_stream(c);
    c->close_task.run = finish_close;
    loop_post(c->loop, &c->close_task);
}
