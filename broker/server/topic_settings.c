/*
 * A topic's configuration in the form that the data path uses. 10,000 partitions resolve theirs
 * when a node starts: where nothing is set dynamically it costs a few look-ups and no memory.
 */
#include "broker/server/shard_topics.h"
#include "common/base/check.h"
#include "common/protocol/compression.h"
#include "common/protocol/record_validate.h"
#include "metadata/config/topic_log_config.h"
#include "metadata/config_image_layers.h"
#include "metadata/image.h"

static void set_compression(const struct config_layers *layers, struct topic_settings *settings)
{
    /* "producer" is left: as it came. */
    static const struct {
        const char *name;
        int codec;
        enum config_id level; /* CONFIG_COUNT: it has none */
    } codecs[] = {
        {"uncompressed", COMPRESSION_NONE, CONFIG_COUNT},
        {"gzip", COMPRESSION_GZIP, CONFIG_TOPIC_COMPRESSION_GZIP_LEVEL},
        {"snappy", COMPRESSION_SNAPPY, CONFIG_COUNT},
        {"lz4", COMPRESSION_LZ4, CONFIG_TOPIC_COMPRESSION_LZ4_LEVEL},
        {"zstd", COMPRESSION_ZSTD, CONFIG_TOPIC_COMPRESSION_ZSTD_LEVEL},
    };
    struct arena arena;
    arena_init(&arena, 0);
    struct str name = config_layers_get(layers, CONFIG_TOPIC_COMPRESSION_TYPE, &arena).text;
    for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
        if (!str_eq_z(name, codecs[i].name))
            continue;
        settings->codec = codecs[i].codec;
        settings->compression_level = codecs[i].level == CONFIG_COUNT
                                          ? 0
                                          : (int)config_layers_integer(layers, codecs[i].level);
    }
    arena_release(&arena);
}

void topic_settings_resolve(const struct server_config *config, const struct image *image,
                            struct str topic, struct topic_settings *ret_settings)
{
    struct config_layers layers;
    config_image_layers(&image->configs, config, CONFIG_RESOURCE_TOPIC, topic, &layers);
    struct topic_settings settings = {
        .log = topic_log_config(&layers),
        .codec = RECORD_CODEC_PRODUCER,
        .timestamp_before_max_ms =
            config_layers_integer(&layers, CONFIG_TOPIC_MESSAGE_TIMESTAMP_BEFORE_MAX_MS),
        .timestamp_after_max_ms =
            config_layers_integer(&layers, CONFIG_TOPIC_MESSAGE_TIMESTAMP_AFTER_MAX_MS),
        .min_insync_replicas =
            (int32_t)config_layers_integer(&layers, CONFIG_TOPIC_MIN_INSYNC_REPLICAS),
        .max_decompressed_bytes =
            (int32_t)config_layers_integer(&layers, CONFIG_TOPIC_MAX_DECOMPRESSED_MESSAGE_BYTES),
    };
    set_compression(&layers, &settings);
    *ret_settings = settings;
}
