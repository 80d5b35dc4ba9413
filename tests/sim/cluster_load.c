#include "tests/sim/cluster_load.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/create_partitions.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/delete_topics.h"
#include "common/protocol/messages/incremental_alter_configs.h"
#include "metadata/image.h"
#include "tests/sim/session.h"
#include "tests/sim/workload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TOPIC_RESOURCE  2
#define REQUEST_TIME_MS 3000
#define PROMPT_US       (300 * SIM_MS)
#define STALE_US        (8 * SIM_SECOND) /* more than a node stands still, and its quorum waits */

enum op { CREATE, DELETE, GROW, CONFIGURE };

static const char *const op_names[] = {"CreateTopics", "DeleteTopics", "CreatePartitions",
                                       "IncrementalAlterConfigs"};

struct client {
    struct env *env;
    struct cluster_load *load;
    int number;
    struct session *sessions[CLUSTER_LOAD_NODES];
    struct timer tick;
    int at; /* the node that is asked */
    bool waiting;
    enum op op;
    struct cluster_topic *topic; /* of the operation that is open; NULL */
    int32_t partitions;
    int64_t retention_ms, since_us, said_done_us;
    int32_t epoch;    /* at the node that is asked, when it was */
    bool doubtful;    /* that has changed: another controller may have been asked as well */
    bool last, rests; /* it does its last operation; that is done */
};

static void next_node(struct client *c)
{
    c->at = (int)workload_random(c->env, c->load->node_count);
}

static int32_t epoch_now(const struct client *c)
{
    const struct cluster_load *load = c->load;
    return load->epoch_at(load->ctx, load->nodes[c->at]);
}

static void carry_out(struct client *c)
{
    struct cluster_topic *t = c->topic;
    switch (c->op) {
    case CREATE:
        t->exists = true;
        t->partitions = c->partitions;
        t->retention_ms = 0;
        break;
    case DELETE:
        t->exists = false;
        break;
    case GROW:
        t->partitions = c->partitions;
        break;
    case CONFIGURE:
        t->retention_ms = c->retention_ms;
        break;
    }
}

/* That error says that an earlier try has done it (the node that was asked tries again, too, when
 * it loses the controller), or that a leader who does not know yet that it is none sees what was
 * before the last operation. The latter ends soon. */
static bool says_done(const struct client *c, int16_t error)
{
    return ((c->op == CREATE && error == KAFKA_ERROR_TOPIC_ALREADY_EXISTS) ||
            (c->op == DELETE && error == KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION) ||
            (c->op == GROW && error == KAFKA_ERROR_INVALID_PARTITIONS));
}

static bool was_done(struct client *c, int16_t error)
{
    if (!says_done(c, error))
        return false;
    int64_t now_us = env_now_us(c->env);
    if (c->said_done_us == 0)
        c->said_done_us = now_us;
    return now_us - c->said_done_us > STALE_US;
}

static void answered(struct client *c, int status, int16_t error)
{
    struct cluster_topic *t = c->topic;
    c->waiting = false;
    c->doubtful |= epoch_now(c) != c->epoch;
    sim_log(c->load->sim, sim_node_name(c->load->nodes[c->at]),
            "answers %s %s: status %d, error %d", op_names[c->op], t->name, status, error);
    if (status == -EPROTO)
        sim_fail(c->load->sim, "an answer to %s cannot be decoded", op_names[c->op]);
    if (status == 0 && (error == 0 || was_done(c, error))) {
        carry_out(c);
        /* It may lie somewhere a second time: nodes that lose the controller send it again. */
        if (c->doubtful || env_now_us(c->env) - c->since_us > PROMPT_US)
            t->wait_until_us = env_now_us(c->env) + CLUSTER_LOAD_ECHO_US;
        t->open = false;
        t->done++;
        c->topic = NULL;
        c->load->operations++;
        c->rests = c->last;
        c->load->resting += c->rests;
        return;
    }
    if (status != 0 || error == KAFKA_ERROR_REQUEST_TIMED_OUT ||
        error == KAFKA_ERROR_NOT_CONTROLLER || error == KAFKA_ERROR_UNKNOWN_SERVER_ERROR) {
        c->load->uncertain++;
        t->wait_until_us = env_now_us(c->env) + CLUSTER_LOAD_ECHO_US;
    } else if (!says_done(c, error) && !workload_retriable(error) &&
               error != KAFKA_ERROR_INVALID_REPLICATION_FACTOR &&
               error != KAFKA_ERROR_CONCURRENT_TRANSACTIONS) {
        sim_fail(c->load->sim, "%s of %s is answered with error %d by %s", op_names[c->op], t->name,
                 error, sim_node_name(c->load->nodes[c->at]));
    }
    next_node(c);
}

