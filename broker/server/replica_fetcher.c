#define LOG_MODULE "replica_fetcher"

#include "broker/server/replica_fetcher.h"

#include "broker/replica/follower_state.h"
#include "broker/server/node.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/protocol/frame.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/list_offsets.h"
#include "metadata/config/server_config.h"
#include "metadata/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Beside what a request asks for: a batch that is larger goes out all the same. */
#define ANSWER_MORE_BYTES (128 << 20)
#define LATEST            (-1)
#define REGISTRATION_MS   20 /* until it is looked at again */
#define EARLIEST_LOCAL    (-4)

static void go_on(struct replica_fetcher *f, bool only_news);

static int64_t integer(const struct replica_fetcher *f, enum config_id key)
{
    return server_config_integer(node_config(f->shard->node), key);
}

static void free_fetcher(struct replica_fetcher *f)
{
    struct replication *replication = f->replication;
    free(f->forgotten);
    free(f);
    replication_fetcher_closed(replication);
}

static void client_closed(void *owner)
{
    struct replica_fetcher *f = owner;
    if (--f->closing == 0 && f->closed)
        free_fetcher(f);
}

/* The end of a connection that served, or of an attempt to get one. */
static void fall_back(struct replica_fetcher *f)
{
    struct client *client = f->client;
    f->client = NULL;
    f->state = FETCHER_PAUSED;
    replica_fetcher_reset_session(f);
    int64_t max_ms = integer(f, CONFIG_BROKER_REPLICA_FETCH_BACKOFF_MS);
    timer_start_in_ms(&f->timer, follower_backoff_ms(++f->attempts, max_ms));
    if (client != NULL) {
        f->closing++;
        client_close(client, client_closed, f);
    }
}

static void on_timer(struct timer *timer)
{
    struct replica_fetcher *f = CONTAINER_OF(timer, struct replica_fetcher, timer);
    if (f->state != FETCHER_PAUSED)
        return;
    f->state = FETCHER_IDLE;
    replica_fetcher_kick(f);
}

/* --- requests ------------------------------------------------------------------------------ */

static bool send_request(struct replica_fetcher *f, struct fetcher_request *request, int16_t key,
                         int16_t version, const void *body)
{
    char name[64];
    /* Unique among this broker's fetchers for that leader: it keeps one session for each. */
    snprintf(name, sizeof(name), "broker-%d-fetcher-%d", node_id(f->shard->node),
             f->index * f->shard->loop->env->loop_count + f->shard->index);
    struct bytebuf frame;
    bytebuf_init(&frame);
    int32_t correlation_id = client_next_correlation_id(f->client);
    int rv = frame_encode_request(api_find(key), version, correlation_id, str_of(name), body,
                                  &frame, NULL);
    CHECK(rv == 0);
    struct buf *buf = bytebuf_to_buf(&frame);
    struct out_chunk chunk = {.buf = buf, .len = buf->size_bytes};
    request->generation = f->generation;
    request->used = true;
    rv = client_send(f->client, &request->request, &chunk, 1, correlation_id,
                     (int)integer(f, CONFIG_BROKER_REPLICA_SOCKET_TIMEOUT_MS));
    if (rv == 0)
        return true;
    buf_unref(buf);
    request->used = false;
    return false;
}

static void fetch_done(struct client_request *client_request, int status, struct buf *frame)
{
    struct fetcher_request *request = CONTAINER_OF(client_request, struct fetcher_request, request);
    struct replica_fetcher *f = request->fetcher;
    request->used = false;
    f->fetching--;
    if (status != 0 || f->closed || f->client == NULL) {
        buf_unref(frame);
        return; /* on_disconnected tells, or whoever closed it knows */
    }
    f->attempts = 0;
    replica_fetcher_answered(f, request, frame);
    buf_unref(frame);
    if (f->attempts > 0)
        fall_back(f);
    else
        go_on(f, true);
}

