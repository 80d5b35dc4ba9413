/*
 * Writers of the record load, and who makes its topics. A batch is in the log once it was answered
 * for; until then it is sent again, with the same sequence, to whoever leads. Where the promise of
 * a partition has ended (replica_watch.h) the log may have forgotten a producer, which then begins
 * anew under another id.
 */
#include "common/base/check.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/init_producer_id.h"
#include "common/protocol/record_batch_builder.h"
#include "tests/sim/produce_call.h"
#include "tests/sim/record_client.h"
#include "tests/sim/workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define WINDOW_MAX 5

struct writer;

struct pending {
    struct writer *writer;
    struct list link;
    struct bytebuf bytes;
    uint32_t crc;
    int32_t count, sequence;
    bool in_flight;
};

struct writer {
    struct writer_app *app;
    int partition;
    struct timer tick;
    struct list window; /* in order of sequence */
    int count, in_flight, window_max;
    bool again; /* send the whole window once nothing is in flight */
    bool has_id, asks_for_id;
    int64_t id;
    int16_t epoch;
    int32_t next_sequence;
    int life; /* of the topic, that the window is for */
};

struct writer_app {
    struct record_client client;
    struct record_batch_builder builder;
    struct writer writers[RECORD_LOAD_PARTITIONS];
    struct timer create;
    struct record_topic *creating; /* NULL: no request is under way */
};

static struct record_load *load_of(const struct writer *w)
{
    return w->app->client.load;
}

static const struct record_partition *partition_of(const struct writer *w)
{
    return &load_of(w)->partitions[w->partition];
}

/* --- Topics --- */

static void created(void *ctx, int status, const void *response)
{
    struct writer_app *app = ctx;
    const struct create_topics_response *r = response;
    int16_t error = status == 0 && r->topics_count == 1 ? r->topics[0].error_code : -1;
    if (error == 0 || error == KAFKA_ERROR_TOPIC_ALREADY_EXISTS)
        app->creating->created = true;
    app->creating = NULL;
}

static void create_tick(struct timer *timer)
{
    struct writer_app *app = CONTAINER_OF(timer, struct writer_app, create);
    struct record_load *load = app->client.load;
    for (int i = 0; i < load->topic_count; i++) {
        struct record_topic *t = &load->topics[i];
        if (t->created)
            continue;
        if (!app->creating &&
            record_topic_create(load, t, t->partitions, record_client_any(&app->client), created,
                                app) == 0)
            app->creating = t;
        timer_start_in_ms(timer, 50 + workload_random(app->client.env, 200));
        return;
    }
    record_client_ask(&app->client);
}

/* --- Batches --- */

static void drop(struct pending *pending)
{
    struct writer *w = pending->writer;
    list_remove(&pending->link);
    w->count--;
    load_of(w)->unanswered[w->partition]--;
    bytebuf_release(&pending->bytes);
    free(pending);
}

static void build(struct writer *w, struct pending *pending)
{
    struct record_batch batch;
    bytebuf_release(&pending->bytes);
    bytebuf_init(&pending->bytes);
    workload_batch(w->app->client.env, &w->app->builder, w->id, w->epoch, w->next_sequence,
                   &pending->bytes);
    CHECK(record_batch_parse(pending->bytes.data, pending->bytes.len, &batch) == 0);
    pending->crc = batch.header.crc;
    pending->count = batch.header.count;
    pending->sequence = w->next_sequence;
    watched_partition_sent(partition_of(w)->watched, pending->crc);
    w->next_sequence = record_sequence_add(w->next_sequence, pending->count);
}

static void add_batch(struct writer *w)
{
    struct pending *pending = mem_calloc(1, sizeof(*pending));
    pending->writer = w;
    list_push_back(&w->window, &pending->link);
    w->count++;
    load_of(w)->unanswered[w->partition]++;
    load_of(w)->sent++;
    build(w, pending);
}

/* --- Answers --- */

static void begin_anew(struct writer *w)
{
    w->has_id = false;
    w->again = true;
}

static void out_of_order(struct pending *pending)
{
    struct writer *w = pending->writer;
    const struct record_partition *p = partition_of(w);
    w->again = true;
    if (w->window.next != &pending->link)
        return;
    /* Kafka remembers single batches only until a restart: of many, this one may be there. */
    if (w->window_max > 1) {
        drop(pending);
        if (w->count == 0)
            begin_anew(w);
        return;
    }
    if (p->watched->losses == 0)
        sim_fail(load_of(w)->sim,
                 "%s-%d: producer %lld/%d sequence %d is out of order, though nothing may be lost",
                 p->topic->name, p->index, (long long)w->id, w->epoch, pending->sequence);
    begin_anew(w);
}

