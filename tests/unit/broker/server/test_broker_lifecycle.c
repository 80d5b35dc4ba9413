/*
 * A whole node in simulation. What an earlier process of a broker sent before it died comes late,
 * behind the registration of the one that lives: that one registers again. But it stops where it is
 * another process' that took its id. And what a node that was frozen believes of itself.
 */
#include "tests/sim/node_app.c"
#include "tests/sim/session.c"

#include "common/protocol/messages/broker_registration.h"
#include "metadata/feature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char properties[] = "process.roles=broker,controller\n"
                                 "node.id=1\n"
                                 "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
                                 "advertised.listeners=PLAINTEXT://broker:9092\n"
                                 "controller.listener.names=CONTROLLER\n"
                                 "controller.quorum.voters=1@broker:9093\n"
                                 "log.dirs=/data\n"
                                 "kraftd.admin.listener=\n";

#define HEARTBEAT_MS 2000 /* as shipped */

struct scene {
    struct sim *sim;
    struct node_app_world app;
    uint16_t port; /* where the other process says that it listens */
    struct session *session;
    struct timer tick;
    bool answered;
    int16_t error;
    int gave_up;
};

static struct scene scene;

static void it_stopped(void *ctx)
{
}

static void it_gave_up(void *ctx, int status)
{
    scene.gave_up = status;
}

static const struct node *node(void)
{
    return node_app_node_to_the_end(scene.app.node);
}

static void registered(void *ctx, int status, const void *response)
{
    const struct broker_registration_response *r = response;
    assert_int_equal(status, 0);
    scene.answered = true;
    scene.error = r->error_code;
}

static void send_registration(struct timer *timer)
{
    struct broker_registration_request request;
    struct broker_registration_request_listener listener;
    struct uuid directory = node()->disk.metadata_directory_id;
    timer_start_in_ms(timer, 10);
    if (!session_is_up(scene.session))
        return;
    timer_stop(timer);
    message_init(&broker_registration_request_desc, &request);
    message_struct_init(&broker_registration_request_listener_struct, &listener, 1);
    listener.name = STR("PLAINTEXT");
    listener.host = STR("broker");
    listener.port = scene.port;
    request.broker_id = 1;
    request.cluster_id = node_cluster_id(node());
    request.incarnation_id = env_random_uuid(timer->loop->env);
    request.rack = STR_NULL;
    request.listeners = &listener;
    request.listeners_count = 1;
    request.log_dirs = &directory;
    request.log_dirs_count = 1;
    request.previous_broker_epoch = -1;
    request.features = mem_calloc(feature_table_size, sizeof(*request.features));
    request.features_count = (int32_t)feature_table_size;
    for (size_t i = 0; i < feature_table_size; i++) {
        request.features[i].name = str_of(feature_table[i].name);
        request.features[i].min_supported_version = feature_table[i].min_level;
        request.features[i].max_supported_version = feature_table[i].max_level;
    }
    assert_int_equal(
        session_call(scene.session, API_BROKER_REGISTRATION, 4, &request, 5000, registered, NULL),
        0);
    free(request.features);
}

static void *boot_client(struct env *env, void *ctx)
{
    scene.session = session_new(&(struct session_options){
        .loop = env->loops[0], .server = scene.app.node, .port = 9093, .client_id = "former"});
    timer_init(&scene.tick, env->loops[0], send_registration);
    timer_start_in_ms(&scene.tick, 10);
    return &scene;
}

static void run_ms(int64_t ms)
{
    sim_run_until(scene.sim, sim_now_us(scene.sim) + ms * SIM_MS);
    assert_null(sim_failure(scene.sim));
}

static void begin(void)
{
    scene = (struct scene){.sim = sim_new(1, false)};
    scene.app = (struct node_app_world){.sim = scene.sim,
                                        .properties = str_of(properties),
                                        .gave_up = it_gave_up,
                                        .stopped = it_stopped};
    scene.app.node = sim_node_new(
        scene.sim, &(struct sim_node_config){
                       .name = "broker", .loops = 1, .boot = node_app_boot, .ctx = &scene.app});
    sim_node_start(scene.app.node);
    for (int i = 0; i < 100 && !scene.app.started; i++)
        run_ms(100);
    assert_true(scene.app.started);
}

/* A node is up, and another registration of its id was taken. */
static int64_t register_another(uint16_t port)
{
    begin();
    scene.port = port;
    int64_t epoch = node_broker_epoch(node());
    sim_node_start(sim_node_new(
        scene.sim, &(struct sim_node_config){.name = "client", .loops = 1, .boot = boot_client}));
    for (int i = 0; i < 100 && !scene.answered; i++)
        run_ms(10);
    assert_true(scene.answered);
    return epoch;
}

static void end(void)
{
    sim_kill_all(scene.sim);
    sim_free(scene.sim);
}

static void a_former_life_comes_late(void **state)
{
    int64_t epoch = register_another(9092);
    assert_int_equal(scene.error, KAFKA_ERROR_NONE);
    run_ms(3000);
    assert_int_equal(scene.gave_up, 0);
    assert_true(node_broker_epoch(node()) > epoch);
    const struct broker_image *broker =
        cluster_image_broker(&node_shard(node(), 0)->image->cluster, 1);
    assert_true(uuid_eq(broker->incarnation_id, node_incarnation_id(node())));
    assert_false(broker->fenced);
    end();
}

static void a_copy_elsewhere_is_refused(void **state)
{
    int64_t epoch = register_another(9192);
    assert_int_equal(scene.error, KAFKA_ERROR_DUPLICATE_BROKER_REGISTRATION);
    run_ms(3000);
    assert_int_equal(node_broker_epoch(node()), epoch);
    end();
}

/* Its own controller answers as soon as it goes on, and may have been deposed meanwhile. */
static void a_frozen_node_is_out_of_touch(void **state)
{
    begin();
    run_ms(2 * HEARTBEAT_MS);
    assert_false(node_out_of_touch(node()));
    sim_node_freeze(scene.app.node, sim_now_us(scene.sim) + 30 * SIM_SECOND);
    run_ms(30000 + HEARTBEAT_MS / 2);
    assert_true(node_out_of_touch(node()));
    run_ms(2 * HEARTBEAT_MS);
    assert_false(node_out_of_touch(node()));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_former_life_comes_late),
        cmocka_unit_test(a_copy_elsewhere_is_refused),
        cmocka_unit_test(a_frozen_node_is_out_of_touch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
