/*
 * listeners, advertised.listeners, listener.security.protocol.map, controller.listener.names and
 * inter.broker.listener.name: who listens where, for whom, and what others are told.
 */
#include "metadata/config/server_config_internal.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <strings.h>

#define KEY(id) (config_defs[id].name.data)
#define NO_NAME "The provided listener name is null or empty string"

static const struct {
    const char *name;
    enum security_protocol protocol;
} protocols[] = {
    {"PLAINTEXT", SECURITY_PLAINTEXT},
    {"SSL", SECURITY_SSL},
    {"SASL_PLAINTEXT", SECURITY_SASL_PLAINTEXT},
    {"SASL_SSL", SECURITY_SASL_SSL},
};

/* What listener.security.protocol.map says, and the names in it. */
struct protocol_map {
    struct str *names;
    enum security_protocol *values;
    int count;
};

/* What Kafka leaves to be guessed. */
static const char *hint(const struct loader *l, const char *text)
{
    return l->dynamic ? "" : text;
}

/* What Kafka's broker requires of its configuration as a whole; `sentence` begins without it. */
static const char *required(const struct loader *l)
{
    return l->dynamic ? "requirement failed: " : "";
}

static int protocol_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
        if ((size_t)name.len == strlen(protocols[i].name) &&
            strncasecmp(name.data, protocols[i].name, (size_t)name.len) == 0)
            return (int)protocols[i].protocol;
    return -1;
}

static struct str to_upper(struct arena *arena, struct str s)
{
    char *text = arena_str_z(arena, s);
    for (int32_t i = 0; i < s.len; i++)
        text[i] = (char)toupper((unsigned char)text[i]);
    return str_from(text, (size_t)s.len);
}

static int load_map(struct loader *l, struct protocol_map *map)
{
    struct arena *arena = &l->config->arena;
    const char *key = KEY(CONFIG_BROKER_LISTENER_SECURITY_PROTOCOL_MAP);
    struct config_value list = config_split_list(
        server_config_text(l->config, CONFIG_BROKER_LISTENER_SECURITY_PROTOCOL_MAP), arena);
    /* Room for the controller listeners that need no entry. */
    int room = list.list.count + l->config->values[CONFIG_BROKER_LISTENERS].list.count + 1;
    map->names = ARENA_ARRAY(arena, struct str, room);
    map->values = ARENA_ARRAY(arena, enum security_protocol, room);
    for (int32_t i = 0; i < list.list.count; i++) {
        struct str value = list.list.items[i], name;
        if (!str_split(&value, ':', &name))
            return l->dynamic ? loader_fail(l, key,
                                            "Error parsing configuration property '%s': begin 0, "
                                            "end -1, length %d",
                                            key, (int)name.len)
                              : loader_fail(l, key, "%s: %.*s is not LISTENER:PROTOCOL", key,
                                            STR_FMT(name));
        value = str_trim(value);
        if (str_trim(name).len <= 0)
            return loader_fail(l, key, NO_NAME);
        int protocol = protocol_of(value);
        if (protocol < 0)
            return loader_fail(l, key, "Invalid security protocol `%.*s` defined in %s%s",
                               STR_FMT(value), key,
                               hint(l, " (allowed: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL)"));
        map->names[map->count] = to_upper(arena, str_trim(name));
        map->values[map->count++] = (enum security_protocol)protocol;
    }
    return 0;
}

/* The last entry counts; -1 when the name has none. */
static int map_find(const struct protocol_map *map, struct str name)
{
    for (int i = map->count; i-- > 0;)
        if (str_eq(map->names[i], name))
            return (int)map->values[i];
    return -1;
}

static bool is_controller_name(const struct server_config *config, struct str name)
{
    const struct config_value *names = &config->values[CONFIG_BROKER_CONTROLLER_LISTENER_NAMES];
    for (int32_t i = 0; names->type == CONFIG_TYPE_LIST && i < names->list.count; i++)
        if (names->list.items[i].len == name.len &&
            strncasecmp(names->list.items[i].data, name.data, (size_t)name.len) == 0)
            return true;
    return false;
}

