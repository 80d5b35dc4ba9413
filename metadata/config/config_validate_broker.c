#include "metadata/config/config_validate_internal.h"

#include "common/base/check.h"

/* Kafka wraps an exception of one of the parts of a broker into another one. */
#define PART_ERROR                                                                                 \
    "Invalid value org.apache.kafka.common.config.ConfigException: %s for configuration Invalid "  \
    "dynamic configuration"

/* Keys whose value may at most double and at least halve in one step. */
static const enum config_id threads[] = {
    CONFIG_BROKER_NUM_IO_THREADS,       CONFIG_BROKER_NUM_NETWORK_THREADS,
    CONFIG_BROKER_NUM_REPLICA_FETCHERS, CONFIG_BROKER_NUM_RECOVERY_THREADS_PER_DATA_DIR,
    CONFIG_BROKER_BACKGROUND_THREADS,
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

static bool is_per_broker(struct str name)
{
    const struct config_def *def = config_find_broker(name, NULL);
    return def != NULL && def->update == CONFIG_UPDATE_BROKER;
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

static enum kafka_error check_values(const struct validation *v)
{
    for (int i = 0; i < v->count; i++) {
        const struct config_def *def = config_find_broker(v->entries[i].key, NULL);
        struct config_value value;
        struct str error;
        if (def != NULL &&
            config_value_parse(def, v->entries[i].value, v->arena, &value, &error) != 0)
            return validation_fail(v, KAFKA_ERROR_INVALID_REQUEST, "%s", error.data);
    }
    return KAFKA_ERROR_NONE;
}

static enum kafka_error fail_part(const struct validation *v, struct str why)
{
    return validation_fail(v, KAFKA_ERROR_INVALID_REQUEST, PART_ERROR, why.data);
}

static enum kafka_error check_threads(const struct validation *v,
                                      const struct config_layers *current)
{
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        if (validation_find(v, threads[i]) == NULL)
            continue;
        long long before = config_layers_integer(current, threads[i]);
        long long after = validation_integer(v, threads[i], current);
        if (after <= 2 * before && after >= before / 2)
            continue;
        return fail_part(
            v, arena_printf(v->arena,
                            "Dynamic thread count update validation failed for %s=%lld, value "
                            "should %s the current value %lld",
                            config_defs[threads[i]].name.data, after,
                            after > before ? "not be greater than double" : "be at least half",
                            before));
    }
    return KAFKA_ERROR_NONE;
}

static enum kafka_error check_parts(const struct validation *v, const struct config_layers *current)
{
    const struct config_entry *connections = validation_find(v, CONFIG_BROKER_MAX_CONNECTIONS);
    if (connections != NULL && validation_integer(v, CONFIG_BROKER_MAX_CONNECTIONS, current) <= 0)
        return fail_part(v, arena_printf(v->arena, "Invalid max.connections %.*s",
                                         STR_FMT(str_trim(connections->value))));
    if (validation_find(v, CONFIG_BROKER_LOG_CLEANER_THREADS) == NULL)
        return KAFKA_ERROR_NONE;
    long long before = config_layers_integer(current, CONFIG_BROKER_LOG_CLEANER_THREADS);
    long long after = validation_integer(v, CONFIG_BROKER_LOG_CLEANER_THREADS, current);
    if (after < before / 2)
        return fail_part(v, arena_printf(v->arena,
                                         "Log cleaner threads cannot be reduced to less than half "
                                         "the current value %lld",
                                         before));
    if (after > 2 * before)
        return fail_part(v, arena_printf(v->arena,
                                         "Log cleaner threads cannot be increased to more than "
                                         "double the current value %lld",
                                         before));
    return KAFKA_ERROR_NONE;
}

enum kafka_error config_validate_broker(const struct config_entry *entries, int count,
                                        bool is_default, const struct config_layers *current,
                                        struct arena *arena, struct str *ret_message)
{
    struct validation v = {entries, count, arena, ret_message};
    enum kafka_error error = refuse_names(&v, is_fixed, "Cannot update these configs dynamically");
    if (error == KAFKA_ERROR_NONE)
        error = refuse_names(&v, needs_listener,
                             "These security configs can be dynamically updated only per-listener "
                             "using the listener prefix");
    if (error == KAFKA_ERROR_NONE)
        error = check_values(&v);
    if (error == KAFKA_ERROR_NONE && is_default)
        error = refuse_names(&v, is_per_broker,
                             "Cannot update these configs at default cluster level, broker id must "
                             "be specified");
    if (error == KAFKA_ERROR_NONE)
        error = check_threads(&v, current);
    return error == KAFKA_ERROR_NONE ? check_parts(&v, current) : error;
}
