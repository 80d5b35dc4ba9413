#include "broker/server/broker_metrics.h"

#include "broker/server/request_metrics.h"
#include "common/base/check.h"
#include "common/base/mem.h"

#include <stdlib.h>

struct broker_metrics {
    struct metrics *registry;
    int shard_count;
    struct shard_metrics *shards;
    struct metric *all_topics[TOPIC_METRIC_COUNT];
    struct metric *replication[REPLICATION_METRIC_COUNT];
    struct metric *bad_crc;
    struct metric *flush_times;
    struct gauges *gauges;
    struct quorum_gauges quorum;
};

static const char *const topic_mbeans[TOPIC_METRIC_COUNT] = {
    [TOPIC_BYTES_IN] = "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec",
    [TOPIC_BYTES_OUT] = "kafka.server:type=BrokerTopicMetrics,name=BytesOutPerSec",
    [TOPIC_BYTES_REJECTED] = "kafka.server:type=BrokerTopicMetrics,name=BytesRejectedPerSec",
    [TOPIC_MESSAGES_IN] = "kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec",
    [TOPIC_PRODUCE_REQUESTS] =
        "kafka.server:type=BrokerTopicMetrics,name=TotalProduceRequestsPerSec",
    [TOPIC_PRODUCE_FAILED] =
        "kafka.server:type=BrokerTopicMetrics,name=FailedProduceRequestsPerSec",
    [TOPIC_FETCH_REQUESTS] = "kafka.server:type=BrokerTopicMetrics,name=TotalFetchRequestsPerSec",
    [TOPIC_FETCH_FAILED] = "kafka.server:type=BrokerTopicMetrics,name=FailedFetchRequestsPerSec",
};

static const char *const replication_mbeans[REPLICATION_METRIC_COUNT] = {
    [REPLICATION_BYTES_IN] = "kafka.server:type=BrokerTopicMetrics,name=ReplicationBytesInPerSec",
    [REPLICATION_BYTES_OUT] = "kafka.server:type=BrokerTopicMetrics,name=ReplicationBytesOutPerSec",
    [REPLICATION_ISR_SHRINKS] = "kafka.server:type=ReplicaManager,name=IsrShrinksPerSec",
    [REPLICATION_ISR_EXPANDS] = "kafka.server:type=ReplicaManager,name=IsrExpandsPerSec",
    [REPLICATION_ISR_FAILURES] = "kafka.server:type=ReplicaManager,name=FailedIsrUpdatesPerSec",
};

struct broker_metrics *broker_metrics_new(int loop_count)
{
    struct broker_metrics *m = mem_calloc(1, sizeof(*m));
    m->registry = metrics_new(loop_count);
    m->shard_count = loop_count;
    m->shards = mem_calloc((size_t)loop_count, sizeof(*m->shards));
    for (int i = 0; i < loop_count; i++) {
        m->shards[i].broker = m;
        m->shards[i].index = i;
        map_init(&m->shards[i].topics, MAP_UUID);
        request_metrics_init(&m->shards[i]);
    }
    for (int i = 0; i < TOPIC_METRIC_COUNT; i++)
        m->all_topics[i] = metrics_register(m->registry, METRIC_COUNTER, topic_mbeans[i], NULL, 0);
    for (int i = 0; i < REPLICATION_METRIC_COUNT; i++)
        m->replication[i] =
            metrics_register(m->registry, METRIC_COUNTER, replication_mbeans[i], NULL, 0);
    m->bad_crc = metrics_register(
        m->registry, METRIC_COUNTER,
        "kafka.server:type=BrokerTopicMetrics,name=InvalidMessageCrcRecordsPerSec", NULL, 0);
    m->flush_times =
        metrics_register(m->registry, METRIC_HISTOGRAM,
                         "kafka.log:type=LogFlushStats,name=LogFlushRateAndTimeMs", NULL, 0);
    m->gauges = gauges_new(loop_count);
    metrics_add_collector(m->registry, gauges_collect, m->gauges);
    return m;
}

static void topic_free(struct shard_metrics *shard, struct topic_metrics *topic)
{
    for (int i = 0; i < TOPIC_METRIC_COUNT; i++)
        metrics_remove(shard->broker->registry, topic->metrics[i]);
    free(topic->name);
    free(topic);
}

