#include "broker/server/listeners.h"

#define LOG_MODULE "listeners"

#include "broker/server/broker_metrics.h"
#include "broker/server/node.h"
#include "broker/server/peer_requests.h"
#include "broker/server/request.h"
#include "broker/server/request_metrics.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/net/acceptor.h"
#include "metadata/config_image_layers.h"
#include "metadata/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Requests of one connection that may be outstanding, and what they and their answers may hold. */
#define IN_FLIGHT_MAX      64
#define BUFFERED_MAX_BYTES ((size_t)16 << 20)
/* Where the configuration sets no bound for a loop's requests: memory must stay bounded. */
#define GROUP_MAX_BYTES ((int64_t)256 << 20)

struct listeners {
    struct node *node;
    struct acceptor *acceptor;
    struct listener_info *infos;
    int count;
    void (*drained)(void *ctx);
    void *drained_ctx;
};

static struct shard *shard_of_group(const struct connection *connection)
{
    struct listener_info *info = connection_group_of(connection)->ctx;
    return node_shard(info->node, connection_group_of(connection)->loop->index);
}

static void on_request(struct connection *connection, struct request_slot *slot, struct buf *frame)
{
    const struct listener_info *info = connection_group_of(connection)->ctx;
    request_receive(shard_of_group(connection), slot, frame, info, STR("User:ANONYMOUS"),
                    str_of(connection_peer(connection)->host));
}

/* Peers that come and go are no news; a peer that breaks the protocol is. */
static void on_disconnect(struct connection *connection, const char *reason)
{
    const struct listener_info *info = connection_group_of(connection)->ctx;
    peer_connection_lost(connection);
    bool usual = strcmp(reason, "closed by the peer") == 0 ||
                 strcmp(reason, "reset by the peer") == 0 || strstr(reason, "idle") != NULL ||
                 strstr(reason, "the node stops") != NULL || strstr(reason, "refused") != NULL;
    log_at(node_env(info->node)->logger, usual ? LOG_DEBUG : LOG_INFO,
           "Closed the connection of %s on listener %.*s: %s", connection_peer(connection)->host,
           STR_FMT(info->name), reason);
}

static const struct connection_handler handler = {
    .on_request = on_request,
    .on_done = request_metrics_done,
    .on_disconnect = on_disconnect,
    .on_closed = peer_connection_closed,
};

static const char *advice(int status)
{
    switch (status) {
    case -EADDRINUSE:
        return "another process listens there: stop it or choose another port in `listeners`";
    case -EACCES:
        return "ports below 1024 need root: choose a higher one in `listeners`";
    case -EADDRNOTAVAIL:
    case -ENOENT:
        return "this machine has no such address: correct the host in `listeners`";
    default:
        return strerror(-status);
    }
}

static int open_one(struct listeners *listeners, const struct server_listener *config)
{
    const struct server_config *server = node_config(listeners->node);
    struct listener_info *info = &listeners->infos[listeners->count];
    *info = (struct listener_info){
        .node = listeners->node,
        .name = config->name,
        .api_mask = config->is_controller ? API_ON_CONTROLLER : API_ON_BROKER,
    };
    int64_t queued = server_config_integer(server, CONFIG_BROKER_QUEUED_MAX_REQUEST_BYTES);
    struct acceptor_listener_options options = {
        .name = str_dup_z(config->name),
        .endpoint = config->bind,
        .backlog = (int)server_config_integer(server, CONFIG_BROKER_SOCKET_LISTEN_BACKLOG_SIZE),
        .essential = config->is_controller || config == server->inter_broker,
        .closed_door = !config->is_controller,
        .connection_limits =
            {
                .request_max_bytes =
                    (int32_t)server_config_integer(server, CONFIG_BROKER_SOCKET_REQUEST_MAX_BYTES),
                .in_flight_max = IN_FLIGHT_MAX,
                .buffered_max_bytes = BUFFERED_MAX_BYTES,
                .idle_max_ms = server_config_integer(server, CONFIG_BROKER_CONNECTIONS_MAX_IDLE_MS),
                .group_max_bytes = queued > 0 ? queued : GROUP_MAX_BYTES,
            },
        .handler = &handler,
        .ctx = info,
    };
    int index;
    int rv = acceptor_listen(listeners->acceptor, &options, &index);
    free((char *)(uintptr_t)options.name);
    if (rv != 0) {
        char where[HOST_MAX + 16];
        endpoint_format(&config->bind, where);
        log_error(node_env(listeners->node)->logger, "Cannot listen on %.*s://%s: %s",
                  STR_FMT(config->name), where, advice(rv));
        return rv;
    }
    listeners->count++;
    return 0;
}

