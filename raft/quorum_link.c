#include "raft/quorum_link.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/net/client.h"
#include "common/protocol/kafka_error.h"

#include <errno.h>
#include <stdlib.h>

/* Of one answer: a part of a checkpoint is the largest. */
#define ANSWER_MAX_BYTES ((int32_t)64 << 20)

enum link_state { LINK_WAITING, LINK_CONNECTING, LINK_GREETING, LINK_READY, LINK_CLOSED };

struct link_request {
    struct client_request request;
    struct quorum_link *link;
    size_t bytes;
    quorum_link_answered answered;
    void *ctx;
};

struct quorum_link {
    struct quorum_link_options options;
    enum link_state state;
    struct client *client;
    struct timer timer;
    int64_t backoff_ms, sent_ms;
    int16_t version;
    size_t in_flight_bytes;
    int in_flight;
    struct task free_task;
    void (*closed)(void *owner);
    void *closed_owner;
};

static void connect_now(struct timer *timer);

static void try_again(struct quorum_link *link, bool slowly)
{
    int64_t delay_ms = slowly ? link->options.backoff_max_ms : link->backoff_ms;
    link->backoff_ms = MIN(link->backoff_ms * 2, link->options.backoff_max_ms);
    link->state = LINK_WAITING;
    timer_start_in_ms(&link->timer, delay_ms);
}

static void drop_client(struct quorum_link *link)
{
    if (link->client)
        client_close(link->client, NULL, NULL);
    link->client = NULL;
}

static void went_down(struct quorum_link *link, int status, struct str refusal)
{
    drop_client(link);
    try_again(link, status == -EPERM);
    link->options.handler->down(link->options.owner, status, refusal);
}

static void now_ready(struct quorum_link *link, const struct peer_hello_answer *answer)
{
    link->state = LINK_READY;
    link->backoff_ms = link->options.backoff_min_ms;
    link->version = 0;
    if (answer)
        link->version = MAX(MIN(answer->max_version, QUORUM_WIRE_VERSION_MAX), 0);
    link->options.handler->ready(link->options.owner, answer);
}

static void greeted(void *ctx, int status, struct buf *frame)
{
    struct quorum_link *link = ctx;
    if (link->state != LINK_GREETING || status != 0)
        return; /* on_disconnected comes, or came */
    struct peer_hello_answer answer;
    struct arena arena;
    arena_init(&arena, 0);
    int rv = quorum_wire_read_answer((struct bytes){frame->data, (int32_t)frame->size_bytes},
                                     &peer_hello_answer_desc, &arena, &answer);
    if (rv != 0)
        went_down(link, -EPROTO, STR_NULL);
    else if (answer.error_code == KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS)
        went_down(link, -EAGAIN, STR_NULL);
    else if (answer.error_code != 0)
        went_down(link, -EPERM, answer.error_message);
    else
        now_ready(link, &answer);
    arena_release(&arena);
}

static void say_hello(struct quorum_link *link)
{
    struct peer_hello hello;
    struct bytebuf frame;
    struct quorum_wire_header header = {.key = QUORUM_WIRE_HELLO,
                                        .correlation_id = client_next_correlation_id(link->client)};
    message_init(&peer_hello_desc, &hello);
    hello.max_version = QUORUM_WIRE_VERSION_MAX;
    link->options.handler->hello(link->options.owner, &hello);
    bytebuf_init(&frame);
    quorum_wire_request(&header, &hello, &frame);
    link->state = LINK_GREETING;
    quorum_link_send(link, &header, &frame, greeted, link);
}

static void on_connected(void *owner, int status)
{
    struct quorum_link *link = owner;
    if (status != 0)
        went_down(link, status, STR_NULL);
    else if (link->options.handler->hello)
        say_hello(link);
    else
        now_ready(link, NULL);
}

static void on_disconnected(void *owner, int status)
{
    went_down(owner, status, STR_NULL);
}

static const struct client_handler client_handler = {on_connected, on_disconnected};

