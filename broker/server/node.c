#include "broker/server/node.h"

#define LOG_MODULE "node"

#include "broker/server/broker_lifecycle.h"
#include "broker/server/broker_metrics.h"
#include "broker/server/broker_watch.h"
#include "broker/server/controller_channel.h"
#include "broker/server/controller_lifecycle.h"
#include "broker/server/directory_assignments.h"
#include "broker/server/isr_changes.h"
#include "broker/server/listeners.h"
#include "broker/server/log_metrics.h"
#include "broker/server/metadata_loop.h"
#include "broker/server/node_formation.h"
#include "broker/server/node_internal.h"
#include "broker/server/node_quorum.h"
#include "broker/server/node_repair.h"
#include "broker/server/request.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "metadata/config/server_config.h"

#include <errno.h>
#include <stdlib.h>

/* How long the controller may take to let this broker go, and to answer what is on its way to it
 * then. */
#define CONTROLLED_SHUTDOWN_MS 5000
#define LAST_CALLS_MS          2000

static void after_disk(struct work *work);
static void after_metadata(void *ctx, int status);

static struct logger *logger_of(const struct node *node)
{
    return node->env->logger;
}

struct node *node_new(struct env *env, const struct server_config *config)
{
    struct node *node = mem_calloc(1, sizeof(*node));
    node->env = env;
    node->config = config;
    node->state = NODE_NEW;
    node->metrics = broker_metrics_new(env->loop_count);
    node->incarnation_id = env_random_uuid(env);
    node_checkpoint_init(node);
    return node;
}

void node_free(struct node *node)
{
    if (node == NULL)
        return;
    listeners_free(node->listeners);
    broker_lifecycle_free(node->lifecycle);
    controller_lifecycle_free(node->controller_lifecycle);
    for (int i = 0; node->shards != NULL && i < node->env->loop_count; i++) {
        metadata_loop_remove_reader(node->metadata, &node->shards[i].reader);
        shard_release(&node->shards[i]);
        file_cache_release(node->shards[i].host.files);
        free(node->shards[i].host.files);
    }
    isr_changes_free(node->isr_changes);
    directory_assignments_free(node->directory_assignments);
    free(node->dirs_told);
    free(node->shards);
    free(node->shard_stops);
    controller_channel_free(node->channel);
    broker_watch_free(node->watch);
    node_formation_free(node);
    node_repair_free(node);
    node_quorum_free(node);
    metadata_loop_free(node->metadata);
    metrics_remove_collector(broker_metrics_registry(node->metrics), node->disk.logs);
    node_disk_release(&node->disk);
    broker_metrics_free(node->metrics);
    free(node);
}

static void disk_run(struct work *work)
{
    struct node *node = CONTAINER_OF(work, struct node, work);
    node->work_status = node_disk_open(node->env, node->config, &node->disk);
}

static void start_failed(struct node *node, int status)
{
    node->state = NODE_FAILED;
    void (*started)(void *, int) = node->started;
    node->started = NULL;
    if (started != NULL)
        started(node->started_ctx, status);
}

void node_start(struct node *node, void (*started)(void *ctx, int status), void *ctx)
{
    CHECK(node->state == NODE_NEW);
    node->state = NODE_STARTING;
    node->started = started;
    node->started_ctx = ctx;
    node->work = (struct work){.run = disk_run, .done = after_disk, .loop = node->env->loops[0]};
    work_submit(&node->work, WORK_DISK);
}

static void make_shards(struct node *node)
{
    node->metadata = metadata_loop_new(node);
    node->channel = controller_channel_new(node);
    node->isr_changes = isr_changes_new(node);
    throttles_init(&node->throttles, node->config);
    node->watch = broker_watch_new(node);
    node_note_dirs(node);
    node->directory_assignments = directory_assignments_new(node);
    node->opening_partitions = node->env->loop_count;
    node->shards = mem_calloc((size_t)node->env->loop_count, sizeof(struct shard));
    for (int i = 0; i < node->env->loop_count; i++) {
        struct shard *shard = &node->shards[i];
        node_fill_host(node, shard, node->env->loops[i]);
        shard_init(shard, node, node->env->loops[i],
                   metadata_loop_add_reader(node->metadata, &shard->reader));
    }
    node_configs_changed(node, node->shards[0].image);
}

/* The disks belong to a cluster: load the metadata. */
static void after_formation(struct node *node, int status)
{
    if (status != 0) {
        start_failed(node, status);
        return;
    }
    metrics_add_collector(broker_metrics_registry(node->metrics), log_metrics_collect,
                          node->disk.logs);
    if (node->disk.formed)
        log_info(logger_of(node), "Formed a new cluster%s cluster.id=%s",
                 node->disk.alone ? " of this one node" : "", node->disk.cluster_id);
    node_quorum_start(node, after_metadata, node);
}

