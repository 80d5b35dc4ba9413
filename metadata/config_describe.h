/*
 * What DescribeConfigs says of one resource (KIP-133, KIP-226, KIP-524, KIP-569): its keys with
 * value, source, type, and under `synonyms` every place where the value could come from, strongest
 * first. Passwords and keys that nobody knows are sensitive: their values are null.
 *
 * As in Kafka the source of a key is that of its first synonym, and a synonym under another name
 * (log.retention.hours for log.retention.ms) counts only behind one under the key's own name.
 *
 * Entries come in order of names. They live in the arena, in the levels and in the request. Pure;
 * any thread that holds the image.
 */
#ifndef KRAFTD_METADATA_CONFIG_DESCRIBE_H
#define KRAFTD_METADATA_CONFIG_DESCRIBE_H

#include "common/protocol/messages/describe_configs.h"
#include "metadata/config_levels.h"

struct config_describe_options {
    const struct str *keys; /* only these */
    int32_t keys_count;     /* 0 or less: all */
    bool synonyms, documentation;
};

/* Each sets configs and configs_count of the result. */
void config_describe_topic(const struct config_levels *levels,
                           const struct config_describe_options *options, struct arena *arena,
                           struct describe_configs_response_describe_configs_result *result);
void config_describe_group(const struct config_levels *levels,
                           const struct config_describe_options *options, struct arena *arena,
                           struct describe_configs_response_describe_configs_result *result);
void config_describe_client_metrics(
    const struct config_levels *levels, const struct config_describe_options *options,
    struct arena *arena, struct describe_configs_response_describe_configs_result *result);
/* All keys of the broker, and whatever else stands in server.properties or was set dynamically. */
void config_describe_broker(const struct config_levels *levels,
                            const struct config_describe_options *options, struct arena *arena,
                            struct describe_configs_response_describe_configs_result *result);
/* What is set for all brokers, nothing else. */
void config_describe_cluster(const struct config_levels *levels,
                             const struct config_describe_options *options, struct arena *arena,
                             struct describe_configs_response_describe_configs_result *result);

#endif
