/*
 * kraftd-costs: what the node does for one request, in numbers that do not depend on the machine:
 * allocations and disk calls of the whole simulated node, between a client's question and the last
 * of what it set off. Each is a test: more than the bound fails it.
 *
 *   kraftd-costs        prints the table; exit code 1 when a bound does not hold
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/metadata.h"
#include "common/protocol/messages/produce.h"
#include "common/protocol/record_batch_builder.h"
#include "tests/sim/node_app.h"
#include "tests/sim/session.h"

#include <stdio.h>
#include <stdlib.h>

#define PARTITIONS 200
#define RECORDS    10

static const char properties[] = NODE_APP_ALONE "log.dirs=/data\n";

/* Counted from the start of the node. */
struct counts {
    double allocations, disk_calls, syncs;
};

struct asker;

/* One kind of request, asked `times` times, one after the other. */
struct phase {
    const char *name;
    int times;
    void (*ask)(struct asker *asker, int nth);
    double per; /* what the bounds are for: so many of them in one request */
    struct counts most;
};

struct asker {
    struct env *env;
    struct session *session;
    struct timer timer;
    struct bytebuf batch;
    int64_t offset;
};

struct costs {
    struct node_app_world app;
    struct asker *asker;
    const struct phase *phase;
    int asked;
    bool open; /* an answer is due */
    bool bad;
    struct counts before;
};

static struct counts counts_of(const struct costs *c)
{
    struct sim_disk *disk = sim_node_disk(c->app.node);
    return (struct counts){
        .allocations = (double)sim_node_allocations(c->app.node),
        .disk_calls = (double)sim_disk_count(disk, SIM_ANY),
        .syncs = (double)(sim_disk_count(disk, SIM_FSYNC) + sim_disk_count(disk, SIM_FSYNC_DIR) +
                          sim_disk_count(disk, SIM_SYNC_ALL)),
    };
}

static void judge(struct costs *c, const char *name, double count, const struct counts *most)
{
    struct counts now = counts_of(c);
    struct counts each = {(now.allocations - c->before.allocations) / count,
                          (now.disk_calls - c->before.disk_calls) / count,
                          (now.syncs - c->before.syncs) / count};
    bool bad = each.allocations > most->allocations || each.disk_calls > most->disk_calls ||
               each.syncs > most->syncs;
    printf("%-34s %10.2f %6.0f %10.2f %6.2f %10.3f %6.3f%s\n", name, each.allocations,
           most->allocations, each.disk_calls, most->disk_calls, each.syncs, most->syncs,
           bad ? "   TOO MANY" : "");
    c->bad |= bad;
}

/* --- The client --- */

static void answered(struct costs *c, int status, int16_t error, const char *what)
{
    if (status != 0 || error != KAFKA_ERROR_NONE)
        sim_fail(c->app.sim, "%s: status %d, error %d", what, status, error);
    c->open = false;
}

static void call(struct asker *a, enum api_key key, int16_t version, const void *request,
                 void (*done)(void *ctx, int status, const void *response));

static void created(void *ctx, int status, const void *response)
{
    const struct create_topics_response *r = response;
    answered(ctx, status, r ? r->topics[0].error_code : 0, "CreateTopics");
}

static void ask_create(struct asker *a, int nth)
{
    struct create_topics_request request;
    struct create_topics_request_creatable_topic topic;
    message_init(&create_topics_request_desc, &request);
    message_struct_init(&create_topics_request_creatable_topic_struct, &topic, 1);
    topic.name = STR("wide");
    topic.num_partitions = PARTITIONS;
    topic.replication_factor = 1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 60000;
    call(a, API_CREATE_TOPICS, 5, &request, created);
}

static void produced(void *ctx, int status, const void *response)
{
    const struct produce_response *r = response;
    answered(ctx, status, r ? r->responses[0].partition_responses[0].error_code : 0, "Produce");
}

static void produce_to(struct asker *a, int32_t partition)
{
    struct produce_request request;
    struct produce_request_topic_produce_data topic;
    struct produce_request_partition_produce_data data;
    message_init(&produce_request_desc, &request);
    message_struct_init(&produce_request_topic_produce_data_struct, &topic, 1);
    message_struct_init(&produce_request_partition_produce_data_struct, &data, 1);
    data.index = partition;
    data.records = (struct bytes){a->batch.data, (int32_t)a->batch.len};
    topic.name = STR("wide");
    topic.partition_data = &data;
    topic.partition_data_count = 1;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    request.acks = -1;
    request.timeout_ms = 30000;
    call(a, API_PRODUCE, 9, &request, produced);
}

static void ask_first(struct asker *a, int nth)
{
    produce_to(a, nth);
}

static void ask_produce(struct asker *a, int nth)
{
    produce_to(a, 0);
}

static void fetched(void *ctx, int status, const void *response)
{
    const struct fetch_response *r = response;
    bool empty =
        status == 0 && (r->responses_count == 0 || r->responses[0].partitions[0].records.len <= 0);
    answered(ctx, empty ? -1 : status, r ? r->error_code : 0, "Fetch");
}

static void ask_fetch(struct asker *a, int nth)
{
    struct fetch_request request;
    struct fetch_request_fetch_topic topic;
    struct fetch_request_fetch_partition partition;
    message_init(&fetch_request_desc, &request);
    message_struct_init(&fetch_request_fetch_topic_struct, &topic, 1);
    message_struct_init(&fetch_request_fetch_partition_struct, &partition, 1);
    partition.partition = 0;
    partition.fetch_offset = nth * RECORDS;
    partition.partition_max_bytes = 1;
    topic.topic = STR("wide");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    request.max_wait_ms = 100;
    request.min_bytes = 1;
    request.max_bytes = 1;
    request.session_epoch = -1;
    call(a, API_FETCH, 12, &request, fetched);
}

