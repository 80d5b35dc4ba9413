#include "metadata/config/config_validate_internal.h"

#include "common/base/check.h"
#include "metadata/config/server_config_change.h"

/* Kafka wraps an exception of one of the parts of a broker into another one. */
#define PART_ERROR                                                                                 \
    "Invalid value org.apache.kafka.common.config.ConfigException: %s for configuration Invalid "  \
    "dynamic configuration"

/* Keys whose value may at most double and at least halve in one step. */
static const enum config_id threads[] = {
    CONFIG_BROKER_NUM_IO_THREADS,
    CONFIG_BROKER_NUM_NETWORK_THREADS,
    CONFIG_BROKER_NUM_REPLICA_FETCHERS,
    CONFIG_BROKER_NUM_RECOVERY_THREADS_PER_DATA_DIR,
    CONFIG_BROKER_BACKGROUND_THREADS,
    CONFIG_BROKER_REMOTE_LOG_READER_THREADS,
    CONFIG_BROKER_REMOTE_LOG_MANAGER_COPIER_THREAD_POOL_SIZE,
    CONFIG_BROKER_REMOTE_LOG_MANAGER_EXPIRATION_THREAD_POOL_SIZE,
    CONFIG_BROKER_REMOTE_LOG_MANAGER_FOLLOWER_THREAD_POOL_SIZE,
};

/* Key material belongs to one listener. */
static bool needs_listener(struct str name)
{
    return str_starts_with(name, STR("ssl.key.")) || str_starts_with(name, STR("ssl.keystore.")) ||
           str_starts_with(name, STR("ssl.truststore."));
}

static bool is_fixed(struct str name)
{
    const struct config_def *def = config_find(CONFIG_SCOPE_BROKER, name);
    return def != NULL && def->update == CONFIG_UPDATE_NEVER && def->flag != CONFIG_FLAG_HIDDEN;
}

/* INVALID_REQUEST with the names for which `applies` holds, if there are any. */
static enum kafka_error refuse_names(const struct validation *v, bool (*applies)(struct str name),
                                     const char *sentence)
{
    struct config_value names = {.type = CONFIG_TYPE_LIST};
    names.list.items = ARENA_ARRAY(v->arena, struct str, v->count);
    for (int i = 0; i < v->count; i++)
        if (applies(v->entries[i].key))
            names.list.items[names.list.count++] = v->entries[i].key;
    if (names.list.count == 0)
        return KAFKA_ERROR_NONE;
    return validation_fail(v, KAFKA_ERROR_INVALID_REQUEST, "%s: [%s]", sentence,
                           config_value_join(&names, STR(", "), v->arena).data);
}

/* What the file of a broker may say twice, a change may not. */
static bool has_double(const struct config_def *def, struct str text, struct arena *arena)
{
    if (def->rule != CONFIG_RULE_LIST && def->rule != CONFIG_RULE_LIST_EMPTY)
        return false;
    struct config_value list = config_split_list(text, arena);
    for (int32_t i = 0; i < list.list.count; i++)
        for (int32_t k = 0; k < i; k++)
            if (str_eq(list.list.items[i], list.list.items[k]))
                return def->id != CONFIG_BROKER_CONFIG_PROVIDERS; /* Kafka does not look into it */
    return false;
}

static enum kafka_error check_values(const struct validation *v)
{
    for (int i = 0; i < v->count; i++) {
        const struct config_def *def = config_find_broker(v->entries[i].key, NULL);
        struct config_value value;
        struct str error;
        if (def != NULL && has_double(def, v->entries[i].value, v->arena))
            return validation_fail(v, KAFKA_ERROR_INVALID_REQUEST,
                                   "Configuration '%s' values must not be duplicated.",
                                   def->name.data);
        if (def != NULL &&
            config_value_parse(def, v->entries[i].value, v->arena, &value, &error) != 0)
            return validation_fail(v, KAFKA_ERROR_INVALID_REQUEST, "%s", error.data);
    }
    return KAFKA_ERROR_NONE;
}

/* --- what Kafka's broker checks of its configuration as a whole ----------------------------------
 */

static enum kafka_error fail_requirement(const struct validation *v, enum config_id id,
                                         const char *what)
{
    return validation_fail(v, KAFKA_ERROR_INVALID_REQUEST, "requirement failed: %s %s",
                           config_defs[id].name.data, what);
}

