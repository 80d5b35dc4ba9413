/*
 * Producers of the workload: one per partition and process, idempotent, with a window of one or of
 * up to five batches. Whatever is not answered is sent again, with the same sequence, until it is.
 */
#include "common/base/check.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/init_producer_id.h"
#include "common/protocol/record_batch_builder.h"
#include "tests/sim/produce_call.h"
#include "tests/sim/workload.h"

#include <errno.h>
#include <stdlib.h>

#define WINDOW_MAX 5

struct producer;

struct pending {
    struct producer *producer;
    struct sent_batch *sent;
    struct bytebuf bytes;
    struct list link;
    bool in_flight;
    int power_cuts; /* of the connection that it was sent on last */
};

struct producer {
    struct producer_app *app;
    struct workload_topic *topic;
    int32_t index;
    struct timer tick;
    struct list window; /* in order of sequence */
    int count, in_flight, window_max;
    int16_t acks;
    bool again; /* send the whole window once nothing is in flight */
    bool wants_id, asks_for_id;
    int64_t id;
    int16_t epoch;
    int32_t next_sequence;
    int acked_power_cuts; /* of the connection of the last acknowledgement */
    bool busy;
};

struct producer_app {
    struct env *env;
    struct workload *workload;
    struct session *session;
    struct record_batch_builder builder;
    struct producer producers[WORKLOAD_TOPICS * WORKLOAD_PARTITIONS];
    int count;
};

static void set_busy(struct producer *p)
{
    bool busy = p->count > 0;
    if (busy != p->busy)
        p->app->workload->busy_producers += busy ? 1 : -1;
    p->busy = busy;
}

static void drop(struct pending *pending)
{
    struct producer *p = pending->producer;
    list_remove(&pending->link);
    p->count--;
    bytebuf_release(&pending->bytes);
    free(pending);
    set_busy(p);
}

/* --- Batches --- */

static void build(struct producer *p, struct pending *pending)
{
    bytebuf_release(&pending->bytes);
    bytebuf_init(&pending->bytes);
    workload_batch(p->app->env, &p->app->builder, p->id, p->epoch, p->next_sequence,
                   &pending->bytes);
    struct record_batch batch;
    CHECK(record_batch_parse(pending->bytes.data, pending->bytes.len, &batch) == 0);
    pending->sent = checker_sent(&p->topic->parts[p->index], batch.header.crc, batch.header.count,
                                 p->id, p->epoch, p->next_sequence);
    p->next_sequence = record_sequence_add(p->next_sequence, batch.header.count);
}

static void add_batch(struct producer *p)
{
    struct pending *pending = mem_calloc(1, sizeof(*pending));
    pending->producer = p;
    list_push_back(&p->window, &pending->link);
    p->count++;
    build(p, pending);
    set_busy(p);
}

/* The log forgot the producer with its end: under a new id all that is left is new. */
static void begin_anew(struct producer *p)
{
    p->wants_id = true;
    p->again = true;
}

static void renumber(struct producer *p)
{
    p->next_sequence = 0;
    LIST_FOR_EACH (link, &p->window)
        build(p, LIST_ITEM(link, struct pending, link));
}

/* --- Answers --- */

static void out_of_order(struct pending *pending)
{
    struct producer *p = pending->producer;
    if (p->window.next != &pending->link) {
        p->again = true;
        return;
    }
    /* Kafka remembers single batches only until a restart. */
    if (p->window_max > 1) {
        drop(pending);
        if (p->count == 0)
            begin_anew(p);
        p->again = true;
        return;
    }
    if (p->topic->durable || pending->power_cuts <= p->acked_power_cuts)
        sim_fail(p->app->workload->sim,
                 "%s: producer %lld/%d sequence %d is out of order, though nothing may be lost",
                 p->topic->parts[p->index].name, (long long)p->id, p->epoch,
                 pending->sent->base_sequence);
    begin_anew(p);
}

static void take_answer(struct pending *pending, int16_t error, int64_t offset)
{
    struct producer *p = pending->producer;
    switch ((enum kafka_error)error) {
    case KAFKA_ERROR_NONE:
        checker_acknowledged(pending->sent, offset, pending->power_cuts);
        p->acked_power_cuts = pending->power_cuts;
        drop(pending);
        return;
    case KAFKA_ERROR_DUPLICATE_SEQUENCE_NUMBER:
        drop(pending);
        return;
    case KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER:
    case KAFKA_ERROR_UNKNOWN_PRODUCER_ID:
        out_of_order(pending);
        return;
    default:
        if (!workload_retriable(error))
            sim_fail(p->app->workload->sim, "%s: produce is answered with error %d",
                     p->topic->parts[p->index].name, error);
        p->again = true;
    }
}

