#include "broker/server/shard_gauges.h"

#include "broker/replica/fetch_session.h"
#include "broker/server/broker_metrics.h"
#include "broker/server/metadata_loop.h"
#include "broker/server/node.h"
#include "broker/server/replication.h"
#include "broker/server/shard.h"
#include "broker/server/shard_topics.h"
#include "common/base/check.h"
#include "metadata/config/server_config.h"
#include "metadata/image.h"
#include "raft/quorum_node.h"

/* Partitions that fail do so without a change of the metadata. */
#define INTERVAL_MS 5000

static struct gauges *gauges_of(const struct shard *shard)
{
    return broker_metrics_gauges(shard->metrics->broker);
}

/* Partitions of this loop by what is to be known of them. */
struct tally {
    int64_t leaders, offline, under_replicated, under_min_isr, at_min_isr;
};

static void tally_partition(struct shard *shard, const struct partition *p, struct tally *tally)
{
    const struct partition_role *role = partition_get_role(p);
    tally->offline += partition_get_state(p) == PARTITION_OFFLINE;
    if (role->leader_id != shard->host.node_id)
        return;
    int32_t least = 1;
    if (role->replicas.count > 1) {
        struct topic_ref topic = {.name = partition_topic(p), .id = partition_topic_id(p)};
        least = MIN(shard_topic_settings(shard, &topic)->min_insync_replicas, role->replicas.count);
    }
    tally->leaders++;
    tally->under_replicated += role->isr.count < role->replicas.count;
    tally->under_min_isr += role->isr.count < least;
    tally->at_min_isr += role->isr.count == least;
}

/* As Kafka's meters: a mean over about the last minute. */
static void refresh_idle(struct shard *shard)
{
    struct env *env = shard->loop->env;
    int64_t now_us = env_now_us(env), busy_us = env->ops->busy_us(shard->loop);
    double span_us = (double)(now_us - shard->busy_since_us);
    if (shard->busy_since_us > 0 && span_us > 0) {
        double share = MIN((double)(busy_us - shard->busy_before_us) / span_us, 1.0);
        shard->busy_share += span_us / (span_us + 60e6) * (share - shard->busy_share);
    }
    shard->busy_since_us = now_us;
    shard->busy_before_us = busy_us;
    gauge_set(gauges_of(shard), GAUGE_IDLE, shard->index,
              1000 - (int64_t)(shard->busy_share * 1000));
}

static void refresh_partitions(struct shard *shard)
{
    struct gauges *gauges = gauges_of(shard);
    struct tally tally = {0};
    MAP_FOR_EACH (entry, &shard->partitions)
        tally_partition(shard, entry->value, &tally);
    int at = shard->index;
    gauge_set(gauges, GAUGE_PARTITION_COUNT, at, (int64_t)shard->partitions.count);
    gauge_set(gauges, GAUGE_LEADER_COUNT, at, tally.leaders);
    gauge_set(gauges, GAUGE_OFFLINE_REPLICA_COUNT, at, tally.offline);
    gauge_set(gauges, GAUGE_UNDER_REPLICATED, at, tally.under_replicated);
    gauge_set(gauges, GAUGE_UNDER_MIN_ISR, at, tally.under_min_isr);
    gauge_set(gauges, GAUGE_AT_MIN_ISR, at, tally.at_min_isr);
    gauge_set(gauges, GAUGE_FETCH_SESSIONS, at, fetch_session_cache_count(shard->sessions));
    gauge_set(gauges, GAUGE_FETCH_SESSION_PARTITIONS, at,
              fetch_session_cache_partitions(shard->sessions));
    gauge_set(gauges, GAUGE_WAITING_PRODUCES, at, shard->waiting_produces);
    gauge_set(gauges, GAUGE_WAITING_FETCHES, at, shard->waiting_fetches);
    struct replication_lag lag;
    replication_lag(shard->replication, &lag);
    gauge_set(gauges, GAUGE_REPLICA_MAX_LAG, at, lag.max_lag);
    gauge_set(gauges, GAUGE_REPLICA_FETCHERS_FAILED, at, lag.unreachable);
    gauge_set(gauges, GAUGE_REPLICA_PARTITIONS_FAILED, at, lag.paused_partitions);
}

