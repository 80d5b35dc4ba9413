/* Checks of dynamic configs, with Kafka's sentences. */
#include "metadata/controller/configs.h"

#include "metadata/config/config_validate.h"
#include "metadata/controller/effective_configs.h"
#include "metadata/topic_name.h"

/* Nothing can be set to null: INVALID_CONFIG that names what would be. */
static struct api_error check_nulls(const char *what, const struct config_entry *entries,
                                    int32_t count, struct arena *arena)
{
    struct str names = STR_NULL;
    for (int32_t i = 0; i < count; i++) {
        if (!str_is_null(entries[i].value))
            continue;
        names = str_is_null(names)
                    ? entries[i].key
                    : arena_printf(arena, "%.*s,%.*s", STR_FMT(names), STR_FMT(entries[i].key));
    }
    if (str_is_null(names))
        return API_OK;
    return api_error(arena, KAFKA_ERROR_INVALID_CONFIG,
                     "Null value not supported for %s configs: %.*s", what, STR_FMT(names));
}

struct api_error configs_check_topic(const struct controller *c, const struct config_entry *entries,
                                     int32_t count, struct arena *arena)
{
    struct api_error error = check_nulls("topic", entries, count, arena);
    if (api_failed(error) || count == 0)
        return error;
    struct config_layers layers = effective_layers(c);
    error.code = config_validate_topic(entries, count, &layers, arena, &error.message);
    return error;
}

static struct api_error check_group(const struct controller *c, const struct config_entry *entries,
                                    int32_t count, struct arena *arena)
{
    struct api_error error = check_nulls("group", entries, count, arena);
    if (api_failed(error))
        return error;
    struct config_layers layers = effective_layers(c);
    error.code = config_validate_group(entries, count, &layers, arena, &error.message);
    return error;
}

static struct api_error check_client_metrics(const struct config_entry *entries, int32_t count,
                                             struct arena *arena)
{
    struct api_error error = check_nulls("client metrics", entries, count, arena);
    if (!api_failed(error))
        error.code = config_validate_client_metrics(entries, count, arena, &error.message);
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
        return api_error(arena, KAFKA_ERROR_BROKER_ID_NOT_REGISTERED, "No node with id %d found.",
                         id);
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
