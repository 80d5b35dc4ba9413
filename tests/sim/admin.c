/*
 * The admin of the workload: one operation at a time, each tried until its outcome is certain;
 * then, and after every fault, what the node says of its topics is compared with what it
 * acknowledged.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/alter_replica_log_dirs.h"
#include "common/protocol/messages/create_partitions.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/delete_records.h"
#include "common/protocol/messages/delete_topics.h"
#include "common/protocol/messages/describe_configs.h"
#include "common/protocol/messages/incremental_alter_configs.h"
#include "common/protocol/messages/metadata.h"
#include "tests/sim/session.h"
#include "tests/sim/sim_heap.h"
#include "tests/sim/workload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TOPIC_RESOURCE 2
#define SETTLE_US      (10 * SIM_SECOND) /* a node may lag behind its own answers so long */

enum op { CREATE, DELETE, GROW, CONFIGURE, DELETE_RECORDS, MOVE, CHECK_TOPICS, CHECK_CONFIGS };

struct admin {
    struct env *env;
    struct workload *workload;
    struct session *session;
    struct timer tick;
    bool waiting;
    bool working; /* an operation is open, perhaps between two tries */
    bool tried;   /* its outcome may have come about already */
    enum op op;
    struct workload_topic *topic;
    int32_t partitions;
    int config;
    char value[32];
    int64_t offset;
    int created;               /* topics that stay */
    int64_t mismatch_since_us; /* 0: the last check was good */
};

static void finish(struct admin *a)
{
    a->working = false;
    a->workload->admin_busy = false;
}

/* What the node says contradicts what it acknowledged; for a moment it may. */
__attribute__((format(printf, 2, 3))) static void mismatch(struct admin *a, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    int64_t now_us = env_now_us(a->env);
    if (a->mismatch_since_us == 0)
        a->mismatch_since_us = now_us;
    else if (now_us - a->mismatch_since_us > SETTLE_US)
        sim_fail(a->workload->sim, "%s", text);
}

/* Whether an answer settles the operation. `if_tried` is the error that says that an earlier try
 * whose answer was lost has done it. */
static bool settled(struct admin *a, const char *what, int status, int16_t error, int16_t if_tried)
{
    a->waiting = false;
    sim_log(a->workload->sim, "admin", "%s %s: status %d, error %d", what, a->topic->name, status,
            error);
    if (status == -EPROTO)
        sim_fail(a->workload->sim, "an answer to %s cannot be decoded", what);
    if (status != 0 || error == KAFKA_ERROR_REQUEST_TIMED_OUT ||
        error == KAFKA_ERROR_NOT_CONTROLLER) {
        a->tried = true;
        return false;
    }
    if (error == 0 || (a->tried && error == if_tried)) {
        a->mismatch_since_us = 0;
        finish(a);
        return true;
    }
    /* Without a registered broker no replica can be placed. */
    if (workload_retriable(error) || error == KAFKA_ERROR_INVALID_REPLICATION_FACTOR)
        mismatch(a, "%s of %s goes on being answered with error %d", what, a->topic->name, error);
    else
        sim_fail(a->workload->sim, "%s of %s is answered with error %d", what, a->topic->name,
                 error);
    return false;
}

/* --- Create and delete --- */

static void created(void *ctx, int status, const void *response)
{
    struct admin *a = ctx;
    const struct create_topics_response *r = response;
    int16_t error = status == 0 && r->topics_count == 1 ? r->topics[0].error_code : 0;
    if (!settled(a, "CreateTopics", status, error, KAFKA_ERROR_TOPIC_ALREADY_EXISTS))
        return;
    a->topic->exists = true;
    a->topic->id = error == 0 ? r->topics[0].topic_id : UUID_ZERO;
    a->created += !a->topic->churns;
}

static void create(struct admin *a)
{
    struct create_topics_request request;
    struct create_topics_request_creatable_topic topic;
    struct create_topics_request_creatable_topic_config configs[WORKLOAD_CONFIGS];
    message_init(&create_topics_request_desc, &request);
    message_struct_init(&create_topics_request_creatable_topic_struct, &topic, 1);
    message_struct_init(&create_topics_request_creatable_topic_config_struct, configs,
                        WORKLOAD_CONFIGS);
    for (int i = 0; i < WORKLOAD_CONFIGS; i++) {
        if (!a->topic->configs[i].name || a->topic->configs[i].value[0] == '\0')
            continue;
        configs[topic.configs_count].name = str_of(a->topic->configs[i].name);
        configs[topic.configs_count++].value = str_of(a->topic->configs[i].value);
    }
    topic.name = str_of(a->topic->name);
    topic.num_partitions = a->topic->partitions;
    topic.replication_factor = 1;
    topic.configs = configs;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 5000;
    a->waiting = session_call(a->session, API_CREATE_TOPICS, 7, &request, 8000, created, a) == 0;
}