static void connect_now(struct timer *timer)
{
    struct quorum_link *link = CONTAINER_OF(timer, struct quorum_link, timer);
    struct client_options options = {
        .endpoint = link->options.endpoint,
        .connect_timeout_ms = link->options.request_timeout_ms,
        .in_flight_max = QUORUM_LINK_IN_FLIGHT_MAX + 1,
        .response_max_bytes = ANSWER_MAX_BYTES,
    };
    CHECK(link->client == NULL);
    link->state = LINK_CONNECTING;
    link->sent_ms = INT64_MIN;
    link->client = client_new(link->options.loop, &options, &client_handler, link);
}

struct quorum_link *quorum_link_new(const struct quorum_link_options *options)
{
    struct quorum_link *link = mem_calloc(1, sizeof(*link));
    link->options = *options;
    link->backoff_ms = options->backoff_min_ms;
    link->sent_ms = INT64_MIN;
    timer_init(&link->timer, options->loop, connect_now);
    timer_start_in_ms(&link->timer, 0);
    return link;
}

static void link_free(struct quorum_link *link)
{
    CHECK(link->in_flight == 0);
    if (link->closed)
        link->closed(link->closed_owner);
    free(link);
}

static void client_was_closed(void *owner)
{
    link_free(owner);
}

static void free_later(struct task *task)
{
    link_free(CONTAINER_OF(task, struct quorum_link, free_task));
}

void quorum_link_close(struct quorum_link *link, void (*closed)(void *owner), void *owner)
{
    CHECK(link->state != LINK_CLOSED);
    link->state = LINK_CLOSED;
    link->closed = closed;
    link->closed_owner = owner;
    timer_stop(&link->timer);
    if (link->client) {
        client_close(link->client, client_was_closed, link);
        return;
    }
    /* Behind what an earlier connection still has to complete. */
    link->free_task.run = free_later;
    loop_post(link->options.loop, &link->free_task);
}

bool quorum_link_is_ready(const struct quorum_link *link)
{
    return link->state == LINK_READY;
}

const struct endpoint *quorum_link_endpoint(const struct quorum_link *link)
{
    return &link->options.endpoint;
}

int64_t quorum_link_sent_ms(const struct quorum_link *link)
{
    return link->sent_ms;
}

static void request_done(struct client_request *request, int status, struct buf *frame)
{
    struct link_request *r = CONTAINER_OF(request, struct link_request, request);
    r->link->in_flight--;
    r->link->in_flight_bytes -= r->bytes;
    if (r->answered)
        r->answered(r->ctx, status, frame);
    buf_unref(frame);
    free(r);
}

int quorum_link_begin(struct quorum_link *link, int16_t key, struct quorum_wire_header *ret_header)
{
    if (link->state != LINK_READY)
        return -ENOTCONN;
    if (link->in_flight >= QUORUM_LINK_IN_FLIGHT_MAX ||
        link->in_flight_bytes >= QUORUM_LINK_BYTES_MAX)
        return -EBUSY;
    *ret_header = (struct quorum_wire_header){
        .key = key,
        .version = link->version,
        .correlation_id = client_next_correlation_id(link->client),
    };
    return 0;
}

void quorum_link_send(struct quorum_link *link, const struct quorum_wire_header *header,
                      struct bytebuf *frame, quorum_link_answered answered, void *ctx)
{
    struct link_request *r = mem_calloc(1, sizeof(*r));
    r->request.done = request_done;
    r->link = link;
    r->bytes = frame->len;
    r->answered = answered;
    r->ctx = ctx;
    struct buf *buf = bytebuf_to_buf(frame);
    struct out_chunk chunk = {.buf = buf, .len = buf->size_bytes};
    link->in_flight++;
    link->in_flight_bytes += r->bytes;
    link->sent_ms = env_now_ms(link->options.loop->env);
    int rv = client_send(link->client, &r->request, &chunk, 1, header->correlation_id,
                         link->options.request_timeout_ms);
    CHECK(rv == 0);
}

int quorum_link_ask(struct quorum_link *link, int16_t key, const void *message,
                    quorum_link_answered answered, void *ctx)
{
    struct quorum_wire_header header;
    int rv = quorum_link_begin(link, key, &header);
    if (rv != 0)
        return rv;
    struct bytebuf frame;
    bytebuf_init(&frame);
    quorum_wire_request(&header, message, &frame);
    quorum_link_send(link, &header, &frame, answered, ctx);
    return 0;
}
