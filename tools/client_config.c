#include "tools/client_config.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { CONFIG_FILE_MAX_BYTES = 1 << 20 };

void client_config_init(struct client_config *config, const char *client_id)
{
    *config = (struct client_config){
        .client_id = str_of(client_id),
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
    bool yes = value.len == 4 && strncasecmp(value.data, "true", 4) == 0;
    if (!yes && !(value.len == 5 && strncasecmp(value.data, "false", 5) == 0))
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                           "Invalid value %.*s for configuration %s: Expected value to be either "
                           "true or false",
                           STR_FMT(text), key);
    *in_out_value = yes;
    return true;
}

static bool apply(struct client_config *config, struct failure *failure)
{
    struct str protocol = properties_get(&config->properties, STR("security.protocol"));
    if (!str_is_null(protocol) && !str_eq_z(str_trim(protocol), "PLAINTEXT"))
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                           "security.protocol=%.*s cannot be used: these tools connect by "
                           "PLAINTEXT only",
                           STR_FMT(protocol));
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