void broker_metrics_free(struct broker_metrics *m)
{
    if (m == NULL)
        return;
    for (int i = 0; i < m->shard_count; i++) {
        MAP_FOR_EACH (entry, &m->shards[i].topics)
            topic_free(&m->shards[i], entry->value);
        map_release(&m->shards[i].topics);
        request_metrics_release(&m->shards[i]);
    }
    for (int i = 0; i < TOPIC_METRIC_COUNT; i++)
        metrics_remove(m->registry, m->all_topics[i]);
    for (int i = 0; i < REPLICATION_METRIC_COUNT; i++)
        metrics_remove(m->registry, m->replication[i]);
    metrics_remove(m->registry, m->bad_crc);
    metrics_remove(m->registry, m->flush_times);
    metrics_remove_collector(m->registry, m->gauges);
    gauges_free(m->gauges);
    metrics_free(m->registry);
    free(m->shards);
    free(m);
}

struct metrics *broker_metrics_registry(const struct broker_metrics *m)
{
    return m->registry;
}

struct shard_metrics *broker_metrics_shard(struct broker_metrics *m, int index)
{
    CHECK(index < m->shard_count);
    return &m->shards[index];
}

struct gauges *broker_metrics_gauges(struct broker_metrics *m)
{
    return m->gauges;
}

struct quorum_gauges *broker_metrics_quorum(struct broker_metrics *m)
{
    return &m->quorum;
}

struct metric *broker_metrics_flush_times(struct broker_metrics *m)
{
    return m->flush_times;
}

struct topic_metrics *topic_metrics_find(struct shard_metrics *shard, struct uuid id)
{
    if (shard->last == NULL || !uuid_eq(shard->last->id, id))
        shard->last = map_get(&shard->topics, map_key_uuid(id));
    return shard->last;
}

struct topic_metrics *topic_metrics_get(struct shard_metrics *shard, struct uuid id,
                                        struct str name)
{
    struct topic_metrics *topic = topic_metrics_find(shard, id);
    if (topic == NULL) {
        topic = mem_calloc(1, sizeof(*topic));
        topic->id = id;
        topic->name = str_dup_z(name);
        map_put(&shard->topics, map_key_uuid(id), topic);
        shard->last = topic;
    }
    return topic;
}

static void count(struct shard_metrics *shard, struct topic_metrics *topic, enum topic_metric which,
                  int64_t n)
{
    metric_add(shard->broker->all_topics[which], shard->index, n);
    if (topic->metrics[which] == NULL) {
        struct metric_label label = {"topic", str_of(topic->name)};
        topic->metrics[which] = metrics_register(shard->broker->registry, METRIC_COUNTER,
                                                 topic_mbeans[which], &label, 1);
    }
    metric_add(topic->metrics[which], shard->index, n);
}

void replication_metrics_count(struct shard_metrics *shard, enum replication_metric which,
                               int64_t n)
{
    metric_add(shard->broker->replication[which], shard->index, n);
}

void broker_metrics_bad_crc(struct shard_metrics *shard)
{
    metric_add(shard->broker->bad_crc, shard->index, 1);
}

void topic_metrics_produced(struct shard_metrics *shard, struct topic_metrics *topic,
                            enum kafka_error error, int64_t bytes, int64_t records)
{
    count(shard, topic, TOPIC_PRODUCE_REQUESTS, 1);
    if (error == KAFKA_ERROR_NONE) {
        count(shard, topic, TOPIC_BYTES_IN, bytes);
        count(shard, topic, TOPIC_MESSAGES_IN, records);
        return;
    }
    count(shard, topic, TOPIC_PRODUCE_FAILED, 1);
    if (error == KAFKA_ERROR_MESSAGE_TOO_LARGE || error == KAFKA_ERROR_RECORD_LIST_TOO_LARGE)
        count(shard, topic, TOPIC_BYTES_REJECTED, bytes);
    else if (error == KAFKA_ERROR_CORRUPT_MESSAGE)
        broker_metrics_bad_crc(shard);
}

void topic_metrics_fetched(struct shard_metrics *shard, struct topic_metrics *topic,
                           enum kafka_error error, int64_t bytes)
{
    count(shard, topic, TOPIC_FETCH_REQUESTS, 1);
    if (error != KAFKA_ERROR_NONE)
        count(shard, topic, TOPIC_FETCH_FAILED, 1);
    if (bytes > 0)
        count(shard, topic, TOPIC_BYTES_OUT, bytes);
}

void topic_metrics_forget(struct shard_metrics *shard, struct uuid id)
{
    struct topic_metrics *topic = map_remove(&shard->topics, map_key_uuid(id));
    if (topic == NULL)
        return;
    if (shard->last == topic)
        shard->last = NULL;
    topic_free(shard, topic);
}