static struct str shown_list(struct loader *l, enum config_id id)
{
    return config_value_join(&l->config->values[id], STR(", "), &l->config->arena);
}

/* Kafka's sentence around what is wrong with a list of listeners. */
static int fail_list(struct loader *l, enum config_id id, const char *why)
{
    return loader_fail(l, KEY(id), "Error creating broker listeners from '[%.*s]': %s",
                       STR_FMT(shown_list(l, id)), why);
}

/* "NAME://host:port"; the name comes back in upper case. */
static int parse_listener(struct loader *l, enum config_id id, struct str text,
                          struct str *ret_name, struct endpoint *ret_endpoint)
{
    struct arena *arena = &l->config->arena;
    const char *mark = text.len > 0 ? memmem(text.data, (size_t)text.len, "://", 3) : NULL;
    if (mark == NULL)
        return fail_list(l, id,
                         arena_printf(arena, "Unable to parse %.*s to a broker endpoint%s",
                                      STR_FMT(text), hint(l, " (write NAME://host:port)"))
                             .data);
    if (mark == text.data)
        return fail_list(l, id, NO_NAME);
    struct str name = str_from(text.data, (size_t)(mark - text.data));
    struct str rest = str_from(mark + 3, (size_t)(text.data + text.len - mark - 3));
    if (endpoint_parse(rest, -1, ret_endpoint) != 0)
        return fail_list(
            l, id,
            arena_printf(arena, "Unable to parse %.*s to a broker endpoint%s", STR_FMT(text),
                         hint(l, " (write NAME://host:port, with an IPv6 address in brackets and a "
                                 "port up to 65535)"))
                .data);
    *ret_name = to_upper(arena, name);
    return 0;
}

/* Controller listeners need no entry in the map where nobody set one, or where the node was not
 * told that it is a controller, as long as no listener is called after a protocol that is not
 * plain. */
static void imply_controller_names(struct loader *l, struct protocol_map *map)
{
    struct server_config *config = l->config;
    if (loader_has(l, CONFIG_BROKER_LISTENER_SECURITY_PROTOCOL_MAP) &&
        loader_has(l, CONFIG_BROKER_PROCESS_ROLES))
        return;
    for (int i = 0; i < config->listeners_count; i++)
        if (protocol_of(config->listeners[i].name) > 0)
            return;
    for (int i = 0; i < config->listeners_count; i++) {
        struct server_listener *listener = &config->listeners[i];
        if (listener->is_controller && map_find(map, listener->name) < 0) {
            map->names[map->count] = listener->name;
            map->values[map->count++] = SECURITY_PLAINTEXT;
        }
    }
}

/* Two listeners may share a port only as IPv4 and IPv6 address. */
static bool ports_clash(const struct endpoint *a, const struct endpoint *b, bool *ret_literal)
{
    struct in_addr v4;
    struct in6_addr v6;
    bool a4 = inet_pton(AF_INET, a->host, &v4) == 1, a6 = inet_pton(AF_INET6, a->host, &v6) == 1;
    bool b4 = inet_pton(AF_INET, b->host, &v4) == 1, b6 = inet_pton(AF_INET6, b->host, &v6) == 1;
    *ret_literal = (a4 || a6) && (b4 || b6);
    return a->port != 0 && a->port == b->port && !(a4 && b6) && !(a6 && b4);
}

static int check_apart(struct loader *l)
{
    const struct server_config *config = l->config;
    const char *why = NULL, *port = "";
    for (int i = 0; i < config->listeners_count && why == NULL; i++) {
        for (int j = 0; j < i && why == NULL; j++) {
            const struct server_listener *a = &config->listeners[j], *b = &config->listeners[i];
            bool literal;
            if (str_eq(a->name, b->name)) {
                why = "Each listener must have a different name";
            } else if (ports_clash(&a->bind, &b->bind, &literal) && literal) {
                why = "If you have two listeners on the same port then one needs to be IPv4 and "
                      "the other IPv6";
                port = arena_printf(&l->config->arena, ", port: %u", a->bind.port).data;
            } else if (ports_clash(&a->bind, &b->bind, &literal)) {
                why = "Each listener must have a different port";
            }
        }
    }
    if (why == NULL)
        return 0;
    struct str listed = shown_list(l, CONFIG_BROKER_LISTENERS);
    return fail_list(
        l, CONFIG_BROKER_LISTENERS,
        arena_printf(&l->config->arena, "%s, listeners: [%.*s]%s", why, STR_FMT(listed), port)
            .data);
}

