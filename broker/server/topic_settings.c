/*
 * A topic's configuration in the form that the data path uses. 10,000 partitions resolve theirs
 * when a node starts: where nothing is set dynamically it costs a few look-ups and no memory.
 */
#include "broker/server/shard_topics.h"
#include "common/base/check.h"
#include "common/protocol/compression.h"
#include "common/protocol/record_validate.h"
#include "metadata/config_levels.h"
#include "metadata/image.h"

struct resolver {
    struct config_levels levels;
    struct arena arena; /* holds nothing unless a dynamic value is a text */
};

static int64_t integer(struct resolver *r, enum config_id id)
{
    return config_levels_integer(&r->levels, id, &r->arena);
}

static bool list_has(struct resolver *r, enum config_id id, struct str item)
{
    struct config_value value = config_levels_value(&r->levels, id, &r->arena);
    return config_value_list_has(&value, item);
}

static struct str text(struct resolver *r, enum config_id id)
{
    struct config_value value = config_levels_value(&r->levels, id, &r->arena);
    CHECK(value.type == CONFIG_TYPE_STRING);
    return value.text;
}

static int32_t segment_bytes(struct resolver *r)
{
    /* A way for tests to have smaller segments than the key allows. */
    struct config_value value =
        config_levels_value(&r->levels, CONFIG_TOPIC_INTERNAL_SEGMENT_BYTES, &r->arena);
    if (value.type == CONFIG_TYPE_INT && value.integer > 0)
        return (int32_t)value.integer;
    return (int32_t)integer(r, CONFIG_TOPIC_SEGMENT_BYTES);
}

static struct log_config log_of(struct resolver *r)
{
    return (struct log_config){
        .segment_bytes = segment_bytes(r),
        .segment_index_bytes = (int32_t)integer(r, CONFIG_TOPIC_SEGMENT_INDEX_BYTES),
        .index_interval_bytes = (int32_t)integer(r, CONFIG_TOPIC_INDEX_INTERVAL_BYTES),
        .max_message_bytes = (int32_t)integer(r, CONFIG_TOPIC_MAX_MESSAGE_BYTES),
        .segment_ms = integer(r, CONFIG_TOPIC_SEGMENT_MS),
        .segment_jitter_ms = integer(r, CONFIG_TOPIC_SEGMENT_JITTER_MS),
        /* Any negative number is no limit. */
        .retention_bytes = MAX(integer(r, CONFIG_TOPIC_RETENTION_BYTES), -1),
        .retention_ms = MAX(integer(r, CONFIG_TOPIC_RETENTION_MS), -1),
        .file_delete_delay_ms = integer(r, CONFIG_TOPIC_FILE_DELETE_DELAY_MS),
        .flush_messages = integer(r, CONFIG_TOPIC_FLUSH_MESSAGES),
        .flush_ms = integer(r, CONFIG_TOPIC_FLUSH_MS),
        .producer_id_expiration_ms = (int32_t)integer(r, CONFIG_BROKER_PRODUCER_ID_EXPIRATION_MS),
        .delete_policy = list_has(r, CONFIG_TOPIC_CLEANUP_POLICY, STR("delete")),
        .compact_policy = list_has(r, CONFIG_TOPIC_CLEANUP_POLICY, STR("compact")),
        .preallocate = config_levels_boolean(&r->levels, CONFIG_TOPIC_PREALLOCATE, &r->arena),
        .log_append_time =
            str_eq(text(r, CONFIG_TOPIC_MESSAGE_TIMESTAMP_TYPE), STR("LogAppendTime")),
    };
}

static void set_compression(struct resolver *r, struct topic_settings *settings)
{
    static const struct {
        const char *name;
        int codec;
        enum config_id level; /* CONFIG_COUNT: it has none */
    } codecs[] = {
        {"producer", RECORD_CODEC_PRODUCER, CONFIG_COUNT},
        {"uncompressed", COMPRESSION_NONE, CONFIG_COUNT},
        {"gzip", COMPRESSION_GZIP, CONFIG_TOPIC_COMPRESSION_GZIP_LEVEL},
        {"snappy", COMPRESSION_SNAPPY, CONFIG_COUNT},
        {"lz4", COMPRESSION_LZ4, CONFIG_TOPIC_COMPRESSION_LZ4_LEVEL},
        {"zstd", COMPRESSION_ZSTD, CONFIG_TOPIC_COMPRESSION_ZSTD_LEVEL},
    };
    struct str name = text(r, CONFIG_TOPIC_COMPRESSION_TYPE);
    for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
        if (!str_eq_z(name, codecs[i].name))
            continue;
        settings->codec = codecs[i].codec;
        settings->compression_level =
            codecs[i].level == CONFIG_COUNT ? 0 : (int)integer(r, codecs[i].level);
        return;
    }
    UNREACHABLE(); /* the key takes no other value */
}

void topic_settings_resolve(const struct server_config *config, const struct image *image,
                            struct str topic, struct topic_settings *ret_settings)
{
    struct resolver r;
    config_levels_init(&r.levels, &image->configs, config);
    r.levels.own = configs_image_find(&image->configs, CONFIG_RESOURCE_TOPIC, topic);
    arena_init(&r.arena, 0);
    struct topic_settings settings = {
        .log = log_of(&r),
        .timestamp_before_max_ms = integer(&r, CONFIG_TOPIC_MESSAGE_TIMESTAMP_BEFORE_MAX_MS),
        .timestamp_after_max_ms = integer(&r, CONFIG_TOPIC_MESSAGE_TIMESTAMP_AFTER_MAX_MS),
        .min_insync_replicas = (int32_t)integer(&r, CONFIG_TOPIC_MIN_INSYNC_REPLICAS),
        .max_decompressed_bytes = (int32_t)integer(&r, CONFIG_TOPIC_MAX_DECOMPRESSED_MESSAGE_BYTES),
    };
    set_compression(&r, &settings);
    arena_release(&r.arena);
    *ret_settings = settings;
}
