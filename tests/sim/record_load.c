#include "tests/sim/record_load.h"

#include "common/base/check.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/metadata.h"
#include "tests/sim/record_client.h"
#include "tests/sim/workload.h"

#include <errno.h>
#include <stdio.h>

/* Of the answers to Metadata; the newer one names topics by their ids, too. */
enum { PLAIN_METADATA = 9, METADATA_WITH_IDS = 12 };
/* One seed of so many has a churner, and one a shifter. */
enum { CHURNING_SEEDS = 8, SHIFTING_SEEDS = 8 };

/* --- Who leads --- */

int record_client_broker(const struct record_client *c, int32_t id)
{
    for (int i = 0; i < c->load->broker_count; i++)
        if (c->load->ids[i] == id)
            return i;
    return -1;
}

void record_client_ask(struct record_client *c)
{
    c->wants_leaders = true;
}

struct session *record_client_any(struct record_client *c)
{
    return c->sessions[workload_random(c->env, c->load->broker_count)];
}

struct session *record_client_leader(struct record_client *c, int partition)
{
    int at = c->leaders[partition].at;
    if (c->leaders[partition].life != c->load->partitions[partition].watched->life)
        return NULL;
    return at >= 0 && session_is_up(c->sessions[at]) ? c->sessions[at] : NULL;
}

static void take_leader(struct record_client *c, const struct metadata_response_topic *topic,
                        const struct metadata_response_partition *part)
{
    for (int i = 0; i < c->load->partition_count; i++) {
        const struct record_partition *p = &c->load->partitions[i];
        struct record_leader *leader = &c->leaders[i];
        if (c->load->churns && !uuid_eq(topic->topic_id, p->watched->topic_id))
            continue;
        if (leader->life != p->watched->life)
            *leader = (struct record_leader){.at = -1, .epoch = -1, .life = p->watched->life};
        if (p->index != part->partition_index || !str_eq_z(topic->name, p->topic->name) ||
            part->leader_epoch < leader->epoch)
            continue;
        *leader = (struct record_leader){.at = record_client_broker(c, part->leader_id),
                                         .epoch = part->leader_epoch,
                                         .life = leader->life};
    }
}

static void answered(void *ctx, int status, const void *response)
{
    struct record_client *c = ctx;
    const struct metadata_response *r = response;
    c->asks = false;
    if (status == -EPROTO)
        sim_fail(c->load->sim, "an answer to Metadata cannot be decoded");
    for (int32_t i = 0; status == 0 && i < r->topics_count; i++)
        for (int32_t j = 0; j < r->topics[i].partitions_count; j++)
            take_leader(c, &r->topics[i], &r->topics[i].partitions[j]);
}

static void ask(struct record_client *c)
{
    struct metadata_request request;
    struct metadata_request_topic topics[RECORD_LOAD_TOPICS];
    message_init(&metadata_request_desc, &request);
    message_struct_init(&metadata_request_topic_struct, topics, RECORD_LOAD_TOPICS);
    for (int i = 0; i < c->load->topic_count; i++)
        topics[i].name = str_of(c->load->topics[i].name);
    request.topics = topics;
    request.topics_count = c->load->topic_count;
    request.allow_auto_topic_creation = false;
    c->asks = session_call(record_client_any(c), API_METADATA,
                           c->load->churns ? METADATA_WITH_IDS : PLAIN_METADATA, &request, 2000,
                           answered, c) == 0;
    c->wants_leaders = !c->asks;
}

static void tick(struct timer *timer)
{
    struct record_client *c = CONTAINER_OF(timer, struct record_client, tick);
    timer_start_in_ms(timer, 50 + workload_random(c->env, 100));
    if (c->wants_leaders && !c->asks)
        ask(c);
}

void record_client_init(struct record_client *c, struct env *env, struct record_load *load,
                        const char *name)
{
    c->env = env;
    c->load = load;
    c->wants_leaders = true;
    for (int i = 0; i < load->broker_count; i++)
        c->sessions[i] = session_new(&(struct session_options){.loop = env->loops[0],
                                                               .server = load->brokers[i],
                                                               .port = WORKLOAD_PORT,
                                                               .client_id = name});
    for (int i = 0; i < load->partition_count; i++)
        c->leaders[i] = (struct record_leader){.at = -1, .epoch = -1};
    timer_init(&c->tick, env->loops[0], tick);
    timer_start_in_ms(&c->tick, 200);
}

/* --- The load --- */

static void add_topic(struct record_load *load, const struct record_topic *topic)
{
    CHECK(load->topic_count < RECORD_LOAD_TOPICS);
    struct record_topic *kept = &load->topics[load->topic_count++];
    *kept = *topic;
    for (int32_t i = 0; i < topic->partitions; i++) {
        CHECK(load->partition_count < RECORD_LOAD_PARTITIONS);
        load->partitions[load->partition_count++] = (struct record_partition){
            kept, i, replica_watch_add(load->watch, topic->name, i, topic->synced)};
        load->partitions[load->partition_count - 1].watched->churns = topic->churns;
    }
}

