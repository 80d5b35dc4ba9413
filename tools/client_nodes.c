/* Who the nodes are, and connections to them. */
#include "common/base/mem.h"
#include "common/net/resolve.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/describe_cluster.h"
#include "common/protocol/messages/metadata.h"
#include "tools/client_internal.h"
#include "tools/tool_log.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ENDPOINT_TYPE_CONTROLLERS = 2 };

__attribute__((format(printf, 3, 4))) static bool
failed_to_create(const struct client *client, struct failure *failure, const char *format, ...)
{
    const char *prefix = client->config->failed_to_create;
    char why[512];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG, "%s%s", prefix ? prefix : "", why);
}

bool client_check_timeouts(const struct client *client, struct failure *failure)
{
    const struct client_config *config = client->config;
    return !config->is_admin || config->default_api_timeout_ms >= config->request_timeout_ms ||
           failed_to_create(client, failure,
                            "The specified value of default.api.timeout.ms must be no smaller than "
                            "the value of request.timeout.ms.");
}

static bool resolvable(const struct client *client)
{
    for (size_t i = 0; i < client->bootstrap_count; i++) {
        struct addrinfo *list;
        if (resolve_endpoint(&client->bootstrap[i].node.endpoint, false, false, &list) == 0) {
            freeaddrinfo(list);
            return true;
        }
    }
    return false;
}

/* "[protocol://]host:port" */
static bool parse_server(const struct client *client, struct str text, struct endpoint *ret_server,
                         struct failure *failure)
{
    static const char separator[] = "://";
    const char *at = memmem(text.data, (size_t)text.len, separator, strlen(separator));
    struct str server = text;
    if (at != NULL)
        server = str_from(at + strlen(separator), (size_t)(text.data + text.len - at) - 3);
    if (endpoint_parse(server, -1, ret_server) == 0 && ret_server->host[0] != '\0')
        return true;
    bool number = server.len > 0 && isdigit((unsigned char)server.data[server.len - 1]) &&
                  memchr(server.data, ':', (size_t)server.len) != NULL;
    return failed_to_create(client, failure, "Invalid %s in bootstrap.servers: %.*s",
                            number && server.data[0] != ':' ? "port" : "url", STR_FMT(text));
}

bool client_parse_bootstrap(struct client *client, const char *bootstrap, struct failure *failure)
{
    struct str rest = str_of(bootstrap), one;
    bool of_admin = client->config->is_admin;
    if (str_trim(rest).len == 0)
        return of_admin ? failed_to_create(client, failure,
                                           "You must set either bootstrap.servers or "
                                           "bootstrap.controllers")
                        : failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                                      "Configuration 'bootstrap.servers' must not be empty. Valid "
                                      "values include: any non-empty value");
    while (!str_is_null(rest)) {
        struct client_slot slot = {.node = {.id = -1}};
        str_split(&rest, ',', &one);
        one = str_trim(one);
        if (one.len == 0)
            return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                               "Configuration 'bootstrap.servers' values must not be empty.");
        if (!parse_server(client, one, &slot.node.endpoint, failure))
            return false;
        VEC_PUSH(client->bootstrap, client->bootstrap_count, client->bootstrap_capacity) = slot;
    }
    if (!resolvable(client))
        return failed_to_create(client, failure,
                                "No resolvable bootstrap urls given in bootstrap.servers");
    return true;
}

static void release_list(struct client_slot *slots, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((char *)(uintptr_t)slots[i].node.rack.data);
        peer_free(slots[i].peer);
    }
    free(slots);
}

void client_release_nodes(struct client *client)
{
    release_list(client->bootstrap, client->bootstrap_count);
    release_list(client->nodes, client->nodes_count);
}

void client_forget_nodes(struct client *client)
{
    client->nodes_known = false;
}

static void drop_in(struct client_slot *slots, size_t count, const struct peer *peer)
{
    for (size_t i = 0; i < count; i++) {
        if (slots[i].peer != peer)
            continue;
        peer_free(slots[i].peer);
        slots[i].peer = NULL;
        return;
    }
}

void client_drop_peer(struct client *client, const struct peer *peer)
{
    drop_in(client->bootstrap, client->bootstrap_count, peer);
    drop_in(client->nodes, client->nodes_count, peer);
}

/* People who wait should know what for. */
static void warn_unreachable(const struct endpoint *endpoint, int error)
{
    char text[HOST_MAX + 9];
    endpoint_format(endpoint, text);
    tool_log(LOG_WARN, "client", "Connection to %s could not be established: %s", text,
             strerror(-error));
}

static struct peer *open_slot(struct client_op *op, struct client_slot *slot)
{
    if (slot->peer != NULL)
        return slot->peer;
    struct client *client = op->client;
    int timeout_ms = client_time_left(op, client->config->connect_timeout_ms);
    int rv = peer_open(&slot->node.endpoint, client->config->client_id, timeout_ms, &slot->peer);
    if (rv == 0)
        return slot->peer;
    if (client->open_error != rv)
        warn_unreachable(&slot->node.endpoint, rv);
    client->open_error = rv;
    return NULL;
}

/* Somebody connected, else the first who answers. */
static struct peer *open_any(struct client_op *op, struct client_slot *slots, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slots[i].peer != NULL)
            return slots[i].peer;
    for (size_t i = 0; i < count; i++)
        if (open_slot(op, &slots[i]) != NULL)
            return slots[i].peer;
    return NULL;
}

static struct peer *connect_any(struct client_op *op, struct failure *failure)
{
    struct client *client = op->client;
    struct peer *peer = open_any(op, client->bootstrap, client->bootstrap_count);
    if (peer == NULL)
        peer = open_any(op, client->nodes, client->nodes_count);
    int error = client->open_error;
    if (peer == NULL && (error == -EPROTO || error == -EBADMSG || error == -EMSGSIZE))
        failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                    "What listens there does not speak Kafka's protocol");
    return peer;
}

