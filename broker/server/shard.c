#include "broker/server/shard.h"

#include "broker/replica/fetch_session.h"
#include "broker/replica/partition_lead.h"
#include "broker/replica/replica_feed.h"
#include "broker/server/broker_metrics.h"
#include "broker/server/node.h"
#include "broker/server/replication.h"
#include "broker/server/request.h"
#include "broker/server/shard_gauges.h"
#include "broker/server/shard_topics.h"
#include "broker/server/throttles.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "metadata/config/server_config.h"
#include "metadata/delta.h"

#include <stdlib.h>

#define TICK_MS 500
/* The background flusher: what a partition may have unsynced, in bytes and in time. It bounds what
 * a recovery has to read. */
#define FLUSHER_BYTES       ((int64_t)64 << 20)
#define FLUSHER_INTERVAL_MS 30000

struct shard *shard_of(const struct node *node, struct uuid topic_id, int32_t index)
{
    uint64_t hash = hash_u64(hash_bytes(topic_id.b, 16) + (uint32_t)index);
    return node_shard(node, (int)(hash % (uint64_t)node_env(node)->loop_count));
}

int shard_count(const struct node *node)
{
    return node_env(node)->loop_count;
}

struct partition *shard_partition(const struct shard *shard, struct uuid topic_id, int32_t index)
{
    return map_get(&shard->partitions, map_key_uuid_int(topic_id, index));
}

static void check_stopped(struct shard *shard)
{
    if (shard->stopping && shard->closing_partitions == 0)
        shard->stopped(shard);
}

static void partition_gone(void *ctx)
{
    struct shard *shard = ctx;
    shard->closing_partitions--;
    node_partition_gone(shard->node);
    check_stopped(shard);
}

static void close_partition(struct shard *shard, struct partition *p, bool clean, bool remove)
{
    map_remove(&shard->partitions, map_key_uuid_int(partition_topic_id(p), partition_index(p)));
    shard->closing_partitions++;
    partition_close(p, clean, remove, partition_gone, shard);
}

/*
 * Whether the image knows this process. Until then it is one of the past, which runs by as the log
 * is read again: a replica that left this broker in it and came back must not go once more, nor a
 * log for one that had its name; and what a process before this one led, this one must not.
 */
static bool is_registered(const struct shard *shard, const struct image *image)
{
    const struct broker_image *self = cluster_image_broker(&image->cluster, shard->host.node_id);
    return self != NULL && uuid_eq(self->incarnation_id, node_incarnation_id(shard->node));
}

static void add_partition(struct shard *shard, const struct partition_delta *change,
                          const struct image *image)
{
    struct topic_ref topic = {.name = topic_name(change->topic), .id = change->topic->id};
    struct partition_role role = partition_role_of(change->after, shard->host.node_id);
    struct topic_settings settings;
    topic_settings_resolve(node_config(shard->node), image, topic.name, &settings);
    struct partition_new_args args = {.host = &shard->host,
                                      .topic = topic.name,
                                      .topic_id = topic.id,
                                      .index = change->after->id,
                                      .role = &role,
                                      .config = &settings.log,
                                      .min_isr = settings.min_insync_replicas};
    node_partition_opening(shard->node);
    struct partition *p = partition_new(&args);
    map_put(&shard->partitions, map_key_uuid_int(topic.id, change->after->id), p);
    partition_set_throttled(
        p, throttled_of(image, topic.name, change->after->id, shard->host.node_id));
}

static void apply_partition(struct shard *shard, const struct partition_delta *change,
                            const struct image *image)
{
    int32_t id = change->after ? change->after->id : change->before->id;
    if (shard_of(shard->node, change->topic->id, id) != shard)
        return;
    bool hosts = change->after != NULL &&
                 node_list_contains(partition_replicas(change->after), shard->host.node_id);
    struct partition *p = shard_partition(shard, change->topic->id, id);
    if (p == NULL && hosts) {
        add_partition(shard, change, image);
    } else if (p != NULL && !hosts) {
        close_partition(shard, p, false, true);
    } else if (p != NULL) {
        struct partition_role role = partition_role_of(change->after, shard->host.node_id);
        partition_apply(p, &role);
    }
}

