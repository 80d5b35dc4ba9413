/*
 * What a node is (process.roles, node.id) and where its quorum is.
 */
#include "metadata/config/server_config_internal.h"

#include <errno.h>

#define KEY(id) (config_defs[id].name.data)

static int32_t list_count(const struct loader *l, enum config_id id)
{
    const struct config_value *value = &l->config->values[id];
    return value->type == CONFIG_TYPE_LIST ? value->list.count : 0;
}

/* The hosts of "a:2181,b:2181/chroot". */
static struct config_value zookeeper_hosts(struct loader *l)
{
    struct arena *arena = &l->config->arena;
    struct str rest = properties_get(&l->config->properties, STR("zookeeper.connect")), servers;
    if (str_is_null(rest))
        return (struct config_value){.type = CONFIG_TYPE_LIST};
    str_split(&rest, '/', &servers);
    struct config_value list = config_split_list(servers, arena);
    int32_t kept = 0;
    for (int32_t i = 0; i < list.list.count; i++) {
        struct endpoint endpoint;
        if (endpoint_parse(list.list.items[i], 2181, &endpoint) == 0 && endpoint.host[0] != '\0')
            list.list.items[kept++] = arena_str(arena, str_of(endpoint.host));
    }
    list.list.count = kept;
    return list;
}

static bool quorum_is_configured(const struct loader *l)
{
    return list_count(l, CONFIG_BROKER_CONTROLLER_QUORUM_VOTERS) > 0 ||
           list_count(l, CONFIG_BROKER_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS) > 0;
}

static int load_node_id(struct loader *l)
{
    struct server_config *config = l->config;
    const struct config_value *node = &config->values[CONFIG_BROKER_NODE_ID];
    const struct config_value *broker = &config->values[CONFIG_BROKER_BROKER_ID];
    int32_t hosts = list_count(l, CONFIG_BROKER_CONTROLLER_QUORUM_VOTERS);
    const char *where = "controller.quorum.voters";
    if (hosts == 0) {
        hosts = list_count(l, CONFIG_BROKER_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS);
        where = "controller.quorum.bootstrap.servers";
    }
    if (hosts == 0) {
        hosts = zookeeper_hosts(l).list.count;
        where = "zookeeper.connect";
    }
    int64_t id = 1;
    bool has_broker_id = loader_has(l, CONFIG_BROKER_BROKER_ID) && broker->integer >= 0;
    if (node->type != CONFIG_TYPE_UNKNOWN)
        id = node->integer;
    else if (has_broker_id)
        id = broker->integer;
    else if (l->options->strict)
        return loader_fail(l, NULL,
                           "Missing required configuration \"node.id\" which has no "
                           "default value.");
    else if (hosts > 1)
        return loader_fail(l, NULL,
                           "node.id is not set, and %s lists %d hosts: give each node a node.id of "
                           "its own",
                           where, (int)hosts);
    if (has_broker_id && id != broker->integer)
        return loader_fail(
            l, KEY(CONFIG_BROKER_BROKER_ID),
            "`node.id` and `broker.id` must be set to the same value. `broker.id` is "
            "deprecated, please use `node.id` instead.");
    config->node_id = (int32_t)id;
    struct str text = arena_printf(&config->arena, "%lld", (long long)id);
    int rv = node->type == CONFIG_TYPE_UNKNOWN ? loader_set(l, CONFIG_BROKER_NODE_ID, text) : 0;
    return rv == 0 && !has_broker_id ? loader_set(l, CONFIG_BROKER_BROKER_ID, text) : rv;
}

int server_roles_load(struct loader *l)
{
    struct server_config *config = l->config;
    const struct config_value *roles = &config->values[CONFIG_BROKER_PROCESS_ROLES];
    if (roles->type == CONFIG_TYPE_LIST) {
        config->is_broker = config_value_list_has(roles, STR("broker"));
        config->is_controller = config_value_list_has(roles, STR("controller"));
    } else if (l->options->strict) {
        return loader_fail(l, NULL,
                           "Missing required configuration \"process.roles\" which has no "
                           "default value.");
    } else {
        config->is_broker = config->is_controller = true;
    }
    return load_node_id(l);
}

