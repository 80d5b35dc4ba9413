/*
 * The values of server.properties one by one, and the rules between them.
 */
#include "metadata/config/server_config_change.h"
#include "metadata/config/server_config_internal.h"

#include <errno.h>

/* Keys of the authorizer, which Kafka's own table does not have. */
static bool belongs_to_authorizer(struct str key)
{
    return str_eq_z(key, "super.users") || str_eq_z(key, "allow.everyone.if.no.acl.found");
}

static void note_unknown(struct loader *l, struct str key)
{
    if (belongs_to_authorizer(key))
        loader_note(l, LOG_INFO, "%.*s has no effect: there is no authorizer yet", STR_FMT(key));
    else
        loader_note(l, LOG_WARN, "%.*s is no configuration key that Kafka knows; it is ignored",
                    STR_FMT(key));
}

/* Says what becomes of a good value. */
static int judge_effect(struct loader *l, const struct config_def *def, const struct property *item,
                        bool has_prefix, const struct config_value *value)
{
    struct arena *arena = &l->config->arena;
    const char *key = item->key.data;
    if (def->flag == CONFIG_FLAG_DYNAMIC) {
        loader_note(l, LOG_WARN, "%s is ignored: it is set dynamically only, with kafka-configs",
                    key);
        return 0;
    }
    struct config_value standard = config_value_default(def, arena);
    switch (def->effect) {
    case CONFIG_EFFECT_REFUSED:
        if (str_eq(config_value_format(value, arena), config_value_format(&standard, arena)))
            return 0;
        return loader_fail(l, key,
                           "%s is not supported yet, and a node that ignored it would be less safe "
                           "than it is meant to be: take it out to start without it",
                           key);
    case CONFIG_EFFECT_LATER:
        loader_note(l, LOG_INFO, "%s has no effect yet", key);
        return 0;
    case CONFIG_EFFECT_MOOT:
        loader_note(l, LOG_INFO, "%s has no effect in kraftd", key);
        return 0;
    case CONFIG_EFFECT_USED:
        if (has_prefix)
            loader_note(l, LOG_INFO, "%s has no effect yet: only %s has", key, def->name.data);
        return 0;
    }
    UNREACHABLE();
}

static int load_value(struct loader *l, const struct property *item, bool *ret_zookeeper)
{
    struct server_config *config = l->config;
    struct str base, error;
    const struct config_def *def = config_find_broker(item->key, &base);
    if (def == NULL) {
        if (str_starts_with(item->key, STR("zookeeper.")))
            *ret_zookeeper = true;
        else
            note_unknown(l, item->key);
        return 0;
    }
    struct config_value value;
    if (config_value_parse(def, item->value, &config->arena, &value, &error) != 0)
        return loader_fail(l, item->key.data, "%.*s (allowed: %s)", STR_FMT(error),
                           config_allowed(def, &config->arena).data);
    bool has_prefix = base.len != item->key.len;
    if (!has_prefix)
        config->values[def->id] = value;
    return judge_effect(l, def, item, has_prefix, &value);
}

int server_values_load(struct loader *l)
{
    struct server_config *config = l->config;
    bool zookeeper = false;
    for (int id = 0; id < CONFIG_COUNT; id++)
        if (config_defs[id].scope == CONFIG_SCOPE_BROKER ||
            config_defs[id].scope == CONFIG_SCOPE_KRAFTD)
            config->values[id] = config_value_default(&config_defs[id], &config->arena);
    PROPERTIES_FOR_EACH(entry, &config->properties)
    {
        int rv = load_value(l, entry->value, &zookeeper);
        if (rv != 0)
            return rv;
    }
    if (zookeeper)
        loader_note(l, LOG_WARN,
                    "there is no ZooKeeper: the zookeeper.* keys are ignored, the node "
                    "keeps its metadata in its own quorum");
    return 0;
}

/* Rules between keys, with the sentence that says what must hold. The value of `id` has to be at
 * least that of `other`; `unless` passes. */
