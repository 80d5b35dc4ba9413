/*
 * What a topic's configs come to, as the controller sees them (KIP-226): the topic's own, else the
 * dynamic config of this node, else the dynamic cluster default, else server.properties, else the
 * default; the last four under the broker key that is the topic key's synonym. Pure.
 */
#ifndef KRAFTD_METADATA_EFFECTIVE_CONFIGS_H
#define KRAFTD_METADATA_EFFECTIVE_CONFIGS_H

#include "metadata/config/config_value.h"
#include "metadata/controller/controller.h"

/* Of DescribeConfigs and CreateTopics. */
enum config_source {
    CONFIG_SOURCE_UNKNOWN = 0,
    CONFIG_SOURCE_TOPIC = 1,
    CONFIG_SOURCE_DYNAMIC_BROKER = 2,
    CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER = 3,
    CONFIG_SOURCE_STATIC_BROKER = 4,
    CONFIG_SOURCE_DEFAULT = 5,
};

struct effective_config {
    const struct config_def *def;
    struct str value; /* null where the default is */
    enum config_source source;
};

/* `own` is what the topic itself says, null when it does not. */
struct effective_config effective_topic_config(const struct controller *controller,
                                               enum config_id id, struct str own,
                                               struct arena *arena);
/* Of a topic in the image; a value that cannot be read counts as the default. */
int64_t effective_topic_number(const struct controller *controller, struct str topic,
                               enum config_id id);
bool effective_topic_bool(const struct controller *controller, struct str topic, enum config_id id);
/* A broker key of this node, through the same levels. */
int64_t effective_broker_number(const struct controller *controller, enum config_id id);

#endif
