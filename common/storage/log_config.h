/*
 * What a log takes from its topic's configuration (Kafka's defaults). A plain value; a log keeps
 * its own copy, replaced by log_set_config.
 */
#ifndef KRAFTD_STORAGE_LOG_CONFIG_H
#define KRAFTD_STORAGE_LOG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

struct log_config {
    int32_t segment_bytes;        /* segment.bytes */
    int32_t segment_index_bytes;  /* segment.index.bytes */
    int32_t index_interval_bytes; /* index.interval.bytes */
    int32_t max_message_bytes;    /* max.message.bytes; for LOG_APPEND_CLIENT only */
    int64_t segment_ms;           /* segment.ms */
    int64_t segment_jitter_ms;    /* segment.jitter.ms */
    int64_t retention_bytes;      /* retention.bytes; -1: no limit */
    int64_t retention_ms;         /* retention.ms; -1: no limit */
    int64_t file_delete_delay_ms; /* file.delete.delay.ms */
    int64_t flush_messages;       /* flush.messages */
    int64_t flush_ms;             /* flush.ms */
    int32_t producer_id_expiration_ms;
    bool delete_policy;   /* cleanup.policy has delete */
    bool compact_policy;  /* cleanup.policy has compact */
    bool preallocate;     /* preallocate */
    bool log_append_time; /* message.timestamp.type=LogAppendTime */
};

#define LOG_CONFIG_DEFAULT                                                                         \
    ((struct log_config){                                                                          \
        .segment_bytes = 1 << 30,                                                                  \
        .segment_index_bytes = 10 << 20,                                                           \
        .index_interval_bytes = 4096,                                                              \
        .max_message_bytes = 1048588,                                                              \
        .segment_ms = 604800000,                                                                   \
        .retention_bytes = -1,                                                                     \
        .retention_ms = 604800000,                                                                 \
        .file_delete_delay_ms = 60000,                                                             \
        .flush_messages = INT64_MAX,                                                               \
        .flush_ms = INT64_MAX,                                                                     \
        .producer_id_expiration_ms = 86400000,                                                     \
        .delete_policy = true,                                                                     \
    })

#endif
