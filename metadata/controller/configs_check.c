/* Checks of dynamic configs, with Kafka's sentences. */
#include "metadata/controller/configs.h"

#include "metadata/config/config_value.h"
#include "metadata/controller/effective_configs.h"
#include "metadata/topic_name.h"

static struct str find_entry(const struct config_entry *entries, int32_t count, struct str name)
{
    for (int32_t i = 0; i < count; i++) {
        if (str_eq(entries[i].key, name))
            return entries[i].value;
    }
    return STR_NULL;
}

/* Names without a value, joined by commas; null when there are none. */
static struct str null_names(const struct config_entry *entries, int32_t count, struct arena *arena)
{
    struct str names = STR_NULL;
    for (int32_t i = 0; i < count; i++) {
        if (!str_is_null(entries[i].value))
            continue;
        names = str_is_null(names)
                    ? entries[i].key
                    : arena_printf(arena, "%.*s,%.*s", STR_FMT(names), STR_FMT(entries[i].key));
    }
    return names;
}

/* Each name is known, and each value fits; values in the order of the table, as Kafka does. */
static struct api_error check_values(enum config_scope scope, const char *unknown_format,
                                     const struct config_entry *entries, int32_t count,
                                     struct arena *arena)
{
    for (int32_t i = 0; i < count; i++) {
        if (!config_find(scope, entries[i].key))
            return api_error(arena, KAFKA_ERROR_INVALID_CONFIG, "%s%.*s", unknown_format,
                             STR_FMT(entries[i].key));
    }
    if (count == 0)
        return API_OK;
    for (int id = 0; id < CONFIG_COUNT; id++) {
        if (config_defs[id].scope != scope)
            continue;
        struct config_value value;
        struct str error, text = find_entry(entries, count, config_defs[id].name);
        if (!str_is_null(text) &&
            config_value_parse(&config_defs[id], text, arena, &value, &error) != 0)
            return (struct api_error){KAFKA_ERROR_INVALID_CONFIG, error};
    }
    return API_OK;
}

/* --- topics ------------------------------------------------------------------------------- */

static struct config_value topic_value(const struct controller *c,
                                       const struct config_entry *entries, int32_t count,
                                       enum config_id id, struct arena *arena)
{
    const struct config_def *def = &config_defs[id];
    struct config_value value;
    struct str error;
    struct effective_config effective =
        effective_topic_config(c, id, find_entry(entries, count, def->name), arena);
    if (str_is_null(effective.value) ||
        config_value_read(def, effective.value, arena, &value, &error) != 0)
        return config_value_default(def, arena);
    return value;
}

/* Keys that have to agree with each other. */
static struct api_error check_topic_as_whole(const struct controller *c,
                                             const struct config_entry *entries, int32_t count,
                                             struct arena *arena)
{
    int64_t min_lag =
        topic_value(c, entries, count, CONFIG_TOPIC_MIN_COMPACTION_LAG_MS, arena).integer;
    int64_t max_lag =
        topic_value(c, entries, count, CONFIG_TOPIC_MAX_COMPACTION_LAG_MS, arena).integer;
    if (min_lag > max_lag)
        return api_error(arena, KAFKA_ERROR_INVALID_CONFIG,
                         "conflict topic config setting min.compaction.lag.ms (%lld) > "
                         "max.compaction.lag.ms (%lld)",
                         (long long)min_lag, (long long)max_lag);
    if (topic_value(c, entries, count, CONFIG_TOPIC_REMOTE_STORAGE_ENABLE, arena).boolean)
        return api_error(arena, KAFKA_ERROR_INVALID_CONFIG,
                         "Tiered Storage functionality is disabled in the broker. Topic cannot be "
                         "configured with remote log storage.");
    return API_OK;
}

struct api_error configs_check_topic(const struct controller *c, const struct config_entry *entries,
                                     int32_t count, struct arena *arena)
{
    struct str nulls = null_names(entries, count, arena);
    if (!str_is_null(nulls))
        return api_error(arena, KAFKA_ERROR_INVALID_CONFIG,
                         "Null value not supported for topic configs: %.*s", STR_FMT(nulls));
    struct api_error error =
        check_values(CONFIG_SCOPE_TOPIC, "Unknown topic config name: ", entries, count, arena);
    return api_failed(error) || count == 0 ? error : check_topic_as_whole(c, entries, count, arena);
}

/* --- groups ------------------------------------------------------------------------------- */

