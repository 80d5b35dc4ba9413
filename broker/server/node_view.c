#include "broker/server/broker_lifecycle.h"
#include "broker/server/broker_watch.h"
#include "broker/server/controller_channel.h"
#include "broker/server/controller_lifecycle.h"
#include "broker/server/listeners.h"
#include "broker/server/metadata_loop.h"
#include "broker/server/node_internal.h"
#include "broker/server/node_quorum.h"
#include "metadata/config/server_config.h"
#include "raft/quorum_node.h"

#include <stdlib.h>

int32_t node_id(const struct node *node)
{
    return node->config->node_id;
}

const struct server_config *node_config(const struct node *node)
{
    return node->config;
}

struct env *node_env(const struct node *node)
{
    return node->env;
}

struct broker_metrics *node_metrics(const struct node *node)
{
    return node->metrics;
}

struct str node_cluster_id(const struct node *node)
{
    return str_of(node->disk.cluster_id);
}

int16_t node_kraft_version(const struct node *node)
{
    return 1;
}

int node_broker_state(const struct node *node)
{
    return node->lifecycle == NULL ? BROKER_STARTING : (int)broker_lifecycle_state(node->lifecycle);
}

uint16_t node_listener_port(const struct node *node, struct str listener)
{
    return node->listeners ? listeners_port(node->listeners, listener) : 0;
}

int32_t node_directory_ids(const struct node *node, struct uuid *ret_ids)
{
    int32_t count = 0;
    for (size_t i = 0; i < log_manager_dir_count(node->disk.logs); i++)
        if (log_manager_dir_status(node->disk.logs, i) == 0)
            ret_ids[count++] = log_manager_dir(node->disk.logs, i)->meta.directory_id;
    return count;
}

int32_t node_cordoned_ids(const struct node *node, struct uuid *ret_ids)
{
    int32_t count = 0;
    for (size_t i = 0; i < log_manager_dir_count(node->disk.logs); i++) {
        const struct log_dir *dir = log_manager_dir(node->disk.logs, i);
        if (dir->has_meta && log_manager_dir_cordoned(node->disk.logs, i))
            ret_ids[count++] = dir->meta.directory_id;
    }
    return count;
}

int64_t node_previous_broker_epoch(const struct node *node)
{
    int64_t epoch = -1;
    for (size_t i = 0; i < log_manager_dir_count(node->disk.logs); i++) {
        const struct log_dir *dir = log_manager_dir(node->disk.logs, i);
        if (log_manager_dir_status(node->disk.logs, i) != 0)
            continue;
        if (dir->broker_epoch < 0)
            return -1; /* one disk that was not closed in order makes it an unclean stop */
        epoch = dir->broker_epoch;
    }
    return epoch;
}

struct uuid node_incarnation_id(const struct node *node)
{
    return node->incarnation_id;
}

int64_t node_broker_epoch(const struct node *node)
{
    return node->lifecycle ? broker_lifecycle_epoch(node->lifecycle) : -1;
}

bool node_out_of_touch(const struct node *node)
{
    return node->lifecycle && broker_lifecycle_out_of_touch(node->lifecycle);
}

struct isr_changes *node_isr_changes(const struct node *node)
{
    return node->isr_changes;
}

struct directory_assignments *node_directory_assignments(const struct node *node)
{
    return node->directory_assignments;
}

struct throttles *node_throttles(struct node *node)
{
    return &node->throttles;
}

struct metadata_loop *node_metadata_loop(const struct node *node)
{
    return node->metadata;
}

void node_image_published(struct node *node)
{
    if (node->controller_lifecycle != NULL)
        controller_lifecycle_image(node->controller_lifecycle);
    if (node->lifecycle != NULL)
        broker_lifecycle_image(node->lifecycle);
}

struct broker_watch *node_broker_watch(const struct node *node)
{
    return node->watch;
}

struct controller_channel *node_controller_channel(const struct node *node)
{
    return node->channel;
}

struct shard *node_shard(const struct node *node, int index)
{
    return &node->shards[index];
}

bool node_is_ready(const struct node *node)
{
    return atomic_load(&((struct node *)(uintptr_t)node)->ready);
}

struct log_manager *node_log_manager(const struct node *node)
{
    return node->disk.logs;
}

void node_on_fatal(struct node *node, void (*fatal)(void *ctx), void *ctx)
{
    node->fatal = fatal;
    node->fatal_ctx = ctx;
}

bool node_wants_restart(const struct node *node)
{
    return (node->reset_wanted || node->aside_wanted) && node->state == NODE_STOPPED &&
           node->work_status == 0;
}

void node_controller_changed(struct node *node)
{
    node_quorum_leader_changed(node);
    controller_channel_leader_changed(node->channel);
    broker_watch_all(node->watch);
    if (node->lifecycle != NULL)
        broker_lifecycle_controller_found(node->lifecycle);
    node_check_ready(node);
}

void node_fatal(struct node *node)
{
    if (node->fatal != NULL)
        node->fatal(node->fatal_ctx);
}