static void deleted(void *ctx, int status, const void *response)
{
    struct admin *a = ctx;
    const struct delete_topics_response *r = response;
    int16_t error = status == 0 && r->responses_count == 1 ? r->responses[0].error_code : 0;
    if (settled(a, "DeleteTopics", status, error, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION))
        a->topic->exists = false;
}

static void delete (struct admin *a)
{
    struct delete_topics_request request;
    struct delete_topics_request_delete_topic_state topic;
    message_init(&delete_topics_request_desc, &request);
    message_struct_init(&delete_topics_request_delete_topic_state_struct, &topic, 1);
    topic.name = str_of(a->topic->name);
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 5000;
    a->waiting = session_call(a->session, API_DELETE_TOPICS, 6, &request, 8000, deleted, a) == 0;
}

/* --- Partitions, configs, records --- */

static void grown(void *ctx, int status, const void *response)
{
    struct admin *a = ctx;
    const struct create_partitions_response *r = response;
    int16_t error = status == 0 && r->results_count == 1 ? r->results[0].error_code : 0;
    if (settled(a, "CreatePartitions", status, error, KAFKA_ERROR_INVALID_PARTITIONS))
        a->topic->partitions = a->partitions;
}

static void grow(struct admin *a)
{
    struct create_partitions_request request;
    struct create_partitions_request_create_partitions_topic topic;
    message_init(&create_partitions_request_desc, &request);
    message_struct_init(&create_partitions_request_create_partitions_topic_struct, &topic, 1);
    topic.name = str_of(a->topic->name);
    topic.count = a->partitions;
    topic.assignments_count = -1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 5000;
    a->waiting = session_call(a->session, API_CREATE_PARTITIONS, 3, &request, 8000, grown, a) == 0;
}

static void configured(void *ctx, int status, const void *response)
{
    struct admin *a = ctx;
    const struct incremental_alter_configs_response *r = response;
    int16_t error = status == 0 && r->responses_count == 1 ? r->responses[0].error_code : 0;
    if (settled(a, "IncrementalAlterConfigs", status, error, 0))
        memcpy(a->topic->configs[a->config].value, a->value, sizeof(a->value));
}

static void configure(struct admin *a)
{
    struct incremental_alter_configs_request request;
    struct incremental_alter_configs_request_alter_configs_resource resource;
    struct incremental_alter_configs_request_alterable_config config;
    message_init(&incremental_alter_configs_request_desc, &request);
    message_struct_init(&incremental_alter_configs_request_alter_configs_resource_struct, &resource,
                        1);
    message_struct_init(&incremental_alter_configs_request_alterable_config_struct, &config, 1);
    config.name = str_of(a->topic->configs[a->config].name);
    config.config_operation = a->value[0] ? 0 : 1;
    config.value = a->value[0] ? str_of(a->value) : STR_NULL;
    resource.resource_type = TOPIC_RESOURCE;
    resource.resource_name = str_of(a->topic->name);
    resource.configs = &config;
    resource.configs_count = 1;
    request.resources = &resource;
    request.resources_count = 1;
    a->waiting = session_call(a->session, API_INCREMENTAL_ALTER_CONFIGS, 1, &request, 8000,
                              configured, a) == 0;
}

static void records_deleted(void *ctx, int status, const void *response)
{
    struct admin *a = ctx;
    const struct delete_records_response *r = response;
    int16_t error = 0;
    if (status == 0 && r->topics_count == 1 && r->topics[0].partitions_count == 1)
        error = r->topics[0].partitions[0].error_code;
    /* The end may have been lost with the power meanwhile. */
    settled(a, "DeleteRecords", status, error == KAFKA_ERROR_OFFSET_OUT_OF_RANGE ? 0 : error, 0);
}

static void delete_records(struct admin *a)
{
    struct delete_records_request request;
    struct delete_records_request_delete_records_topic topic;
    struct delete_records_request_delete_records_partition part;
    message_init(&delete_records_request_desc, &request);
    message_struct_init(&delete_records_request_delete_records_topic_struct, &topic, 1);
    message_struct_init(&delete_records_request_delete_records_partition_struct, &part, 1);
    struct checker_partition *checked = &a->topic->parts[0];
    checked->start = MAX(checked->start, a->offset);
    part.offset = a->offset;
    topic.name = str_of(a->topic->name);
    topic.partitions = &part;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 5000;
    a->waiting =
        session_call(a->session, API_DELETE_RECORDS, 2, &request, 8000, records_deleted, a) == 0;
}

