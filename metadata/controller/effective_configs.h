/*
 * What configs come to, as the controller sees them: the layers of config_layers.h, taken from the
 * image and from server.properties. Pure.
 */
#ifndef KRAFTD_METADATA_EFFECTIVE_CONFIGS_H
#define KRAFTD_METADATA_EFFECTIVE_CONFIGS_H

#include "metadata/config/config_layers.h"
#include "metadata/controller/controller.h"

/* Without a resource of its own: what this node, the cluster and server.properties say. Valid as
 * long as the image is. */
struct config_layers effective_layers(const struct controller *controller);

/* Of a topic in the image. */
int64_t effective_topic_number(const struct controller *controller, struct str topic,
                               enum config_id id);
bool effective_topic_bool(const struct controller *controller, struct str topic, enum config_id id);
/* A broker key of this node. */
int64_t effective_broker_number(const struct controller *controller, enum config_id id);

#endif
