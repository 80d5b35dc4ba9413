/*
 * What DescribeConfigs answers for one resource (KIP-133, KIP-226, KIP-524): which keys it has, and
 * what config_layers.h says of each. Keys that nobody knows are listed where they are set, but
 * their values are secret: they may be passwords.
 *
 * Entries come in order of names. They lie in the arena, in the image, in server.properties and in
 * the request. Pure; any thread that holds the image.
 */
#ifndef KRAFTD_METADATA_CONFIG_ANSWER_H
#define KRAFTD_METADATA_CONFIG_ANSWER_H

#include "common/protocol/messages/describe_configs.h"
#include "metadata/config_image_layers.h"

struct config_answer_options {
    const struct str *keys; /* only these */
    int32_t keys_count;     /* 0 or less: all */
    bool synonyms, documentation;
};

/* A topic, a group or a client metrics subscription; that there is one was looked at before. This
 * broker, by whatever name, or for the empty name what is set for all brokers. Sets configs and
 * configs_count of the result. */
void config_answer(const struct configs_image *configs, const struct server_config *server,
                   enum config_resource_type type, struct str name,
                   const struct config_answer_options *options, struct arena *arena,
                   struct describe_configs_response_describe_configs_result *result);

#endif
