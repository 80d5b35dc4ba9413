/* ListConfigResources: the names of what has, or may have, configs of its own (KIP-1000, KIP-1142).
 * Version 0 knows client metrics only. */
#include "broker/handlers/describe_metadata.h"
#include "broker/handlers/handlers.h"
#include "broker/server/shard.h"
#include "common/protocol/messages/list_config_resources.h"

typedef struct list_config_resources_response_config_resource listed;

static const int8_t types_of_v1[] = {CONFIG_RESOURCE_GROUP, CONFIG_RESOURCE_CLIENT_METRICS,
                                     CONFIG_RESOURCE_BROKER_LOGGER, CONFIG_RESOURCE_BROKER,
                                     CONFIG_RESOURCE_TOPIC};
static const int8_t types_of_v0[] = {CONFIG_RESOURCE_CLIENT_METRICS};

static void add(struct list_config_resources_response *response, int8_t type, struct str name)
{
    listed *out = &response->config_resources[response->config_resources_count++];
    out->resource_name = name;
    out->resource_type = type;
}

static void add_brokers(struct request *request, int8_t type,
                        struct list_config_resources_response *response)
{
    struct pmap_iter iter;
    const struct broker_image *broker;
    pmap_iter_first(&iter, request->shard->image->cluster.brokers);
    while ((broker = pmap_iter_next(&iter)) != NULL)
        if (describe_endpoint(request, broker) != NULL)
            add(response, type, arena_printf(&request->arena, "%d", (int)broker->id));
}

static void add_topics(struct request *request, struct list_config_resources_response *response)
{
    struct pmap_iter iter;
    const struct topic_image *topic;
    pmap_iter_first(&iter, request->shard->image->topics.by_name);
    while ((topic = pmap_iter_next(&iter)) != NULL)
        add(response, CONFIG_RESOURCE_TOPIC, arena_str(&request->arena, topic_name(topic)));
}

static void add_configured(struct request *request, int8_t type,
                           struct list_config_resources_response *response)
{
    struct pmap_iter iter;
    const struct config_image *config;
    pmap_iter_first(&iter, configs_image_of_type(&request->shard->image->configs, type));
    while ((config = pmap_iter_next(&iter)) != NULL)
        add(response, type, arena_str(&request->arena, config->name));
}

static void add_type(struct request *request, int8_t type,
                     struct list_config_resources_response *response)
{
    if (type == CONFIG_RESOURCE_TOPIC)
        add_topics(request, response);
    else if (type == CONFIG_RESOURCE_BROKER || type == CONFIG_RESOURCE_BROKER_LOGGER)
        add_brokers(request, type, response);
    else
        add_configured(request, type, response);
}

static bool contains(const int8_t *types, int32_t count, int8_t type)
{
    for (int32_t i = 0; i < count; i++)
        if (types[i] == type)
            return true;
    return false;
}

static int32_t count_all(const struct image *image)
{
    return (int32_t)(image->topics.by_name.count + 2 * image->cluster.brokers.count +
                     configs_image_of_type(&image->configs, CONFIG_RESOURCE_GROUP).count +
                     configs_image_of_type(&image->configs, CONFIG_RESOURCE_CLIENT_METRICS).count);
}

void handle_list_config_resources(struct request *request)
{
    const struct list_config_resources_request *body = request->body;
    bool is_v0 = request->header.request_api_version == 0;
    const int8_t *known = is_v0 ? types_of_v0 : types_of_v1;
    int32_t known_count = (int32_t)(is_v0 ? ARRAY_LEN(types_of_v0) : ARRAY_LEN(types_of_v1));
    struct list_config_resources_response response;
    message_init(&list_config_resources_response_desc, &response);
    for (int32_t i = 0; i < body->resource_types_count; i++)
        if (!contains(known, known_count, body->resource_types[i]))
            response.error_code = KAFKA_ERROR_UNSUPPORTED_VERSION;
    if (response.error_code == KAFKA_ERROR_NONE) {
        response.config_resources =
            MESSAGE_ARRAY(&request->arena, list_config_resources_response_config_resource,
                          count_all(request->shard->image));
        for (int32_t i = 0; i < known_count; i++)
            if (body->resource_types_count == 0 ||
                contains(body->resource_types, body->resource_types_count, known[i]))
                add_type(request, known[i], &response);
    }
    request_respond(request, &response);
}
