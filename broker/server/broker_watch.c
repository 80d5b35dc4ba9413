#include "broker/server/broker_watch.h"

#define LOG_MODULE "broker_watch"

#include "broker/server/metadata_loop.h"
#include "broker/server/node.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/net/client.h"
#include "metadata/config/server_config.h"
#include "metadata/delta.h"

#include <errno.h>
#include <stdlib.h>

#define DIAL_TIMEOUT_MS 1000
/* A process that ends closes all it has within this, unless it has very many files open: then the
 * dial breaks when its turn comes, or the next one does. */
#define HOLD_MS    500
#define REDIAL_MS  20
#define GIVE_UP_MS 5000

struct dial {
    struct list link;
    struct broker_watch *watch;
    int32_t broker;
    int64_t epoch;
    bool suspects; /* that it is gone; else it only finds out whether it can be reached */
    struct endpoint endpoint;
    int64_t give_up_ms;
    struct client *client; /* NULL between two attempts */
    struct timer timer;    /* the next attempt, or the end of a hold */
};

/* The incarnation of a broker that was reached last. */
struct reached {
    int64_t epoch;
};

struct broker_watch {
    struct node *node;
    struct list dials;
    struct map reached; /* struct reached by broker */
    int closing;        /* dials that are about to end */
    bool stopping;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

static struct loop *loop_of(const struct broker_watch *watch)
{
    return node_env(watch->node)->loops[0];
}

static bool was_reached(const struct broker_watch *watch, int32_t broker, int64_t epoch)
{
    const struct reached *reached = map_get(&watch->reached, map_key_u64((uint32_t)broker));
    return reached != NULL && reached->epoch == epoch;
}

static void note_reached(struct broker_watch *watch, int32_t broker, int64_t epoch)
{
    struct reached *reached = map_get(&watch->reached, map_key_u64((uint32_t)broker));
    if (reached == NULL) {
        reached = mem_alloc(sizeof(*reached));
        map_put(&watch->reached, map_key_u64((uint32_t)broker), reached);
    }
    reached->epoch = epoch;
}

static void say_stopped(struct broker_watch *watch)
{
    if (watch->stopping && list_empty(&watch->dials) && watch->closing == 0)
        watch->stopped(watch->stopped_ctx);
}

static void dial_closed(void *owner)
{
    struct dial *dial = owner;
    struct broker_watch *watch = dial->watch;
    free(dial);
    watch->closing--;
    say_stopped(watch);
}

static void dial_end(struct dial *dial)
{
    timer_stop(&dial->timer);
    list_remove(&dial->link);
    dial->watch->closing++;
    if (dial->client != NULL)
        client_close(dial->client, dial_closed, dial);
    else
        dial_closed(dial);
}

static void again(struct dial *dial)
{
    client_close(dial->client, NULL, NULL);
    dial->client = NULL;
    if (env_now_ms(loop_of(dial->watch)->env) >= dial->give_up_ms)
        dial_end(dial);
    else
        timer_start_in_ms(&dial->timer, REDIAL_MS);
}

static void connected(void *owner, int status)
{
    struct dial *dial = owner;
    struct broker_watch *watch = dial->watch;
    if (status == 0) {
        note_reached(watch, dial->broker, dial->epoch);
        timer_start_in_ms(&dial->timer, dial->suspects ? HOLD_MS : 0);
        return;
    }
    if (status == -ECONNREFUSED && dial->suspects &&
        was_reached(watch, dial->broker, dial->epoch) &&
        metadata_loop_broker_gone(node_metadata_loop(watch->node), dial->broker, dial->epoch)) {
        char where[HOST_MAX + 16];
        endpoint_format(&dial->endpoint, where);
        log_info(node_env(watch->node)->logger,
                 "Fenced broker=%d epoch=%lld: its process is gone, %s refuses connections",
                 dial->broker, (long long)dial->epoch, where);
    }
    dial_end(dial);
}

static void disconnected(void *owner, int status)
{
    struct dial *dial = owner;
    timer_stop(&dial->timer);
    again(dial);
}

static const struct client_handler handler = {connected, disconnected};

static void on_timer(struct timer *timer)
{
    struct dial *dial = CONTAINER_OF(timer, struct dial, timer);
    if (dial->client != NULL) {
        dial_end(dial); /* it held: somebody is there */
        return;
    }
    struct client_options options = {.endpoint = dial->endpoint,
                                     .connect_timeout_ms = DIAL_TIMEOUT_MS,
                                     .in_flight_max = 1,
                                     .response_max_bytes = 1};
    dial->client = client_new(loop_of(dial->watch), &options, &handler, dial);
}

/* Where the other brokers talk to it. */
static bool find_endpoint(const struct broker_watch *watch, const struct broker_image *broker,
                          struct endpoint *ret_endpoint)
{
    const struct server_listener *inter_broker = node_config(watch->node)->inter_broker;
    const struct endpoint_image *found =
        inter_broker ? broker_image_endpoint(broker, inter_broker->name) : NULL;
    if (found == NULL && broker->endpoint_count > 0)
        found = &broker->endpoints[0];
    if (found == NULL || found->host.len <= 0 || found->host.len > HOST_MAX)
        return false;
    *ret_endpoint = (struct endpoint){.port = found->port};
    memcpy(ret_endpoint->host, found->host.data, (size_t)found->host.len);
    return true;
}

static struct dial *find_dial(struct broker_watch *watch, int32_t broker, int64_t epoch)
{
    struct dial *found = NULL;
    LIST_FOR_EACH (link, &watch->dials) {
        struct dial *dial = LIST_ITEM(link, struct dial, link);
        if (dial->broker == broker && dial->epoch == epoch)
            found = dial;
    }
    return found;
}

static void watch_broker(struct broker_watch *watch, const struct broker_image *broker,
                         bool suspects)
{
    struct endpoint endpoint;
    int64_t now_ms = env_now_ms(loop_of(watch)->env);
    if (broker->fenced || broker->id == node_id(watch->node) ||
        !find_endpoint(watch, broker, &endpoint))
        return;
    struct dial *dial = find_dial(watch, broker->id, broker->epoch);
    if (dial != NULL) { /* another sign of the same */
        dial->give_up_ms = now_ms + GIVE_UP_MS;
        dial->suspects = dial->suspects || suspects;
        return;
    }
    dial = mem_calloc(1, sizeof(*dial));
    dial->watch = watch;
    dial->broker = broker->id;
    dial->epoch = broker->epoch;
    dial->suspects = suspects;
    dial->endpoint = endpoint;
    dial->give_up_ms = now_ms + GIVE_UP_MS;
    timer_init(&dial->timer, loop_of(watch), on_timer);
    timer_start_in_ms(&dial->timer, 0);
    list_push_back(&watch->dials, &dial->link);
}

void broker_watch_lost(struct broker_watch *watch, int32_t id, int64_t epoch)
{
    const struct image *image = metadata_loop_decided(node_metadata_loop(watch->node));
    const struct broker_image *broker =
        image != NULL ? cluster_image_broker(&image->cluster, id) : NULL;
    if (!watch->stopping && broker != NULL && broker->epoch == epoch)
        watch_broker(watch, broker, true);
}

void broker_watch_all(struct broker_watch *watch)
{
    const struct image *image = metadata_loop_decided(node_metadata_loop(watch->node));
    if (watch->stopping || image == NULL)
        return;
    struct pmap_iter iter;
    pmap_iter_first(&iter, image->cluster.brokers);
    for (const struct broker_image *broker; (broker = pmap_iter_next(&iter)) != NULL;)
        watch_broker(watch, broker, true);
}

void broker_watch_image(struct broker_watch *watch, const struct image_delta *delta)
{
    if (watch->stopping || !node_config(watch->node)->is_controller)
        return;
    for (size_t i = 0; i < delta->brokers.count; i++) {
        const struct broker_image *before = delta->brokers.items[i].before;
        const struct broker_image *after = delta->brokers.items[i].after;
        if (after == NULL)
            free(map_remove(&watch->reached, map_key_u64((uint32_t)before->id)));
        else if (!after->fenced && !was_reached(watch, after->id, after->epoch) &&
                 (before == NULL || before->fenced || before->epoch != after->epoch))
            watch_broker(watch, after, false);
    }
}

struct broker_watch *broker_watch_new(struct node *node)
{
    struct broker_watch *watch = mem_calloc(1, sizeof(*watch));
    watch->node = node;
    list_init(&watch->dials);
    map_init(&watch->reached, MAP_U64);
    return watch;
}

void broker_watch_free(struct broker_watch *watch)
{
    if (watch == NULL)
        return;
    CHECK(list_empty(&watch->dials) && watch->closing == 0);
    MAP_FOR_EACH (entry, &watch->reached)
        free(entry->value);
    map_release(&watch->reached);
    free(watch);
}

void broker_watch_stop(struct broker_watch *watch, void (*stopped)(void *ctx), void *ctx)
{
    watch->stopping = true;
    watch->stopped = stopped;
    watch->stopped_ctx = ctx;
    if (list_empty(&watch->dials)) {
        say_stopped(watch);
        return;
    }
    watch->closing++; /* no word before the last one is on its way */
    while (!list_empty(&watch->dials))
        dial_end(LIST_ITEM(watch->dials.next, struct dial, link));
    watch->closing--;
    say_stopped(watch);
}
