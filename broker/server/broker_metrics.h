/*
 * What a broker counts, under the names that Kafka's MBeans have in the JMX exporter
 * (common/base/metrics.h): records and bytes of topics, requests (request_metrics.h), and gauges
 * that each loop sets now and then (gauges.h).
 *
 * A shard_metrics belongs to one loop; its counters are plain additions. The rest: any thread. Only
 * what is counted appears per topic, and it goes with the topic.
 */
#ifndef KRAFTD_BROKER_SERVER_BROKER_METRICS_H
#define KRAFTD_BROKER_SERVER_BROKER_METRICS_H

#include "broker/server/quorum_gauges.h"
#include "common/base/map.h"
#include "common/base/metrics.h"
#include "common/protocol/kafka_error.h"

struct broker_metrics;
struct request_kind;
struct request_timing;

/* BrokerTopicMetrics, of one topic and of all. */
enum topic_metric {
    TOPIC_BYTES_IN,
    TOPIC_BYTES_OUT,
    TOPIC_BYTES_REJECTED,
    TOPIC_MESSAGES_IN,
    TOPIC_PRODUCE_REQUESTS,
    TOPIC_PRODUCE_FAILED,
    TOPIC_FETCH_REQUESTS,
    TOPIC_FETCH_FAILED,
    TOPIC_METRIC_COUNT,
};

/* Replication, of all topics. */
enum replication_metric {
    REPLICATION_BYTES_IN,
    REPLICATION_BYTES_OUT,
    REPLICATION_ISR_SHRINKS,
    REPLICATION_ISR_EXPANDS,
    REPLICATION_ISR_FAILURES,
    REPLICATION_METRIC_COUNT,
};

struct topic_metrics {
    struct uuid id;
    char *name;
    struct metric *metrics[TOPIC_METRIC_COUNT]; /* NULL until it is counted */
};

struct shard_metrics {
    struct broker_metrics *broker;
    int index;
    struct map topics;            /* topic id -> struct topic_metrics */
    struct topic_metrics *last;   /* that was counted */
    struct request_kind **kinds;  /* request_metrics.c's: by place in api_table, and two more */
    struct request_timing *spare; /* to be used again */
    int spare_count;
};

struct broker_metrics *broker_metrics_new(int loop_count);
/* No loop runs any more. NULL is fine. */
void broker_metrics_free(struct broker_metrics *metrics);

struct metrics *broker_metrics_registry(const struct broker_metrics *metrics);
struct shard_metrics *broker_metrics_shard(struct broker_metrics *metrics, int index);
struct gauges *broker_metrics_gauges(struct broker_metrics *metrics);
/* Loop 0. */
struct quorum_gauges *broker_metrics_quorum(struct broker_metrics *metrics);
/* kafka.log:type=LogFlushStats, a histogram of microseconds. */
struct metric *broker_metrics_flush_times(struct broker_metrics *metrics);

/* NULL when nothing was counted for the topic on this loop. */
struct topic_metrics *topic_metrics_find(struct shard_metrics *metrics, struct uuid id);
/* Finds or adds it. */
struct topic_metrics *topic_metrics_get(struct shard_metrics *metrics, struct uuid id,
                                        struct str name);
/* One partition's share of a request. */
void topic_metrics_produced(struct shard_metrics *metrics, struct topic_metrics *topic,
                            enum kafka_error error, int64_t bytes, int64_t records);
void topic_metrics_fetched(struct shard_metrics *metrics, struct topic_metrics *topic,
                           enum kafka_error error, int64_t bytes);
void replication_metrics_count(struct shard_metrics *metrics, enum replication_metric which,
                               int64_t n);
/* A batch with a wrong checksum came from a producer or a leader. */
void broker_metrics_bad_crc(struct shard_metrics *metrics);
/* The topic is gone. */
void topic_metrics_forget(struct shard_metrics *metrics, struct uuid id);

#endif
