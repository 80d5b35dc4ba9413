#include "broker/server/gauges.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"

#include <stdlib.h>

#define PURGATORY "kafka.server:type=DelayedOperationPurgatory,name=PurgatorySize"

#define FETCHERS "kafka.server:type=ReplicaFetcherManager,name="

struct gauges {
    int loop_count;
    _Atomic bool is_set[GAUGE_COUNT];
    _Atomic int64_t values[]; /* GAUGE_COUNT of each loop */
};

static const struct {
    const char *mbean;
    double scale; /* 0: as it is */
    struct metric_label label;
} table[GAUGE_COUNT] = {
    [GAUGE_PARTITION_COUNT] = {"kafka.server:type=ReplicaManager,name=PartitionCount", 0},
    [GAUGE_LEADER_COUNT] = {"kafka.server:type=ReplicaManager,name=LeaderCount", 0},
    [GAUGE_OFFLINE_REPLICA_COUNT] = {"kafka.server:type=ReplicaManager,name=OfflineReplicaCount",
                                     0},
    [GAUGE_UNDER_REPLICATED] = {"kafka.server:type=ReplicaManager,name=UnderReplicatedPartitions",
                                0},
    [GAUGE_UNDER_MIN_ISR] = {"kafka.server:type=ReplicaManager,name=UnderMinIsrPartitionCount", 0},
    [GAUGE_AT_MIN_ISR] = {"kafka.server:type=ReplicaManager,name=AtMinIsrPartitionCount", 0},
    [GAUGE_FETCH_SESSIONS] =
        {"kafka.server:type=FetchSessionCache,name=NumIncrementalFetchSessions", 0},
    [GAUGE_FETCH_SESSION_PARTITIONS] =
        {"kafka.server:type=FetchSessionCache,name=NumIncrementalFetchPartitionsCached", 0},
    [GAUGE_WAITING_PRODUCES] = {PURGATORY, 0, {"delayedOperation", {"Produce", 7}}},
    [GAUGE_WAITING_FETCHES] = {PURGATORY, 0, {"delayedOperation", {"Fetch", 5}}},
    [GAUGE_REPLICA_MAX_LAG] = {FETCHERS "MaxLag", 0, {"clientId", {"Replica", 7}}},
    [GAUGE_REPLICA_FETCHERS_FAILED] = {FETCHERS "DeadThreadCount", 0, {"clientId", {"Replica", 7}}},
    [GAUGE_REPLICA_PARTITIONS_FAILED] = {FETCHERS "FailedPartitionsCount",
                                         0,
                                         {"clientId", {"Replica", 7}}},
    [GAUGE_BROKER_STATE] = {"kafka.server:type=KafkaServer,name=BrokerState", 0},
    [GAUGE_METADATA_OFFSET] =
        {"kafka.server:type=broker-metadata-metrics,name=last-applied-record-offset", 0},
    [GAUGE_METADATA_TIMESTAMP_MS] =
        {"kafka.server:type=broker-metadata-metrics,name=last-applied-record-timestamp", 0},
    [GAUGE_METADATA_LAG_MS] =
        {"kafka.server:type=broker-metadata-metrics,name=last-applied-record-lag-ms", 0},
    [GAUGE_METADATA_VERSION] = {"kafka.server:type=MetadataLoader,name=CurrentMetadataVersion", 0},
    [GAUGE_ACTIVE_CONTROLLER] = {"kafka.controller:type=KafkaController,name=ActiveControllerCount",
                                 0},
    [GAUGE_ACTIVE_BROKERS] = {"kafka.controller:type=KafkaController,name=ActiveBrokerCount", 0},
    [GAUGE_FENCED_BROKERS] = {"kafka.controller:type=KafkaController,name=FencedBrokerCount", 0},
    [GAUGE_GLOBAL_TOPICS] = {"kafka.controller:type=KafkaController,name=GlobalTopicCount", 0},
    [GAUGE_GLOBAL_PARTITIONS] = {"kafka.controller:type=KafkaController,name=GlobalPartitionCount",
                                 0},
    [GAUGE_OFFLINE_PARTITIONS] =
        {"kafka.controller:type=KafkaController,name=OfflinePartitionsCount", 0},
    [GAUGE_PREFERRED_IMBALANCE] =
        {"kafka.controller:type=KafkaController,name=PreferredReplicaImbalanceCount", 0},
    [GAUGE_APPLIED_OFFSET] = {"kafka.controller:type=KafkaController,name=LastAppliedRecordOffset",
                              0},
    [GAUGE_APPLIED_TIMESTAMP_MS] =
        {"kafka.controller:type=KafkaController,name=LastAppliedRecordTimestamp", 0},
    [GAUGE_APPLIED_LAG_MS] = {"kafka.controller:type=KafkaController,name=LastAppliedRecordLagMs",
                              0},
    [GAUGE_COMMITTED_OFFSET] =
        {"kafka.controller:type=KafkaController,name=LastCommittedRecordOffset", 0},
    [GAUGE_RAFT_EPOCH] = {"kafka.server:type=raft-metrics,name=current-epoch", 0},
    [GAUGE_RAFT_LEADER] = {"kafka.server:type=raft-metrics,name=current-leader", 0},
    [GAUGE_RAFT_HIGH_WATERMARK] = {"kafka.server:type=raft-metrics,name=high-watermark", 0},
    [GAUGE_RAFT_LOG_END_OFFSET] = {"kafka.server:type=raft-metrics,name=log-end-offset", 0},
    [GAUGE_RAFT_LOG_END_EPOCH] = {"kafka.server:type=raft-metrics,name=log-end-epoch", 0},
    [GAUGE_RAFT_VOTERS] = {"kafka.server:type=raft-metrics,name=number-of-voters", 0},
    [GAUGE_RAFT_APPEND_RATE] = {"kafka.server:type=raft-metrics,name=append-records-rate", 0.001},
    [GAUGE_RAFT_COMMIT_AVG] = {"kafka.server:type=raft-metrics,name=commit-latency-avg", 0.001},
    [GAUGE_RAFT_COMMIT_MAX] = {"kafka.server:type=raft-metrics,name=commit-latency-max", 0},
};

