#define LOG_MODULE "node"

#include "broker/server/broker_lifecycle.h"
#include "broker/server/node_internal.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/storage/log_manager_moves.h"
#include "common/storage/log_truncate.h"
#include "metadata/config/server_config.h"

#include <errno.h>
#include <stdlib.h>

/* Open files of cold segments and indexes that one loop keeps. */
#define OPEN_FILES_PER_LOOP 4096

static struct log_manager_log_args args_of(struct node *node, struct file_cache *files,
                                           const struct log_wanted *wanted)
{
    struct uuid unique = env_random_uuid(node->env);
    uint64_t seed;
    memcpy(&seed, unique.b + 8, sizeof(seed));
    return (struct log_manager_log_args){.files = files,
                                         .topic = wanted->topic,
                                         .partition = wanted->index,
                                         .topic_id = wanted->topic_id,
                                         .directory_id = wanted->directory,
                                         .config = &wanted->config,
                                         .leads = wanted->leader_epoch >= 0,
                                         .leader_epoch = wanted->leader_epoch,
                                         .unique = unique,
                                         .seed = seed,
                                         .now_ms = env_wall_ms(node->env)};
}

static struct log_opened opened_of(const struct node *node, struct log *log)
{
    size_t at = log_manager_dir_of(node->disk.logs, log);
    const struct log_dir *dir = log_manager_dir(node->disk.logs, at);
    return (struct log_opened){
        .log = log, .dir = at, .directory = dir->has_meta ? dir->meta.directory_id : UUID_ZERO};
}

static void say_opened(const struct node *node, const struct log_wanted *wanted, int rv,
                       const struct log_recovery *recovery)
{
    struct str topic = wanted->topic;
    if (rv == -EEXIST)
        log_error(node->env->logger,
                  "%.*s-%d is in several log directories, and the metadata names none of them; "
                  "move all but one of them away and start again",
                  STR_FMT(topic), wanted->index);
    else if (rv == -EUCLEAN)
        log_error(node->env->logger,
                  "partition.metadata of %.*s-%d cannot be read, so whose records these are is not "
                  "known: the partition stays offline here. Put the file back; or, where other "
                  "replicas are in sync, stop this broker, move the directory of the partition "
                  "away and start it: it is fetched anew",
                  STR_FMT(topic), wanted->index);
    else if (rv != 0 && rv != -EBUSY)
        log_error(node->env->logger, "The log of %.*s-%d cannot be opened: %s", STR_FMT(topic),
                  wanted->index, strerror(-rv));
    else if (rv == 0 && recovery->cut_bytes > 0)
        log_warn(
            node->env->logger,
            "Recovery cut %lld bytes off the end of %.*s-%d, which ends at offset=%lld now (%s)",
            (long long)recovery->cut_bytes, STR_FMT(topic), wanted->index,
            (long long)recovery->cut_offset, recovery->damage ? recovery->damage : "torn tail");
    if (rv == 0 && recovery->set_aside)
        log_warn(node->env->logger,
                 "What lay in %.*s-%d belongs to a topic with another id, an earlier one of that "
                 "name or one of another cluster, or a power cut took what says to which: it is "
                 "kept beside as a directory that ends in -stray, and the partition begins anew",
                 STR_FMT(topic), wanted->index);
}

static void look_at_dirs(struct node *node);

static int open_future(void *owner, struct file_cache *files, const struct log_wanted *wanted,
                       size_t dir, struct log_opened *ret_opened)
{
    struct node *node = owner;
    struct log_manager_log_args args = args_of(node, files, wanted);
    struct log *log;
    args.leads = false;
    int rv = log_manager_open_future(node->disk.logs, &args, dir, &log);
    const char *path = log_manager_dir(node->disk.logs, dir)->path;
    if (rv == 0) {
        *ret_opened = opened_of(node, log);
        log_info(node->env->logger, "%.*s-%d is being moved to %s from offset=%lld on",
                 STR_FMT(wanted->topic), wanted->index, path, (long long)log_end_offset(log));
    } else if (rv != -EBUSY) {
        log_error(node->env->logger, "%.*s-%d cannot be moved to %s: %s", STR_FMT(wanted->topic),
                  wanted->index, path, strerror(-rv));
        look_at_dirs(node);
    }
    return rv;
}

static int open_log(void *owner, struct file_cache *files, const struct log_wanted *wanted,
                    struct log_opened *ret_opened, struct log_opened *ret_copy)
{
    struct node *node = owner;
    struct log_manager_log_args args = args_of(node, files, wanted);
    struct log_recovery recovery = {0};
    struct log *log;
    int rv = log_manager_open_log(node->disk.logs, &args, &log, &recovery);
    say_opened(node, wanted, rv, &recovery);
    if (rv != 0) {
        if (rv != -EBUSY)
            look_at_dirs(node);
        return rv;
    }
    *ret_opened = opened_of(node, log);
    /* Without its copy a replica serves all the same. */
    int dir = log_manager_future(node->disk.logs, wanted->topic, wanted->index);
    if (dir >= 0)
        (void)open_future(owner, files, wanted, (size_t)dir, ret_copy);
    return 0;
}