static enum kafka_error check_times(const struct validation *v, const struct config_layers *current)
{
    static const struct {
        enum config_id id;
        int64_t min;
        bool unlimited; /* any negative number is no limit */
        const char *what;
    } rules[] = {
        {CONFIG_BROKER_LOG_ROLL_MS, 1, false, "must be greater than or equal to 1"},
        {CONFIG_BROKER_LOG_ROLL_JITTER_MS, 0, false, "must be greater than or equal to 0"},
        {CONFIG_BROKER_LOG_RETENTION_MS, 1, true,
         "must be unlimited (-1) or, greater than or equal to 1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (validation_find(v, rules[i].id) == NULL)
            continue;
        int64_t value = validation_integer(v, rules[i].id, current);
        if (value < rules[i].min && !(rules[i].unlimited && value < 0))
            return fail_requirement(v, rules[i].id, rules[i].what);
    }
    return KAFKA_ERROR_NONE;
}

static enum kafka_error check_cleaner(const struct validation *v,
                                      const struct config_layers *current)
{
    if (validation_find(v, CONFIG_BROKER_LOG_CLEANER_DEDUPE_BUFFER_SIZE) == NULL &&
        validation_find(v, CONFIG_BROKER_LOG_CLEANER_THREADS) == NULL)
        return KAFKA_ERROR_NONE;
    int64_t cleaners = validation_integer(v, CONFIG_BROKER_LOG_CLEANER_THREADS, current);
    if (cleaners == 0)
        return validation_fail(v, KAFKA_ERROR_INVALID_REQUEST, "/ by zero");
    if (validation_integer(v, CONFIG_BROKER_LOG_CLEANER_DEDUPE_BUFFER_SIZE, current) / cleaners <=
        1 << 20)
        return fail_requirement(v, CONFIG_BROKER_LOG_CLEANER_DEDUPE_BUFFER_SIZE,
                                "must be at least 1MB per cleaner thread.");
    return KAFKA_ERROR_NONE;
}

/* In Java's words for what a text without a colon, or a number that is none, leads to. */
static enum kafka_error check_overrides(const struct validation *v, struct str text, int *ret_count)
{
    const char *name = config_defs[CONFIG_BROKER_MAX_CONNECTIONS_PER_IP_OVERRIDES].name.data;
    struct server_ip_limit *limits;
    struct str bad;
    if (server_ip_limits_parse(text, v->arena, &limits, ret_count, &bad) == 0)
        return KAFKA_ERROR_NONE;
    const char *colon = bad.len > 0 ? memrchr(bad.data, ':', (size_t)bad.len) : NULL;
    if (colon == NULL)
        return validation_fail(v, KAFKA_ERROR_INVALID_REQUEST,
                               "Error parsing configuration property '%s': begin 0, end -1, "
                               "length %d",
                               name, (int)bad.len);
    return validation_fail(v, KAFKA_ERROR_INVALID_REQUEST, "For input string: \"%.*s\"",
                           (int)(bad.data + bad.len - colon - 1), colon + 1);
}

static enum kafka_error check_addresses(const struct validation *v,
                                        const struct config_layers *current)
{
    const struct config_entry *overrides =
        validation_find(v, CONFIG_BROKER_MAX_CONNECTIONS_PER_IP_OVERRIDES);
    int count = 0;
    if (overrides == NULL && validation_find(v, CONFIG_BROKER_MAX_CONNECTIONS_PER_IP) == NULL)
        return KAFKA_ERROR_NONE;
    struct config_value before =
        config_layers_get(current, CONFIG_BROKER_MAX_CONNECTIONS_PER_IP_OVERRIDES, v->arena);
    enum kafka_error error =
        check_overrides(v, overrides != NULL ? overrides->value : before.text, &count);
    if (error == KAFKA_ERROR_NONE && count == 0 &&
        validation_integer(v, CONFIG_BROKER_MAX_CONNECTIONS_PER_IP, current) == 0)
        error = fail_requirement(
            v, CONFIG_BROKER_MAX_CONNECTIONS_PER_IP,
            "can be set to zero only if max.connections.per.ip.overrides property is set.");
    return error;
}

static enum kafka_error check_cordoned(const struct validation *v,
                                       const struct broker_change *change)
{
    struct config_value list =
        config_layers_get(change->after, CONFIG_BROKER_CORDONED_LOG_DIRS, v->arena);
    bool *cordoned = ARENA_ARRAY(v->arena, bool, change->server->log_dirs_count);
    struct str fault;
    if (validation_find(v, CONFIG_BROKER_CORDONED_LOG_DIRS) == NULL ||
        server_config_cordoned(change->server, &list, v->arena, cordoned, &fault) == 0)
        return KAFKA_ERROR_NONE;
    return validation_fail(v, KAFKA_ERROR_INVALID_REQUEST, "requirement failed: %s", fault.data);
}

static enum kafka_error check_whole(const struct validation *v, const struct broker_change *change)
{
    enum kafka_error error = check_times(v, change->current);
    if (error == KAFKA_ERROR_NONE)
        error = check_cleaner(v, change->current);
    if (error == KAFKA_ERROR_NONE)
        error = check_addresses(v, change->current);
    if (error == KAFKA_ERROR_NONE)
        error = check_cordoned(v, change);
    return error == KAFKA_ERROR_NONE ? validation_listeners(v, change) : error;
}

/* --- what its parts check ------------------------------------------------------------------------
 */

enum kafka_error validation_fail_part(const struct validation *v, struct str why)
{
    return validation_fail(v, KAFKA_ERROR_INVALID_REQUEST, PART_ERROR, why.data);
}

struct str validation_threads_fault(enum config_id id, int64_t before, int64_t after,
                                    struct arena *arena)
{
    if (after <= 2 * before && after >= before / 2)
        return STR_NULL;
    return arena_printf(arena,
                        "Dynamic thread count update validation failed for %s=%lld, value should "
                        "%s the current value %lld",
                        config_defs[id].name.data, (long long)after,
                        after > before ? "not be greater than double" : "be at least half",
                        (long long)before);
}

static enum kafka_error check_threads(const struct validation *v,
                                      const struct config_layers *current)
{
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        if (validation_find(v, threads[i]) == NULL)
            continue;
        struct str fault =
            validation_threads_fault(threads[i], config_layers_integer(current, threads[i]),
                                     validation_integer(v, threads[i], current), v->arena);
        if (!str_is_null(fault))
            return validation_fail_part(v, fault);
    }
    return KAFKA_ERROR_NONE;
}