static void created(void *ctx, int status, const void *response)
{
    const struct create_topics_response *r = response;
    answered(ctx, status, status == 0 && r->topics_count == 1 ? r->topics[0].error_code : 0);
}

static void deleted(void *ctx, int status, const void *response)
{
    const struct delete_topics_response *r = response;
    answered(ctx, status, status == 0 && r->responses_count == 1 ? r->responses[0].error_code : 0);
}

static void grown(void *ctx, int status, const void *response)
{
    const struct create_partitions_response *r = response;
    answered(ctx, status, status == 0 && r->results_count == 1 ? r->results[0].error_code : 0);
}

static void configured(void *ctx, int status, const void *response)
{
    const struct incremental_alter_configs_response *r = response;
    answered(ctx, status, status == 0 && r->responses_count == 1 ? r->responses[0].error_code : 0);
}

static int call(struct client *c, enum api_key api, int16_t version, const void *request,
                void (*done)(void *ctx, int status, const void *response))
{
    return session_call(c->sessions[c->at], api, version, request, REQUEST_TIME_MS + 1000, done, c);
}

static int create(struct client *c)
{
    struct create_topics_request request;
    struct create_topics_request_creatable_topic topic;
    message_init(&create_topics_request_desc, &request);
    message_struct_init(&create_topics_request_creatable_topic_struct, &topic, 1);
    topic.name = str_of(c->topic->name);
    topic.num_partitions = c->partitions;
    topic.replication_factor = (int16_t)(1 + c->partitions % c->load->replicas);
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = REQUEST_TIME_MS;
    return call(c, API_CREATE_TOPICS, 7, &request, created);
}

static int delete (struct client *c)
{
    struct delete_topics_request request;
    struct str name = str_of(c->topic->name);
    message_init(&delete_topics_request_desc, &request);
    request.topic_names = &name;
    request.topic_names_count = 1;
    request.timeout_ms = REQUEST_TIME_MS;
    return call(c, API_DELETE_TOPICS, 5, &request, deleted);
}

static int grow(struct client *c)
{
    struct create_partitions_request request;
    struct create_partitions_request_create_partitions_topic topic;
    message_init(&create_partitions_request_desc, &request);
    message_struct_init(&create_partitions_request_create_partitions_topic_struct, &topic, 1);
    topic.name = str_of(c->topic->name);
    topic.count = c->partitions;
    topic.assignments_count = -1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = REQUEST_TIME_MS;
    return call(c, API_CREATE_PARTITIONS, 3, &request, grown);
}

static int configure(struct client *c)
{
    struct incremental_alter_configs_request request;
    struct incremental_alter_configs_request_alter_configs_resource resource;
    struct incremental_alter_configs_request_alterable_config config;
    char value[24];
    message_init(&incremental_alter_configs_request_desc, &request);
    message_struct_init(&incremental_alter_configs_request_alter_configs_resource_struct, &resource,
                        1);
    message_struct_init(&incremental_alter_configs_request_alterable_config_struct, &config, 1);
    snprintf(value, sizeof(value), "%" PRId64, c->retention_ms);
    config.name = STR("retention.ms");
    config.value = str_of(value);
    resource.resource_type = TOPIC_RESOURCE;
    resource.resource_name = str_of(c->topic->name);
    resource.configs = &config;
    resource.configs_count = 1;
    request.resources = &resource;
    request.resources_count = 1;
    return call(c, API_INCREMENTAL_ALTER_CONFIGS, 1, &request, configured);
}

