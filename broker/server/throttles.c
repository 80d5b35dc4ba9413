#include "broker/server/throttles.h"

#include "common/base/check.h"
#include "metadata/config/server_config.h"
#include "metadata/config_image_layers.h"
#include "metadata/image.h"

#include <stdio.h>

static void init_moves(struct replication_quota *quota, const struct server_config *config)
{
    replication_quota_init(
        quota,
        server_config_integer(config, CONFIG_BROKER_ALTER_LOG_DIRS_REPLICATION_QUOTA_WINDOW_NUM),
        1000 * server_config_integer(
                   config, CONFIG_BROKER_ALTER_LOG_DIRS_REPLICATION_QUOTA_WINDOW_SIZE_SECONDS));
}

void throttles_init(struct throttles *throttles, const struct server_config *config)
{
    int64_t samples = server_config_integer(config, CONFIG_BROKER_REPLICATION_QUOTA_WINDOW_NUM);
    int64_t sample_ms =
        1000 * server_config_integer(config, CONFIG_BROKER_REPLICATION_QUOTA_WINDOW_SIZE_SECONDS);
    replication_quota_init(&throttles->leader, samples, sample_ms);
    replication_quota_init(&throttles->follower, samples, sample_ms);
    init_moves(&throttles->moves, config);
}

void throttles_update(struct throttles *throttles, const struct server_config *config,
                      const struct image *image)
{
    char id[16];
    struct config_layers layers;
    snprintf(id, sizeof(id), "%d", config->node_id);
    config_image_layers(&image->configs, config, CONFIG_RESOURCE_BROKER, str_of(id), &layers);
    replication_quota_set(
        &throttles->leader,
        config_layers_integer(&layers, CONFIG_BROKER_LEADER_REPLICATION_THROTTLED_RATE));
    replication_quota_set(
        &throttles->follower,
        config_layers_integer(&layers, CONFIG_BROKER_FOLLOWER_REPLICATION_THROTTLED_RATE));
    replication_quota_set(
        &throttles->moves,
        config_layers_integer(&layers,
                              CONFIG_BROKER_REPLICA_ALTER_LOG_DIRS_IO_MAX_BYTES_PER_SECOND));
}

static bool names(const struct config_image *config, enum config_id key, int32_t partition,
                  int32_t broker)
{
    struct str list = config_image_get(config, config_defs[key].name);
    char wanted[32];
    snprintf(wanted, sizeof(wanted), "%d:%d", partition, broker);
    struct str one;
    bool more = list.len > 0;
    while (more) {
        more = str_split(&list, ',', &one);
        one = str_trim(one);
        if (str_eq_z(one, "*") || str_eq_z(one, wanted))
            return true;
    }
    return false;
}

struct throttled throttled_of(const struct image *image, struct str topic, int32_t partition,
                              int32_t broker)
{
    const struct config_image *config =
        configs_image_find(&image->configs, CONFIG_RESOURCE_TOPIC, topic);
    if (config == NULL)
        return (struct throttled){false, false};
    return (struct throttled){
        names(config, CONFIG_TOPIC_LEADER_REPLICATION_THROTTLED_REPLICAS, partition, broker),
        names(config, CONFIG_TOPIC_FOLLOWER_REPLICATION_THROTTLED_REPLICAS, partition, broker),
    };
}