static int check_order(struct loader *l, enum config_id id, enum config_id other, const char *why)
{
    const struct config_value *values = l->config->values;
    if (values[id].integer >= values[other].integer)
        return 0;
    return loader_fail(l, config_defs[loader_has(l, id) ? id : other].name.data,
                       "%s is %lld and %s is %lld: %s", config_defs[id].name.data,
                       (long long)values[id].integer, config_defs[other].name.data,
                       (long long)values[other].integer, why);
}

static int check_not_zero(struct loader *l, enum config_id id, bool may_be_negative)
{
    const struct config_value *value = &l->config->values[id];
    const char *name = config_defs[id].name.data;
    if (value->type == CONFIG_TYPE_UNKNOWN || value->integer > 0 ||
        (may_be_negative && value->integer < 0))
        return 0;
    return may_be_negative
               ? loader_fail(
                     l, name,
                     "%s must be unlimited (-1) or, greater than or equal to 1, but is %lld", name,
                     (long long)value->integer)
               : loader_fail(l, name, "%s must be greater than or equal to 1, but is %lld", name,
                             (long long)value->integer);
}

static int check_times(struct loader *l)
{
    static const enum config_id retention[] = {CONFIG_BROKER_LOG_RETENTION_MS,
                                               CONFIG_BROKER_LOG_RETENTION_MINUTES,
                                               CONFIG_BROKER_LOG_RETENTION_HOURS};
    static const enum config_id roll[] = {CONFIG_BROKER_LOG_ROLL_MS, CONFIG_BROKER_LOG_ROLL_HOURS};
    int rv = 0;
    for (size_t i = 0; i < ARRAY_LEN(retention) && rv == 0; i++)
        rv = check_not_zero(l, retention[i], true);
    for (size_t i = 0; i < ARRAY_LEN(roll) && rv == 0; i++)
        rv = check_not_zero(l, roll[i], false);
    return rv;
}

static int check_replication(struct loader *l)
{
    int rv = check_order(l, CONFIG_BROKER_REPLICA_SOCKET_TIMEOUT_MS,
                         CONFIG_BROKER_REPLICA_FETCH_WAIT_MAX_MS,
                         "a fetch would end before its answer is due, so raise the first");
    if (rv == 0)
        rv = check_order(l, CONFIG_BROKER_REPLICA_LAG_TIME_MAX_MS,
                         CONFIG_BROKER_REPLICA_FETCH_WAIT_MAX_MS,
                         "followers would leave the in-sync replicas again and again, so raise the "
                         "first");
    const struct config_value *values = l->config->values;
    if (values[CONFIG_BROKER_BROKER_HEARTBEAT_INTERVAL_MS].integer * 2 >
        values[CONFIG_BROKER_BROKER_SESSION_TIMEOUT_MS].integer)
        loader_note(
            l, LOG_WARN,
            "broker.heartbeat.interval.ms is more than half of broker.session.timeout.ms: a "
            "single late heartbeat fences the broker");
    return rv;
}

int server_ip_limits_parse(struct str text, struct arena *arena,
                           struct server_ip_limit **ret_limits, int *ret_count, struct str *ret_bad)
{
    struct config_value list = config_split_list(text, arena);
    struct server_ip_limit *limits = ARENA_ARRAY(arena, struct server_ip_limit, list.list.count);
    for (int32_t i = 0; i < list.list.count; i++) {
        struct str item = list.list.items[i];
        const char *colon = item.len > 0 ? memrchr(item.data, ':', (size_t)item.len) : NULL;
        struct server_ip_limit limit = {.connections = -1};
        if (colon != NULL) {
            limit.host = str_trim(str_from(item.data, (size_t)(colon - item.data)));
            (void)str_to_i32(
                str_trim(str_from(colon + 1, (size_t)(item.data + item.len - colon - 1))),
                &limit.connections);
        }
        if (limit.host.len <= 0 || limit.connections < 0) {
            *ret_bad = item;
            return -EINVAL;
        }
        limits[i] = limit;
    }
    *ret_limits = limits;
    *ret_count = list.list.count;
    return 0;
}