/* Whether it gets there, or is back after a fault, is not told: no record may be lost by it. */
static void moved(void *ctx, int status, const void *response)
{
    struct admin *a = ctx;
    const struct alter_replica_log_dirs_response *r = response;
    int16_t error = 0;
    if (status == 0 && r->results_count == 1 && r->results[0].partitions_count == 1)
        error = r->results[0].partitions[0].error_code;
    a->waiting = false;
    sim_log(a->workload->sim, "admin", "AlterReplicaLogDirs %s: status %d, error %d",
            a->topic->name, status, error);
    if (status == -EPROTO)
        sim_fail(a->workload->sim, "an answer to AlterReplicaLogDirs cannot be decoded");
    if (error != 0 && error != KAFKA_ERROR_KAFKA_STORAGE_ERROR &&
        error != KAFKA_ERROR_REPLICA_NOT_AVAILABLE &&
        error != KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION)
        sim_fail(a->workload->sim, "AlterReplicaLogDirs of %s is answered with error %d",
                 a->topic->name, error);
    finish(a);
}

static void move(struct admin *a)
{
    static const char *const dirs[] = {"/data/a", "/data/b"};
    struct alter_replica_log_dirs_request request;
    struct alter_replica_log_dirs_request_alter_replica_log_dir dir;
    struct alter_replica_log_dirs_request_alter_replica_log_dir_topic topic;
    int32_t partition = (int32_t)workload_random(a->env, (uint32_t)a->topic->partitions);
    message_init(&alter_replica_log_dirs_request_desc, &request);
    message_struct_init(&alter_replica_log_dirs_request_alter_replica_log_dir_struct, &dir, 1);
    message_struct_init(&alter_replica_log_dirs_request_alter_replica_log_dir_topic_struct, &topic,
                        1);
    topic.name = str_of(a->topic->name);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    dir.path = str_of(dirs[workload_random(a->env, ARRAY_LEN(dirs))]);
    dir.topics = &topic;
    dir.topics_count = 1;
    request.dirs = &dir;
    request.dirs_count = 1;
    a->waiting =
        session_call(a->session, API_ALTER_REPLICA_LOG_DIRS, 2, &request, 8000, moved, a) == 0;
}

/* --- Comparing --- */

static const struct metadata_response_topic *find_topic(const struct metadata_response *r,
                                                        const char *name)
{
    for (int32_t i = 0; i < r->topics_count; i++)
        if (str_eq_z(r->topics[i].name, name))
            return &r->topics[i];
    return NULL;
}

static bool same_topic(struct admin *a, const struct metadata_response *r,
                       struct workload_topic *topic)
{
    const struct metadata_response_topic *found = find_topic(r, topic->name);
    if (!found == !topic->exists && !found)
        return true;
    if (!found || !topic->exists)
        mismatch(a, "topic %s %s, it was %s", topic->name, found ? "is there" : "is not there",
                 topic->exists ? "created" : "deleted");
    else if (found->partitions_count != topic->partitions)
        mismatch(a, "topic %s has %d partitions, acknowledged were %d", topic->name,
                 found->partitions_count, topic->partitions);
    else if (!uuid_is_zero(topic->id) && !uuid_eq(topic->id, found->topic_id))
        mismatch(a, "topic %s has another id than when it was created", topic->name);
    else {
        topic->id = found->topic_id;
        return true;
    }
    return false;
}

static void got_metadata(void *ctx, int status, const void *response)
{
    struct admin *a = ctx;
    const struct metadata_response *r = response;
    a->waiting = false;
    if (status == -EPROTO)
        sim_fail(a->workload->sim, "an answer to Metadata cannot be decoded");
    if (status != 0)
        return;
    bool good = true;
    for (int i = 0; i < WORKLOAD_TOPICS; i++)
        good &= same_topic(a, r, &a->workload->topics[i]);
    if (!good)
        return;
    a->op = CHECK_CONFIGS;
    a->topic = &a->workload->topics[workload_random(a->env, WORKLOAD_TOPICS)];
    if (a->topic->exists)
        return;
    a->mismatch_since_us = 0;
    finish(a);
}

static void check_topics(struct admin *a)
{
    struct metadata_request request;
    message_init(&metadata_request_desc, &request);
    request.topics_count = -1;
    request.allow_auto_topic_creation = false;
    a->waiting = session_call(a->session, API_METADATA, (int16_t)(10 + workload_random(a->env, 4)),
                              &request, 8000, got_metadata, a) == 0;
}

