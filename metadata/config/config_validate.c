#define PCRE2_CODE_UNIT_WIDTH 8
#include "metadata/config/config_validate_internal.h"

#include "common/base/check.h"

#include <pcre2.h>
#include <stdarg.h>

enum kafka_error validation_fail(const struct validation *v, enum kafka_error error,
                                 const char *format, ...)
{
    va_list args;
    va_start(args, format);
    *v->ret_message = arena_vprintf(v->arena, format, args);
    va_end(args);
    return error;
}

const struct config_entry *validation_find(const struct validation *v, enum config_id id)
{
    for (int i = v->count; i-- > 0;)
        if (str_eq(v->entries[i].key, config_defs[id].name))
            return &v->entries[i];
    return NULL;
}

enum kafka_error validation_values(const struct validation *v, enum config_id first,
                                   enum config_id last)
{
    for (int id = (int)first; id <= (int)last; id++) {
        const struct config_entry *entry = validation_find(v, (enum config_id)id);
        struct config_value value;
        struct str error;
        if (entry != NULL &&
            config_value_parse(&config_defs[id], entry->value, v->arena, &value, &error) != 0)
            return validation_fail(v, KAFKA_ERROR_INVALID_CONFIG, "%s", error.data);
    }
    return KAFKA_ERROR_NONE;
}

int64_t validation_integer(const struct validation *v, enum config_id id,
                           const struct config_layers *layers)
{
    const struct config_entry *entry = validation_find(v, id);
    struct config_value value;
    struct str error;
    if (entry == NULL)
        return config_layers_integer(layers, id);
    CHECK(config_value_parse(&config_defs[id], entry->value, v->arena, &value, &error) == 0);
    return value.integer;
}

static enum kafka_error check_names(const struct validation *v, enum config_scope scope,
                                    enum kafka_error error, const char *what)
{
    for (int i = 0; i < v->count; i++)
        if (config_find(scope, v->entries[i].key) == NULL)
            return validation_fail(v, error, "Unknown %s: %.*s", what, STR_FMT(v->entries[i].key));
    return KAFKA_ERROR_NONE;
}

enum kafka_error config_validate_topic(const struct config_entry *entries, int count,
                                       const struct config_layers *brokers, struct arena *arena,
                                       struct str *ret_message)
{
    struct validation v = {entries, count, arena, ret_message};
    enum kafka_error error =
        check_names(&v, CONFIG_SCOPE_TOPIC, KAFKA_ERROR_INVALID_CONFIG, "topic config name");
    if (error == KAFKA_ERROR_NONE)
        error = validation_values(&v, CONFIG_FIRST_TOPIC, CONFIG_LAST_TOPIC);
    if (error != KAFKA_ERROR_NONE)
        return error;
    int64_t min_lag = validation_integer(&v, CONFIG_TOPIC_MIN_COMPACTION_LAG_MS, brokers);
    int64_t max_lag = validation_integer(&v, CONFIG_TOPIC_MAX_COMPACTION_LAG_MS, brokers);
    if (min_lag > max_lag)
        return validation_fail(&v, KAFKA_ERROR_INVALID_CONFIG,
                               "conflict topic config setting min.compaction.lag.ms (%lld) > "
                               "max.compaction.lag.ms (%lld)",
                               (long long)min_lag, (long long)max_lag);
    const struct config_entry *remote = validation_find(&v, CONFIG_TOPIC_REMOTE_STORAGE_ENABLE);
    if (remote != NULL && str_eq_z(str_trim(remote->value), "true"))
        return validation_fail(&v, KAFKA_ERROR_INVALID_CONFIG,
                               "Tiered Storage functionality is disabled in the broker. Topic "
                               "cannot be configured with remote log storage.");
    return KAFKA_ERROR_NONE;
}

static bool is_pattern(struct str text)
{
    int code;
    PCRE2_SIZE offset;
    pcre2_code *pattern = pcre2_compile((PCRE2_SPTR)text.data, (PCRE2_SIZE)text.len,
                                        PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &offset, NULL);
    pcre2_code_free(pattern);
    return pattern != NULL;
}

/* "client_id=a.*" */
static bool is_client_match(struct str item)
{
    static const char *const selectors[] = {"client_id",
                                            "client_instance_id",
                                            "client_software_name",
                                            "client_software_version",
                                            "client_source_address",
                                            "client_source_port"};
    struct str pattern = item, selector;
    if (!str_split(&pattern, '=', &selector))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(selectors); i++)
        if (str_eq_z(str_trim(selector), selectors[i]))
            return is_pattern(str_trim(pattern));
    return false;
}

enum kafka_error config_validate_client_metrics(const struct config_entry *entries, int count,
                                                struct arena *arena, struct str *ret_message)
{
    struct validation v = {entries, count, arena, ret_message};
    static const struct config_layers none;
    enum kafka_error error =
        check_names(&v, CONFIG_SCOPE_CLIENT_METRICS, KAFKA_ERROR_INVALID_REQUEST,
                    "client metrics configuration");
    if (error == KAFKA_ERROR_NONE)
        error = validation_values(&v, CONFIG_FIRST_CLIENT_METRICS, CONFIG_LAST_CLIENT_METRICS);
    if (error != KAFKA_ERROR_NONE)
        return error;
    int64_t interval_ms = validation_integer(&v, CONFIG_CLIENT_METRICS_INTERVAL_MS, &none);
    if (interval_ms < 100 || interval_ms > 3600000)
        return validation_fail(&v, KAFKA_ERROR_INVALID_REQUEST,
                               "Invalid value %lld for interval.ms, interval must be between 100 "
                               "and 3600000 (1 hour)",
                               (long long)interval_ms);
    const struct config_entry *match = validation_find(&v, CONFIG_CLIENT_METRICS_MATCH);
    if (match == NULL)
        return KAFKA_ERROR_NONE;
    struct config_value list = config_split_list(match->value, arena);
    for (int32_t i = 0; i < list.list.count; i++)
        if (!is_client_match(list.list.items[i]))
            return validation_fail(&v, KAFKA_ERROR_INVALID_CONFIG,
                                   "Illegal client matching pattern: %.*s",
                                   STR_FMT(list.list.items[i]));
    return KAFKA_ERROR_NONE;
}