static int load_listeners(struct loader *l)
{
    struct server_config *config = l->config;
    const struct config_value *list = &config->values[CONFIG_BROKER_LISTENERS];
    config->listeners = ARENA_ARRAY(&config->arena, struct server_listener, list->list.count);
    config->listeners_count = 0;
    for (int32_t i = 0; i < list->list.count; i++) {
        struct server_listener *listener = &config->listeners[i];
        int rv = parse_listener(l, CONFIG_BROKER_LISTENERS, list->list.items[i], &listener->name,
                                &listener->bind);
        if (rv != 0)
            return rv;
        listener->is_controller = is_controller_name(config, listener->name);
        config->listeners_count++;
    }
    return 0;
}

/* A node that was not told of its roles gets a controller listener if it has none. */
static int add_controller_listener(struct loader *l)
{
    struct server_config *config = l->config;
    struct arena *arena = &config->arena;
    int rv = 0;
    if (!loader_has(l, CONFIG_BROKER_CONTROLLER_LISTENER_NAMES))
        rv = loader_set(l, CONFIG_BROKER_CONTROLLER_LISTENER_NAMES, STR("CONTROLLER"));
    if (rv == 0)
        rv = load_listeners(l);
    for (int i = 0; i < config->listeners_count && rv == 0; i++)
        if (config->listeners[i].is_controller)
            return 0;
    if (rv != 0)
        return rv;
    struct endpoint endpoint = {.host = "127.0.0.1", .port = SERVER_CONTROLLER_PORT};
    if (loader_has(l, CONFIG_BROKER_LISTENERS))
        memcpy(endpoint.host, config->listeners[0].bind.host, sizeof(endpoint.host));
    char text[HOST_MAX + 9];
    endpoint_format(&endpoint, text);
    struct str all = config_value_join(&config->values[CONFIG_BROKER_LISTENERS], STR(","), arena);
    struct str name = config->values[CONFIG_BROKER_CONTROLLER_LISTENER_NAMES].list.items[0];
    all = arena_printf(arena, "%.*s,%.*s://%s", STR_FMT(all), STR_FMT(name), text);
    loader_note(l, LOG_INFO,
                "process.roles is not set: this node is broker and controller, and the "
                "quorum's listener %.*s is added at %s",
                STR_FMT(name), text);
    rv = loader_set(l, CONFIG_BROKER_LISTENERS, all);
    return rv == 0 ? load_listeners(l) : rv;
}

static int check_roles(struct loader *l)
{
    struct server_config *config = l->config;
    const char *key = KEY(CONFIG_BROKER_LISTENERS);
    int controllers = 0;
    for (int i = 0; i < config->listeners_count; i++)
        controllers += config->listeners[i].is_controller;
    if (config->is_controller && controllers == 0)
        return loader_fail(
            l, key,
            "%scontroller.listener.names must contain at least one value appearing in "
            "the 'listeners' configuration when running the KRaft controller role",
            required(l));
    if (!config->is_controller && controllers > 0)
        return loader_fail(l, key,
                           "%scontroller.listener.names must not contain a value appearing in the "
                           "'listeners' configuration when running KRaft with just the broker role",
                           required(l));
    if (!config->is_broker && controllers < config->listeners_count)
        return loader_fail(
            l, key,
            "%sThe listeners config must only contain KRaft controller listeners from "
            "controller.listener.names when process.roles=controller",
            required(l));
    if (config->is_broker && controllers == config->listeners_count)
        return loader_fail(l, key,
                           "%sThere must be at least one broker advertised listener. Perhaps all "
                           "listeners appear in controller.listener.names?",
                           required(l));
    return 0;
}

