#include "tools/client_config.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONFIG_FILE_MAX_BYTES = 1 << 20 };

void client_config_init(struct client_config *config, const char *client_id)
{
    *config = (struct client_config){
        .client_id = str_of(client_id),
        .is_admin = true,
        .failed_to_create = "Failed to create new KafkaAdminClient\n",
        .request_timeout_ms = 30000,
        .default_api_timeout_ms = 60000,
        .connect_timeout_ms = 10000,
        .retry_backoff_ms = 100,
        .retry_backoff_max_ms = 1000,
    };
    properties_init(&config->properties);
}

void client_config_release(struct client_config *config)
{
    properties_release(&config->properties);
}

static bool read_number(const struct client_config *config, const char *key, const char *type,
                        int64_t min, int64_t max, int64_t *in_out_value, struct failure *failure)
{
    struct str text = properties_get(&config->properties, str_of(key));
    int64_t value;
    if (str_is_null(text))
        return true;
    if (str_to_i64(str_trim(text), &value) != 0 || value > max || value < -max - 1)
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                           "Invalid value %.*s for configuration %s: Not a number of type %s",
                           STR_FMT(text), key, type);
    if (value < min)
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                           "Invalid value %lld for configuration %s: Value must be at least %lld",
                           (long long)value, key, (long long)min);
    *in_out_value = value;
    return true;
}

bool client_config_int(const struct client_config *config, const char *key, int32_t min,
                       int32_t *in_out_value, struct failure *failure)
{
    int64_t value = *in_out_value;
    if (!read_number(config, key, "INT", min, INT32_MAX, &value, failure))
        return false;
    *in_out_value = (int32_t)value;
    return true;
}

bool client_config_long(const struct client_config *config, const char *key, int64_t min,
                        int64_t *in_out_value, struct failure *failure)
{
    return read_number(config, key, "LONG", min, INT64_MAX, in_out_value, failure);
}

bool client_config_bool(const struct client_config *config, const char *key, bool *in_out_value,
                        struct failure *failure)
{
    struct str text = properties_get(&config->properties, str_of(key));
    if (str_is_null(text))
        return true;
    struct str value = str_trim(text);
    bool yes = str_eq_nocase(value, STR("true"));
    if (!yes && !str_eq_nocase(value, STR("false")))
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                           "Invalid value %.*s for configuration %s: Expected value to be either "
                           "true or false",
                           STR_FMT(text), key);
    *in_out_value = yes;
    return true;
}

/* One of the words, which end with NULL. */
static bool check_choice(const struct client_config *config, const char *key, bool ignore_case,
                         const char *const *words, struct failure *failure)
{
    struct str value = properties_get(&config->properties, str_of(key));
    char list[256];
    size_t len = 0;
    if (str_is_null(value))
        return true;
    value = str_trim(value);
    for (size_t i = 0; words[i] != NULL; i++) {
        struct str word = str_of(words[i]);
        if (ignore_case ? str_eq_nocase(value, word) : str_eq(value, word))
            return true;
        int more = snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "", words[i]);
        len = MIN(len + (size_t)more, sizeof(list) - 1);
    }
    return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                       "Invalid value %.*s for configuration %s: String must be one of%s: %s",
                       STR_FMT(value), key, ignore_case ? " (case insensitive)" : "", list);
}

static bool check_protocol(const struct client_config *config, struct failure *failure)
{
    static const char *const protocols[] = {"SASL_SSL", "PLAINTEXT", "SSL", "SASL_PLAINTEXT", NULL};
    struct str protocol = str_trim(properties_get(&config->properties, STR("security.protocol")));
    if (!check_choice(config, "security.protocol", true, protocols, failure))
        return false;
    return protocol.len <= 0 || str_eq_nocase(protocol, STR("PLAINTEXT")) ||
           failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                       "security.protocol=%.*s cannot be used: these tools connect by "
                       "PLAINTEXT only",
                       STR_FMT(protocol));
}

