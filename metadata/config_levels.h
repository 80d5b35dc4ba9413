/*
 * What holds where a configuration key can be set in several places (KIP-226, KIP-524), strongest
 * first:
 *
 *   the topic's (group's, client metrics subscription's) own configuration
 *   the dynamic configuration of this broker
 *   the dynamic configuration of all brokers
 *   server.properties
 *   the default
 *
 * The three in the middle say it under broker keys: a topic or group key has synonyms
 * (config_def.h) of which the first that any of them sets counts, whatever the level:
 * log.retention.ms in server.properties beats log.retention.hours set dynamically.
 *
 * Pure; any thread that holds the image.
 */
#ifndef KRAFTD_METADATA_CONFIG_LEVELS_H
#define KRAFTD_METADATA_CONFIG_LEVELS_H

#include "metadata/config/server_config.h"
#include "metadata/configs_image.h"

/* As DescribeConfigs and CreateTopics send it. */
enum config_source {
    CONFIG_SOURCE_UNKNOWN = 0,
    CONFIG_SOURCE_TOPIC = 1,
    CONFIG_SOURCE_DYNAMIC_BROKER = 2,
    CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER = 3,
    CONFIG_SOURCE_STATIC_BROKER = 4,
    CONFIG_SOURCE_DEFAULT = 5,
    CONFIG_SOURCE_BROKER_LOGGER = 6,
    CONFIG_SOURCE_CLIENT_METRICS = 7,
    CONFIG_SOURCE_GROUP = 8,
};

struct config_levels {
    const struct config_image *own;     /* NULL: nothing is set; never for a broker */
    const struct config_image *broker;  /* of this broker; NULL: nothing */
    const struct config_image *cluster; /* of all brokers; NULL: nothing */
    const struct server_config *server;
};

/* Nothing of its own: a broker, as it is now. */
void config_levels_init(struct config_levels *levels, const struct configs_image *configs,
                        const struct server_config *server);

/*
 * The value of a broker, topic or group key. Null where the default is, or where the default of a
 * required key would be. A dynamic value that cannot be read (an older log, another program) counts
 * as not set. Texts and lists lie in the arena or in what the levels point to.
 */
struct config_value config_levels_value(const struct config_levels *levels, enum config_id id,
                                        struct arena *arena);

/* For keys that are never null. */
int64_t config_levels_integer(const struct config_levels *levels, enum config_id id,
                              struct arena *arena);
bool config_levels_boolean(const struct config_levels *levels, enum config_id id,
                           struct arena *arena);

/* What one level says for a broker key, as it stands there; null when it says nothing. The default
 * of a key that has none is null. */
struct str config_levels_text(const struct config_levels *levels, enum config_source source,
                              struct str broker_key, struct arena *arena);

#endif