static void got_configs(void *ctx, int status, const void *response)
{
    struct admin *a = ctx;
    const struct describe_configs_response *r = response;
    a->waiting = false;
    if (status == -EPROTO)
        sim_fail(a->workload->sim, "an answer to DescribeConfigs cannot be decoded");
    if (status != 0 || r->results_count != 1 || r->results[0].error_code != 0)
        return;
    for (int i = 0; i < WORKLOAD_CONFIGS && a->topic->configs[i].name; i++) {
        const struct workload_config *config = &a->topic->configs[i];
        struct str value = STR_EMPTY;
        for (int32_t j = 0; j < r->results[0].configs_count; j++) {
            const struct describe_configs_response_describe_configs_resource_result *c =
                &r->results[0].configs[j];
            if (str_eq_z(c->name, config->name) && c->config_source == 1)
                value = c->value;
        }
        if (!str_eq_z(value, config->value)) {
            mismatch(a, "%s of topic %s is '%.*s', acknowledged was '%s'", config->name,
                     a->topic->name, STR_FMT(value), config->value);
            return;
        }
    }
    a->mismatch_since_us = 0;
    a->workload->admin_checks++;
    finish(a);
}

static void check_configs(struct admin *a)
{
    struct describe_configs_request request;
    struct describe_configs_request_describe_configs_resource resource;
    message_init(&describe_configs_request_desc, &request);
    message_struct_init(&describe_configs_request_describe_configs_resource_struct, &resource, 1);
    resource.resource_type = TOPIC_RESOURCE;
    resource.resource_name = str_of(a->topic->name);
    resource.configuration_keys_count = -1;
    request.resources = &resource;
    request.resources_count = 1;
    a->waiting =
        session_call(a->session, API_DESCRIBE_CONFIGS, 4, &request, 8000, got_configs, a) == 0;
}

/* --- What to do --- */

static struct workload_topic *draw_topic(struct admin *a, bool churns)
{
    struct workload_topic *topic;
    do
        topic = &a->workload->topics[workload_random(a->env, WORKLOAD_TOPICS)];
    while (topic->churns != churns);
    return topic;
}

static void choose(struct admin *a)
{
    struct workload *w = a->workload;
    a->op = CHECK_TOPICS;
    if (!w->created) {
        for (int i = 0; i < WORKLOAD_TOPICS; i++) {
            a->topic = &w->topics[i];
            if (!a->topic->churns && !a->topic->exists) {
                a->op = CREATE;
                return;
            }
        }
        /* Ids that no answer told are found by the first check. */
        w->created = w->admin_checks > 0;
        return;
    }
    if (w->quiet)
        return;
    switch (workload_random(a->env, 12)) {
    case 0 ... 3:
        a->topic = draw_topic(a, true);
        a->op = a->topic->exists ? DELETE : CREATE;
        break;
    case 4:
        a->topic = draw_topic(a, workload_random(a->env, 2));
        a->partitions = a->topic->partitions + 1;
        if (a->topic->exists && a->partitions <= WORKLOAD_PARTITIONS)
            a->op = GROW;
        break;
    case 5:
    case 6:
        a->topic = draw_topic(a, workload_random(a->env, 2));
        a->config = 1;
        if (!a->topic->exists || !a->topic->configs[1].name)
            break;
        a->op = CONFIGURE;
        snprintf(a->value, sizeof(a->value), "%lld",
                 (long long)(1000 + workload_random(a->env, 5000)));
        break;
    case 7:
        a->topic = draw_topic(a, false);
        if (a->topic->parts[0].count < 20)
            break;
        a->op = DELETE_RECORDS;
        a->offset = a->topic->parts[0].log[a->topic->parts[0].count / 4]->offset;
        break;
    case 8:
    case 9:
        a->topic = draw_topic(a, workload_random(a->env, 4) == 0);
        a->op = MOVE;
        break;
    default:
        break;
    }
}

static void act(struct admin *a)
{
    static void (*const ops[])(struct admin *) = {
        [CREATE] = create,
        [DELETE] = delete,
        [GROW] = grow,
        [CONFIGURE] = configure,
        [DELETE_RECORDS] = delete_records,
        [MOVE] = move,
        [CHECK_TOPICS] = check_topics,
        [CHECK_CONFIGS] = check_configs,
    };
    if (a->waiting || !session_is_up(a->session))
        return;
    if (!a->working) {
        choose(a);
        a->working = a->workload->admin_busy = true;
        a->tried = false;
    }
    ops[a->op](a);
}

static void tick(struct timer *timer)
{
    struct admin *a = CONTAINER_OF(timer, struct admin, tick);
    act(a);
    timer_start_in_ms(timer, 1 + workload_random(a->env, 400));
}

void *admin_boot(struct env *env, void *ctx)
{
    struct admin *a = mem_calloc(1, sizeof(*a));
    a->env = env;
    a->workload = ctx;
    a->session = workload_session(a->workload, env, "admin", NULL, NULL);
    timer_init(&a->tick, env->loops[0], tick);
    timer_start_in_ms(&a->tick, 50);
    return a;
}
