#include "broker/server/broker_watch.h"

#define LOG_MODULE "broker_watch"

#include "broker/server/metadata_loop.h"
#include "broker/server/node.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/net/client.h"
#include "metadata/config/server_config.h"
#include "metadata/image.h"

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
    struct endpoint endpoint;
    int64_t give_up_ms;
    struct client *client; /* NULL between two attempts */
    struct timer timer;    /* the next attempt, or the end of a hold */
};

struct broker_watch {
    struct node *node;
    struct list dials;
    int closing; /* dials that are about to end */
    bool stopping;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

static struct loop *loop_of(const struct broker_watch *watch)
{
    return node_env(watch->node)->loops[0];
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
        timer_start_in_ms(&dial->timer, HOLD_MS);
        return;
    }
    if (status == -ECONNREFUSED &&
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

static void watch_broker(struct broker_watch *watch, const struct broker_image *broker)
{
    struct endpoint endpoint;
    int64_t now_ms = env_now_ms(loop_of(watch)->env);
    if (broker->fenced || broker->id == node_id(watch->node) ||
        !find_endpoint(watch, broker, &endpoint))
        return;
    struct dial *dial = find_dial(watch, broker->id, broker->epoch);
    if (dial != NULL) { /* another sign of the same */
        dial->give_up_ms = now_ms + GIVE_UP_MS;
        return;
    }
    dial = mem_calloc(1, sizeof(*dial));
    dial->watch = watch;
    dial->broker = broker->id;
    dial->epoch = broker->epoch;
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
        watch_broker(watch, broker);
}

void broker_watch_all(struct broker_watch *watch)
{
    const struct image *image = metadata_loop_decided(node_metadata_loop(watch->node));
    if (watch->stopping || image == NULL)
        return;
    struct pmap_iter iter;
    pmap_iter_first(&iter, image->cluster.brokers);
    for (const struct broker_image *broker; (broker = pmap_iter_next(&iter)) != NULL;)
        watch_broker(watch, broker);
}

struct broker_watch *broker_watch_new(struct node *node)
{
    struct broker_watch *watch = mem_calloc(1, sizeof(*watch));
    watch->node = node;
    list_init(&watch->dials);
    return watch;
}

void broker_watch_free(struct broker_watch *watch)
{
    if (watch == NULL)
        return;
    CHECK(list_empty(&watch->dials) && watch->closing == 0);
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