static void list_done(struct client_request *client_request, int status, struct buf *frame)
{
    struct fetcher_request *request = CONTAINER_OF(client_request, struct fetcher_request, request);
    struct replica_fetcher *f = request->fetcher;
    request->used = false;
    if (!f->closed) {
        f->answering = true;
        replica_fetcher_listed(f, status == 0 ? frame : NULL);
        f->answering = false;
    }
    buf_unref(frame);
    f->listing_start = status == 0 && !f->listing_start;
    if (status == 0 && !f->closed && f->client != NULL)
        go_on(f, true);
}

static void send_listing(struct replica_fetcher *f)
{
    struct arena arena;
    if (f->listing.used)
        return;
    arena_init(&arena, 0);
    struct list_offsets_request *request =
        replica_fetcher_build_listing(f, f->listing_start ? EARLIEST_LOCAL : LATEST, &arena);
    f->listing.request.done = list_done;
    if (request != NULL)
        send_request(f, &f->listing, API_LIST_OFFSETS, REPLICA_LIST_OFFSETS_VERSION, request);
    else
        f->listing_start = false;
    arena_release(&arena);
}

static void send_fetch(struct replica_fetcher *f, bool only_news)
{
    struct arena arena;
    struct fetcher_request *slot = &f->fetches[f->fetches[0].used];
    arena_init(&arena, 0);
    struct fetch_request *request = replica_fetcher_build(f, only_news, &arena);
    slot->request.done = fetch_done;
    slot->number = f->last_number;
    if (request != NULL && send_request(f, slot, API_FETCH, REPLICA_FETCH_VERSION, request)) {
        f->fetching++;
        if (f->session_epoch > 0)
            f->session_epoch = f->session_epoch == INT32_MAX ? 1 : f->session_epoch + 1;
    }
    arena_release(&arena);
}

/* A second fetch goes out behind one that waits only if it brings something new. */
static void go_on(struct replica_fetcher *f, bool only_news)
{
    if (f->state != FETCHER_CONNECTED || f->answering)
        return;
    if (f->out_of_range_count > 0)
        send_listing(f);
    if (f->fetching == 0)
        send_fetch(f, false);
    else if (only_news && f->fetching < FETCHER_IN_FLIGHT_MAX && f->session_epoch > 0)
        send_fetch(f, true);
}

/* --- the connection ------------------------------------------------------------------------ */

static void on_connected(void *owner, int status)
{
    struct replica_fetcher *f = owner;
    if (f->closed || f->client == NULL)
        return;
    if (status != 0) {
        if (f->attempts == 0)
            log_warn(node_env(f->shard->node)->logger, "Broker %d cannot be reached to fetch: %s",
                     f->source, strerror(-status));
        fall_back(f);
        return;
    }
    f->state = FETCHER_CONNECTED;
    go_on(f, false);
}

static void on_disconnected(void *owner, int status)
{
    struct replica_fetcher *f = owner;
    if (f->closed || f->client == NULL)
        return;
    if (f->attempts == 0)
        log_info(node_env(f->shard->node)->logger,
                 "The connection to broker %d for fetching broke: %s", f->source,
                 strerror(-status));
    fall_back(f);
}

static const struct client_handler client_handler = {
    .on_connected = on_connected,
    .on_disconnected = on_disconnected,
};

static bool find_endpoint(const struct replica_fetcher *f, struct endpoint *ret_endpoint)
{
    const struct broker_image *broker = cluster_image_broker(&f->shard->image->cluster, f->source);
    const struct server_listener *ours = node_config(f->shard->node)->inter_broker;
    const struct endpoint_image *found =
        broker && ours ? broker_image_endpoint(broker, ours->name) : NULL;
    if (found == NULL)
        return false;
    snprintf(ret_endpoint->host, sizeof(ret_endpoint->host), "%.*s", STR_FMT(found->host));
    ret_endpoint->port = found->port;
    return true;
}

