#include "tests/sim/workload.h"

#include "common/base/check.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/record_batch_builder.h"
#include "tests/sim/session.h"

#include <stdio.h>

#define PRODUCER_PROCESSES 2

static const struct {
    const char *name;
    bool durable, may_delete, churns;
    int32_t partitions;
    struct workload_config configs[WORKLOAD_CONFIGS];
} plans[WORKLOAD_TOPICS] = {
    {"payments", .durable = true, .partitions = 2, .configs = {{"flush.messages", "1"}}},
    {"clicks", .partitions = 2, .configs = {{"segment.ms", "3000"}}},
    {"ledger", .durable = true, .partitions = 1,
     .configs = {{"flush.messages", "1"}, {"segment.ms", "1000"}, {"index.interval.bytes", "200"}}},
    {"expiring", .may_delete = true, .partitions = 1,
     .configs = {{"segment.ms", "1000"}, {"retention.ms", "5000"}, {"flush.ms", "500"}}},
    {"churn-a", .churns = true, .partitions = 1},
    {"churn-b", .churns = true, .partitions = 3, .configs = {{"retention.bytes", "1000000"}}},
    {"churn-c", .churns = true, .partitions = 2, .configs = {{"cleanup.policy", "compact"}}},
};

void workload_init(struct workload *w, struct sim *sim, struct sim_node *server)
{
    *w = (struct workload){.sim = sim, .server = server};
    checker_init(&w->checker, sim);
    for (int i = 0; i < WORKLOAD_TOPICS; i++) {
        struct workload_topic *topic = &w->topics[i];
        topic->name = plans[i].name;
        topic->durable = plans[i].durable;
        topic->may_delete = plans[i].may_delete;
        topic->churns = plans[i].churns;
        topic->partitions = plans[i].partitions;
        for (int j = 0; j < WORKLOAD_CONFIGS; j++)
            topic->configs[j] = plans[i].configs[j];
        for (int j = 0; j < WORKLOAD_PARTITIONS; j++) {
            char name[64];
            snprintf(name, sizeof(name), "%s-%d", topic->name, j);
            checker_partition_init(&topic->parts[j], &w->checker, name, topic->durable,
                                   topic->may_delete);
        }
    }
}

void workload_release(struct workload *w)
{
    for (int i = 0; i < WORKLOAD_TOPICS; i++)
        for (int j = 0; j < WORKLOAD_PARTITIONS; j++)
            checker_partition_release(&w->topics[i].parts[j]);
    checker_release(&w->checker);
}

struct session *workload_session(const struct workload *w, struct env *env, const char *client_id,
                                 void (*changed)(void *owner, bool up), void *owner)
{
    return session_new(&(struct session_options){.loop = env->loops[0],
                                                 .server = w->server,
                                                 .port = WORKLOAD_PORT,
                                                 .client_id = client_id,
                                                 .changed = changed,
                                                 .owner = owner});
}

static void start_client(struct workload *w, const char *name,
                         void *(*boot)(struct env *env, void *ctx))
{
    sim_node_start(sim_node_new(
        w->sim, &(struct sim_node_config){
                    .name = name, .loops = 1, .log_level = LOG_INFO, .boot = boot, .ctx = w}));
}

void workload_start(struct workload *w)
{
    start_client(w, "admin", admin_boot);
    for (int i = 0; i < PRODUCER_PROCESSES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "producer-%d", i);
        start_client(w, name, producer_boot);
    }
    start_client(w, "auditor", auditor_boot);
    start_client(w, "tail", tail_boot);
}

bool workload_retriable(int16_t error_code)
{
    switch ((enum kafka_error)error_code) {
    case KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION:
    case KAFKA_ERROR_LEADER_NOT_AVAILABLE:
    case KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER:
    case KAFKA_ERROR_REQUEST_TIMED_OUT:
    case KAFKA_ERROR_BROKER_NOT_AVAILABLE:
    case KAFKA_ERROR_REPLICA_NOT_AVAILABLE:
    case KAFKA_ERROR_NETWORK_EXCEPTION:
    case KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS:
    case KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE:
    case KAFKA_ERROR_NOT_ENOUGH_REPLICAS:
    case KAFKA_ERROR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case KAFKA_ERROR_NOT_CONTROLLER:
    case KAFKA_ERROR_KAFKA_STORAGE_ERROR:
    case KAFKA_ERROR_OFFSET_NOT_AVAILABLE:
    case KAFKA_ERROR_UNKNOWN_TOPIC_ID:
    case KAFKA_ERROR_FENCED_LEADER_EPOCH:
    case KAFKA_ERROR_UNKNOWN_LEADER_EPOCH:
        return true;
    default:
        return false;
    }
}

int64_t workload_random(struct env *env, int64_t bound)
{
    uint64_t value;
    env_random(env, &value, sizeof(value));
    return bound > 0 ? (int64_t)(value % (uint64_t)bound) : 0;
}

void workload_batch(struct env *env, struct record_batch_builder *builder, int64_t producer_id,
                    int16_t producer_epoch, int32_t sequence, struct bytebuf *out)
{
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    options.producer_id = producer_id;
    options.producer_epoch = producer_epoch;
    options.base_sequence = sequence;
    if (workload_random(env, 8) == 0)
        options.codec = COMPRESSION_LZ4;
    options.level = compression_level_default(options.codec);
    uint8_t value[2000];
    int64_t count = 1 + workload_random(env, 5);
    int64_t most = workload_random(env, 20) == 0 ? (int64_t)sizeof(value) : 150;
    record_batch_builder_start(builder, &options);
    for (int64_t i = 0; i < count; i++) {
        int32_t len = (int32_t)(8 + workload_random(env, most - 8));
        env_random(env, value, (size_t)len);
        CHECK(record_batch_builder_append(builder, env_wall_ms(env), BYTES_NULL,
                                          (struct bytes){value, len}, NULL, 0) == 0);
    }
    record_batch_builder_close(builder, out);
}
