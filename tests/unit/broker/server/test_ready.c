/*
 * A node says that it is ready once the partitions of all its loops are open, whichever of them
 * is the last to learn which ones are its own.
 */
#include "tests/sim/node_app.c"
#include "tests/sim/session.c"
#include "tests/sim/sim_internal.h"

#include "broker/replica/partition_internal.h"
#include "common/protocol/messages/create_topics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { PARTITIONS = 8, LOOPS = 4 };

static const char properties[] = "process.roles=broker,controller\n"
                                 "node.id=1\n"
                                 "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
                                 "advertised.listeners=PLAINTEXT://broker:9092\n"
                                 "controller.listener.names=CONTROLLER\n"
                                 "controller.quorum.voters=1@broker:9093\n"
                                 "log.dirs=/data\n"
                                 "kraftd.admin.listener=\n";

struct scene {
    struct sim *sim;
    struct node_app_world app;
    struct session *session;
    struct timer tick;
    bool created;
};

static struct scene scene;

static void it_stopped(void *ctx)
{
}

static void it_gave_up(void *ctx, int status)
{
    sim_fail(scene.sim, "the node gave up: %d", status);
}

static void created(void *ctx, int status, const void *response)
{
    const struct create_topics_response *r = response;
    assert_int_equal(status, 0);
    assert_int_equal(r->topics[0].error_code, KAFKA_ERROR_NONE);
    scene.created = true;
}

static void create(struct timer *timer)
{
    struct create_topics_request request;
    struct create_topics_request_creatable_topic topic;
    timer_start_in_ms(timer, 10);
    if (!session_is_up(scene.session))
        return;
    timer_stop(timer);
    message_init(&create_topics_request_desc, &request);
    message_struct_init(&create_topics_request_creatable_topic_struct, &topic, 1);
    topic.name = STR("topic");
    topic.num_partitions = PARTITIONS;
    topic.replication_factor = 1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 5000;
    assert_int_equal(
        session_call(scene.session, API_CREATE_TOPICS, 7, &request, 5000, created, NULL), 0);
}

static void *boot_client(struct env *env, void *ctx)
{
    scene.session = session_new(&(struct session_options){
        .loop = env->loops[0], .server = scene.app.node, .port = 9092, .client_id = "creator"});
    timer_init(&scene.tick, env->loops[0], create);
    timer_start_in_ms(&scene.tick, 10);
    return &scene;
}

static void run_us(int64_t us)
{
    sim_run_until(scene.sim, sim_now_us(scene.sim) + us);
    assert_null(sim_failure(scene.sim));
}

static int online(const struct node *node)
{
    int count = 0;
    for (int i = 0; i < LOOPS; i++)
        MAP_FOR_EACH (entry, &node->shards[i].partitions) {
            const struct partition *p = entry->value;
            count += p->state == PARTITION_ONLINE;
        }
    return count;
}

/* Its thread does not get the processor. */
static void hold_loop(int index)
{
    scene.app.node->loops[index].busy_until_us = sim_now_us(scene.sim) + SIM_MS;
}

static void all_partitions_are_open_once_it_is_ready(void **state)
{
    scene = (struct scene){.sim = sim_new(1, false)};
    scene.app = (struct node_app_world){.sim = scene.sim,
                                        .properties = str_of(properties),
                                        .gave_up = it_gave_up,
                                        .stopped = it_stopped};
    struct sim_node_config config = {
        .name = "broker", .loops = LOOPS, .boot = node_app_boot, .ctx = &scene.app};
    scene.app.node = sim_node_new(scene.sim, &config);
    sim_node_start(scene.app.node);
    sim_node_start(sim_node_new(
        scene.sim, &(struct sim_node_config){.name = "client", .loops = 1, .boot = boot_client}));
    for (int i = 0; i < 1000 && !scene.created; i++)
        run_us(10 * SIM_MS);
    assert_true(scene.created);
    run_us(100 * SIM_MS);
    sim_node_kill(scene.app.node);
    sim_node_start(scene.app.node);
    const struct node *node = NULL;
    int seen = 0;
    for (int i = 0; i < 1000000 && !(node && node->ready); i++) {
        run_us(10);
        node = node_app_node_to_the_end(scene.app.node);
        bool some = node && node->shards && online(node) > 0;
        seen += some;
        /* The others have opened theirs long before. */
        if (seen < 2000)
            hold_loop(LOOPS - 1);
    }
    assert_true(node->ready);
    assert_int_equal(online(node), PARTITIONS);
    sim_kill_all(scene.sim);
    sim_free(scene.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_partitions_are_open_once_it_is_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
