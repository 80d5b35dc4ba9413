/* The settings of Kafka's producer that this one has. */
#include "tools/produce_client.h"

static bool bad_choice(const char *key, struct str value, const char *choices,
                       struct failure *failure)
{
    return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                       "Invalid value %.*s for configuration %s: String must be one of: %s",
                       STR_FMT(value), key, choices);
}

static bool read_acks(const struct properties *properties, int16_t *in_out_acks,
                      struct failure *failure)
{
    struct str text = properties_get(properties, STR("acks"));
    int32_t acks = -1;
    if (str_is_null(text))
        return true;
    if (!str_eq_z(text, "all") && (str_to_i32(text, &acks) != 0 || acks < -1 || acks > 1))
        return bad_choice("acks", text, "all, -1, 0, 1", failure);
    *in_out_acks = (int16_t)acks;
    return true;
}

static bool read_codec(const struct client_config *from, struct produce_config *config,
                       struct failure *failure)
{
    static const char *const level_keys[COMPRESSION_CODECS] = {
        [COMPRESSION_GZIP] = "compression.gzip.level",
        [COMPRESSION_LZ4] = "compression.lz4.level",
        [COMPRESSION_ZSTD] = "compression.zstd.level",
    };
    struct str text = properties_get(&from->properties, STR("compression.type"));
    if (!str_is_null(text) && compression_of_name(text, &config->codec) != 0)
        return bad_choice("compression.type", text, "none, gzip, snappy, lz4, zstd", failure);
    config->level = compression_level_default(config->codec);
    const char *key = level_keys[config->codec];
    int32_t level = config->level;
    if (key == NULL || !client_config_int(from, key, INT32_MIN, &level, failure))
        return key == NULL;
    if (!compression_level_ok(config->codec, level))
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                           "Invalid value %d for configuration %s: there is no such level", level,
                           key);
    config->level = level;
    return true;
}

/* On unless other settings rule it out; an error where it was asked for by name and is ruled out.
 */
static bool decide_idempotence(const struct client_config *from, struct produce_config *config,
                               struct failure *failure)
{
    struct str asked = properties_get(&from->properties, STR("enable.idempotence"));
    config->idempotent = true;
    if (!client_config_bool(from, "enable.idempotence", &config->idempotent, failure))
        return false;
    if (!config->idempotent)
        return true;
    const char *why = NULL;
    if (config->in_flight > 5)
        why = "Must set max.in.flight.requests.per.connection to at most 5 to use the idempotent "
              "producer.";
    else if (config->retries == 0)
        why = "Must set retries to non-zero when using the idempotent producer.";
    else if (config->acks != -1)
        why = "Must set acks to all in order to use the idempotent producer. Otherwise we cannot "
              "guarantee idempotence.";
    if (why == NULL)
        return true;
    /* Too many requests in flight are refused in any case, as in Kafka. */
    if (!str_is_null(asked) || config->in_flight > 5)
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG, "%s", why);
    config->idempotent = false;
    return true;
}

static bool read_numbers(const struct client_config *from, struct produce_config *c,
                         struct failure *failure)
{
    return client_config_int(from, "batch.size", 0, &c->batch_bytes, failure) &&
           client_config_int(from, "max.request.size", 0, &c->max_request_bytes, failure) &&
           client_config_int(from, "max.in.flight.requests.per.connection", 1, &c->in_flight,
                             failure) &&
           client_config_int(from, "retries", 0, &c->retries, failure) &&
           client_config_long(from, "buffer.memory", 0, &c->memory_bytes, failure) &&
           client_config_long(from, "linger.ms", 0, &c->linger_ms, failure) &&
           client_config_long(from, "max.block.ms", 0, &c->max_block_ms, failure) &&
           client_config_long(from, "metadata.max.age.ms", 0, &c->metadata_max_age_ms, failure) &&
           client_config_int(from, "delivery.timeout.ms", 0, &c->delivery_timeout_ms, failure);
}

bool produce_config_read(const struct client_config *from, struct produce_config *ret_config,
                         struct failure *failure)
{
    struct produce_config config = {
        .acks = -1,
        .batch_bytes = 16384,
        .max_request_bytes = 1048576,
        .in_flight = 5,
        .retries = INT32_MAX,
        .memory_bytes = 32 << 20,
        .linger_ms = 5,
        .max_block_ms = 60000,
        .metadata_max_age_ms = 300000,
        .delivery_timeout_ms = 120000,
    };
    if (!read_acks(&from->properties, &config.acks, failure) ||
        !read_codec(from, &config, failure) || !read_numbers(from, &config, failure) ||
        !decide_idempotence(from, &config, failure))
        return false;
    if (config.memory_bytes < config.batch_bytes)
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                           "Attempt to allocate %d bytes, but there is a hard limit of %lld on "
                           "memory allocations.",
                           config.batch_bytes, (long long)config.memory_bytes);
    int64_t least_ms = config.linger_ms + from->request_timeout_ms;
    if (config.delivery_timeout_ms < least_ms) {
        if (!str_is_null(properties_get(&from->properties, STR("delivery.timeout.ms"))))
            return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                               "Failed to construct kafka producer\n"
                               "delivery.timeout.ms should be equal to or larger than linger.ms + "
                               "request.timeout.ms");
        config.delivery_timeout_ms = (int32_t)(least_ms < INT32_MAX ? least_ms : INT32_MAX);
    }
    *ret_config = config;
    return true;
}
