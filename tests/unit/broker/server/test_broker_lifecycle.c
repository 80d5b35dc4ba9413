/*
 * A whole node in simulation. What an earlier process of a broker sent before it died comes late,
 * behind the registration of the one that lives: that one registers again. But it stops where it is
 * another process' that took its id. And what a node that was frozen believes of itself.
 */
#include "tests/unit/broker/server/one_broker.h"

#include "common/protocol/messages/broker_registration.h"
#include "metadata/feature.h"

#define HEARTBEAT_MS 2000 /* as shipped */

struct scene {
    struct one_broker own;
    uint16_t port; /* where the other process says that it listens */
    bool answered;
    int16_t error;
};

static struct scene scene;

static const struct node *node(void)
{
    return node_app_node_to_the_end(scene.own.app.node);
}

static void registered(void *ctx, int status, const void *response)
{
    const struct broker_registration_response *r = response;
    assert_int_equal(status, 0);
    scene.answered = true;
    scene.error = r->error_code;
}

static void send_registration(struct one_broker *b)
{
    struct broker_registration_request request;
    struct broker_registration_request_listener listener;
    struct uuid directory = node()->disk.metadata_directory_id;
    message_init(&broker_registration_request_desc, &request);
    message_struct_init(&broker_registration_request_listener_struct, &listener, 1);
    listener.name = STR("PLAINTEXT");
    listener.host = STR("broker");
    listener.port = scene.port;
    request.broker_id = 1;
    request.cluster_id = node_cluster_id(node());
    request.incarnation_id = env_random_uuid(b->tick.loop->env);
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
        session_call(b->session, API_BROKER_REGISTRATION, 4, &request, 5000, registered, NULL), 0);
    free(request.features);
}

static void run_ms(int64_t ms)
{
    one_broker_run_us(&scene.own, ms * SIM_MS);
}

static void begin(void)
{
    scene = (struct scene){0};
    one_broker_begin(&scene.own, 1);
    for (int i = 0; i < 100 && !scene.own.app.started; i++)
        run_ms(100);
    assert_true(scene.own.app.started);
}

/* A node is up, and another registration of its id was taken. */
static int64_t register_another(uint16_t port)
{
    begin();
    scene.port = port;
    int64_t epoch = node_broker_epoch(node());
    one_broker_ask(&scene.own, 9093, send_registration);
    for (int i = 0; i < 100 && !scene.answered; i++)
        run_ms(10);
    assert_true(scene.answered);
    return epoch;
}

static void end(void)
{
    one_broker_end(&scene.own);
}

static void a_former_life_comes_late(void **state)
{
    int64_t epoch = register_another(9092);
    assert_int_equal(scene.error, KAFKA_ERROR_NONE);
    run_ms(3000);
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
    sim_node_freeze(scene.own.app.node, sim_now_us(scene.own.sim) + 30 * SIM_SECOND);
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