/* All that is on this broker when it registers. */
static void take_up(struct shard *shard, const struct image *image)
{
    struct pmap_iter topics, partitions;
    pmap_iter_first(&topics, image->topics.by_id);
    for (const struct topic_image *topic; (topic = pmap_iter_next(&topics)) != NULL;) {
        pmap_iter_first(&partitions, topic->partitions);
        for (const struct partition_image *at; (at = pmap_iter_next(&partitions)) != NULL;)
            apply_partition(shard, &(struct partition_delta){.topic = topic, .after = at}, image);
    }
}

static void forget_settings(struct shard *shard)
{
    MAP_FOR_EACH (entry, &shard->topic_settings)
        free(entry->value);
    map_clear(&shard->topic_settings);
}

static void apply_config(struct shard *shard, const struct image *image, struct partition *p)
{
    struct topic_settings settings;
    topic_settings_resolve(node_config(shard->node), image, partition_topic(p), &settings);
    partition_set_config(p, &settings.log, settings.min_insync_replicas);
    partition_set_throttled(
        p, throttled_of(image, partition_topic(p), partition_index(p), shard->host.node_id));
}

static void apply_topic_config(struct shard *shard, const struct image *image, struct str name)
{
    const struct topic_image *topic = topics_image_find(&image->topics, name);
    if (topic == NULL)
        return;
    free(map_remove(&shard->topic_settings, map_key_uuid(topic->id)));
    struct pmap_iter iter;
    pmap_iter_first(&iter, topic->partitions);
    for (const struct partition_image *at; (at = pmap_iter_next(&iter)) != NULL;) {
        struct partition *p = shard_partition(shard, topic->id, at->id);
        if (p != NULL)
            apply_config(shard, image, p);
    }
}

/* A topic's configuration concerns its partitions, a broker's those of all topics. */
static void apply_configs(struct shard *shard, const struct image *image,
                          const struct image_delta *delta)
{
    bool all = false;
    for (size_t i = 0; i < delta->configs.count; i++) {
        const struct config_image *config = delta->configs.items[i].after;
        if (config == NULL)
            config = delta->configs.items[i].before;
        all = all || config->type == CONFIG_RESOURCE_BROKER;
        if (config->type == CONFIG_RESOURCE_TOPIC)
            apply_topic_config(shard, image, config->name);
    }
    if (!all)
        return;
    if (shard->index == 0)
        node_configs_changed(shard->node, image);
    replication_configs_changed(shard->replication, image);
    forget_settings(shard);
    MAP_FOR_EACH (entry, &shard->partitions)
        apply_config(shard, image, entry->value);
}

static bool is_live(const struct broker_image *broker)
{
    return broker != NULL && !broker->fenced && !broker->in_controlled_shutdown;
}

static bool differ(const struct broker_image *before, const struct broker_image *after)
{
    bool was_fenced = before == NULL || before->fenced, is_fenced = after == NULL || after->fenced;
    return is_live(before) != is_live(after) || was_fenced != is_fenced;
}

/* Followers fetch only what changed: one that had all before its broker was unfenced says nothing
 * more by itself. */
static void apply_brokers(struct shard *shard, const struct image_delta *delta)
{
    bool changed = false;
    for (size_t i = 0; i < delta->brokers.count; i++)
        changed = changed || differ(delta->brokers.items[i].before, delta->brokers.items[i].after);
    if (!changed)
        return;
    MAP_FOR_EACH (entry, &shard->partitions)
        partition_consider_isr(entry->value);
}

static void forget_topics(struct shard *shard, const struct image_delta *delta)
{
    for (size_t i = 0; i < delta->topics.count; i++) {
        if (delta->topics.items[i].after != NULL)
            continue;
        struct uuid id = delta->topics.items[i].before->id;
        topic_metrics_forget(shard->metrics, id);
        free(map_remove(&shard->topic_settings, map_key_uuid(id)));
    }
}

