/*
 * Topics as a loop sees them now: look-ups in its view of the metadata, what to answer where one
 * leads nowhere, and the settings of a topic in the form that the data path uses. Results are
 * values, or borrowed until the next task of the loop.
 */
#ifndef KRAFTD_BROKER_SERVER_SHARD_TOPICS_H
#define KRAFTD_BROKER_SERVER_SHARD_TOPICS_H

#include "common/base/str.h"
#include "common/base/uuid.h"
#include "common/protocol/kafka_error.h"
#include "common/storage/log_config.h"

struct image;
struct node;
struct partition;
struct server_config;
struct shard;

struct topic_ref {
    struct str name; /* borrowed */
    struct uuid id;
    int32_t partition_count;
};

/* What Produce checks records against (Kafka's topic configuration, with the broker's defaults). */
struct topic_settings {
    struct log_config log;
    int codec; /* compression.type; RECORD_CODEC_PRODUCER: as it came */
    int compression_level;
    int32_t max_decompressed_bytes; /* of one batch */
    int64_t timestamp_before_max_ms, timestamp_after_max_ms;
    int32_t min_insync_replicas;
};

/* What holds for the topic: its own configuration over the brokers' over the defaults. */
void topic_settings_resolve(const struct server_config *config, const struct image *image,
                            struct str topic, struct topic_settings *ret_settings);

bool shard_topic_by_name(const struct shard *shard, struct str name, struct topic_ref *ret_topic);
bool shard_topic_by_id(const struct shard *shard, struct uuid id, struct topic_ref *ret_topic);
const struct topic_settings *shard_topic_settings(struct shard *shard,
                                                  const struct topic_ref *topic);
/* What to say of a partition that is not on this broker: another one has it, or nobody. */
struct partition_elsewhere {
    enum kafka_error error;
    int32_t leader_id, leader_epoch; /* -1: not known */
};
struct partition_elsewhere shard_elsewhere(const struct shard *shard, struct uuid topic_id,
                                           int32_t partition);
/* What to answer when its log cannot be read: CORRUPT_MESSAGE where there is no batch (-EBADMSG),
 * else KAFKA_STORAGE_ERROR. Tells people, at most one in a while. */
enum kafka_error shard_unreadable(struct shard *shard, const struct partition *p, int64_t offset,
                                  int status);
/* __consumer_offsets, __transaction_state, __share_group_state: written by the broker only. */
bool topic_is_internal(struct str name);
int shard_count(const struct node *node);

#endif