/* Each entry has kept its rule already. */
static int load_voters(struct loader *l)
{
    struct server_config *config = l->config;
    const char *key = KEY(CONFIG_BROKER_CONTROLLER_QUORUM_VOTERS);
    const struct config_value *list = &config->values[CONFIG_BROKER_CONTROLLER_QUORUM_VOTERS];
    int32_t count = list_count(l, CONFIG_BROKER_CONTROLLER_QUORUM_VOTERS);
    struct str ids = STR_EMPTY;
    bool is_voter = false;
    config->voters = ARENA_ARRAY(&config->arena, struct server_voter, count);
    for (int32_t i = 0; i < count; i++) {
        struct str rest = list->list.items[i], id;
        struct server_voter *voter = &config->voters[i];
        str_split(&rest, '@', &id);
        CHECK(str_to_i32(id, &voter->node_id) == 0);
        CHECK(endpoint_parse(rest, -1, &voter->endpoint) == 0);
        if (voter->node_id < 0 || voter->endpoint.host[0] == '\0')
            return loader_fail(l, key, "%s: %.*s has to be id@host:port with an id of at least 0",
                               key, STR_FMT(list->list.items[i]));
        for (int32_t j = 0; j < i; j++)
            if (config->voters[j].node_id == voter->node_id)
                return loader_fail(l, key, "%s names node %d twice", key, voter->node_id);
        is_voter = is_voter || voter->node_id == config->node_id;
        ids = arena_printf(&config->arena, "%.*s%s%d", STR_FMT(ids), i > 0 ? ", " : "",
                           voter->node_id);
        config->voters_count++;
    }
    if (count > 0 && is_voter != config->is_controller)
        return loader_fail(
            l, key,
            "If process.roles contains %s role, the node id %d must %sbe included in "
            "the set of voters %s=Set(%.*s)",
            is_voter ? "just the 'broker'" : "the 'controller'", config->node_id,
            is_voter ? "not " : "", key, STR_FMT(ids));
    return 0;
}

/* Several ZooKeeper hosts mean a cluster: its nodes have to find each other, not stay alone. */
static int adopt_zookeeper_hosts(struct loader *l)
{
    struct server_config *config = l->config;
    struct arena *arena = &config->arena;
    struct config_value hosts = zookeeper_hosts(l);
    if (quorum_is_configured(l) || hosts.list.count < 2)
        return 0;
    int port = config->controller_listener != NULL ? config->controller_listener->bind.port
                                                   : SERVER_CONTROLLER_PORT;
    for (int32_t i = 0; i < hosts.list.count; i++) {
        struct endpoint endpoint = {.port = (uint16_t)port};
        char text[HOST_MAX + 9];
        memcpy(endpoint.host, hosts.list.items[i].data, (size_t)hosts.list.items[i].len);
        endpoint_format(&endpoint, text);
        hosts.list.items[i] = arena_str(arena, str_of(text));
    }
    struct str servers = config_value_join(&hosts, STR(","), arena);
    loader_note(l, LOG_WARN,
                "zookeeper.connect names several hosts: they are taken as "
                "controller.quorum.bootstrap.servers=%.*s",
                STR_FMT(servers));
    return loader_set(l, CONFIG_BROKER_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS, servers);
}

static int load_bootstrap(struct loader *l)
{
    struct server_config *config = l->config;
    const struct config_value *list =
        &config->values[CONFIG_BROKER_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS];
    int32_t count = list_count(l, CONFIG_BROKER_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS);
    config->bootstrap_servers = ARENA_ARRAY(&config->arena, struct endpoint, count);
    for (int32_t i = 0; i < count; i++)
        CHECK(endpoint_parse(list->list.items[i], -1, &config->bootstrap_servers[i]) == 0);
    config->bootstrap_servers_count = count;
    return 0;
}

/* The end point is the controller listener of this node. */
static bool is_self(const struct loader *l, const struct endpoint *endpoint)
{
    const struct server_listener *own = l->config->controller_listener;
    if (own == NULL || own->bind.port != endpoint->port)
        return false;
    const char *hosts[] = {own->bind.host, own->advertised.host, "localhost", "127.0.0.1", "::1"};
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
        if (strcmp(hosts[i], endpoint->host) == 0)
            return true;
    return str_eq_z(l->options->hostname, endpoint->host);
}

static bool is_alone(const struct loader *l)
{
    const struct server_config *config = l->config;
    if (!config->is_controller || config->voters_count > 1 || config->bootstrap_servers_count > 1)
        return false;
    if (config->voters_count == 1)
        return true;
    return config->bootstrap_servers_count == 0 || is_self(l, &config->bootstrap_servers[0]);
}

int server_quorum_load(struct loader *l)
{
    struct server_config *config = l->config;
    int rv = adopt_zookeeper_hosts(l);
    if (rv == 0)
        rv = load_voters(l);
    if (rv == 0)
        rv = load_bootstrap(l);
    bool needed = !config->is_controller || l->options->strict;
    if (rv == 0 && needed && !quorum_is_configured(l))
        return loader_fail(
            l, NULL,
            "If using process.roles, either controller.quorum.bootstrap.servers must "
            "contain the set of bootstrap controllers or controller.quorum.voters "
            "must contain a parseable set of controllers.");
    config->is_alone = rv == 0 && is_alone(l);
    return rv;
}