static int resolve_protocols(struct loader *l, const struct protocol_map *map)
{
    struct server_config *config = l->config;
    for (int i = 0; i < config->listeners_count; i++) {
        struct server_listener *listener = &config->listeners[i];
        int protocol = map_find(map, listener->name);
        if (protocol < 0)
            return fail_list(l, CONFIG_BROKER_LISTENERS,
                             arena_printf(&config->arena,
                                          "No security protocol defined for listener %.*s",
                                          STR_FMT(listener->name))
                                 .data);
        listener->protocol = (enum security_protocol)protocol;
        if (protocol != SECURITY_PLAINTEXT && !l->dynamic)
            return loader_fail(l, KEY(CONFIG_BROKER_LISTENERS),
                               "listener %.*s uses %s, which is not supported yet: kraftd does not "
                               "start rather than serve it in the clear (allowed: PLAINTEXT)",
                               STR_FMT(listener->name), protocols[protocol].name);
    }
    return 0;
}

static bool is_any_address(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

/* What others are told of a listener that advertised.listeners does not name. */
static int advertise_bind(struct loader *l, struct server_listener *listener)
{
    struct str hostname = l->options->hostname;
    listener->advertised = listener->bind;
    bool any = is_any_address(listener->bind.host);
    if (any && !listener->is_controller)
        return loader_fail(
            l, KEY(CONFIG_BROKER_LISTENERS),
            "%sadvertised.listeners cannot use the nonroutable meta-address %s. Use a "
            "routable IP address.",
            required(l), listener->bind.host);
    if (any || listener->bind.host[0] == '\0') {
        if (hostname.len <= 0 || hostname.len > HOST_MAX)
            hostname = STR("localhost");
        memcpy(listener->advertised.host, hostname.data, (size_t)hostname.len);
        listener->advertised.host[hostname.len] = '\0';
    }
    return 0;
}

static int fail_not_listened(struct loader *l, const struct config_value *advertised)
{
    struct arena *arena = &l->config->arena;
    struct config_value found = {.type = CONFIG_TYPE_LIST}, known = found;
    found.list.items = ARENA_ARRAY(arena, struct str, advertised->list.count);
    known.list.items = ARENA_ARRAY(arena, struct str, l->config->listeners_count);
    for (int32_t i = 0; i < advertised->list.count; i++) {
        struct str rest = advertised->list.items[i], name;
        (void)str_split(&rest, ':', &name);
        found.list.items[found.list.count++] = to_upper(arena, name);
    }
    for (int i = 0; i < l->config->listeners_count; i++)
        known.list.items[known.list.count++] = l->config->listeners[i].name;
    return loader_fail(l, KEY(CONFIG_BROKER_ADVERTISED_LISTENERS),
                       "%sadvertised.listeners listener names must be equal to or a subset of the "
                       "ones defined in listeners. Found %s. The valid options based on the "
                       "current configuration are %s",
                       required(l), config_value_join(&found, STR(","), arena).data,
                       config_value_join(&known, STR(","), arena).data);
}

static int load_advertised(struct loader *l, const struct protocol_map *map)
{
    struct server_config *config = l->config;
    const enum config_id id = CONFIG_BROKER_ADVERTISED_LISTENERS;
    const struct config_value *list = &config->values[id];
    bool given = list->type == CONFIG_TYPE_LIST;
    for (int32_t i = 0; given && i < list->list.count; i++) {
        struct str name;
        struct endpoint endpoint;
        int rv = parse_listener(l, id, list->list.items[i], &name, &endpoint);
        if (rv != 0)
            return rv;
        struct server_listener *listener = NULL;
        for (int j = 0; j < config->listeners_count; j++)
            if (str_eq(config->listeners[j].name, name))
                listener = &config->listeners[j];
        if (listener == NULL && map_find(map, name) < 0)
            return fail_list(l, id,
                             arena_printf(&config->arena,
                                          "No security protocol defined for listener %.*s",
                                          STR_FMT(name))
                                 .data);
        if (listener == NULL)
            return fail_not_listened(l, list);
        if (is_any_address(endpoint.host))
            return loader_fail(l, KEY(id),
                               "%sadvertised.listeners cannot use the nonroutable meta-address %s. "
                               "Use a routable IP address.",
                               required(l), endpoint.host);
        listener->is_advertised = true;
        struct endpoint bind = listener->bind;
        listener->bind = endpoint;
        rv = advertise_bind(l, listener);
        listener->bind = bind;
        if (rv != 0)
            return rv;
    }
    for (int i = 0; i < config->listeners_count; i++) {
        struct server_listener *listener = &config->listeners[i];
        if (listener->is_advertised || (given && !listener->is_controller))
            continue;
        int rv = advertise_bind(l, listener);
        if (rv != 0)
            return rv;
        listener->is_advertised = true;
    }
    return 0;
}

static int find_inter_broker(struct loader *l)
{
    struct server_config *config = l->config;
    struct arena *arena = &config->arena;
    const char *key = KEY(CONFIG_BROKER_INTER_BROKER_LISTENER_NAME);
    struct str name = server_config_text(config, CONFIG_BROKER_INTER_BROKER_LISTENER_NAME);
    if (name.len > 0 && loader_has(l, CONFIG_BROKER_SECURITY_INTER_BROKER_PROTOCOL))
        return loader_fail(l, key,
                           "Only one of inter.broker.listener.name and "
                           "security.inter.broker.protocol should be set.");
    if (name.len <= 0)
        name = server_config_text(config, CONFIG_BROKER_SECURITY_INTER_BROKER_PROTOCOL);
    name = to_upper(arena, name);
    struct str known = STR_EMPTY;
    for (int i = 0; i < config->listeners_count; i++) {
        const struct server_listener *listener = &config->listeners[i];
        if (listener->is_controller || !listener->is_advertised)
            continue;
        if (str_eq(listener->name, name)) {
            config->inter_broker = listener;
            return 0;
        }
        known = arena_printf(arena, "%.*s%s%.*s", STR_FMT(known), known.len > 0 ? "," : "",
                             STR_FMT(listener->name));
    }
    return loader_fail(l, key,
                       "%sinter.broker.listener.name must be a listener name defined in "
                       "advertised.listeners. The valid options based on currently configured "
                       "listeners are %.*s",
                       required(l), STR_FMT(known));
}

static int name_controllers(struct loader *l)
{
    struct server_config *config = l->config;
    const struct config_value *names = &config->values[CONFIG_BROKER_CONTROLLER_LISTENER_NAMES];
    config->controller_listener_name = to_upper(&config->arena, names->list.items[0]);
    for (int i = 0; i < config->listeners_count; i++)
        if (config->listeners[i].is_controller && config->controller_listener == NULL)
            config->controller_listener = &config->listeners[i];
    return config->is_broker ? find_inter_broker(l) : 0;
}

int server_listeners_load(struct loader *l)
{
    struct protocol_map map = {0};
    bool told = loader_has(l, CONFIG_BROKER_PROCESS_ROLES);
    int rv = 0;
    if (told && !loader_has(l, CONFIG_BROKER_CONTROLLER_LISTENER_NAMES))
        return loader_fail(l, NULL,
                           "Missing required configuration \"controller.listener.names\" "
                           "which has no default value.");
    rv = told ? load_listeners(l) : add_controller_listener(l);
    if (rv == 0)
        rv = check_apart(l);
    if (rv == 0)
        rv = load_map(l, &map);
    if (rv != 0)
        return rv;
    imply_controller_names(l, &map);
    rv = resolve_protocols(l, &map);
    if (rv == 0)
        rv = check_roles(l);
    if (rv == 0)
        rv = load_advertised(l, &map);
    return rv == 0 ? name_controllers(l) : rv;
}
