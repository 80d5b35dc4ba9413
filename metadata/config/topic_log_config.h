/*
 * What a topic's configuration comes to for its logs. Pure.
 */
#ifndef KRAFTD_METADATA_TOPIC_LOG_CONFIG_H
#define KRAFTD_METADATA_TOPIC_LOG_CONFIG_H

#include "common/storage/log_config.h"
#include "metadata/config/config_layers.h"

/* `layers->own` is the topic's. */
struct log_config topic_log_config(const struct config_layers *layers);

#endif