static void described(void *ctx, int status, const void *response)
{
    const struct metadata_response *r = response;
    answered(ctx, status, r ? r->topics[0].error_code : 0, "Metadata");
}

static void ask_metadata(struct asker *a, int nth)
{
    struct metadata_request request;
    struct metadata_request_topic topic;
    message_init(&metadata_request_desc, &request);
    message_struct_init(&metadata_request_topic_struct, &topic, 1);
    topic.name = STR("wide");
    request.topics = &topic;
    request.topics_count = 1;
    call(a, API_METADATA, 9, &request, described);
}

/* The bounds leave room for what runs by itself, and for little else. */
static const struct phase phases[] = {
    {"partition made", 1, ask_create, PARTITIONS, {25, 9, 0.05}},
    {"first record of a partition", PARTITIONS, ask_first, 1, {6, 2, 0.05}},
    {"Produce of 10 x 100 bytes", 2000, ask_produce, 1, {5, 1.5, 0.05}},
    {"Fetch from the middle", 2000, ask_fetch, 1, {7, 12, 0.05}},
    {"Metadata of 200 partitions", 500, ask_metadata, 1, {15, 0.1, 0.05}},
};

/* --- The run --- */

struct client_world {
    struct costs *costs;
    struct asker asker;
};

static struct costs *costs_of(struct asker *a)
{
    return CONTAINER_OF(a, struct client_world, asker)->costs;
}

static void call(struct asker *a, enum api_key key, int16_t version, const void *request,
                 void (*done)(void *ctx, int status, const void *response))
{
    struct costs *c = costs_of(a);
    c->open = true;
    if (session_call(a->session, key, version, request, 30000, done, c) != 0)
        sim_fail(c->app.sim, "the client is not connected");
}

/* Asks what is next once the last question was answered. */
static void ask_next(struct timer *timer)
{
    struct asker *a = CONTAINER_OF(timer, struct asker, timer);
    struct costs *c = costs_of(a);
    if (!c->open && c->phase != NULL && c->asked < c->phase->times && session_is_up(a->session))
        c->phase->ask(a, c->asked++);
    timer_start_in_ms(timer, 1);
}

static void build(struct asker *a)
{
    struct record_batch_builder builder;
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    uint8_t value[100] = {0};
    record_batch_builder_init(&builder);
    record_batch_builder_start(&builder, &options);
    for (int i = 0; i < RECORDS; i++)
        CHECK(record_batch_builder_append(&builder, env_wall_ms(a->env), BYTES_NULL,
                                          (struct bytes){value, sizeof(value)}, NULL, 0) == 0);
    bytebuf_init(&a->batch);
    record_batch_builder_close(&builder, &a->batch);
    record_batch_builder_release(&builder);
}

static void *client_boot(struct env *env, void *ctx)
{
    struct client_world *world = mem_calloc(1, sizeof(*world));
    world->costs = ctx;
    world->asker.env = env;
    build(&world->asker);
    struct session_options options = {
        .loop = env->loops[0],
        .server = world->costs->app.node,
        .port = 9092,
        .client_id = "costs",
    };
    world->asker.session = session_new(&options);
    timer_init(&world->asker.timer, env->loops[0], ask_next);
    timer_start_in_ms(&world->asker.timer, 1);
    return world;
}

static void run_for(struct costs *c, int64_t us)
{
    sim_run_until(c->app.sim, sim_now_us(c->app.sim) + us);
}

static void run_phase(struct costs *c, const struct phase *phase)
{
    c->before = counts_of(c);
    c->asked = 0;
    c->phase = phase;
    while (!sim_failure(c->app.sim) && (c->asked < phase->times || c->open))
        run_for(c, SIM_MS);
    /* What it set off. */
    if (phase->times == 1)
        run_for(c, SIM_SECOND);
    c->phase = NULL;
    judge(c, phase->name, phase->times * phase->per, &phase->most);
}

static void gave_up(void *ctx, int status)
{
    struct costs *c = ctx;
    sim_fail(c->app.sim, "the node does not start: %d", status);
}

static void stopped(void *ctx)
{
}

static void run(struct costs *c)
{
    struct sim *sim = c->app.sim;
    c->app.properties = str_of(properties);
    c->app.gave_up = gave_up;
    c->app.stopped = stopped;
    c->app.ctx = c;
    c->app.node = sim_node_new(sim, &(struct sim_node_config){.name = "broker",
                                                              .loops = 2,
                                                              .log_level = LOG_WARN,
                                                              .boot = node_app_boot,
                                                              .ctx = &c->app});
    printf("%-34s %10s %6s %10s %6s %10s %6s\n", "", "allocated", "most", "disk calls", "most",
           "syncs", "most");
    sim_node_start(c->app.node);
    while (!c->app.started && !sim_failure(sim) && sim_now_us(sim) < 60 * SIM_SECOND)
        run_for(c, SIM_MS);
    judge(c, "blank start", 1, &(struct counts){600, 130, 18});
    sim_node_start(sim_node_new(
        sim,
        &(struct sim_node_config){
            .name = "client", .loops = 1, .log_level = LOG_WARN, .boot = client_boot, .ctx = c}));
    run_for(c, 5 * SIM_SECOND);
    for (size_t i = 0; i < ARRAY_LEN(phases) && !sim_failure(sim); i++)
        run_phase(c, &phases[i]);
}

int main(void)
{
    struct costs c = {.app.sim = sim_new(1, false)};
    run(&c);
    const char *failure = sim_failure(c.app.sim);
    if (failure != NULL)
        fprintf(stderr, "kraftd-costs: %s\n", failure);
    int code = failure != NULL || c.bad;
    sim_free(c.app.sim);
    return code;
}
