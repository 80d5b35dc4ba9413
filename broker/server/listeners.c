#include "broker/server/listeners.h"

#define LOG_MODULE "listeners"

#include "broker/server/broker_metrics.h"
#include "broker/server/listener_hosts.h"
#include "broker/server/node.h"
#include "broker/server/peer_requests.h"
#include "broker/server/request.h"
#include "broker/server/request_metrics.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/net/acceptor.h"
#include "metadata/config/server_config_change.h"
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
/* Why connections of such a listener are closed. */
#define REMOVED "its listener was removed"

/* Those of clients and brokers, and those of controllers: as in Kafka, the connections of the one
 * do not count for the limits of the other. */
enum { CLIENTS, CONTROLLERS, ACCEPTOR_COUNT };

struct open_listener {
    struct listener_info info; /* its name is ours */
    struct list link;          /* of listeners.open or listeners.closing */
    struct listeners *listeners;
    struct acceptor *acceptor;
    int index;                       /* there */
    struct connection_group *groups; /* one for each loop */
};

struct listeners {
    struct node *node;
    struct acceptor *acceptors[ACCEPTOR_COUNT]; /* NULL at the end */
    struct list open, closing;                  /* struct open_listener */
    struct listener_hosts hosts;                /* of those that are opened later */
    bool opened;  /* as far as the configuration goes: what it says later counts from now on */
    bool serving; /* clients */
    bool draining;
    int draining_count; /* acceptors that still do, then those that are not closed */
    void (*drained)(void *ctx);
    void *drained_ctx;
};

static struct shard *shard_of_group(const struct connection *connection)
{
    struct listener_info *info = connection_group_of(connection)->ctx;
    return node_shard(info->node, connection_group_of(connection)->loop->index);
}

static struct open_listener *find_open(const struct listeners *listeners, struct str name)
{
    LIST_FOR_EACH (item, &listeners->open) {
        struct open_listener *one = LIST_ITEM(item, struct open_listener, link);
        if (str_eq(one->info.name, name))
            return one;
    }
    return NULL;
}

static void free_listener(struct open_listener *one)
{
    list_remove(&one->link);
    free((char *)(uintptr_t)one->info.name.data);
    free(one);
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
                 strcmp(reason, "reset by the peer") == 0 || strcmp(reason, REMOVED) == 0 ||
                 strstr(reason, "idle") != NULL || strstr(reason, "the node stops") != NULL ||
                 strstr(reason, "refused") != NULL;
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

/* --- limits ------------------------------------------------------------------------------------
 */

static struct config_layers layers_of(const struct listeners *listeners, const struct image *image)
{
    struct config_layers layers;
    config_image_layers(&image->configs, node_config(listeners->node), CONFIG_RESOURCE_BROKER,
                        STR_EMPTY, &layers);
    return layers;
}

/* The overrides lie in the arena. */
static struct acceptor_limits limits_of(const struct config_layers *layers, struct arena *arena)
{
    struct server_ip_limit *by_ip = NULL;
    struct str bad;
    int count = 0;
    struct config_value text =
        config_layers_get(layers, CONFIG_BROKER_MAX_CONNECTIONS_PER_IP_OVERRIDES, arena);
    /* What cannot be read (from a newer version, say) counts as if it were not there. */
    (void)server_ip_limits_parse(text.text, arena, &by_ip, &count, &bad);
    struct address_override *overrides = ARENA_ARRAY(arena, struct address_override, count);
    for (int i = 0; i < count; i++)
        overrides[i] = (struct address_override){.address = arena_str_z(arena, by_ip[i].host),
                                                 .connections_max = by_ip[i].connections};
    return (struct acceptor_limits){
        .connections_max = (int)config_layers_integer(layers, CONFIG_BROKER_MAX_CONNECTIONS),
        .connections_per_address_max =
            (int)config_layers_integer(layers, CONFIG_BROKER_MAX_CONNECTIONS_PER_IP),
        .creations_per_s_max =
            (int)config_layers_integer(layers, CONFIG_BROKER_MAX_CONNECTION_CREATION_RATE),
        .overrides = overrides,
        .override_count = (size_t)count,
    };
}

static int listener_limit(const struct config_layers *layers, const struct listener_info *info,
                          enum config_id id)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct config_value own = config_layers_of_listener(layers, info->name, id, &arena);
    arena_release(&arena);
    if (own.type != CONFIG_TYPE_UNKNOWN)
        return (int)own.integer;
    /* The quorum does not go without connections because clients have too many. */
    return info->api_mask == API_ON_CONTROLLER ? 0 : (int)config_layers_integer(layers, id);
}