static const struct config_def *find_bound(struct str name, const char *bound, struct arena *arena)
{
    struct str rest = name, kind;
    if (!str_split(&rest, '.', &kind))
        return NULL;
    return config_find(CONFIG_SCOPE_BROKER, arena_printf(arena, "group.%.*s.%s.%.*s", STR_FMT(kind),
                                                         bound, STR_FMT(rest)));
}

/* Brokers bound what a group may ask for: group.consumer.min.session.timeout.ms and the like. */
static struct api_error check_group_bounds(const struct controller *c,
                                           const struct config_entry *entry, struct arena *arena)
{
    const struct config_def *def = config_find(CONFIG_SCOPE_GROUP, entry->key);
    const struct config_def *min = find_bound(entry->key, "min", arena);
    const struct config_def *max = find_bound(entry->key, "max", arena);
    struct config_value value;
    struct str error;
    if ((!min && !max) || config_value_read(def, entry->value, arena, &value, &error) != 0)
        return API_OK;
    int64_t low = min ? effective_broker_number(c, min->id) : INT64_MIN;
    int64_t high = max ? effective_broker_number(c, max->id) : INT64_MAX;
    if (value.integer >= low && value.integer <= high)
        return API_OK;
    if (min && max)
        return api_error(arena, KAFKA_ERROR_INVALID_CONFIG,
                         "%.*s must be in the range %lld to %lld inclusive.", STR_FMT(entry->key),
                         (long long)low, (long long)high);
    return api_error(arena, KAFKA_ERROR_INVALID_CONFIG, "%.*s must be %s than or equal to %.*s",
                     STR_FMT(entry->key), min ? "greater" : "less",
                     STR_FMT(min ? min->name : max->name));
}

static int64_t group_number(const struct controller *c, const struct config_entry *entries,
                            int32_t count, enum config_id id, struct arena *arena)
{
    const struct config_def *def = &config_defs[id];
    struct config_value value;
    struct str error, text = find_entry(entries, count, def->name);
    if (!str_is_null(text) && config_value_read(def, text, arena, &value, &error) == 0)
        return value.integer;
    return effective_broker_number(c, def->synonyms[0].id);
}

static struct api_error check_group(const struct controller *c, const struct config_entry *entries,
                                    int32_t count, struct arena *arena)
{
    static const enum config_id pairs[][2] = {
        {CONFIG_GROUP_CONSUMER_SESSION_TIMEOUT_MS, CONFIG_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS},
        {CONFIG_GROUP_SHARE_SESSION_TIMEOUT_MS, CONFIG_GROUP_SHARE_HEARTBEAT_INTERVAL_MS},
        {CONFIG_GROUP_STREAMS_SESSION_TIMEOUT_MS, CONFIG_GROUP_STREAMS_HEARTBEAT_INTERVAL_MS},
    };
    struct str nulls = null_names(entries, count, arena);
    if (!str_is_null(nulls))
        return api_error(arena, KAFKA_ERROR_INVALID_CONFIG,
                         "Null value not supported for group configs: %.*s", STR_FMT(nulls));
    struct api_error error =
        check_values(CONFIG_SCOPE_GROUP, "Unknown group config name: ", entries, count, arena);
    for (int32_t i = 0; !api_failed(error) && i < count; i++)
        error = check_group_bounds(c, &entries[i], arena);
    for (size_t i = 0; !api_failed(error) && i < ARRAY_LEN(pairs); i++) {
        if (group_number(c, entries, count, pairs[i][0], arena) <=
            group_number(c, entries, count, pairs[i][1], arena))
            error = api_error(arena, KAFKA_ERROR_INVALID_CONFIG, "%.*s must be greater than %.*s",
                              STR_FMT(config_defs[pairs[i][0]].name),
                              STR_FMT(config_defs[pairs[i][1]].name));
    }
    return error;
}

/* --- client metrics (KIP-714) ------------------------------------------------------------- */

static bool pattern_ok(struct str pattern)
{
    static const char *const keys[] = {"client_instance_id",    "client_id",
                                       "client_software_name",  "client_software_version",
                                       "client_source_address", "client_source_port"};
    struct str rest = pattern, key;
    if (!str_split(&rest, '=', &key) || str_trim(rest).len == 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (str_eq_z(str_trim(key), keys[i]))
            return true;
    }
    return false;
}