static enum kafka_error check_connections(const struct validation *v,
                                          const struct config_layers *current)
{
    static const enum config_id keys[] = {CONFIG_BROKER_MAX_CONNECTIONS,
                                          CONFIG_BROKER_MAX_CONNECTION_CREATION_RATE};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct config_entry *entry = validation_find(v, keys[i]);
        if (entry != NULL && validation_integer(v, keys[i], current) <= 0)
            return validation_fail_part(v, arena_printf(v->arena, "Invalid %s %.*s",
                                                        config_defs[keys[i]].name.data,
                                                        STR_FMT(str_trim(entry->value))));
    }
    return KAFKA_ERROR_NONE;
}

static enum kafka_error check_reporters(const struct validation *v)
{
    const struct config_def *def = &config_defs[CONFIG_BROKER_METRIC_REPORTERS];
    const struct config_entry *entry = validation_find(v, CONFIG_BROKER_METRIC_REPORTERS);
    if (entry == NULL || str_trim(entry->value).len <= 0 ||
        str_eq(str_trim(entry->value), def->default_value))
        return KAFKA_ERROR_NONE;
    return validation_fail_part(
        v, STR("Validation of dynamic config update of Set(metric.reporters) failed "
               "with class class kafka.server.DynamicMetricsReporters"));
}

static enum kafka_error check_cleaners(const struct validation *v,
                                       const struct config_layers *current)
{
    if (validation_find(v, CONFIG_BROKER_LOG_CLEANER_THREADS) == NULL)
        return KAFKA_ERROR_NONE;
    long long before = config_layers_integer(current, CONFIG_BROKER_LOG_CLEANER_THREADS);
    long long after = validation_integer(v, CONFIG_BROKER_LOG_CLEANER_THREADS, current);
    if (after < before / 2)
        return validation_fail_part(
            v, arena_printf(v->arena,
                            "Log cleaner threads cannot be reduced to less than half "
                            "the current value %lld",
                            before));
    if (after > 2 * before)
        return validation_fail_part(
            v, arena_printf(v->arena,
                            "Log cleaner threads cannot be increased to more than "
                            "double the current value %lld",
                            before));
    return KAFKA_ERROR_NONE;
}

static enum kafka_error check_parts(const struct validation *v, const struct broker_change *change)
{
    enum kafka_error error = check_threads(v, change->current);
    if (error == KAFKA_ERROR_NONE)
        error = check_connections(v, change->current);
    if (error == KAFKA_ERROR_NONE)
        error = check_reporters(v);
    return error == KAFKA_ERROR_NONE ? check_cleaners(v, change->current) : error;
}

enum kafka_error config_validate_broker(const struct broker_change *change, struct arena *arena,
                                        struct str *ret_message)
{
    struct validation v = {change->entries, change->count, arena, ret_message};
    enum kafka_error error = refuse_names(&v, is_fixed, "Cannot update these configs dynamically");
    if (error == KAFKA_ERROR_NONE)
        error = refuse_names(&v, needs_listener,
                             "These security configs can be dynamically updated only per-listener "
                             "using the listener prefix");
    if (error == KAFKA_ERROR_NONE)
        error = check_values(&v);
    if (error == KAFKA_ERROR_NONE && change->is_default)
        error = refuse_names(&v, validation_is_per_broker,
                             "Cannot update these configs at default cluster level, broker id must "
                             "be specified");
    if (error == KAFKA_ERROR_NONE)
        error = check_whole(&v, change);
    return error == KAFKA_ERROR_NONE ? check_parts(&v, change) : error;
}