static void receive_image(struct task *task)
{
    struct shard_image *message = CONTAINER_OF(task, struct shard_image, task);
    struct shard *shard = message->shard;
    /* Partitions look at the brokers of this image; nobody else runs before this task ends. */
    shard->image = message->image;
    bool first = !shard->registered && is_registered(shard, message->image);
    shard->registered = shard->registered || first;
    if (!shard->stopping) {
        if (first) {
            take_up(shard, message->image);
            node_shard_took_up(shard->node);
        }
        for (size_t i = 0; shard->registered && !first && i < message->delta->partitions.count; i++)
            apply_partition(shard, &message->delta->partitions.items[i], message->image);
        if (first && shard->index == 0)
            node_is_registered(shard->node);
        apply_configs(shard, message->image, message->delta);
        apply_brokers(shard, message->delta);
        replication_brokers_changed(shard->replication, message->delta);
    }
    forget_topics(shard, message->delta);
    if (shard->index == 0)
        partition_census_apply(&shard->census, message->delta);
    if (!timer_running(&shard->tick) && !shard->stopping)
        timer_start_in_ms(&shard->tick, TICK_MS);
    image_reader_advance(&shard->reader, message->image);
    free(message);
}

void shard_send_image(struct shard *shard, const struct image *image,
                      const struct image_delta *delta)
{
    struct shard_image *message = mem_alloc(sizeof(*message));
    *message = (struct shard_image){
        .task.run = receive_image, .shard = shard, .image = image, .delta = delta};
    /* On its own loop the shard has it before anybody is answered. */
    if (shard->index == 0)
        receive_image(&message->task);
    else
        loop_post(shard->loop, &message->task);
}

struct shard_dir {
    struct task task;
    struct shard *shard;
    size_t dir;
    int status;
};

static void fail_dir(struct task *task)
{
    struct shard_dir *message = CONTAINER_OF(task, struct shard_dir, task);
    MAP_FOR_EACH (entry, &message->shard->partitions)
        partition_dir_failed(entry->value, message->dir, message->status);
    free(message);
}

void shard_dir_failed(struct shard *shard, size_t dir, int status)
{
    struct shard_dir *message = mem_alloc(sizeof(*message));
    *message =
        (struct shard_dir){.task.run = fail_dir, .shard = shard, .dir = dir, .status = status};
    loop_post(shard->loop, &message->task);
}

static void tick(struct timer *timer)
{
    struct shard *shard = CONTAINER_OF(timer, struct shard, tick);
    const struct server_config *config = node_config(shard->node);
    int64_t now_ms = env_now_ms(shard->loop->env);
    bool retention = now_ms >= shard->retention_due_ms;
    bool checkpoint = now_ms >= shard->checkpoint_due_ms;
    bool expiry = now_ms >= shard->expiry_due_ms;
    if (retention)
        shard->retention_due_ms =
            now_ms + server_config_integer(config, CONFIG_BROKER_LOG_RETENTION_CHECK_INTERVAL_MS);
    if (checkpoint)
        shard->checkpoint_due_ms = now_ms + FLUSHER_INTERVAL_MS;
    if (expiry)
        shard->expiry_due_ms =
            now_ms +
            server_config_integer(config, CONFIG_BROKER_PRODUCER_ID_EXPIRATION_CHECK_INTERVAL_MS);
    bool lag = now_ms >= shard->lag_due_ms;
    if (lag)
        shard->lag_due_ms = now_ms + MAX(shard->host.lag_max_ms / 2, 1);
    shard_gauges_tick(shard, now_ms);
    MAP_FOR_EACH (entry, &shard->partitions) {
        partition_tick(entry->value, retention);
        if (lag)
            partition_check_lag(entry->value);
        if (expiry)
            partition_expire_producers(entry->value);
        partition_checkpoint_flush(entry->value, checkpoint ? 0 : FLUSHER_BYTES);
    }
    timer_start_in_ms(&shard->tick, TICK_MS);
}

/* A session of a follower is gone: so are its feeds, on the loops that have one. */
struct feed_end {
    struct task task;
    struct shard *shard;
    int32_t session_id;
};

static void end_feed(struct task *task)
{
    struct feed_end *end = CONTAINER_OF(task, struct feed_end, task);
    replica_feed_free(map_remove(&end->shard->feeds, map_key_u64((uint32_t)end->session_id)));
    free(end);
}

static void session_ended(void *ctx, int32_t session_id, uint64_t owners)
{
    struct shard *shard = ctx;
    for (int i = 0; i < shard_count(shard->node); i++) {
        if ((owners >> (i % 64) & 1) == 0)
            continue;
        struct feed_end *end = mem_alloc(sizeof(*end));
        *end = (struct feed_end){
            .task.run = end_feed, .shard = node_shard(shard->node, i), .session_id = session_id};
        loop_post(end->shard->loop, &end->task);
    }
}