static struct acceptor_listener_limits listener_limits_of(const struct config_layers *layers,
                                                          const struct listener_info *info)
{
    return (struct acceptor_listener_limits){
        .connections_max = listener_limit(layers, info, CONFIG_BROKER_MAX_CONNECTIONS),
        .creations_per_s_max =
            listener_limit(layers, info, CONFIG_BROKER_MAX_CONNECTION_CREATION_RATE),
    };
}

/* --- metrics -----------------------------------------------------------------------------------
 */

/* socket-server-metrics: of each listener and loop, which stands for Kafka's network thread. */
static void collect_group(const struct connection_group *group, struct str listener,
                          struct metrics_writer *w)
{
    const struct connection_stats *stats = &group->stats;
    char loop[12];
    int len = snprintf(loop, sizeof(loop), "%d", group->loop->index);
    struct metric_label labels[] = {{"listener", listener},
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

/* On the thread that renders. */
static void collect(void *ctx, struct metrics_writer *w)
{
    const struct open_listener *one = ctx;
    for (int loop = 0; loop < node_env(one->info.node)->loop_count; loop++)
        collect_group(&one->groups[loop], one->info.name, w);
}

static struct metrics *registry_of(const struct listeners *listeners)
{
    return broker_metrics_registry(node_metrics(listeners->node));
}

/* --- opening and closing -----------------------------------------------------------------------
 */

static struct connection_limits connection_limits_of(const struct server_config *server)
{
    int64_t queued = server_config_integer(server, CONFIG_BROKER_QUEUED_MAX_REQUEST_BYTES);
    return (struct connection_limits){
        .request_max_bytes =
            (int32_t)server_config_integer(server, CONFIG_BROKER_SOCKET_REQUEST_MAX_BYTES),
        .in_flight_max = IN_FLIGHT_MAX,
        .buffered_max_bytes = BUFFERED_MAX_BYTES,
        .idle_max_ms = server_config_integer(server, CONFIG_BROKER_CONNECTIONS_MAX_IDLE_MS),
        .group_max_bytes = queued > 0 ? queued : GROUP_MAX_BYTES,
    };
}

static void say_unopened(const struct listeners *listeners, const struct server_listener *config,
                         int status)
{
    char where[HOST_MAX + 16];
    endpoint_format(&config->bind, where);
    log_error(node_env(listeners->node)->logger, "Cannot listen on %.*s://%s: %s",
              STR_FMT(config->name), where, advice(status));
}

static int open_one(struct listeners *listeners, const struct server_listener *config,
                    const struct config_layers *layers)
{
    const struct server_config *server = node_config(listeners->node);
    if (config->protocol != SECURITY_PLAINTEXT) {
        log_error(node_env(listeners->node)->logger,
                  "Listener %.*s is not opened: its security protocol is not supported yet",
                  STR_FMT(config->name));
        return -ENOTSUP;
    }
    struct open_listener *one = mem_calloc(1, sizeof(*one));
    one->info = (struct listener_info){
        .node = listeners->node,
        .name = str_of(str_dup_z(config->name)),
        .api_mask = config->is_controller ? API_ON_CONTROLLER : API_ON_BROKER,
    };
    list_init(&one->link);
    one->listeners = listeners;
    one->acceptor = listeners->acceptors[config->is_controller ? CONTROLLERS : CLIENTS];
    struct acceptor_listener_options options = {
        .name = one->info.name.data,
        .endpoint = config->bind,
        .backlog = (int)server_config_integer(server, CONFIG_BROKER_SOCKET_LISTEN_BACKLOG_SIZE),
        .essential =
            server->inter_broker != NULL && str_eq(config->name, server->inter_broker->name),
        .closed_door = !config->is_controller && !listeners->serving,
        .limits = listener_limits_of(layers, &one->info),
        .connection_limits = connection_limits_of(server),
        .handler = &handler,
        .ctx = &one->info,
    };
    int rv = acceptor_listen(one->acceptor, &options, &one->index);
    if (rv != 0) {
        say_unopened(listeners, config, rv);
        free_listener(one);
        return rv;
    }
    one->groups = acceptor_group(one->acceptor, one->index, 0);
    list_push_back(&listeners->open, &one->link);
    metrics_add_collector(registry_of(listeners), collect, one);
    return 0;
}

static void say_drained(struct listeners *listeners)
{
    if (listeners->acceptors[CLIENTS] == NULL && !listener_hosts_busy(&listeners->hosts))
        listeners->drained(listeners->drained_ctx);
}

static void host_known(void *ctx)
{
    struct listeners *listeners = ctx;
    if (listeners->draining)
        say_drained(listeners);
    else
        listeners_update(listeners, node_shard(listeners->node, 0)->image);
}

static void listener_closed(void *ctx)
{
    free_listener(ctx);
}

static void close_one(struct open_listener *one)
{
    struct listeners *listeners = one->listeners;
    list_remove(&one->link);
    list_push_back(&listeners->closing, &one->link);
    metrics_remove_collector(registry_of(listeners), one);
    acceptor_unlisten(one->acceptor, one->index, REMOVED, listener_closed, one);
}

struct listeners *listeners_new(struct node *node)
{
    struct listeners *listeners = mem_calloc(1, sizeof(*listeners));
    struct loop *loop = node_env(node)->loops[0];
    struct arena arena;
    listeners->node = node;
    list_init(&listeners->open);
    list_init(&listeners->closing);
    listener_hosts_init(&listeners->hosts, loop, host_known, listeners);
    arena_init(&arena, 0);
    struct config_layers layers = layers_of(listeners, node_shard(node, 0)->image);
    struct acceptor_limits limits = limits_of(&layers, &arena);
    listeners->acceptors[CLIENTS] = acceptor_new(loop, &limits);
    limits = (struct acceptor_limits){.connections_per_address_max = INT32_MAX};
    listeners->acceptors[CONTROLLERS] = acceptor_new(loop, &limits);
    arena_release(&arena);
    return listeners;
}

/* What `listeners` comes to now. False where that cannot be understood (it was stored by a newer
 * version, or over a controller, which does not judge it). Release it in either case. */
static bool effective(const struct listeners *listeners, const struct config_layers *layers,
                      struct server_config *ret_config)
{
    struct str texts[2] = {STR_NULL, STR_NULL};
    static const enum config_id ids[] = {CONFIG_BROKER_LISTENERS,
                                         CONFIG_BROKER_LISTENER_SECURITY_PROTOCOL_MAP};
    for (size_t i = 0; i < ARRAY_LEN(ids) && layers->broker.get != NULL; i++)
        texts[i] = layers->broker.get(layers->broker.ctx, config_defs[ids[i]].name);
    server_config_init(ret_config);
    if (server_config_with_listeners(node_config(listeners->node), texts[0], texts[1],
                                     ret_config) == 0)
        return true;
    log_error(node_env(listeners->node)->logger,
              "The dynamic configuration of the listeners is ignored: %s", ret_config->error);
    return false;
}

static const struct server_listener *find_listener(const struct server_config *config,
                                                   struct str name)
{
    for (int i = 0; i < config->listeners_count; i++)
        if (str_eq(config->listeners[i].name, name))
            return &config->listeners[i];
    return NULL;
}

/* While the node runs: its loop does not wait for a name server. */
static int open_later(struct listeners *listeners, const struct server_listener *config,
                      const struct config_layers *layers)
{
    struct server_listener resolved = *config;
    int rv = listener_hosts_resolve(&listeners->hosts, &config->bind, &resolved.bind);
    if (rv == 0)
        return open_one(listeners, &resolved, layers);
    if (rv != -EINPROGRESS)
        say_unopened(listeners, config, rv);
    return rv;
}

/* Opens those of the broker that are not open yet; the first error, after all of them. At the start
 * what stands in server.properties has the end point that stands there, as in Kafka: that is what
 * others are told. */
static int open_missing(struct listeners *listeners, const struct server_config *wanted,
                        const struct config_layers *layers, bool starts)
{
    int rv = 0;
    for (int i = 0; i < wanted->listeners_count; i++) {
        const struct server_listener *one = &wanted->listeners[i];
        if (one->is_controller || find_open(listeners, one->name) != NULL)
            continue;
        const struct server_listener *told =
            starts ? find_listener(node_config(listeners->node), one->name) : NULL;
        one = told != NULL ? told : one;
        int status = starts ? open_one(listeners, one, layers) : open_later(listeners, one, layers);
        rv = rv == 0 ? status : rv;
    }
    return rv;
}

/* Of the broker only, by their names: the end point of one that stays is that of its opening, as in
 * Kafka. */
static void change_set(struct listeners *listeners, const struct config_layers *layers)
{
    struct server_config wanted;
    if (!effective(listeners, layers, &wanted)) {
        server_config_release(&wanted);
        return;
    }
    LIST_FOR_EACH (item, &listeners->open) {
        struct open_listener *one = LIST_ITEM(item, struct open_listener, link);
        if (one->info.api_mask != API_ON_BROKER || find_listener(&wanted, one->info.name) != NULL)
            continue;
        log_info(node_env(listeners->node)->logger, "Closing listener %.*s",
                 STR_FMT(one->info.name));
        close_one(one);
    }
    (void)open_missing(listeners, &wanted, layers, false);
    server_config_release(&wanted);
}

void listeners_update(struct listeners *listeners, const struct image *image)
{
    struct arena arena;
    if (listeners == NULL || listeners->draining)
        return;
    struct config_layers layers = layers_of(listeners, image);
    if (listeners->opened)
        change_set(listeners, &layers);
    arena_init(&arena, 0);
    struct acceptor_limits limits = limits_of(&layers, &arena);
    acceptor_set_limits(listeners->acceptors[CLIENTS], &limits);
    arena_release(&arena);
    LIST_FOR_EACH (item, &listeners->open) {
        struct open_listener *one = LIST_ITEM(item, struct open_listener, link);
        struct acceptor_listener_limits own = listener_limits_of(&layers, &one->info);
        acceptor_set_listener_limits(one->acceptor, one->index, &own);
    }
}

int listeners_open_controller(struct listeners *listeners)
{
    const struct server_config *config = node_config(listeners->node);
    struct config_layers layers = layers_of(listeners, node_shard(listeners->node, 0)->image);
    int rv = 0;
    for (int i = 0; i < config->listeners_count && rv == 0; i++)
        if (config->listeners[i].is_controller)
            rv = open_one(listeners, &config->listeners[i], &layers);
    return rv;
}

int listeners_open_rest(struct listeners *listeners)
{
    struct config_layers layers = layers_of(listeners, node_shard(listeners->node, 0)->image);
    struct server_config wanted;
    bool understood = effective(listeners, &layers, &wanted);
    int rv =
        open_missing(listeners, understood ? &wanted : node_config(listeners->node), &layers, true);
    server_config_release(&wanted);
    listeners->opened = true;
    return rv;
}

void listeners_serve_clients(struct listeners *listeners)
{
    listeners->serving = true;
    acceptor_open_doors(listeners->acceptors[CLIENTS]);
}

/* --- the end -----------------------------------------------------------------------------------
 */

static void acceptor_closed(void *ctx)
{
    struct listeners *listeners = ctx;
    if (--listeners->draining_count > 0)
        return;
    for (int i = 0; i < ACCEPTOR_COUNT; i++)
        listeners->acceptors[i] = NULL;
    say_drained(listeners);
}

static void acceptor_drained(void *ctx)
{
    struct listeners *listeners = ctx;
    if (--listeners->draining_count > 0)
        return;
    LIST_FOR_EACH (item, &listeners->open)
        metrics_remove_collector(registry_of(listeners),
                                 LIST_ITEM(item, struct open_listener, link));
    listeners->draining_count = ACCEPTOR_COUNT;
    for (int i = 0; i < ACCEPTOR_COUNT; i++)
        acceptor_close(listeners->acceptors[i], "the node stops", acceptor_closed, listeners);
}

void listeners_drain(struct listeners *listeners, void (*drained)(void *ctx), void *ctx)
{
    listeners->drained = drained;
    listeners->drained_ctx = ctx;
    listeners->draining = true;
    listeners->draining_count = ACCEPTOR_COUNT;
    for (int i = 0; i < ACCEPTOR_COUNT; i++)
        acceptor_drain(listeners->acceptors[i], "the node stops", acceptor_drained, listeners);
}

void listeners_free(struct listeners *listeners)
{
    if (listeners == NULL)
        return;
    for (int i = 0; i < ACCEPTOR_COUNT; i++)
        CHECK(listeners->acceptors[i] == NULL);
    LIST_FOR_EACH (item, &listeners->open)
        free_listener(LIST_ITEM(item, struct open_listener, link));
    LIST_FOR_EACH (item, &listeners->closing)
        free_listener(LIST_ITEM(item, struct open_listener, link));
    listener_hosts_release(&listeners->hosts);
    free(listeners);
}

uint16_t listeners_port(const struct listeners *listeners, struct str name)
{
    const struct open_listener *one = find_open(listeners, name);
    return one == NULL || listeners->draining ? 0 : acceptor_port(one->acceptor, one->index);
}
