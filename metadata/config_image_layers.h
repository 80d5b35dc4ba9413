/*
 * The layers of config_layers.h over an image and this node's server.properties. They hold as long
 * as both do. Any thread that holds the image.
 */
#ifndef KRAFTD_METADATA_CONFIG_IMAGE_LAYERS_H
#define KRAFTD_METADATA_CONFIG_IMAGE_LAYERS_H

#include "metadata/config/config_layers.h"
#include "metadata/config/server_config.h"
#include "metadata/configs_image.h"

/* Of a topic, a group or a client metrics subscription; of this broker where the type is
 * CONFIG_RESOURCE_BROKER, whatever the name. */
void config_image_layers(const struct configs_image *configs, const struct server_config *server,
                         enum config_resource_type type, struct str name,
                         struct config_layers *ret_layers);
/* What is set dynamically for this broker; NULL when nothing is. */
const struct config_image *config_image_of_broker(const struct configs_image *configs,
                                                  const struct server_config *server);

#endif
