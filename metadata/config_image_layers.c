#include "metadata/config_image_layers.h"

#include <stdio.h>

static struct str get_from_image(const void *ctx, struct str name)
{
    return config_image_get(ctx, name);
}

static struct str get_from_file(const void *ctx, struct str name)
{
    return properties_get(ctx, name);
}

static struct config_layer layer_of(const struct config_image *config)
{
    return (struct config_layer){.get = config == NULL ? NULL : get_from_image, .ctx = config};
}

const struct config_image *config_image_of_broker(const struct configs_image *configs,
                                                  const struct server_config *server)
{
    char name[12];
    int len = snprintf(name, sizeof(name), "%d", (int)server->node_id);
    return configs_image_find(configs, CONFIG_RESOURCE_BROKER, str_from(name, (size_t)len));
}

void config_image_layers(const struct configs_image *configs, const struct server_config *server,
                         enum config_resource_type type, struct str name,
                         struct config_layers *ret_layers)
{
    *ret_layers = (struct config_layers){
        .broker = layer_of(config_image_of_broker(configs, server)),
        .cluster = layer_of(configs_image_find(configs, CONFIG_RESOURCE_BROKER, STR_EMPTY)),
        .file = {.get = get_from_file, .ctx = &server->properties},
        .file_values = server->values,
    };
    if (type != CONFIG_RESOURCE_BROKER)
        ret_layers->own = layer_of(configs_image_find(configs, (int8_t)type, name));
}