static int load_ip_limits(struct loader *l)
{
    struct server_config *config = l->config;
    const char *name = config_defs[CONFIG_BROKER_MAX_CONNECTIONS_PER_IP_OVERRIDES].name.data;
    struct str text = server_config_text(config, CONFIG_BROKER_MAX_CONNECTIONS_PER_IP_OVERRIDES);
    struct str bad;
    if (server_ip_limits_parse(text, &config->arena, &config->ip_limits, &config->ip_limits_count,
                               &bad) != 0)
        return loader_fail(l, name,
                           "Error parsing configuration property '%s': %.*s is not host:count",
                           name, STR_FMT(bad));
    if (config->values[CONFIG_BROKER_MAX_CONNECTIONS_PER_IP].integer <= 0 &&
        config->ip_limits_count == 0)
        return loader_fail(l, config_defs[CONFIG_BROKER_MAX_CONNECTIONS_PER_IP].name.data,
                           "max.connections.per.ip can be set to zero only if "
                           "max.connections.per.ip.overrides property is set.");
    return 0;
}

int server_config_cordoned(const struct server_config *config, const struct config_value *list,
                           struct arena *arena, bool *ret_cordoned, struct str *ret_fault)
{
    const struct config_value *dirs = &config->values[CONFIG_BROKER_LOG_DIRS];
    struct config_value missing = {.type = CONFIG_TYPE_LIST};
    if (dirs->type != CONFIG_TYPE_LIST)
        dirs = &config->values[CONFIG_BROKER_LOG_DIR];
    bool *cordoned = ARENA_ARRAY(arena, bool, dirs->list.count);
    missing.list.items = ARENA_ARRAY(arena, struct str, list->list.count);
    for (int32_t i = 0; i < list->list.count; i++) {
        bool all = str_eq_z(list->list.items[i], "*"), found = all;
        if (all && list->list.count > 1) {
            *ret_fault =
                STR("When cordoned.log.dirs is set to *, it must not contain other values");
            return -EINVAL;
        }
        for (int j = 0; j < dirs->list.count; j++) {
            bool this_one = all || str_eq(list->list.items[i], dirs->list.items[j]);
            cordoned[j] |= this_one;
            found |= this_one;
        }
        if (!found)
            missing.list.items[missing.list.count++] = list->list.items[i];
    }
    if (missing.list.count > 0) {
        *ret_fault = arena_printf(arena,
                                  "All entries in cordoned.log.dirs must be present in log.dirs or "
                                  "log.dir. Missing entries : %s",
                                  config_value_join(&missing, STR(", "), arena).data);
        return -EINVAL;
    }
    memcpy(ret_cordoned, cordoned, (size_t)dirs->list.count * sizeof(bool));
    return 0;
}

static int check_cordoned(struct loader *l)
{
    struct server_config *config = l->config;
    const struct config_value *list = &config->values[CONFIG_BROKER_CORDONED_LOG_DIRS];
    bool *cordoned = ARENA_ARRAY(&config->arena, bool, config->log_dirs_count);
    struct str fault;
    if (server_config_cordoned(config, list, &config->arena, cordoned, &fault) == 0)
        return 0;
    return loader_fail(l, config_defs[CONFIG_BROKER_CORDONED_LOG_DIRS].name.data, "%s", fault.data);
}

int server_values_check(struct loader *l)
{
    int (*const checks[])(struct loader *) = {check_times, check_replication, load_ip_limits,
                                              check_cordoned};
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        int rv = checks[i](l);
        if (rv != 0)
            return rv;
    }
    const struct config_value *queued = &l->config->values[CONFIG_BROKER_QUEUED_MAX_REQUEST_BYTES];
    if (queued->integer > 0)
        return check_order(l, CONFIG_BROKER_QUEUED_MAX_REQUEST_BYTES,
                           CONFIG_BROKER_SOCKET_REQUEST_MAX_BYTES,
                           "the largest request would never be read, so raise the first");
    return 0;
}
