#include "metadata/config/topic_log_config.h"

#include "common/base/check.h"

static int64_t integer(const struct config_layers *layers, enum config_id id)
{
    return config_layers_integer(layers, id);
}

struct log_config topic_log_config(const struct config_layers *layers)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct config_value segment =
        config_layers_get(layers, CONFIG_TOPIC_INTERNAL_SEGMENT_BYTES, &arena);
    if (segment.type == CONFIG_TYPE_UNKNOWN)
        segment = config_layers_get(layers, CONFIG_TOPIC_SEGMENT_BYTES, &arena);
    struct config_value policy = config_layers_get(layers, CONFIG_TOPIC_CLEANUP_POLICY, &arena);
    struct config_value time =
        config_layers_get(layers, CONFIG_TOPIC_MESSAGE_TIMESTAMP_TYPE, &arena);
    struct log_config config = {
        .segment_bytes = (int32_t)segment.integer,
        .segment_index_bytes = (int32_t)integer(layers, CONFIG_TOPIC_SEGMENT_INDEX_BYTES),
        .index_interval_bytes = (int32_t)integer(layers, CONFIG_TOPIC_INDEX_INTERVAL_BYTES),
        .max_message_bytes = (int32_t)integer(layers, CONFIG_TOPIC_MAX_MESSAGE_BYTES),
        .segment_ms = integer(layers, CONFIG_TOPIC_SEGMENT_MS),
        .segment_jitter_ms = integer(layers, CONFIG_TOPIC_SEGMENT_JITTER_MS),
        /* Any negative number is no limit. */
        .retention_bytes = MAX(integer(layers, CONFIG_TOPIC_RETENTION_BYTES), -1),
        .retention_ms = MAX(integer(layers, CONFIG_TOPIC_RETENTION_MS), -1),
        .file_delete_delay_ms = integer(layers, CONFIG_TOPIC_FILE_DELETE_DELAY_MS),
        .flush_messages = integer(layers, CONFIG_TOPIC_FLUSH_MESSAGES),
        .flush_ms = integer(layers, CONFIG_TOPIC_FLUSH_MS),
        .producer_id_expiration_ms =
            (int32_t)integer(layers, CONFIG_BROKER_PRODUCER_ID_EXPIRATION_MS),
        .delete_policy = config_value_list_has(&policy, STR("delete")),
        .compact_policy = config_value_list_has(&policy, STR("compact")),
        .preallocate = config_layers_boolean(layers, CONFIG_TOPIC_PREALLOCATE),
        .log_append_time = str_eq_z(time.text, "LogAppendTime"),
    };
    arena_release(&arena);
    return config;
}