static void produced(void *ctx, int status, const void *response)
{
    struct pending *pending = ctx;
    struct producer *p = pending->producer;
    pending->in_flight = false;
    p->in_flight--;
    if (status == -EPROTO)
        sim_fail(p->app->workload->sim, "an answer to Produce cannot be decoded");
    if (status != 0) {
        p->again = true;
        return;
    }
    const struct produce_response_partition_produce_response *part = produce_call_answer(response);
    if (part == NULL)
        sim_fail(p->app->workload->sim, "an answer to Produce is not for what was asked");
    else
        take_answer(pending, part->error_code, part->base_offset);
}

static void got_id(void *ctx, int status, const void *response)
{
    struct producer *p = ctx;
    const struct init_producer_id_response *r = response;
    p->asks_for_id = false;
    if (status != 0 || workload_retriable(r->error_code))
        return;
    if (r->error_code != 0) {
        sim_fail(p->app->workload->sim, "InitProducerId is answered with error %d", r->error_code);
        return;
    }
    checker_producer_id(&p->app->workload->checker, r->producer_id, r->producer_epoch);
    p->id = r->producer_id;
    p->epoch = r->producer_epoch;
    p->wants_id = false;
    renumber(p);
}

/* --- Requests --- */

static void send_batch(struct pending *pending)
{
    struct producer *p = pending->producer;
    struct session *session = p->app->session;
    const struct produce_call call = {
        .topic = p->topic->name,
        .topic_id = p->topic->id,
        .partition = p->index,
        .records = {pending->bytes.data, (int32_t)pending->bytes.len},
        .acks = p->acks,
        .timeout_ms = 3000,
        .patience_ms = 6000,
    };
    if (produce_call_send(session, p->app->env, &call, produced, pending) != 0) {
        p->again = true;
        return;
    }
    pending->power_cuts = session_power_cuts(session);
    pending->in_flight = true;
    p->in_flight++;
}

static void ask_for_id(struct producer *p)
{
    p->asks_for_id = produce_call_id(p->app->session, 6000, got_id, p);
}

static void act(struct producer *p)
{
    struct workload *w = p->app->workload;
    if (!w->created || p->index >= p->topic->partitions || !session_is_up(p->app->session))
        return;
    if (p->wants_id) {
        if (!p->asks_for_id && p->in_flight == 0)
            ask_for_id(p);
        return;
    }
    if (p->again) {
        if (p->in_flight > 0)
            return;
        p->again = false;
        LIST_FOR_EACH (link, &p->window)
            send_batch(LIST_ITEM(link, struct pending, link));
        return;
    }
    if (p->count < p->window_max && !w->quiet) {
        add_batch(p);
        send_batch(LIST_ITEM(p->window.prev, struct pending, link));
    }
}

static void tick(struct timer *timer)
{
    struct producer *p = CONTAINER_OF(timer, struct producer, tick);
    act(p);
    timer_start_in_ms(timer, 1 + workload_random(p->app->env, p->app->workload->quiet ? 50 : 300));
}

static void changed(void *owner, bool up)
{
    struct producer_app *app = owner;
    for (int i = 0; i < app->count; i++)
        app->producers[i].again = true;
}

static void add_producer(struct producer_app *app, struct workload_topic *topic, int32_t index)
{
    struct producer *p = &app->producers[app->count++];
    *p = (struct producer){
        .app = app,
        .topic = topic,
        .index = index,
        .wants_id = true,
        .id = -1,
        .window_max = workload_random(app->env, 3) == 0 ? WINDOW_MAX : 1,
        .acks = topic->durable || workload_random(app->env, 2) == 0 ? -1 : 1,
        .acked_power_cuts = -1,
    };
    list_init(&p->window);
    timer_init(&p->tick, app->env->loops[0], tick);
    timer_start_in_ms(&p->tick, workload_random(app->env, 100));
}

void *producer_boot(struct env *env, void *ctx)
{
    struct producer_app *app = mem_calloc(1, sizeof(*app));
    app->env = env;
    app->workload = ctx;
    record_batch_builder_init(&app->builder);
    app->session = workload_session(app->workload, env, "producer", changed, app);
    for (int i = 0; i < WORKLOAD_TOPICS; i++)
        for (int32_t j = 0; !app->workload->topics[i].churns && j < WORKLOAD_PARTITIONS; j++)
            add_producer(app, &app->workload->topics[i], j);
    return app;
}