/* As many as there are directories, unless somebody says otherwise; each loop has one at least. */
static int move_places(const struct server_config *config, int loops)
{
    const struct config_value *value =
        &config->values[CONFIG_BROKER_NUM_REPLICA_ALTER_LOG_DIRS_THREADS];
    int64_t threads =
        value->type == CONFIG_TYPE_INT ? value->integer : (int64_t)config->log_dirs_count;
    return (int)MAX((threads + loops - 1) / loops, 1);
}

void shard_init(struct shard *shard, struct node *node, struct loop *loop,
                const struct image *image)
{
    const struct server_config *config = node_config(node);
    shard->node = node;
    shard->loop = loop;
    shard->index = loop->index;
    shard->image = image;
    shard->metrics = broker_metrics_shard(node_metrics(node), loop->index);
    shard->host.flush_times = broker_metrics_flush_times(node_metrics(node));
    map_init(&shard->partitions, MAP_UUID);
    map_init(&shard->topic_settings, MAP_UUID);
    map_init(&shard->feeds, MAP_U64);
    map_init(&shard->auto_creating, MAP_STR);
    producer_ids_init(&shard->producer_ids, shard);
    list_init(&shard->requests);
    list_init(&shard->free_requests);
    list_init(&shard->fetches);
    int slots = (int)server_config_integer(
                    config, CONFIG_BROKER_MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS) /
                loop->env->loop_count;
    shard->sessions =
        fetch_session_cache_new(MAX(slots, 1), 120000, loop->index, loop->env->loop_count);
    fetch_session_cache_on_end(shard->sessions, session_ended, shard);
    shard->replication = replication_new(shard);
    replication_fill_host(shard);
    partition_moves_init(&shard->moves, move_places(config, loop->env->loop_count),
                         &node_throttles(node)->moves);
    if (shard->index == 0)
        throttles_update(node_throttles(node), config, image);
    record_validator_init(&shard->validator);
    timer_init(&shard->tick, loop, tick);
    int64_t now_ms = env_now_ms(loop->env);
    shard->retention_due_ms =
        now_ms + server_config_integer(config, CONFIG_BROKER_LOG_INITIAL_TASK_DELAY_MS);
    shard->checkpoint_due_ms = now_ms + FLUSHER_INTERVAL_MS;
}

static void wake_fetches(struct task *task)
{
    struct shard *shard = CONTAINER_OF(task, struct shard, wake_task);
    shard->hurry = true;
    struct list waits;
    list_init(&waits);
    while (!list_empty(&shard->fetches))
        list_push_back(&waits, list_pop_front(&shard->fetches));
    struct list *node;
    while ((node = list_pop_front(&waits)) != NULL) {
        struct shard_hurry *hurried = LIST_ITEM(node, struct shard_hurry, link);
        hurried->hurry(hurried);
    }
}

void shard_hurry_fetches(struct shard *shard)
{
    shard->wake_task.run = wake_fetches;
    loop_post(shard->loop, &shard->wake_task);
}

static void replication_stopped(void *ctx)
{
    struct shard *shard = ctx;
    shard->closing_partitions--;
    check_stopped(shard);
}

void shard_stop(struct shard *shard, bool clean, void (*stopped)(struct shard *))
{
    shard->stopping = true;
    shard->stopped = stopped;
    timer_stop(&shard->tick);
    shard->closing_partitions++; /* until the fetchers are gone */
    MAP_FOR_EACH (entry, &shard->partitions)
        close_partition(shard, entry->value, clean, false);
    replication_stop(shard->replication, replication_stopped, shard);
}

void shard_release(struct shard *shard)
{
    CHECK(shard->partitions.count == 0);
    forget_settings(shard);
    map_release(&shard->topic_settings);
    map_release(&shard->auto_creating);
    producer_ids_release(&shard->producer_ids);
    map_release(&shard->partitions);
    request_free_all(shard);
    fetch_session_cache_free(shard->sessions);
    MAP_FOR_EACH (entry, &shard->feeds)
        replica_feed_free(entry->value);
    map_release(&shard->feeds);
    replication_free(shard->replication);
    record_validator_release(&shard->validator);
}