/* A topic that nothing is heard of any more, and what becomes of it. */
static bool choose(struct client *c)
{
    struct cluster_load *load = c->load;
    struct cluster_topic *t =
        &load->topics[c->number][workload_random(c->env, CLUSTER_LOAD_TOPICS)];
    if (env_now_us(c->env) < t->wait_until_us)
        return false;
    int64_t dice = workload_random(c->env, 10);
    c->op = !t->exists ? CREATE : dice < 3 ? DELETE : dice < 6 ? GROW : CONFIGURE;
    if (c->op == GROW && t->partitions >= 12)
        c->op = DELETE;
    c->topic = t;
    c->since_us = env_now_us(c->env);
    c->said_done_us = 0;
    c->doubtful = false;
    c->last = load->quiet;
    c->partitions = c->op == CREATE ? 1 + (int32_t)workload_random(c->env, 4) : t->partitions + 1;
    c->retention_ms = 3600000 + workload_random(c->env, 1000000);
    t->open = true;
    return true;
}

static void tick(struct timer *timer)
{
    struct client *c = CONTAINER_OF(timer, struct client, tick);
    timer_start_in_ms(timer, 20 + workload_random(c->env, 200));
    if (c->waiting || c->rests || (!c->topic && !choose(c)))
        return;
    static int (*const run[])(struct client *) = {create, delete, grow, configure};
    c->epoch = epoch_now(c);
    c->waiting = run[c->op](c) == 0;
    if (!c->waiting)
        next_node(c);
}

static void *boot(struct env *env, void *ctx)
{
    const struct cluster_client *start = ctx;
    struct cluster_load *load = start->load;
    struct client *c = mem_calloc(1, sizeof(*c));
    struct loop *loop = env->loops[0];
    c->env = env;
    c->load = load;
    c->number = start->number;
    for (int i = 0; i < load->node_count; i++) {
        c->sessions[i] = session_new(&(struct session_options){
            .loop = loop, .server = load->nodes[i], .port = WORKLOAD_PORT, .client_id = "load"});
    }
    timer_init(&c->tick, loop, tick);
    timer_start_in_ms(&c->tick, 100);
    return c;
}

void cluster_load_start(struct cluster_load *load)
{
    for (int i = 0; i < CLUSTER_LOAD_CLIENTS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "client-%d", i);
        load->clients[i] = (struct cluster_client){load, i};
        for (int j = 0; j < CLUSTER_LOAD_TOPICS; j++)
            snprintf(load->topics[i][j].name, sizeof(load->topics[i][j].name), "topic-%d-%d", i, j);
        sim_node_start(
            sim_node_new(load->sim, &(struct sim_node_config){.name = name,
                                                              .loops = 1,
                                                              .log_level = LOG_INFO,
                                                              .boot = boot,
                                                              .ctx = &load->clients[i]}));
    }
}

static const char *check_topic(const struct cluster_topic *t, const struct image *image)
{
    const struct topic_image *topic = topics_image_find(&image->topics, str_of(t->name));
    if (!t->exists)
        return topic ? "is there, though it was deleted" : NULL;
    if (!topic)
        return "is gone";
    int32_t count = 0;
    while (topic_image_partition(topic, count))
        count++;
    if (count != t->partitions)
        return "has another number of partitions";
    struct str value =
        configs_image_get(&image->configs, TOPIC_RESOURCE, str_of(t->name), STR("retention.ms"));
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, t->retention_ms);
    bool set = t->retention_ms != 0;
    return set == (value.data != NULL) && (!set || str_eq(value, str_of(text)))
               ? NULL
               : "has another retention.ms";
}

bool cluster_load_check(const struct cluster_load *load, const struct image *image, char *ret_text,
                        size_t len)
{
    for (int i = 0; i < CLUSTER_LOAD_CLIENTS; i++) {
        for (int j = 0; j < CLUSTER_LOAD_TOPICS; j++) {
            const struct cluster_topic *t = &load->topics[i][j];
            const char *wrong = t->open ? NULL : check_topic(t, image);
            if (wrong) {
                snprintf(ret_text, len, "%s %s", t->name, wrong);
                return false;
            }
        }
    }
    return true;
}