/* The overrides lie in the arena. */
static struct acceptor_limits limits_of(const struct server_config *config,
                                        const struct image *image, struct arena *arena)
{
    struct config_layers layers;
    struct server_ip_limit *by_ip = NULL;
    struct str bad;
    int count = 0;
    config_image_layers(&image->configs, config, CONFIG_RESOURCE_BROKER, STR_EMPTY, &layers);
    struct config_value text =
        config_layers_get(&layers, CONFIG_BROKER_MAX_CONNECTIONS_PER_IP_OVERRIDES, arena);
    /* What cannot be read (from a newer version, say) counts as if it were not there. */
    (void)server_ip_limits_parse(text.text, arena, &by_ip, &count, &bad);
    struct acceptor_override *overrides = ARENA_ARRAY(arena, struct acceptor_override, count);
    for (int i = 0; i < count; i++)
        overrides[i] = (struct acceptor_override){.address = arena_str_z(arena, by_ip[i].host),
                                                  .connections_max = by_ip[i].connections};
    return (struct acceptor_limits){
        .connections_max = (int)config_layers_integer(&layers, CONFIG_BROKER_MAX_CONNECTIONS),
        .connections_per_address_max =
            (int)config_layers_integer(&layers, CONFIG_BROKER_MAX_CONNECTIONS_PER_IP),
        .creations_per_s_max =
            (int)config_layers_integer(&layers, CONFIG_BROKER_MAX_CONNECTION_CREATION_RATE),
        .overrides = overrides,
        .override_count = (size_t)count,
    };
}

struct listeners *listeners_new(struct node *node)
{
    const struct server_config *config = node_config(node);
    struct listeners *listeners = mem_calloc(1, sizeof(*listeners));
    struct arena arena;
    listeners->node = node;
    listeners->infos = mem_calloc((size_t)config->listeners_count, sizeof(struct listener_info));
    arena_init(&arena, 0);
    struct acceptor_limits limits = limits_of(config, node_shard(node, 0)->image, &arena);
    listeners->acceptor = acceptor_new(node_env(node)->loops[0], &limits);
    arena_release(&arena);
    return listeners;
}

void listeners_update_limits(struct listeners *listeners, const struct image *image)
{
    struct arena arena;
    if (listeners == NULL || listeners->acceptor == NULL)
        return;
    arena_init(&arena, 0);
    struct acceptor_limits limits = limits_of(node_config(listeners->node), image, &arena);
    acceptor_set_limits(listeners->acceptor, &limits);
    arena_release(&arena);
}