static int replace_log(void *owner, struct log *log, struct log *future)
{
    struct node *node = owner;
    char *from = mem_strdup(log_path(log));
    int rv = log_manager_replace(node->disk.logs, log, future, env_random_uuid(node->env),
                                 env_wall_ms(node->env));
    log_info(node->env->logger, "%s was %sreplaced by %s%s%s", from, rv == 0 ? "" : "not ",
             log_path(future), rv == 0 ? "" : ": ", rv == 0 ? "" : strerror(-rv));
    free(from);
    look_at_dirs(node);
    return rv;
}

static void move_stuck(void *owner, const struct log *log, int status)
{
    const struct node *node = owner;
    log_warn(node->env->logger, "Copying %s to another log directory does not get on: %s",
             log_path(log), status == -EBADMSG ? "it has a damaged batch" : strerror(-status));
}

static void all_opened(struct task *task)
{
    struct node_event *event = CONTAINER_OF(task, struct node_event, task);
    node_check_ready(event->node);
    free(event);
}

static bool others_serve(const struct node *node, const struct log_dir *failed)
{
    if (str_eq_z(node->config->metadata_log_dir, failed->path))
        return false;
    for (size_t i = 0; i < log_manager_dir_count(node->disk.logs); i++)
        if (log_manager_dir_status(node->disk.logs, i) == 0)
            return true;
    return false;
}

/* Without the metadata log, or any disk at all, a node is no use, and in the way of those that
 * could serve instead: Kafka's ends, too. */
static void tell_of_dir(struct node *node, size_t at, int status)
{
    const struct log_dir *dir = log_manager_dir(node->disk.logs, at);
    bool go_on = others_serve(node, dir);
    node->dirs_told[at] = true;
    log_at(node->env->logger, go_on ? LOG_ERROR : LOG_FATAL,
           "The log directory %s failed (%s) and goes offline; %s", dir->path, strerror(-status),
           go_on ? "the others serve on" : "this node cannot go on without it and stops");
    if (node->state != NODE_RUNNING && node->state != NODE_STARTING)
        return;
    if (!go_on && node->state == NODE_RUNNING)
        node_fatal(node);
    if (node->lifecycle != NULL && dir->has_meta)
        broker_lifecycle_dir_failed(node->lifecycle, dir->meta.directory_id);
    for (int i = 0; i < node->env->loop_count; i++)
        shard_dir_failed(&node->shards[i], at, status);
}

/* Those that were offline when this process began are told by its registration. */
static void find_failed_dirs(struct task *task)
{
    struct node_event *event = CONTAINER_OF(task, struct node_event, task);
    struct node *node = event->node;
    for (size_t i = 0; i < log_manager_dir_count(node->disk.logs); i++) {
        int status = log_manager_dir_status(node->disk.logs, i);
        if (status != 0 && !node->dirs_told[i])
            tell_of_dir(node, i, status);
    }
    free(event);
}

static void send_event(struct node *node, void (*run)(struct task *))
{
    struct node_event *event = mem_alloc(sizeof(*event));
    *event = (struct node_event){.task.run = run, .node = node};
    loop_post(node->env->loops[0], &event->task);
}

/* Any thread: some directory may have gone offline. */
static void look_at_dirs(struct node *node)
{
    for (size_t i = 0; i < log_manager_dir_count(node->disk.logs); i++)
        if (log_manager_dir_status(node->disk.logs, i) != 0) {
            send_event(node, find_failed_dirs);
            return;
        }
}

void node_note_dirs(struct node *node)
{
    size_t count = log_manager_dir_count(node->disk.logs);
    node->dirs_told = mem_calloc(count, sizeof(*node->dirs_told));
    for (size_t i = 0; i < count; i++)
        node->dirs_told[i] = log_manager_dir_status(node->disk.logs, i) != 0;
}

static int close_log(void *owner, struct log *log, bool clean, bool remove)
{
    struct node *node = owner;
    int rv = remove ? log_manager_delete_log(node->disk.logs, log, env_random_uuid(node->env),
                                             env_wall_ms(node->env))
                    : log_manager_close_log(node->disk.logs, log, clean);
    if (rv != 0)
        look_at_dirs(node);
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

static void log_dir_failed(void *owner, struct log *log, int status)
{
    struct node *node = owner;
    log_manager_fail_dir(node->disk.logs, log_manager_dir_of(node->disk.logs, log), status);
    look_at_dirs(node);
}

static void opened_one(struct node *node)
{
    if (atomic_fetch_sub(&node->opening_partitions, 1) == 1)
        send_event(node, all_opened);
}

static void partition_was_opened(void *owner, struct partition *p, int status)
{
    opened_one(owner);
}

void node_shard_took_up(struct node *node)
{
    opened_one(node);
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
        .open_future = open_future,
        .replace_log = replace_log,
        .move_stuck = move_stuck,
        .moves = &shard->moves,
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
    look_at_dirs(node);
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