/* The disks are ours: find the cluster. */
static void after_disk(struct work *work)
{
    struct node *node = CONTAINER_OF(work, struct node, work);
    if (node->stop_waits) {
        node->state = NODE_STOPPING;
        node_stop_continue(node);
        return;
    }
    if (node->work_status != 0) {
        log_at(logger_of(node), LOG_FATAL, "%s", node->disk.error);
        start_failed(node, node->work_status);
        return;
    }
    make_shards(node);
    node->listeners = listeners_new(node);
    int rv = listeners_open_controller(node->listeners);
    if (rv != 0)
        start_failed(node, rv);
    else
        node_formation_start(node, after_formation);
}

static bool partition_known(void *ctx, struct str topic, int32_t partition)
{
    const struct node *node = ctx;
    const struct topic_image *found = topics_image_find(&node->stray_image->topics, topic);
    const struct partition_image *p = found ? topic_image_partition(found, partition) : NULL;
    return p != NULL && node_list_contains(partition_replicas(p), node->config->node_id);
}

static void stray_renamed(void *ctx, const char *from, const char *to)
{
    log_warn(logger_of(ctx), "The metadata does not know the directory %s: it is kept as %s", from,
             to);
}

static void started_run(struct work *work)
{
    struct node *node = CONTAINER_OF(work, struct node, work);
    int rv = log_manager_set_aside_strays(node->disk.logs, partition_known,
                                          env_random_uuid(node->env), stray_renamed, node);
    if (rv != 0)
        log_warn(logger_of(node), "Directories of unknown partitions cannot be set aside: %s",
                 strerror(-rv));
    node->work_status = log_manager_started(node->disk.logs);
}

static void started_done(struct work *work)
{
    struct node *node = CONTAINER_OF(work, struct node, work);
    node->work_running = false;
    metadata_loop_remove_reader(node->metadata, &node->stray_reader);
    if (node->work_status != 0)
        log_warn(logger_of(node), "A log directory cannot be marked as started: %s",
                 strerror(-node->work_status));
    node_checkpoint_arm(node);
    if (node->stop_waits)
        node_stop_continue(node);
}

/* A broker: unfenced, and every partition that was there at the start is open. A controller alone:
 * somebody leads. */
static bool serves(const struct node *node)
{
    if (node->config->is_broker)
        return node->unfenced && node->opening_partitions == 0;
    return node->metadata_loaded && metadata_loop_leader_id(node->metadata) >= 0;
}

void node_check_ready(struct node *node)
{
    if (node->state != NODE_STARTING || !serves(node))
        return;
    node->state = NODE_RUNNING;
    atomic_store(&node->ready, true);
    log_info(logger_of(node), "Ready node.id=%d cluster.id=%s partitions=%lld",
             node->config->node_id, node->disk.cluster_id, (long long)node->partition_count);
    node->work_running = true;
    node->stray_image = metadata_loop_add_reader(node->metadata, &node->stray_reader);
    node->work =
        (struct work){.run = started_run, .done = started_done, .loop = node->env->loops[0]};
    work_submit(&node->work, WORK_DISK);
    void (*started)(void *, int) = node->started;
    node->started = NULL;
    if (started != NULL)
        started(node->started_ctx, 0);
}

void node_is_registered(struct node *node)
{
    listeners_serve_clients(node->listeners);
}

static void now_unfenced(void *ctx)
{
    struct node *node = ctx;
    node->unfenced = true;
    node_check_ready(node);
}

/* The log is loaded: listen to clients too, and register. */
static void after_metadata(void *ctx, int status)
{
    struct node *node = ctx;
    /* Told to stop meanwhile: the listeners may be gone. */
    if (node->state != NODE_STARTING)
        return;
    if (status == 0)
        status = listeners_open_rest(node->listeners);
    if (status != 0) {
        start_failed(node, status);
        return;
    }
    node->metadata_loaded = true;
    if (node->config->is_broker) {
        node->lifecycle = broker_lifecycle_new(node);
        broker_lifecycle_start(node->lifecycle, now_unfenced, node);
    }
    if (node->config->is_controller) {
        node->controller_lifecycle = controller_lifecycle_new(node);
        controller_lifecycle_start(node->controller_lifecycle);
    }
    node_check_ready(node);
}

/* Ending, in this order: registration, leadership, listeners, partitions, metadata, disks. Each
 * step calls the next. */
