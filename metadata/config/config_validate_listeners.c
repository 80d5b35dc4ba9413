/*
 * Changes of the listeners of a running broker (KIP-226), and of keys of one listener. What was
 * registered as advertised stays as it was for the life of the process, so Kafka refuses to take
 * such a listener away. It takes new ones, and closes those that are not advertised.
 */
#include "metadata/config/config_validate_internal.h"

#include "common/base/check.h"
#include "metadata/config/server_config_change.h"

#include <ctype.h>

static const struct str listener_prefix = {"listener.name.", 14};

static struct str text_of(const struct config_layer *layer, struct str name)
{
    return layer->get == NULL ? STR_NULL : layer->get(layer->ctx, name);
}

/* The keys that are read anew for a listener that is there. */
static const enum config_id of_listeners[] = {
    CONFIG_BROKER_MAX_CONNECTIONS,
    CONFIG_BROKER_MAX_CONNECTION_CREATION_RATE,
    CONFIG_BROKER_NUM_NETWORK_THREADS,
};

static bool is_of_listeners(struct str key)
{
    for (size_t i = 0; i < ARRAY_LEN(of_listeners); i++)
        if (str_eq(key, config_defs[of_listeners[i]].name))
            return true;
    return false;
}

bool validation_listener_key(struct str name, struct str *ret_listener, struct str *ret_key)
{
    if (!str_starts_with(name, listener_prefix))
        return false;
    struct str rest =
        str_from(name.data + listener_prefix.len, (size_t)(name.len - listener_prefix.len));
    if (!str_split(&rest, '.', ret_listener))
        return false;
    *ret_key = rest;
    return true;
}

bool validation_is_per_broker(struct str name)
{
    struct str listener, key;
    const struct config_def *def = config_find(CONFIG_SCOPE_BROKER, name);
    if (validation_listener_key(name, &listener, &key))
        return !is_of_listeners(key);
    return def != NULL && def->update == CONFIG_UPDATE_BROKER;
}

/* --- what a listener has of its own ------------------------------------------------------------
 */

/* Its prefix is in lower case; no other spelling is any listener's. */
static bool is_prefix_of(const struct server_listener *listener, struct str prefix)
{
    bool same = listener->name.len == prefix.len;
    for (int32_t i = 0; same && i < prefix.len; i++)
        same = prefix.data[i] == (char)tolower((unsigned char)listener->name.data[i]);
    return same;
}

static const struct server_listener *find_prefixed(const struct server_config *config,
                                                   struct str prefix)
{
    for (int i = 0; i < config->listeners_count; i++)
        if (is_prefix_of(&config->listeners[i], prefix))
            return &config->listeners[i];
    return NULL;
}

static int64_t limit_of(const struct config_layers *layers, const struct server_listener *listener,
                        enum config_id id, struct arena *arena)
{
    struct config_value own = config_layers_of_listener(layers, listener->name, id, arena);
    return own.type == CONFIG_TYPE_UNKNOWN ? config_layers_integer(layers, id) : own.integer;
}

/* Of listeners that this broker has now; the controller's are not its own. */
static enum kafka_error check_limits(const struct validation *v, const struct broker_change *change,
                                     const struct server_config *before)
{
    for (int i = 0; i < v->count; i++) {
        struct str name, key, why = STR_NULL;
        if (!validation_listener_key(v->entries[i].key, &name, &key))
            continue;
        const struct server_listener *listener = find_prefixed(before, name);
        const struct config_def *def = config_find(CONFIG_SCOPE_BROKER, key);
        if (listener == NULL || listener->is_controller || !is_of_listeners(key))
            continue;
        int64_t now = limit_of(change->current, listener, def->id, v->arena);
        int64_t then = limit_of(change->after, listener, def->id, v->arena);
        if (def->id == CONFIG_BROKER_NUM_NETWORK_THREADS)
            why = validation_threads_fault(def->id, now, then, v->arena);
        else if (then <= 0)
            why = arena_printf(v->arena, "Invalid %s %lld", def->name.data, (long long)then);
        if (!str_is_null(why))
            return validation_fail_part(v, why);
    }
    return KAFKA_ERROR_NONE;
}

/* --- which listeners there are -----------------------------------------------------------------
 */

static const struct server_listener *find(const struct server_config *config, struct str name)
{
    for (int i = 0; i < config->listeners_count; i++)
        if (str_eq(config->listeners[i].name, name))
            return &config->listeners[i];
    return NULL;
}

