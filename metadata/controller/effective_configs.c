#include "metadata/controller/effective_configs.h"

#include "metadata/controller/controller_internal.h"

#include <stdio.h>

static struct str get_from_image(const void *ctx, struct str name)
{
    return config_image_get(ctx, name);
}

static struct str get_from_file(const void *ctx, struct str name)
{
    const struct controller *c = ctx;
    return c->config.static_config(c->config.static_config_ctx, name);
}

static struct config_layer layer_of(const struct controller *c, int8_t type, struct str resource)
{
    return (struct config_layer){
        .get = get_from_image,
        .ctx = configs_image_find(&controller_image(c)->configs, type, resource),
    };
}

struct config_layers effective_layers(const struct controller *c)
{
    char node[12];
    int len = snprintf(node, sizeof(node), "%d", c->config.node_id);
    struct config_layers layers = {
        .broker = layer_of(c, CONFIG_RESOURCE_BROKER, str_from(node, (size_t)len)),
        .cluster = layer_of(c, CONFIG_RESOURCE_BROKER, STR_EMPTY),
    };
    if (c->config.static_config != NULL)
        layers.file = (struct config_layer){.get = get_from_file, .ctx = c};
    return layers;
}

static struct config_layers topic_layers(const struct controller *c, struct str topic)
{
    struct config_layers layers = effective_layers(c);
    layers.own = layer_of(c, CONFIG_RESOURCE_TOPIC, topic);
    return layers;
}

int64_t effective_topic_number(const struct controller *c, struct str topic, enum config_id id)
{
    struct config_layers layers = topic_layers(c, topic);
    return config_layers_integer(&layers, id);
}

bool effective_topic_bool(const struct controller *c, struct str topic, enum config_id id)
{
    struct config_layers layers = topic_layers(c, topic);
    return config_layers_boolean(&layers, id);
}

int64_t effective_broker_number(const struct controller *c, enum config_id id)
{
    struct config_layers layers = effective_layers(c);
    return config_layers_integer(&layers, id);
}
