#define LOG_MODULE "node"

#include "broker/server/broker_lifecycle.h"
#include "broker/server/node_internal.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/storage/log_truncate.h"
#include "metadata/config/server_config.h"

#include <errno.h>
#include <stdlib.h>

/* Open files of cold segments and indexes that one loop keeps. */
#define OPEN_FILES_PER_LOOP 4096

static int open_log(void *owner, struct file_cache *files, const struct log_wanted *wanted,
                    struct log **ret_log, struct uuid *ret_directory)
{
    struct node *node = owner;
    struct str topic = wanted->topic;
    int32_t index = wanted->index;
    struct uuid unique = env_random_uuid(node->env);
    uint64_t seed;
    memcpy(&seed, unique.b + 8, sizeof(seed));
    struct log_manager_log_args args = {.files = files,
                                        .topic = topic,
                                        .partition = index,
                                        .topic_id = wanted->topic_id,
                                        .directory_id = wanted->directory,
                                        .config = &wanted->config,
                                        .leads = wanted->leader_epoch >= 0,
                                        .leader_epoch = wanted->leader_epoch,
                                        .unique = unique,
                                        .seed = seed,
                                        .now_ms = env_wall_ms(node->env)};
    struct log_recovery recovery = {0};
    int rv = log_manager_open_log(node->disk.logs, &args, ret_log, &recovery);
    if (rv == -EUCLEAN)
        log_error(node->env->logger,
                  "partition.metadata of %.*s-%d cannot be read, so whose records these are is not "
                  "known: the partition stays offline here. Put the file back; or, where other "
                  "replicas are in sync, stop this broker, move the directory of the partition "
                  "away and start it: it is fetched anew",
                  STR_FMT(topic), index);
    else if (rv != 0 && rv != -EBUSY)
        log_error(node->env->logger, "The log of %.*s-%d cannot be opened: %s", STR_FMT(topic),
                  index, strerror(-rv));
    else if (rv == 0 && recovery.cut_bytes > 0)
        log_warn(
            node->env->logger,
            "Recovery cut %lld bytes off the end of %.*s-%d, which ends at offset=%lld now (%s)",
            (long long)recovery.cut_bytes, STR_FMT(topic), index, (long long)recovery.cut_offset,
            recovery.damage ? recovery.damage : "torn tail");
    if (rv == 0 && recovery.set_aside)
        log_warn(node->env->logger,
                 "What lay in %.*s-%d belongs to a topic with another id, an earlier one of that "
                 "name or one of another cluster: it is kept beside as a directory that ends in "
                 "-stray, and the partition begins anew",
                 STR_FMT(topic), index);
    if (rv == 0) {
        const struct log_dir *dir =
            log_manager_dir(node->disk.logs, log_manager_dir_of(node->disk.logs, *ret_log));
        *ret_directory = dir->has_meta ? dir->meta.directory_id : UUID_ZERO;
    }
    return rv;
}

static void event_on_loop_0(struct task *task)
{
    struct node_partition_event *event = CONTAINER_OF(task, struct node_partition_event, task);
    struct node *node = event->node;
    if (event->opened) {
        node_check_ready(node);
    } else if (node->lifecycle != NULL) {
        const struct log_dir *dir = log_manager_dir(node->disk.logs, event->dir);
        if (dir->has_meta)
            broker_lifecycle_dir_failed(node->lifecycle, dir->meta.directory_id);
    }
    free(event);
}

static void send_event(struct node *node, struct node_partition_event event)
{
    struct node_partition_event *copy = mem_alloc(sizeof(*copy));
    *copy = event;
    copy->task.run = event_on_loop_0;
    copy->node = node;
    loop_post(node->env->loops[0], &copy->task);
}

static int close_log(void *owner, struct log *log, bool clean, bool remove)
{
    struct node *node = owner;
    size_t dir = log_manager_dir_of(node->disk.logs, log);
    int rv = remove ? log_manager_delete_log(node->disk.logs, log, env_random_uuid(node->env),
                                             env_wall_ms(node->env))
                    : log_manager_close_log(node->disk.logs, log, clean);
    /* The manager has taken the directory offline; the log is gone. */
    if (rv != 0)
        send_event(node, (struct node_partition_event){.dir = dir, .status = rv});
    return rv;
}