struct new_nodes {
    struct client_slot *items;
    size_t count, capacity;
};

/* Adds a node; takes over the connection of the one that it was before. */
static void add_node(struct client *client, struct new_nodes *list, int32_t id, struct str host,
                     int32_t port, struct str rack)
{
    struct client_slot slot = {.node = {.id = id, .rack = {str_dup_z(rack), rack.len}}};
    struct endpoint *endpoint = &slot.node.endpoint;
    snprintf(endpoint->host, sizeof(endpoint->host), "%.*s", STR_FMT(host));
    endpoint->port = (uint16_t)port;
    for (size_t i = 0; i < client->nodes_count; i++) {
        struct client_slot *old = &client->nodes[i];
        if (old->node.id != id || old->node.endpoint.port != endpoint->port ||
            strcmp(old->node.endpoint.host, endpoint->host) != 0)
            continue;
        slot.peer = old->peer;
        old->peer = NULL;
    }
    VEC_PUSH(list->items, list->count, list->capacity) = slot;
}

static void replace_nodes(struct client *client, const struct new_nodes *list,
                          int32_t controller_id)
{
    release_list(client->nodes, client->nodes_count);
    client->nodes = list->items;
    client->nodes_count = list->count;
    client->nodes_capacity = list->capacity;
    client->controller_id = controller_id;
    client->nodes_known = true;
}

static bool ask_brokers(struct client_op *op, struct peer *peer, struct failure *failure)
{
    struct metadata_request request;
    struct metadata_response response;
    message_init(&metadata_request_desc, &request);
    request.allow_auto_topic_creation = false;
    if (!client_exchange(op, peer, api_find(API_METADATA), &request, &response, failure))
        return false;
    struct new_nodes list = {0};
    for (int32_t i = 0; i < response.brokers_count; i++)
        add_node(op->client, &list, response.brokers[i].node_id, response.brokers[i].host,
                 response.brokers[i].port, response.brokers[i].rack);
    replace_nodes(op->client, &list, response.controller_id);
    return true;
}

static bool ask_controllers(struct client_op *op, struct peer *peer, struct failure *failure)
{
    struct describe_cluster_request request;
    struct describe_cluster_response response;
    message_init(&describe_cluster_request_desc, &request);
    request.endpoint_type = ENDPOINT_TYPE_CONTROLLERS;
    if (!client_exchange(op, peer, api_find(API_DESCRIBE_CLUSTER), &request, &response, failure))
        return false;
    if (kafka_error_retriable(response.error_code))
        return failure_set(failure, KAFKA_ERROR_NONE, "%s",
                           kafka_error_message(response.error_code));
    if (response.error_code != 0)
        return failure_set_error(failure, response.error_code, response.error_message);
    struct new_nodes list = {0};
    for (int32_t i = 0; i < response.brokers_count; i++)
        add_node(op->client, &list, response.brokers[i].broker_id, response.brokers[i].host,
                 response.brokers[i].port, response.brokers[i].rack);
    replace_nodes(op->client, &list, response.controller_id);
    return true;
}

static bool refresh_nodes(struct client_op *op, struct failure *failure)
{
    struct peer *peer = connect_any(op, failure);
    if (peer == NULL)
        return false;
    return op->client->kind == CLIENT_OF_BROKERS ? ask_brokers(op, peer, failure)
                                                 : ask_controllers(op, peer, failure);
}

struct peer *client_connect(struct client_op *op, int32_t node, struct failure *failure)
{
    struct client *client = op->client;
    /* Brokers forward what is for the controller; only who says NOT_CONTROLLER makes us look. */
    if (node == CLIENT_ANY_NODE || (node == CLIENT_CONTROLLER && !client->nodes_known &&
                                    client->kind == CLIENT_OF_BROKERS && op->tries == 0))
        return connect_any(op, failure);
    if (!client->nodes_known && !refresh_nodes(op, failure))
        return NULL;
    int32_t id = node == CLIENT_CONTROLLER ? client->controller_id : node;
    for (size_t i = 0; i < client->nodes_count; i++)
        if (client->nodes[i].node.id == id && open_slot(op, &client->nodes[i]) != NULL)
            return client->nodes[i].peer;
    client_forget_nodes(client);
    return NULL;
}

bool client_find_node(struct client_op *op, int32_t id, struct endpoint *ret_endpoint,
                      struct failure *failure)
{
    struct client *client = op->client;
    *failure = (struct failure){0};
    if (!client->nodes_known && !refresh_nodes(op, failure))
        return false;
    for (size_t i = 0; i < client->nodes_count; i++) {
        if (client->nodes[i].node.id != id)
            continue;
        *ret_endpoint = client->nodes[i].node.endpoint;
        return true;
    }
    client_forget_nodes(client);
    return false;
}

bool client_nodes(struct client_op *op, struct client_node **ret_nodes, size_t *ret_count,
                  struct failure *failure)
{
    struct client *client = op->client;
    while (!client->nodes_known) {
        struct failure problem = {0};
        if (refresh_nodes(op, &problem))
            break;
        if (problem.error != KAFKA_ERROR_NONE) {
            *failure = problem;
            return false;
        }
        if (!client_backoff(op))
            return client_timed_out(op, failure);
    }
    *ret_nodes = ARENA_ARRAY(op->arena, struct client_node, client->nodes_count + 1);
    for (size_t i = 0; i < client->nodes_count; i++) {
        (*ret_nodes)[i] = client->nodes[i].node;
        (*ret_nodes)[i].rack = arena_str(op->arena, client->nodes[i].node.rack);
    }
    *ret_count = client->nodes_count;
    return true;
}