static void begin_to_connect(struct replica_fetcher *f)
{
    /* A follower is believed only in the life of its broker that is registered. */
    if (node_broker_epoch(f->shard->node) < 0) {
        f->state = FETCHER_PAUSED;
        timer_start_in_ms(&f->timer, REGISTRATION_MS);
        return;
    }
    struct client_options options = {
        .connect_timeout_ms = (int)integer(f, CONFIG_BROKER_REPLICA_SOCKET_TIMEOUT_MS),
        .in_flight_max = FETCHER_IN_FLIGHT_MAX + 1,
        .response_max_bytes = (int32_t)MIN(
            integer(f, CONFIG_BROKER_REPLICA_FETCH_RESPONSE_MAX_BYTES) + ANSWER_MORE_BYTES,
            INT32_MAX),
    };
    if (!find_endpoint(f, &options.endpoint)) {
        fall_back(f);
        return;
    }
    f->state = FETCHER_CONNECTING;
    f->client = client_new(f->shard->loop, &options, &client_handler, f);
}

/* --- members ------------------------------------------------------------------------------- */

struct replica_fetcher *replica_fetcher_new(struct replication *replication, struct shard *shard,
                                            int32_t source, int index)
{
    struct replica_fetcher *f = mem_calloc(1, sizeof(*f));
    f->replication = replication;
    f->shard = shard;
    f->source = source;
    f->index = index;
    list_init(&f->members);
    list_init(&f->changed);
    for (int i = 0; i < FETCHER_IN_FLIGHT_MAX; i++)
        f->fetches[i].fetcher = f;
    f->listing.fetcher = f;
    timer_init(&f->timer, shard->loop, on_timer);
    return f;
}

void replica_fetcher_close(struct replica_fetcher *f)
{
    CHECK(list_empty(&f->members));
    f->closed = true;
    timer_stop(&f->timer);
    struct client *client = f->client;
    f->client = NULL;
    if (client != NULL) {
        f->closing++;
        client_close(client, client_closed, f);
    } else if (f->closing == 0) {
        free_fetcher(f);
    }
}

static void pause_over(struct timer *timer)
{
    struct followed *followed = CONTAINER_OF(timer, struct followed, pause);
    replica_fetcher_touch(followed->fetcher, followed);
    replica_fetcher_kick(followed->fetcher);
}

void replica_fetcher_add(struct replica_fetcher *f, struct followed *followed)
{
    followed->fetcher = f;
    followed->in_session = followed->out_of_range = false;
    followed->errors = 0;
    timer_init(&followed->pause, f->shard->loop, pause_over);
    list_push_back(&f->members, &followed->member);
    f->member_count++;
    replica_fetcher_touch(f, followed);
}

void replica_fetcher_remove(struct replica_fetcher *f, struct followed *followed)
{
    if (followed->in_session) {
        f->session_count--;
        VEC_PUSH(f->forgotten, f->forgotten_count, f->forgotten_capacity) = (struct forgotten){
            partition_topic_id(followed->partition), partition_index(followed->partition)};
    }
    timer_stop(&followed->pause);
    list_remove(&followed->member);
    list_remove(&followed->changed);
    f->member_count--;
    f->out_of_range_count -= followed->out_of_range;
    followed->in_session = followed->out_of_range = false;
    followed->fetcher = NULL;
}

void replica_fetcher_touch(struct replica_fetcher *f, struct followed *followed)
{
    list_remove(&followed->changed);
    list_push_back(&f->changed, &followed->changed);
}

void replica_fetcher_kick(struct replica_fetcher *f)
{
    if (f->state == FETCHER_IDLE && !list_empty(&f->members))
        begin_to_connect(f);
    else
        go_on(f, true);
}

void replica_fetcher_retry(struct replica_fetcher *f)
{
    f->attempts = 0;
    if (f->state != FETCHER_PAUSED)
        return;
    timer_stop(&f->timer);
    f->state = FETCHER_IDLE;
    replica_fetcher_kick(f);
}