/* What is of no use here is checked all the same, as in Kafka. */
static bool check_unused(const struct client_config *config, struct failure *failure)
{
    static const struct {
        const char *key;
        bool is_long;
        int32_t min;
    } numbers[] = {
        {"connections.max.idle.ms", true, INT32_MIN},
        {"metadata.max.age.ms", true, 0},
        {"metadata.recovery.rebootstrap.trigger.ms", true, 0},
        {"metrics.num.samples", false, 1},
        {"metrics.sample.window.ms", true, 0},
        {"receive.buffer.bytes", false, -1},
        {"reconnect.backoff.max.ms", true, 0},
        {"reconnect.backoff.ms", true, 0},
        {"retries", false, 0},
        {"send.buffer.bytes", false, -1},
        {"socket.connection.setup.timeout.max.ms", true, 0},
    };
    static const char *const lookups[] = {"use_all_dns_ips",
                                          "resolve_canonical_bootstrap_servers_only", NULL};
    static const char *const levels[] = {"INFO", "DEBUG", "TRACE", NULL};
    static const char *const recoveries[] = {"NONE", "REBOOTSTRAP", NULL};
    bool push = true;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        int32_t number = 0;
        int64_t long_number = 0;
        if (numbers[i].is_long
                ? !client_config_long(config, numbers[i].key, numbers[i].min, &long_number, failure)
                : !client_config_int(config, numbers[i].key, numbers[i].min, &number, failure))
            return false;
    }
    return check_choice(config, "client.dns.lookup", false, lookups, failure) &&
           check_choice(config, "metrics.recording.level", false, levels, failure) &&
           check_choice(config, "metadata.recovery.strategy", true, recoveries, failure) &&
           client_config_bool(config, "enable.metrics.push", &push, failure);
}

static bool apply(struct client_config *config, struct failure *failure)
{
    if (!check_protocol(config, failure) || !check_unused(config, failure))
        return false;
    struct str client_id = properties_get(&config->properties, STR("client.id"));
    if (client_id.len > 0)
        config->client_id = client_id;
    if (!client_config_int(config, "request.timeout.ms", 0, &config->request_timeout_ms, failure) ||
        !client_config_int(config, "default.api.timeout.ms", 0, &config->default_api_timeout_ms,
                           failure) ||
        !client_config_long(config, "retry.backoff.ms", 0, &config->retry_backoff_ms, failure) ||
        !client_config_long(config, "retry.backoff.max.ms", 0, &config->retry_backoff_max_ms,
                            failure))
        return false;
    if (str_is_null(properties_get(&config->properties, STR("default.api.timeout.ms"))) &&
        config->default_api_timeout_ms < config->request_timeout_ms)
        config->default_api_timeout_ms = config->request_timeout_ms;
    int64_t connect_timeout_ms = config->connect_timeout_ms;
    if (!client_config_long(config, "socket.connection.setup.timeout.ms", 0, &connect_timeout_ms,
                            failure))
        return false;
    config->connect_timeout_ms =
        (int32_t)(connect_timeout_ms < INT32_MAX ? connect_timeout_ms : INT32_MAX);
    return true;
}

static bool parse_file(struct properties *properties, const char *path, FILE *file,
                       struct failure *failure)
{
    char error[PROPERTIES_ERROR_LEN];
    char *text = mem_alloc(CONFIG_FILE_MAX_BYTES);
    size_t len = fread(text, 1, CONFIG_FILE_MAX_BYTES, file);
    bool ok = true;
    if (ferror(file))
        ok = failure_set(failure, KAFKA_ERROR_INVALID_CONFIG, "Cannot read %s: %s", path,
                         strerror(errno));
    else if (len == CONFIG_FILE_MAX_BYTES)
        ok = failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                         "%s is too large for a file of client properties", path);
    else if (properties_parse(properties, str_from(text, len), error) != 0)
        ok = failure_set(failure, KAFKA_ERROR_INVALID_CONFIG, "%s: %s", path, error);
    free(text);
    return ok;
}

bool client_config_read_file(struct properties *properties, const char *path,
                             struct failure *failure)
{
    if (path == NULL)
        return true;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG, "Cannot read %s: %s", path,
                           strerror(errno));
    bool ok = parse_file(properties, path, file, failure);
    fclose(file);
    return ok;
}

bool client_config_read(struct client_config *config, const char *path, struct failure *failure)
{
    return client_config_read_file(&config->properties, path, failure) && apply(config, failure);
}

bool client_config_set(struct client_config *config, struct str key, struct str value,
                       struct failure *failure)
{
    properties_set(&config->properties, key, value, 0);
    return apply(config, failure);
}