/* socket-server-metrics: of each listener and loop, which stands for Kafka's network thread. */
static void collect_group(const struct connection_group *group, const char *listener,
                          struct metrics_writer *w)
{
    const struct connection_stats *stats = &group->stats;
    char loop[12];
    int len = snprintf(loop, sizeof(loop), "%d", group->loop->index);
    struct metric_label labels[] = {{"listener", str_of(listener)},
                                    {"networkProcessor", str_from(loop, (size_t)len)}};
    const struct {
        enum metric_kind kind;
        const char *mbean;
        const _Atomic int64_t *value;
    } values[] = {
        {METRIC_GAUGE, "kafka.server:type=socket-server-metrics,name=connection-count",
         &stats->open_count},
        {METRIC_COUNTER, "kafka.server:type=socket-server-metrics,name=connection-creation-total",
         &stats->created_total},
        {METRIC_COUNTER, "kafka.server:type=socket-server-metrics,name=connection-close-total",
         &stats->closed_total},
        {METRIC_COUNTER, "kafka.server:type=socket-server-metrics,name=incoming-byte-total",
         &stats->in_bytes_total},
        {METRIC_COUNTER, "kafka.server:type=socket-server-metrics,name=outgoing-byte-total",
         &stats->out_bytes_total},
        {METRIC_COUNTER, "kafka.server:type=socket-server-metrics,name=request-total",
         &stats->request_total},
        {METRIC_COUNTER, "kafka.server:type=socket-server-metrics,name=response-total",
         &stats->response_total},
    };
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        metrics_write(w, values[i].kind, values[i].mbean, labels, ARRAY_LEN(labels),
                      (double)atomic_load_explicit(values[i].value, memory_order_relaxed));
}

/* On the thread that renders; the listeners are open. */
static void collect(void *ctx, struct metrics_writer *w)
{
    const struct listeners *listeners = ctx;
    for (int i = 0; i < listeners->count; i++)
        for (int loop = 0; loop < node_env(listeners->node)->loop_count; loop++)
            collect_group(acceptor_group(listeners->acceptor, i, loop),
                          acceptor_listener_name(listeners->acceptor, i), w);
}

static int open_part(struct listeners *listeners, bool controller)
{
    const struct server_config *config = node_config(listeners->node);
    int rv = 0;
    for (int i = 0; i < config->listeners_count && rv == 0; i++)
        if (config->listeners[i].is_controller == controller)
            rv = open_one(listeners, &config->listeners[i]);
    return rv;
}

int listeners_open_controller(struct listeners *listeners)
{
    return open_part(listeners, true);
}

int listeners_open_rest(struct listeners *listeners)
{
    int rv = open_part(listeners, false);
    if (rv == 0)
        metrics_add_collector(broker_metrics_registry(node_metrics(listeners->node)), collect,
                              listeners);
    return rv;
}

void listeners_serve_clients(struct listeners *listeners)
{
    acceptor_open_doors(listeners->acceptor);
}

static void acceptor_closed(void *ctx)
{
    struct listeners *listeners = ctx;
    listeners->acceptor = NULL;
    listeners->drained(listeners->drained_ctx);
}

static void acceptor_drained(void *ctx)
{
    struct listeners *listeners = ctx;
    metrics_remove_collector(broker_metrics_registry(node_metrics(listeners->node)), listeners);
    acceptor_close(listeners->acceptor, "the node stops", acceptor_closed, listeners);
}

void listeners_drain(struct listeners *listeners, void (*drained)(void *ctx), void *ctx)
{
    listeners->drained = drained;
    listeners->drained_ctx = ctx;
    acceptor_drain(listeners->acceptor, "the node stops", acceptor_drained, listeners);
}

void listeners_free(struct listeners *listeners)
{
    if (listeners == NULL)
        return;
    CHECK(listeners->acceptor == NULL);
    free(listeners->infos);
    free(listeners);
}

uint16_t listeners_port(const struct listeners *listeners, const char *name)
{
    for (int i = 0; i < listeners->count; i++)
        if (strcmp(acceptor_listener_name(listeners->acceptor, i), name) == 0)
            return acceptor_port(listeners->acceptor, i);
    return 0;
}

int64_t listeners_connection_count(const struct listeners *listeners)
{
    int64_t count = 0;
    for (int i = 0; i < listeners->count; i++)
        for (int loop = 0; loop < node_env(listeners->node)->loop_count; loop++)
            count += acceptor_group(listeners->acceptor, i, loop)->stats.open_count;
    return count;
}