/* As Scala shows it. */
static const char *shown(const struct server_config *config, bool advertised, struct arena *arena)
{
    struct config_value names = {.type = CONFIG_TYPE_LIST};
    names.list.items = ARENA_ARRAY(arena, struct str, config->listeners_count);
    for (int i = 0; i < config->listeners_count; i++) {
        const struct server_listener *one = &config->listeners[i];
        if (!advertised || (one->is_advertised && !one->is_controller))
            names.list.items[names.list.count++] =
                arena_printf(arena, "ListenerName(%.*s)", STR_FMT(one->name));
    }
    return arena_printf(arena, "Set(%s)", config_value_join(&names, STR(", "), arena).data).data;
}

/* A key of a listener that stays, and that nobody would read again. */
static bool changes_for_nothing(const struct validation *v, const struct config_layer *before,
                                const struct server_listener *listener)
{
    for (int i = 0; i < v->count; i++) {
        struct str prefix, key, name = v->entries[i].key;
        if (validation_listener_key(name, &prefix, &key) && !is_of_listeners(key) &&
            is_prefix_of(listener, prefix) && !str_eq(text_of(before, name), v->entries[i].value))
            return true;
    }
    return false;
}

static enum kafka_error check_set(const struct validation *v, const struct broker_change *change,
                                  const struct server_config *before,
                                  const struct server_config *after)
{
    for (int i = 0; i < before->listeners_count; i++) {
        const struct server_listener *old = &before->listeners[i];
        if (old->is_controller || !old->is_advertised || find(after, old->name) != NULL)
            continue;
        return validation_fail_part(
            v,
            arena_printf(v->arena, "Advertised listeners '%s' must be a subset of listeners '%s'",
                         shown(before, true, v->arena), shown(after, false, v->arena)));
    }
    for (int i = 0; i < after->listeners_count; i++) {
        const struct server_listener *now = &after->listeners[i], *old = find(before, now->name);
        if (old == NULL && now->protocol != SECURITY_PLAINTEXT)
            return validation_fail_part(
                v, arena_printf(v->arena,
                                "listener %.*s uses a security protocol that is not supported yet "
                                "(allowed: PLAINTEXT)",
                                STR_FMT(now->name)));
        if (old != NULL && changes_for_nothing(v, &change->current->broker, old))
            return validation_fail_part(
                v, arena_printf(v->arena,
                                "Configs cannot be updated dynamically for existing listener "
                                "ListenerName(%.*s), restart broker or create a new listener for "
                                "update",
                                STR_FMT(now->name)));
        if (old != NULL && old->protocol != now->protocol)
            return validation_fail_part(
                v, arena_printf(v->arena,
                                "Security protocol cannot be updated for existing listener "
                                "ListenerName(%.*s)",
                                STR_FMT(now->name)));
    }
    return KAFKA_ERROR_NONE;
}

/* Of this broker alone. */
static void texts_of(const struct config_layers *layers, struct str ret_texts[2])
{
    static const enum config_id ids[] = {CONFIG_BROKER_LISTENERS,
                                         CONFIG_BROKER_LISTENER_SECURITY_PROTOCOL_MAP};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        ret_texts[i] = text_of(&layers->broker, config_defs[ids[i]].name);
}

static bool same_text(struct str a, struct str b)
{
    return str_is_null(a) == str_is_null(b) && str_eq(a, b);
}

enum kafka_error validation_listeners(const struct validation *v,
                                      const struct broker_change *change)
{
    struct server_config before, after;
    struct str now[2], then[2];
    enum kafka_error error = KAFKA_ERROR_NONE;
    texts_of(change->current, now);
    texts_of(change->after, then);
    server_config_init(&before);
    server_config_init(&after);
    /* What is set and cannot be understood has no effect. */
    if (server_config_with_listeners(change->server, now[0], now[1], &before) != 0) {
        server_config_release(&before);
        CHECK(server_config_with_listeners(change->server, STR_NULL, STR_NULL, &before) == 0);
    }
    if (!change->is_default && (!same_text(now[0], then[0]) || !same_text(now[1], then[1]))) {
        if (server_config_with_listeners(change->server, then[0], then[1], &after) != 0)
            error = validation_fail(v, KAFKA_ERROR_INVALID_REQUEST, "%s", after.error);
        else
            error = check_set(v, change, &before, &after);
    }
    if (error == KAFKA_ERROR_NONE)
        error = check_limits(v, change, &before);
    server_config_release(&before);
    server_config_release(&after);
    return error;
}