struct gauges *gauges_new(int loop_count)
{
    struct gauges *gauges = NULL;
    gauges = mem_calloc(1, sizeof(*gauges) +
                               (size_t)loop_count * GAUGE_COUNT * sizeof(gauges->values[0]));
    gauges->loop_count = loop_count;
    return gauges;
}

void gauges_free(struct gauges *gauges)
{
    free(gauges);
}

void gauge_set(struct gauges *gauges, enum gauge gauge, int loop, int64_t value)
{
    CHECK(gauge < GAUGE_COUNT && loop < gauges->loop_count);
    atomic_store_explicit(&gauges->values[loop * GAUGE_COUNT + (int)gauge], value,
                          memory_order_relaxed);
    if (!atomic_load_explicit(&gauges->is_set[gauge], memory_order_relaxed))
        atomic_store_explicit(&gauges->is_set[gauge], true, memory_order_release);
}

int64_t gauge_sum(const struct gauges *gauges, enum gauge gauge)
{
    int64_t sum = 0;
    for (int i = 0; i < gauges->loop_count; i++)
        sum += atomic_load_explicit(&gauges->values[i * GAUGE_COUNT + (int)gauge],
                                    memory_order_relaxed);
    return sum;
}

static int64_t gauge_max(const struct gauges *gauges, enum gauge gauge)
{
    int64_t max = INT64_MIN;
    for (int i = 0; i < gauges->loop_count; i++)
        max = MAX(max, atomic_load_explicit(&gauges->values[i * GAUGE_COUNT + (int)gauge],
                                            memory_order_relaxed));
    return max;
}

/* The exporter turns a text into a label. */
static void write_raft_state(const struct gauges *gauges, struct metrics_writer *writer)
{
    static const char *const names[] = {"leader", "follower", "observer", "unattached"};
    struct metric_label label = {"current_state",
                                 str_of(names[gauge_sum(gauges, GAUGE_RAFT_STATE)])};
    metrics_write_plain(writer, METRIC_GAUGE, "kafka_server_raftmetrics", &label, 1, 1);
}

/* A loop is a network thread and a request handler. */
static void write_idle(const struct gauges *gauges, struct metrics_writer *writer)
{
    static const char *const mbeans[] = {
        "kafka.network:type=SocketServer,name=NetworkProcessorAvgIdlePercent",
        "kafka.server:type=KafkaRequestHandlerPool,name=RequestHandlerAvgIdlePercent",
    };
    double idle = (double)gauge_sum(gauges, GAUGE_IDLE) / 1000 / gauges->loop_count;
    for (size_t i = 0; i < ARRAY_LEN(mbeans); i++)
        metrics_write(writer, METRIC_GAUGE, mbeans[i], NULL, 0, idle);
}

void gauges_collect(void *ctx, struct metrics_writer *writer)
{
    const struct gauges *gauges = ctx;
    for (int i = 0; i < GAUGE_COUNT; i++) {
        if (!atomic_load_explicit(&gauges->is_set[i], memory_order_acquire))
            continue;
        if (i == GAUGE_RAFT_STATE) {
            write_raft_state(gauges, writer);
            continue;
        }
        if (i == GAUGE_IDLE) {
            write_idle(gauges, writer);
            continue;
        }
        double value = (double)(i == GAUGE_REPLICA_MAX_LAG ? gauge_max(gauges, (enum gauge)i)
                                                           : gauge_sum(gauges, (enum gauge)i));
        if (table[i].scale > 0)
            value *= table[i].scale;
        metrics_write(writer, METRIC_GAUGE, table[i].mbean, &table[i].label,
                      table[i].label.name != NULL, value);
    }
}
