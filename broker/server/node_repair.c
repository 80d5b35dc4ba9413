#include "broker/server/node_repair.h"

#define LOG_MODULE "node"

#include "broker/server/metadata_loop.h"
#include "broker/server/node_formation.h"
#include "broker/server/node_internal.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "metadata/config/server_config.h"
#include "raft/cluster_lookup.h"
#include "raft/quorum_aside.h"

#include <stdlib.h>

/* Election timeouts until nobody is expected to lead any more: the others may be starting too. */
#define PATIENCE 30

struct node_repair {
    struct node *node;
    struct cluster_lookup *lookup;
    struct timer timer;
};

static struct logger *logger_of(const struct node *node)
{
    return node->env->logger;
}

static void on_led(void *ctx, struct str cluster_id)
{
    struct node_repair *repair = ctx;
    timer_stop(&repair->timer);
    log_warn(logger_of(repair->node),
             "The quorum goes on without this disk: setting its metadata log aside, to join again "
             "with a new directory id");
    repair->node->aside_wanted = true;
    node_fatal(repair->node);
}

static void out_of_patience(struct timer *timer)
{
    struct node_repair *repair = CONTAINER_OF(timer, struct node_repair, timer);
    log_at(logger_of(repair->node), LOG_FATAL,
           "No other controller knows a leader, so this disk may be needed as it is, and nothing "
           "in it was changed. Start the other controllers, then this one again. If the metadata "
           "of a majority is damaged or lost: bring the directories back from a copy; "
           "kafka-dump-log and kafka-metadata-shell read what is left in %s",
           repair->node->disk.metadata_path);
    metadata_loop_give_up(repair->node->metadata);
}

bool node_repair_start(struct node *node, const char *sentence)
{
    const struct server_config *config = node->config;
    struct endpoint listed[FORMATION_LISTED_MAX];
    int self_index, count = node_formation_list(config, listed, &self_index);
    if (!config->is_controller || config->is_alone || node->state != NODE_STARTING || count == 0)
        return false;
    struct cluster_lookup_config lookup = {
        .loop = node->env->loops[0],
        .controllers = listed,
        .count = (size_t)count,
        .timeout_ms =
            (int)server_config_integer(config, CONFIG_BROKER_CONTROLLER_QUORUM_REQUEST_TIMEOUT_MS),
        .backoff_ms =
            server_config_integer(config, CONFIG_BROKER_CONTROLLER_QUORUM_RETRY_BACKOFF_MS),
        .led_cluster_id = node->disk.cluster_id,
        .node_id = config->node_id,
        .found = on_led,
    };
    struct node_repair *repair = mem_calloc(1, sizeof(*repair));
    lookup.ctx = repair;
    repair->node = node;
    node->repair = repair;
    log_error(logger_of(node), "%s", sentence);
    log_info(logger_of(node),
             "Asking the other controllers whether the quorum goes on without this disk");
    repair->lookup = cluster_lookup_new(&lookup);
    timer_init(&repair->timer, node->env->loops[0], out_of_patience);
    timer_start_in_ms(&repair->timer,
                      PATIENCE * server_config_integer(
                                     config, CONFIG_BROKER_CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS));
    return true;
}

int node_repair_disk(struct node *node)
{
    char *path = str_dup_z(node->config->metadata_log_dir), *stray;
    int rv = quorum_aside(node->env, path, &stray);
    if (rv == 0)
        log_warn(logger_of(node), "The damaged metadata log is kept as %s", stray);
    else
        log_error(logger_of(node), "The damaged metadata log in %s cannot be set aside: %s", path,
                  strerror(-rv));
    if (rv == 0)
        free(stray);
    free(path);
    return rv;
}

void node_repair_stop(struct node *node, void (*stopped)(void *ctx), void *ctx)
{
    if (!node->repair) {
        stopped(ctx);
        return;
    }
    timer_stop(&node->repair->timer);
    cluster_lookup_stop(node->repair->lookup, stopped, ctx);
}

void node_repair_free(struct node *node)
{
    if (!node->repair)
        return;
    cluster_lookup_free(node->repair->lookup);
    free(node->repair);
    node->repair = NULL;
}