static void stop_disk_run(struct work *work)
{
    struct node *node = CONTAINER_OF(work, struct node, work);
    if (node->disk.logs != NULL)
        node->work_status = log_manager_stop(node->disk.logs, node->stop_epoch);
    if (node->reset_wanted && node->work_status == 0)
        node->work_status = node_disk_reset(node->env, node->config, &node->disk);
    if (node->aside_wanted && node->work_status == 0)
        node->work_status = node_repair_disk(node);
}

static void stop_disk_done(struct work *work)
{
    struct node *node = CONTAINER_OF(work, struct node, work);
    if (node->work_status != 0)
        log_error(logger_of(node), "The log directories were not closed cleanly: %s",
                  strerror(-node->work_status));
    node->state = NODE_STOPPED;
    log_info(logger_of(node), "Stopped node.id=%d", node->config->node_id);
    node->stopped(node->stopped_ctx);
}

static void metadata_stopped(void *ctx)
{
    struct node *node = ctx;
    node->work_status = 0;
    node->work =
        (struct work){.run = stop_disk_run, .done = stop_disk_done, .loop = node->env->loops[0]};
    work_submit(&node->work, WORK_DISK);
}

static void watch_stopped(void *ctx)
{
    node_quorum_stop(ctx, metadata_stopped, ctx);
}

static void channel_stopped(void *ctx)
{
    struct node *node = ctx;
    broker_watch_stop(node->watch, watch_stopped, node);
}

static void repair_stopped(void *ctx)
{
    struct node *node = ctx;
    controller_channel_stop(node->channel, channel_stopped, node);
}

static void formation_stopped(void *ctx)
{
    node_repair_stop(ctx, repair_stopped, ctx);
}

static void shard_stopped_here(struct task *task)
{
    struct node *node = CONTAINER_OF(task, struct node_shard_stop, task)->node;
    if (--node->stopping_shards > 0)
        return;
    node_formation_stop(node, formation_stopped, node);
}

static void shard_stopped(struct shard *shard)
{
    struct node_shard_stop *stop = &shard->node->shard_stops[shard->index];
    stop->task.run = shard_stopped_here;
    loop_post(shard->node->env->loops[0], &stop->task);
}

static void stop_shard(struct task *task)
{
    struct node_shard_stop *stop = CONTAINER_OF(task, struct node_shard_stop, task);
    shard_stop(&stop->node->shards[stop->index], true, shard_stopped);
}

static void listeners_drained(void *ctx)
{
    struct node *node = ctx;
    isr_changes_stop(node->isr_changes);
    directory_assignments_stop(node->directory_assignments);
    node->stopping_shards = node->env->loop_count;
    for (int i = 0; i < node->env->loop_count; i++) {
        node->shard_stops[i] =
            (struct node_shard_stop){.task.run = stop_shard, .node = node, .index = i};
        loop_post(node->env->loops[i], &node->shard_stops[i].task);
    }
}

static void resigned(void *ctx)
{
    struct node *node = ctx;
    controller_channel_hurry(node->channel, LAST_CALLS_MS);
    if (node->listeners != NULL) {
        for (int i = 0; i < node->env->loop_count; i++)
            shard_hurry_fetches(&node->shards[i]);
        metadata_loop_end_waits(node->metadata);
        listeners_drain(node->listeners, listeners_drained, node);
    } else {
        listeners_drained(node);
    }
}

/* The broker is let go: another controller takes over while this one still answers. */
static void let_go(void *ctx)
{
    struct node *node = ctx;
    node->stop_epoch = node_broker_epoch(node);
    if (node->controller_lifecycle != NULL)
        controller_lifecycle_stop(node->controller_lifecycle);
    node_quorum_resign(node, resigned);
}

void node_stop_continue(struct node *node)
{
    node->stop_waits = node->work_running;
    if (node->stop_waits)
        return;
    if (node->shards == NULL)
        metadata_stopped(node);
    else if (node->lifecycle != NULL)
        broker_lifecycle_stop(node->lifecycle, CONTROLLED_SHUTDOWN_MS, let_go, node);
    else
        let_go(node);
}

void node_stop(struct node *node, void (*stopped)(void *ctx), void *ctx)
{
    CHECK(node->state != NODE_STOPPING && node->state != NODE_STOPPED);
    /* A start that is under way ends first: its work item is ours to wait for. */
    bool opening = node->state == NODE_STARTING && node->shards == NULL;
    atomic_store(&node->ready, false);
    node->stopped = stopped;
    node->stopped_ctx = ctx;
    node->shard_stops = node->shard_stops
                            ? node->shard_stops
                            : mem_calloc((size_t)node->env->loop_count, sizeof(*node->shard_stops));
    if (opening) {
        node->stop_waits = true;
        return;
    }
    node->state = NODE_STOPPING;
    timer_stop(&node->checkpoint_timer);
    node_stop_continue(node);
}
