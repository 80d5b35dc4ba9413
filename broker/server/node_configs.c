/*
 * What the dynamic configuration of brokers comes to for the node as a whole.
 */
#define LOG_MODULE "node"

#include "broker/server/broker_lifecycle.h"
#include "broker/server/listeners.h"
#include "broker/server/node_internal.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "metadata/config/server_config_change.h"
#include "metadata/config_image_layers.h"
#include "metadata/image.h"

/* True when it is news. */
static bool cordon(struct node *node, const struct config_layers *layers)
{
    struct arena arena;
    struct str fault;
    bool news = false;
    arena_init(&arena, 0);
    int count = node->config->log_dirs_count;
    bool *cordoned = ARENA_ARRAY(&arena, bool, count);
    struct config_value list = config_layers_get(layers, CONFIG_BROKER_CORDONED_LOG_DIRS, &arena);
    if (server_config_cordoned(node->config, &list, &arena, cordoned, &fault) == 0) {
        for (int i = 0; i < count; i++) {
            news |= cordoned[i] != log_manager_dir_cordoned(node->disk.logs, (size_t)i);
            log_manager_cordon(node->disk.logs, (size_t)i, cordoned[i]);
        }
    } else {
        log_error(node->env->logger, "cordoned.log.dirs is left as it was: %.*s", STR_FMT(fault));
    }
    arena_release(&arena);
    return news;
}

static void set_workers(struct node *node, const struct config_layers *layers)
{
    struct env *env = node->env;
    int64_t per_dir =
        config_layers_integer(layers, CONFIG_BROKER_NUM_RECOVERY_THREADS_PER_DATA_DIR);
    int count = server_config_disk_workers(node->config, per_dir);
    int rv = env->ops->set_workers ? env->ops->set_workers(env, WORK_DISK, count) : 0;
    if (rv != 0)
        log_warn(env->logger,
                 "There are fewer threads than num.recovery.threads.per.data.dir asks for: %s",
                 strerror(-rv));
}

void node_configs_changed(struct node *node, const struct image *image)
{
    struct config_layers layers;
    config_image_layers(&image->configs, node->config, CONFIG_RESOURCE_BROKER, STR_EMPTY, &layers);
    throttles_update(&node->throttles, node->config, image);
    listeners_update(node->listeners, image);
    set_workers(node, &layers);
    if (cordon(node, &layers) && node->lifecycle != NULL)
        broker_lifecycle_dirs_cordoned(node->lifecycle);
}