static struct api_error check_interval(struct str text, struct arena *arena)
{
    int32_t interval_ms;
    const struct config_def *def = &config_defs[CONFIG_CLIENT_METRICS_INTERVAL_MS];
    struct config_value value;
    struct str error;
    if (config_value_parse(def, text, arena, &value, &error) != 0)
        return (struct api_error){KAFKA_ERROR_INVALID_CONFIG, error};
    interval_ms = (int32_t)value.integer;
    if (interval_ms >= 100 && interval_ms <= 3600000)
        return API_OK;
    return api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                     "Invalid value %d for interval.ms, interval must be between 100 and 3600000 "
                     "(1 hour)",
                     interval_ms);
}

static struct api_error check_client_metrics(const struct config_entry *entries, int32_t count,
                                             struct arena *arena)
{
    struct api_error error = API_OK;
    for (int32_t i = 0; !api_failed(error) && i < count; i++) {
        const struct config_entry *entry = &entries[i];
        const struct config_def *def = config_find(CONFIG_SCOPE_CLIENT_METRICS, entry->key);
        if (!def)
            return api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                             "Unknown client metrics configuration: %.*s", STR_FMT(entry->key));
        if (str_is_null(entry->value))
            return api_error(arena, KAFKA_ERROR_INVALID_CONFIG,
                             "Null value not supported for client metrics configs: %.*s",
                             STR_FMT(entry->key));
        if (def->id == CONFIG_CLIENT_METRICS_INTERVAL_MS)
            error = check_interval(entry->value, arena);
        if (def->id != CONFIG_CLIENT_METRICS_MATCH)
            continue;
        struct config_value patterns = config_split_list(entry->value, arena);
        for (int32_t k = 0; k < patterns.list.count; k++) {
            if (!pattern_ok(patterns.list.items[k]))
                return api_error(arena, KAFKA_ERROR_INVALID_CONFIG,
                                 "Illegal client matching pattern: %.*s",
                                 STR_FMT(patterns.list.items[k]));
        }
    }
    return error;
}

/* --- resources ---------------------------------------------------------------------------- */

static struct api_error check_topic_resource(const struct controller *c, struct str name,
                                             struct arena *arena)
{
    if (name.len == 0)
        return api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                         "Default topic resources are not allowed.");
    struct str fault = topic_name_fault(name, arena);
    if (!str_is_null(fault))
        return (struct api_error){KAFKA_ERROR_INVALID_TOPIC_EXCEPTION, fault};
    if (!topics_image_find(&controller_image(c)->topics, name))
        return api_error(arena, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                         "The topic '%.*s' does not exist.", STR_FMT(name));
    return API_OK;
}

static struct api_error check_broker_resource(const struct controller *c, struct str name,
                                              struct arena *arena)
{
    int32_t id;
    if (name.len == 0)
        return API_OK;
    if (str_to_i32(name, &id) != 0)
        return api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                         "Unable to parse broker name as a base 10 number.");
    if (id < 0)
        return api_error(arena, KAFKA_ERROR_INVALID_REQUEST, "Invalid negative broker ID.");
    /* A controller has configs too, under its node id. */
    const struct cluster_image *cluster = &controller_image(c)->cluster;
    if (!cluster_image_broker(cluster, id) && !cluster_image_controller(cluster, id))
        return api_error(arena, KAFKA_ERROR_BROKER_ID_NOT_REGISTERED,
                         "No node with id %d is registered.", id);
    return API_OK;
}

struct api_error configs_check(const struct controller *c, int8_t type, struct str name,
                               const struct config_entry *entries, int32_t count,
                               struct arena *arena)
{
    struct api_error error;
    switch (type) {
    case CONFIG_RESOURCE_TOPIC:
        error = check_topic_resource(c, name, arena);
        return api_failed(error) ? error : configs_check_topic(c, entries, count, arena);
    case CONFIG_RESOURCE_BROKER:
        return check_broker_resource(c, name, arena);
    case CONFIG_RESOURCE_CLIENT_METRICS:
        if (name.len == 0)
            return api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                             "Subscription name can't be empty");
        return check_client_metrics(entries, count, arena);
    case CONFIG_RESOURCE_GROUP:
        if (name.len == 0)
            return api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                             "Default group resources are not allowed.");
        return check_group(c, entries, count, arena);
    case CONFIG_RESOURCE_BROKER_LOGGER:
        return api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                         "Unexpected resource type BROKER_LOGGER.");
    default:
        return api_error(arena, KAFKA_ERROR_INVALID_REQUEST, "Unknown resource type %d",
                         (int)(uint8_t)type);
    }
}