static void take_answer(struct pending *pending, int16_t error, int64_t offset)
{
    struct writer *w = pending->writer;
    const struct record_partition *p = partition_of(w);
    switch ((enum kafka_error)error) {
    case KAFKA_ERROR_NONE:
        watched_partition_acknowledged(p->watched, offset, pending->crc);
        load_of(w)->acknowledged++;
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
            sim_fail(load_of(w)->sim, "%s-%d: Produce is answered with error %d", p->topic->name,
                     p->index, error);
        w->again = true;
        record_client_ask(&w->app->client);
    }
}

static void produced(void *ctx, int status, const void *response)
{
    struct pending *pending = ctx;
    struct writer *w = pending->writer;
    pending->in_flight = false;
    w->in_flight--;
    if (status == -EPROTO)
        sim_fail(load_of(w)->sim, "an answer to Produce cannot be decoded");
    if (status != 0) {
        w->again = true;
        record_client_ask(&w->app->client);
        return;
    }
    if (w->life != partition_of(w)->watched->life) {
        w->again = true; /* another topic has that name now */
        return;
    }
    const struct produce_response_partition_produce_response *part = produce_call_answer(response);
    if (part == NULL)
        sim_fail(load_of(w)->sim, "an answer to Produce is not for what was asked");
    else
        take_answer(pending, part->error_code, part->base_offset);
}

static void got_id(void *ctx, int status, const void *response)
{
    struct writer *w = ctx;
    const struct init_producer_id_response *r = response;
    w->asks_for_id = false;
    if (status != 0 || r->error_code != 0)
        return;
    w->id = r->producer_id;
    w->epoch = r->producer_epoch;
    w->has_id = true;
    w->next_sequence = 0;
    LIST_FOR_EACH (link, &w->window)
        build(w, LIST_ITEM(link, struct pending, link));
}

/* --- Requests --- */

static void send_batch(struct pending *pending, struct session *session)
{
    struct writer *w = pending->writer;
    const struct record_partition *p = partition_of(w);
    const struct produce_call call = {
        .topic = p->topic->name,
        .topic_id = p->watched->topic_id,
        .by_id = p->topic->churns, /* by name the next topic would take it */
        .partition = p->index,
        .records = {pending->bytes.data, (int32_t)pending->bytes.len},
        .acks = -1,
        .timeout_ms = 2000,
        .patience_ms = 3000,
    };
    if (produce_call_send(session, w->app->client.env, &call, produced, pending) != 0) {
        w->again = true;
        return;
    }
    pending->in_flight = true;
    w->in_flight++;
}

static void ask_for_id(struct writer *w)
{
    w->asks_for_id = produce_call_id(record_client_any(&w->app->client), 3000, got_id, w);
}

/* What was for a topic that is gone goes with it. True: the writer is in the topic's life now. */
static bool lives(struct writer *w)
{
    if (w->life == partition_of(w)->watched->life)
        return true;
    if (w->in_flight > 0)
        return false;
    while (!list_empty(&w->window))
        drop(LIST_ITEM(w->window.next, struct pending, link));
    w->life = partition_of(w)->watched->life;
    begin_anew(w);
    return true;
}

static void act(struct writer *w)
{
    const struct record_partition *p = partition_of(w);
    if (!lives(w))
        return;
    if (uuid_is_zero(p->watched->topic_id) || !p->topic->created)
        return;
    if (!w->has_id) {
        if (!w->asks_for_id && w->in_flight == 0)
            ask_for_id(w);
        return;
    }
    struct session *session = record_client_leader(&w->app->client, w->partition);
    if (!session) {
        record_client_ask(&w->app->client);
        return;
    }
    if (w->again) {
        if (w->in_flight > 0)
            return;
        w->again = false;
        LIST_FOR_EACH (link, &w->window)
            send_batch(LIST_ITEM(link, struct pending, link), session);
        return;
    }
    if (w->count < w->window_max && !load_of(w)->quiet) {
        add_batch(w);
        send_batch(LIST_ITEM(w->window.prev, struct pending, link), session);
    }
}

static void tick(struct timer *timer)
{
    struct writer *w = CONTAINER_OF(timer, struct writer, tick);
    act(w);
    timer_start_in_ms(timer,
                      20 + workload_random(w->app->client.env, load_of(w)->quiet ? 100 : 300));
}

void *record_writer_boot(struct env *env, void *ctx)
{
    struct writer_app *app = mem_calloc(1, sizeof(*app));
    record_client_init(&app->client, env, ctx, "writer");
    record_batch_builder_init(&app->builder);
    timer_init(&app->create, env->loops[0], create_tick);
    timer_start_in_ms(&app->create, 500);
    for (int i = 0; i < app->client.load->partition_count; i++) {
        struct writer *w = &app->writers[i];
        *w = (struct writer){.app = app,
                             .partition = i,
                             .window_max = workload_random(env, 3) == 0 ? WINDOW_MAX : 1};
        list_init(&w->window);
        timer_init(&w->tick, env->loops[0], tick);
        timer_start_in_ms(&w->tick, 500 + workload_random(env, 500));
    }
    return app;
}