int record_topic_create(const struct record_load *load, const struct record_topic *t,
                        int32_t partitions, struct session *session,
                        void (*done)(void *ctx, int status, const void *response), void *ctx)
{
    struct create_topics_request request;
    struct create_topics_request_creatable_topic topic;
    struct create_topics_request_creatable_topic_config configs[5];
    char min_isr[12];
    message_init(&create_topics_request_desc, &request);
    message_struct_init(&create_topics_request_creatable_topic_struct, &topic, 1);
    message_struct_init(&create_topics_request_creatable_topic_config_struct, configs, 5);
    snprintf(min_isr, sizeof(min_isr), "%d", t->min_isr);
    configs[topic.configs_count].name = STR("min.insync.replicas");
    configs[topic.configs_count++].value = str_of(min_isr);
    /* The clocks of the brokers jump by more than they tolerate otherwise. */
    configs[topic.configs_count].name = STR("message.timestamp.after.max.ms");
    configs[topic.configs_count++].value = STR("9223372036854775807");
    if (t->synced) {
        configs[topic.configs_count].name = STR("flush.messages");
        configs[topic.configs_count++].value = STR("1");
    }
    /* Segments that deletions can take away, and files that go soon. */
    if (load->churns) {
        configs[topic.configs_count].name = STR("segment.ms");
        configs[topic.configs_count++].value = STR("1500");
        configs[topic.configs_count].name = STR("file.delete.delay.ms");
        configs[topic.configs_count++].value = STR("1000");
    }
    topic.name = str_of(t->name);
    topic.num_partitions = partitions;
    topic.replication_factor = (int16_t)t->replicas;
    topic.configs = configs;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 3000;
    return session_call(session, API_CREATE_TOPICS, 7, &request, 4000, done, ctx);
}

static bool has_churner(const struct sim *sim, struct sim_random *ret_own)
{
    sim_random_init(ret_own, sim_seed(sim) ^ UINT64_C(0x6368757261));
    return sim_random_below(ret_own, CHURNING_SEEDS) == 0;
}

bool record_load_has_churner(const struct sim *sim)
{
    struct sim_random own;
    return has_churner(sim, &own);
}

bool record_load_has_shifter(const struct sim *sim, int64_t *ret_speed)
{
    static const int64_t speeds[] = {0, 50000, 10000};
    struct sim_random own;
    sim_random_init(&own, sim_seed(sim) ^ UINT64_C(0x7368696674));
    bool has = sim_random_below(&own, SHIFTING_SEEDS) == 0;
    *ret_speed = speeds[sim_random_below(&own, ARRAY_LEN(speeds))];
    return has;
}

void record_load_init(struct record_load *load, struct sim_random *random)
{
    int32_t most = load->broker_count < 3 ? load->broker_count : 3;
    bool all = sim_random_below(random, 3) == 0;
    load->moves = sim_random_below(random, 2) == 0;
    add_topic(
        load,
        &(struct record_topic){
            .name = "ledger", .partitions = 1, .replicas = most, .min_isr = 2, .synced = true});
    add_topic(
        load,
        &(struct record_topic){
            .name = "orders", .partitions = 2, .replicas = most, .min_isr = 2, .synced = all});
    add_topic(load, &(struct record_topic){.name = "pairs",
                                           .partitions = 1,
                                           .replicas = 2,
                                           .min_isr = (int32_t)sim_random_range(random, 1, 2),
                                           .synced = all || sim_random_below(random, 2) == 0});
    /* From a stream of its own: all other seeds run as they did before there was a churner. */
    struct sim_random own;
    load->churns = has_churner(load->sim, &own);
    int64_t speed;
    load->shifts = load->watch->has_dirs = record_load_has_shifter(load->sim, &speed);
    if (load->churns)
        add_topic(load, &(struct record_topic){.name = "churn",
                                               .partitions =
                                                   RECORD_LOAD_PARTITIONS - load->partition_count,
                                               .replicas = most,
                                               .min_isr = (int32_t)sim_random_range(&own, 1, 2),
                                               .synced = all || sim_random_below(&own, 2) == 0,
                                               .created = true,
                                               .churns = true});
}

static void start_client(struct record_load *load, const char *name,
                         void *(*boot)(struct env *env, void *ctx))
{
    sim_node_start(sim_node_new(
        load->sim,
        &(struct sim_node_config){
            .name = name, .loops = 1, .log_level = LOG_INFO, .boot = boot, .ctx = load}));
}

void record_load_start(struct record_load *load)
{
    start_client(load, "writer", record_writer_boot);
    start_client(load, "reader", record_reader_boot);
    if (load->moves)
        start_client(load, "mover", record_mover_boot);
    if (load->churns)
        start_client(load, "churner", record_churner_boot);
    if (load->shifts)
        start_client(load, "shifter", record_shifter_boot);
}

bool record_load_at_rest(const struct record_load *load)
{
    if (load->churns && !load->churner_rests)
        return false;
    for (int i = 0; i < load->partition_count; i++) {
        const struct watched_partition *p = load->partitions[i].watched;
        if (!p->broken && !watched_partition_is_absent(p) &&
            (load->unanswered[i] > 0 || load->positions[i] != watched_partition_committed_end(p)))
            return false;
    }
    return true;
}
