#include "broker/server/replication.h"

#include "broker/server/directory_assignments.h"
#include "broker/server/isr_changes.h"
#include "broker/server/node.h"
#include "broker/server/replica_fetcher.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "metadata/config_image_layers.h"
#include "metadata/delta.h"
#include "metadata/feature.h"
#include "metadata/image.h"

#include <stdlib.h>

struct replication {
    struct shard *shard;
    struct map fetchers; /* broker id, with the index as the number -> struct replica_fetcher */
    int per_source;      /* fetchers for each broker */
    int closing;
    struct list pending; /* struct followed.pending */
    struct task task;
    bool posted;
    bool stopping;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

static struct map_key key_of(int32_t source, int index)
{
    struct map_key key = map_key_u64((uint64_t)(uint32_t)source);
    key.number = index;
    return key;
}

static struct replica_fetcher *fetcher_of(struct replication *r, int32_t source,
                                          const struct partition *p)
{
    uint64_t hash =
        hash_u64(hash_bytes(partition_topic_id(p).b, 16) ^ (uint32_t)partition_index(p));
    struct map_key key = key_of(source, (int)((hash >> 32) % (uint64_t)r->per_source));
    struct replica_fetcher *f = map_get(&r->fetchers, key);
    if (f == NULL) {
        f = replica_fetcher_new(r, r->shard, source, key.number);
        map_put(&r->fetchers, key, f);
    }
    return f;
}

static void check_stopped(struct replication *r)
{
    if (r->stopping && r->closing == 0 && !r->posted && r->stopped != NULL) {
        void (*stopped)(void *) = r->stopped;
        r->stopped = NULL;
        stopped(r->stopped_ctx);
    }
}

void replication_fetcher_closed(struct replication *r)
{
    r->closing--;
    check_stopped(r);
}

static void close_if_empty(struct replication *r, struct replica_fetcher *f)
{
    if (f->member_count > 0 || f->answering)
        return;
    map_remove(&r->fetchers, key_of(f->source, f->index));
    r->closing++;
    replica_fetcher_close(f);
}

static void detach(struct replication *r, struct followed *followed)
{
    struct replica_fetcher *f = followed->fetcher;
    if (f == NULL)
        return;
    replica_fetcher_remove(f, followed);
    close_if_empty(r, f);
}

static void release(struct replication *r, struct followed *followed)
{
    *partition_followed(followed->partition) = NULL;
    list_remove(&followed->pending);
    detach(r, followed);
    free(followed);
}

/* To the fetcher that it belongs to now; freed where that is none. */
static void place(struct replication *r, struct followed *followed)
{
    struct follow_at at;
    if (r->stopping || partition_follow_at(followed->partition, &at) == FOLLOW_NOBODY) {
        release(r, followed);
        return;
    }
    struct replica_fetcher *f = fetcher_of(r, at.leader_id, followed->partition);
    if (followed->fetcher == f) {
        /* In a new epoch its errors of before mean nothing. */
        if (at.leader_epoch != followed->sent.leader_epoch) {
            timer_stop(&followed->pause);
            followed->errors = 0;
        }
        replica_fetcher_touch(f, followed);
        return;
    }
    detach(r, followed);
    replica_fetcher_add(f, followed);
}

static void run_pending(struct task *task)
{
    struct replication *r = CONTAINER_OF(task, struct replication, task);
    r->posted = false;
    struct list *node;
    while ((node = list_pop_front(&r->pending)) != NULL)
        place(r, LIST_ITEM(node, struct followed, pending));
    MAP_FOR_EACH (entry, &r->fetchers) {
        struct replica_fetcher *f = entry->value;
        if (!list_empty(&f->changed) || f->forgotten_count > 0)
            replica_fetcher_kick(f);
    }
    check_stopped(r);
}

static struct shard *shard_of_host(struct replica_host *host)
{
    return CONTAINER_OF(host, struct shard, host);
}

/* On the loop's next turn. */
static void look_at(struct replication *r, struct followed *followed)
{
    list_remove(&followed->pending);
    list_push_back(&r->pending, &followed->pending);
    if (!r->posted) {
        r->posted = true;
        loop_post(r->shard->loop, &r->task);
    }
}

static void follow(struct replica_host *host, struct partition *p)
{
    struct replication *r = shard_of_host(host)->replication;
    struct follow_at at;
    struct followed **place = partition_followed(p);
    if (r->stopping || (*place == NULL && partition_follow_at(p, &at) == FOLLOW_NOBODY))
        return;
    if (*place == NULL) {
        *place = mem_calloc(1, sizeof(**place));
        (*place)->partition = p;
        (*place)->taken_in = -1;
        list_init(&(*place)->member);
        list_init(&(*place)->changed);
        list_init(&(*place)->pending);
    }
    look_at(r, *place);
}

static void unfollow(struct replica_host *host, struct partition *p)
{
    struct followed *followed = *partition_followed(p);
    if (followed != NULL)
        release(shard_of_host(host)->replication, followed);
}

static int64_t broker_epoch(struct replica_host *host, int32_t id, bool *ret_live)
{
    const struct broker_image *broker =
        cluster_image_broker(&shard_of_host(host)->image->cluster, id);
    *ret_live = broker != NULL && !broker->fenced && !broker->in_controlled_shutdown;
    return broker ? broker->epoch : -1;
}

static bool broker_alive(struct replica_host *host, int32_t id)
{
    const struct broker_image *broker =
        cluster_image_broker(&shard_of_host(host)->image->cluster, id);
    return broker != NULL && !broker->fenced;
}

static bool out_of_touch(struct replica_host *host)
{
    return node_out_of_touch(shard_of_host(host)->node);
}

static void propose_isr(struct replica_host *host, struct partition *p,
                        const struct isr_proposal *proposal)
{
    struct shard *shard = shard_of_host(host);
    isr_changes_propose(node_isr_changes(shard->node), shard, p, proposal);
}

static bool names_directories(struct replica_host *host)
{
    const struct image *image = shard_of_host(host)->image;
    return features_image_metadata_version(&image->features) >= METADATA_VERSION_DIRECTORIES;
}

static void tell_directory(struct replica_host *host, struct partition *p, struct uuid directory)
{
    struct shard *shard = shard_of_host(host);
    directory_assignments_add(node_directory_assignments(shard->node), p, directory);
}

void replication_fill_host(struct shard *shard)
{
    struct replica_host *host = &shard->host;
    host->lag_max_ms =
        server_config_integer(node_config(shard->node), CONFIG_BROKER_REPLICA_LAG_TIME_MAX_MS);
    host->broker_epoch = broker_epoch;
    host->broker_alive = broker_alive;
    host->out_of_touch = out_of_touch;
    host->follow = follow;
    host->unfollow = unfollow;
    host->propose_isr = propose_isr;
    host->names_directories = names_directories;
    host->tell_directory = tell_directory;
}

void replication_brokers_changed(struct replication *r, const struct image_delta *delta)
{
    for (size_t i = 0; i < delta->brokers.count; i++) {
        const struct broker_image *broker = delta->brokers.items[i].after;
        for (int index = 0; broker != NULL && index < r->per_source; index++) {
            struct replica_fetcher *f = map_get(&r->fetchers, key_of(broker->id, index));
            if (f != NULL)
                replica_fetcher_retry(f);
        }
    }
}

void replication_lag(const struct replication *r, struct replication_lag *ret_lag)
{
    struct replication_lag lag = {0};
    MAP_FOR_EACH (entry, &r->fetchers) {
        const struct replica_fetcher *f = entry->value;
        lag.fetchers++;
        lag.unreachable += f->state != FETCHER_CONNECTED;
        LIST_FOR_EACH (node, &f->members) {
            const struct followed *followed = LIST_ITEM(node, struct followed, member);
            lag.max_lag = MAX(lag.max_lag, followed->lag);
            lag.paused_partitions += timer_running(&followed->pause);
        }
    }
    *ret_lag = lag;
}

/* Of the fetchers for a broker, this loop's part. */
static int fetchers_wanted(const struct shard *shard, const struct image *image)
{
    struct config_layers layers;
    int64_t loops = shard->loop->env->loop_count;
    config_image_layers(&image->configs, node_config(shard->node), CONFIG_RESOURCE_BROKER,
                        STR_EMPTY, &layers);
    int64_t wanted = config_layers_integer(&layers, CONFIG_BROKER_NUM_REPLICA_FETCHERS);
    return (int)MAX((wanted + loops - 1) / loops, 1);
}

void replication_configs_changed(struct replication *r, const struct image *image)
{
    int wanted = fetchers_wanted(r->shard, image);
    if (wanted == r->per_source || r->stopping)
        return;
    r->per_source = wanted;
    MAP_FOR_EACH (entry, &r->fetchers) {
        const struct replica_fetcher *f = entry->value;
        LIST_FOR_EACH (node, &f->members)
            look_at(r, LIST_ITEM(node, struct followed, member));
    }
}

struct replication *replication_new(struct shard *shard)
{
    struct replication *r = mem_calloc(1, sizeof(*r));
    r->shard = shard;
    r->per_source = fetchers_wanted(shard, shard->image);
    r->task.run = run_pending;
    map_init(&r->fetchers, MAP_U64);
    list_init(&r->pending);
    return r;
}

void replication_free(struct replication *r)
{
    if (r == NULL)
        return;
    CHECK(r->closing == 0 && r->fetchers.count == 0);
    map_release(&r->fetchers);
    free(r);
}

void replication_stop(struct replication *r, void (*stopped)(void *ctx), void *ctx)
{
    r->stopping = true;
    r->stopped = stopped;
    r->stopped_ctx = ctx;
    r->closing++; /* until all were begun */
    MAP_FOR_EACH (entry, &r->fetchers) {
        struct replica_fetcher *f = entry->value;
        while (!list_empty(&f->members)) {
            bool last = f->member_count == 1;
            release(r, LIST_ITEM(f->members.next, struct followed, member));
            if (last)
                break; /* and closed with its last member */
        }
    }
    r->closing--;
    check_stopped(r);
}
