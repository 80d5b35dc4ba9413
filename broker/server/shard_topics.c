#define LOG_MODULE "shard"

#include "broker/server/shard_topics.h"

#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "metadata/image.h"

#include <errno.h>

#define SAY_AGAIN_MS 10000

bool topic_is_internal(struct str name)
{
    return str_eq(name, STR("__consumer_offsets")) || str_eq(name, STR("__transaction_state")) ||
           str_eq(name, STR("__share_group_state"));
}

static bool describe(const struct topic_image *topic, struct topic_ref *ret_topic)
{
    if (topic == NULL)
        return false;
    *ret_topic = (struct topic_ref){.name = topic_name(topic),
                                    .id = topic->id,
                                    .partition_count = (int32_t)topic->partitions.count};
    return true;
}

bool shard_topic_by_name(const struct shard *shard, struct str name, struct topic_ref *ret_topic)
{
    return describe(topics_image_find(&shard->image->topics, name), ret_topic);
}

bool shard_topic_by_id(const struct shard *shard, struct uuid id, struct topic_ref *ret_topic)
{
    return describe(topics_image_find_id(&shard->image->topics, id), ret_topic);
}

struct partition_elsewhere shard_elsewhere(const struct shard *shard, struct uuid topic_id,
                                           int32_t partition)
{
    struct partition_elsewhere elsewhere = {KAFKA_ERROR_UNKNOWN_TOPIC_ID, -1, -1};
    const struct topic_image *topic = topics_image_find_id(&shard->image->topics, topic_id);
    if (topic == NULL)
        return elsewhere;
    const struct partition_image *p = topic_image_partition(topic, partition);
    elsewhere.error =
        p ? KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER : KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (p != NULL) {
        elsewhere.leader_id = p->leader;
        elsewhere.leader_epoch = p->leader_epoch;
    }
    return elsewhere;
}

enum kafka_error shard_unreadable(struct shard *shard, const struct partition *p, int64_t offset,
                                  int status)
{
    int64_t now_ms = env_now_ms(shard->loop->env);
    if (now_ms >= shard->unreadable_due_ms) {
        shard->unreadable_due_ms = now_ms + SAY_AGAIN_MS;
        log_error(shard->loop->env->logger,
                  "%.*s-%d cannot be read at offset=%lld (%s): its segment is damaged. Where other "
                  "replicas are in sync, stop this broker, move the directory of the partition "
                  "away and start it: it is fetched anew",
                  STR_FMT(partition_topic(p)), partition_index(p), (long long)offset,
                  status == -EBADMSG ? "no batch is there" : strerror(-status));
    }
    return status == -EBADMSG ? KAFKA_ERROR_CORRUPT_MESSAGE : KAFKA_ERROR_KAFKA_STORAGE_ERROR;
}

const struct topic_settings *shard_topic_settings(struct shard *shard,
                                                  const struct topic_ref *topic)
{
    struct topic_settings *settings = map_get(&shard->topic_settings, map_key_uuid(topic->id));
    if (settings == NULL) {
        settings = mem_alloc(sizeof(*settings));
        topic_settings_resolve(node_config(shard->node), shard->image, topic->name, settings);
        map_put(&shard->topic_settings, map_key_uuid(topic->id), settings);
    }
    return settings;
}