/* A recovery point above the end would make the next start take the log for damaged. */
static int cut_log(void *owner, struct log *log, bool restart, int64_t end)
{
    struct node *node = owner;
    int64_t before = log_end_offset(log), start = log_start_offset(log);
    int64_t point = log_recovery_point(log), now_ms = env_wall_ms(node->env);
    int rv = restart ? log_truncate_fully(log, end, -1, now_ms) : log_truncate_to(log, end, now_ms);
    log_info(node->env->logger, "%s was cut from offset=%lld to %lld to agree with its leader%s",
             log_path(log), (long long)before, (long long)end, rv == 0 ? "" : ", in vain");
    if (rv == 0 && (log_recovery_point(log) < point || log_start_offset(log) < start))
        rv = log_manager_checkpoint(node->disk.logs);
    return rv;
}

static void log_dir_failed(void *owner, struct partition *p, int status)
{
    struct node *node = owner;
    struct log *log = partition_any_log(p);
    if (log == NULL)
        return;
    size_t dir = log_manager_dir_of(node->disk.logs, log);
    if (log_manager_dir_status(node->disk.logs, dir) != 0)
        return;
    log_error(node->env->logger,
              "The log directory %s failed (%s) and goes offline; the others serve on",
              log_manager_dir(node->disk.logs, dir)->path, strerror(-status));
    log_manager_fail_dir(node->disk.logs, dir, status);
    send_event(node, (struct node_partition_event){.dir = dir, .status = status});
}

static void partition_was_opened(void *owner, struct partition *p, int status)
{
    struct node *node = owner;
    if (atomic_fetch_sub(&node->opening_partitions, 1) == 1)
        send_event(node, (struct node_partition_event){.opened = true, .status = status});
}

void node_partition_opening(struct node *node)
{
    atomic_fetch_add(&node->opening_partitions, 1);
    atomic_fetch_add(&node->partition_count, 1);
}

void node_partition_gone(struct node *node)
{
    atomic_fetch_sub(&node->partition_count, 1);
}

void node_fill_host(struct node *node, struct shard *shard, struct loop *loop)
{
    struct file_cache *files = mem_alloc(sizeof(*files));
    file_cache_init(files, OPEN_FILES_PER_LOOP);
    shard->host = (struct replica_host){
        .env = node->env,
        .loop = loop,
        .node_id = node->config->node_id,
        .files = files,
        .owner = node,
        .open_log = open_log,
        .close_log = close_log,
        .log_failed = log_dir_failed,
        .opened = partition_was_opened,
        .cut_log = cut_log,
    };
}

static void checkpoint_run(struct work *work)
{
    struct node *node = CONTAINER_OF(work, struct node, checkpoint_work);
    node->work_status = log_manager_checkpoint(node->disk.logs);
    log_manager_purge(node->disk.logs, env_wall_ms(node->env));
}

static void checkpoint_done(struct work *work)
{
    struct node *node = CONTAINER_OF(work, struct node, checkpoint_work);
    node->work_running = false;
    if (node->work_status != 0)
        log_warn(node->env->logger, "The checkpoints of the log directories were not written: %s",
                 strerror(-node->work_status));
    if (node->stop_waits)
        node_stop_continue(node);
    else
        node_checkpoint_arm(node);
}

static void checkpoint_due(struct timer *timer)
{
    struct node *node = CONTAINER_OF(timer, struct node, checkpoint_timer);
    node->work_running = true;
    node->checkpoint_work =
        (struct work){.run = checkpoint_run, .done = checkpoint_done, .loop = node->env->loops[0]};
    work_submit(&node->checkpoint_work, WORK_DISK);
}

void node_checkpoint_init(struct node *node)
{
    timer_init(&node->checkpoint_timer, node->env->loops[0], checkpoint_due);
}

void node_checkpoint_arm(struct node *node)
{
    if (node->state != NODE_RUNNING)
        return;
    const enum config_id keys[] = {
        CONFIG_BROKER_REPLICA_HIGH_WATERMARK_CHECKPOINT_INTERVAL_MS,
        CONFIG_BROKER_LOG_FLUSH_OFFSET_CHECKPOINT_INTERVAL_MS,
        CONFIG_BROKER_LOG_FLUSH_START_OFFSET_CHECKPOINT_INTERVAL_MS,
    };
    int64_t interval_ms = INT64_MAX;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        interval_ms = MIN(interval_ms, server_config_integer(node->config, keys[i]));
    timer_start_in_ms(&node->checkpoint_timer, MAX(interval_ms, 100));
}