static void refresh_brokers(const struct image *image, struct gauges *gauges)
{
    int64_t fenced = 0;
    struct pmap_iter iter;
    const struct broker_image *broker;
    pmap_iter_first(&iter, image->cluster.brokers);
    while ((broker = pmap_iter_next(&iter)) != NULL)
        fenced += broker->fenced;
    gauge_set(gauges, GAUGE_FENCED_BROKERS, 0, fenced);
    gauge_set(gauges, GAUGE_ACTIVE_BROKERS, 0, (int64_t)image->cluster.brokers.count - fenced);
}

static void refresh_all_partitions(const struct shard *shard, struct gauges *gauges)
{
    const struct topics_image *topics = &shard->image->topics;
    gauge_set(gauges, GAUGE_GLOBAL_TOPICS, 0, (int64_t)topics->by_name.count);
    gauge_set(gauges, GAUGE_GLOBAL_PARTITIONS, 0, topics->partition_count);
    gauge_set(gauges, GAUGE_OFFLINE_PARTITIONS, 0, shard->census.offline);
    gauge_set(gauges, GAUGE_PREFERRED_IMBALANCE, 0, shard->census.imbalance);
}

static void refresh_controller(struct shard *shard, const struct quorum_node *quorum,
                               int64_t lag_ms)
{
    const struct image *image = shard->image;
    struct gauges *gauges = gauges_of(shard);
    bool active = metadata_loop_is_active(node_metadata_loop(shard->node));
    gauge_set(gauges, GAUGE_ACTIVE_CONTROLLER, 0, active);
    refresh_brokers(image, gauges);
    refresh_all_partitions(shard, gauges);
    gauge_set(gauges, GAUGE_APPLIED_OFFSET, 0, image->offset);
    gauge_set(gauges, GAUGE_APPLIED_TIMESTAMP_MS, 0, image->timestamp_ms);
    gauge_set(gauges, GAUGE_APPLIED_LAG_MS, 0, active ? 0 : lag_ms);
    if (quorum != NULL && quorum_node_core(quorum) != NULL)
        gauge_set(gauges, GAUGE_COMMITTED_OFFSET, 0, quorum_node_high_watermark(quorum) - 1);
}

static void refresh_metadata(struct shard *shard)
{
    const struct image *image = shard->image;
    struct gauges *gauges = gauges_of(shard);
    struct env *env = shard->loop->env;
    const struct quorum_node *quorum = metadata_loop_quorum(node_metadata_loop(shard->node));
    int64_t lag_ms = image->offset < 0 ? 0 : MAX(env_wall_ms(env) - image->timestamp_ms, 0);
    gauge_set(gauges, GAUGE_BROKER_STATE, 0, node_broker_state(shard->node));
    gauge_set(gauges, GAUGE_METADATA_OFFSET, 0, image->offset);
    gauge_set(gauges, GAUGE_METADATA_TIMESTAMP_MS, 0, image->timestamp_ms);
    gauge_set(gauges, GAUGE_METADATA_LAG_MS, 0, lag_ms);
    gauge_set(gauges, GAUGE_METADATA_VERSION, 0, features_image_metadata_version(&image->features));
    quorum_gauges_refresh(broker_metrics_quorum(shard->metrics->broker), quorum, env_now_us(env),
                          gauges);
    if (node_config(shard->node)->is_controller)
        refresh_controller(shard, quorum, lag_ms);
}

void shard_gauges_tick(struct shard *shard, int64_t now_ms)
{
    if (shard->gauges_version == shard->image->version && now_ms < shard->gauges_due_ms)
        return;
    shard->gauges_due_ms = now_ms + INTERVAL_MS;
    refresh_partitions(shard);
    refresh_idle(shard);
    if (shard->index == 0)
        refresh_metadata(shard);
    shard->gauges_version = shard->image->version;
}
