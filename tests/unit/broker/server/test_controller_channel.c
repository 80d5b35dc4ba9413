/* The channel alone, between simulated processes: what it asks of the node is told by the test. */
#include "broker/server/controller_channel.c"

#include "common/net/acceptor.h"
#include "common/protocol/messages/unregister_broker.h"
#include "tests/sim/sim_env.h"

#include <setjmp.h>
#include <cmocka.h>

#define PORT      9093
#define CALLS     8
#define END_MS    20000
#define NOWHERE   0
#define FIRST     1
#define SECOND    2
#define OURSELVES 9

enum mood { GOOD, NOT_ACTIVE, SILENT, RUDE };

/* Survives all processes. */
struct scene {
    struct sim *sim;
    struct sim_node *controllers[3]; /* from 1 on */
    struct sim_node *broker;
    enum mood moods[3];
    int16_t heartbeat_max;
    int asked[3], greeted[3];
    int leader; /* NOWHERE, FIRST, SECOND, OURSELVES */
    int epoch;
    int decided;
    int answers[CALLS];
    enum kafka_error errors[CALLS];
    int16_t codes[CALLS]; /* in the answer */
    int64_t answered_ms[CALLS];
    bool stopped;
};

static struct scene scene;

/* --- controllers -------------------------------------------------------------------------- */

struct controller_app {
    int id;
    struct acceptor *acceptor;
};

static void encode_inner(const struct envelope_request *envelope, struct arena *arena,
                         struct envelope_response *ret)
{
    struct bytes frame = envelope->request_data;
    struct request_header header;
    const struct api *api;
    struct unregister_broker_response response;
    struct bytebuf out;
    int rv = request_header_decode(&frame, arena, &header, &api);
    CHECK(rv == 0 && api->key == API_UNREGISTER_BROKER && header.correlation_id == 77);
    message_init(api->response, &response);
    response.error_code = KAFKA_ERROR_BROKER_ID_NOT_REGISTERED;
    bytebuf_init(&out);
    rv = frame_encode_response(api, 0, header.correlation_id, &response, &out, NULL);
    CHECK(rv == 0);
    ret->response_data = arena_bytes(arena, (struct bytes){out.data + 4, (int32_t)out.len - 4});
    bytebuf_release(&out);
}

static void fill_versions(struct arena *arena, struct api_versions_response *response)
{
    static const int16_t keys[] = {API_ENVELOPE, API_UNREGISTER_BROKER, API_BROKER_HEARTBEAT};
    response->api_keys = MESSAGE_ARRAY(arena, api_versions_response_api_version, 3);
    response->api_keys_count = 3;
    for (int i = 0; i < 3; i++)
        response->api_keys[i].api_key = keys[i];
    response->api_keys[2].max_version = scene.heartbeat_max;
}

static void on_request(struct connection *connection, struct request_slot *slot, struct buf *frame)
{
    struct controller_app *app = connection_group_of(connection)->ctx;
    struct arena arena;
    struct bytes input = {frame->data, (int32_t)frame->size_bytes};
    struct request_header header;
    const struct api *api;
    arena_init(&arena, 0);
    int rv = request_header_decode(&input, &arena, &header, &api);
    CHECK(rv == 0);
    void *body = arena_calloc(&arena, 1, api->request->body->size_bytes);
    void *response = arena_calloc(&arena, 1, api->response->body->size_bytes);
    rv = message_decode(api->request, header.request_api_version, &input, &arena, body);
    CHECK(rv == 0);
    message_init(api->response, response);
    int16_t *code = controller_call_error_field(api->response, response);
    bool greets = api->key == API_API_VERSIONS;
    enum mood mood = greets ? GOOD : scene.moods[app->id];
    (greets ? scene.greeted : scene.asked)[app->id]++;
    if (greets)
        fill_versions(&arena, response);
    else if (mood == NOT_ACTIVE)
        *code = KAFKA_ERROR_NOT_CONTROLLER;
    else if (api->key == API_ENVELOPE)
        encode_inner(body, &arena, response);
    else
        *code = header.request_api_version; /* so that the asker sees what was asked */
    struct bytebuf out;
    bytebuf_init(&out);
    rv = frame_encode_response(api, header.request_api_version, header.correlation_id, response,
                               &out, NULL);
    CHECK(rv == 0);
    struct buf *buf = bytebuf_to_buf(&out);
    struct out_chunk chunk = {.buf = buf, .len = buf->size_bytes};
    if (mood == RUDE)
        connection_fail(slot, "no");
    else if (mood != SILENT)
        connection_respond(slot, &chunk, 1);
    arena_release(&arena);
    buf_unref(frame);
}

static void on_closed(struct connection *connection)
{
}

static const struct connection_handler connection_handler = {.on_request = on_request,
                                                             .on_closed = on_closed};

static void *controller_boot(struct env *env, void *ctx)
{
    struct controller_app *app = mem_calloc(1, sizeof(*app));
    app->id = (int)(intptr_t)ctx;
    struct acceptor_limits limits = {.connections_per_address_max = 100};
    app->acceptor = acceptor_new(env->loops[0], &limits);
    struct acceptor_listener_options options = {
        .name = "CONTROLLER",
        .endpoint = {.host = "", .port = PORT},
        .backlog = 16,
        .connection_limits = {.request_max_bytes = 1 << 20,
                              .in_flight_max = 16,
                              .buffered_max_bytes = 1 << 24},
        .handler = &connection_handler,
        .ctx = app,
    };
    int index;
    int rv = acceptor_listen(app->acceptor, &options, &index);
    CHECK(rv == 0);
    return app;
}

/* --- what the node says ------------------------------------------------------------------- */

struct node {
    struct env *env;
    struct controller_channel *channel;
    struct shard shard;
    struct request request;
    struct unregister_broker_request body;
    struct broker_heartbeat_request heartbeat;
    struct broker_app_call {
        struct controller_call call;
        struct broker_heartbeat_response heard;
        struct unregister_broker_response unregistered;
        struct arena arena;
        struct task task;
        int index;
    } calls[CALLS];
};

struct env *node_env(const struct node *node)
{
    return node->env;
}

int32_t node_id(const struct node *node)
{
    return OURSELVES;
}

struct str node_cluster_id(const struct node *node)
{
    return STR("the-cluster");
}

struct metadata_loop *node_metadata_loop(const struct node *node)
{
    return NULL;
}

bool metadata_loop_is_active(const struct metadata_loop *loop)
{
    return scene.leader == OURSELVES;
}

bool metadata_loop_leader(const struct metadata_loop *loop, struct metadata_leader *ret)
{
    if (scene.leader == NOWHERE)
        return false;
    *ret = (struct metadata_leader){.id = scene.leader, .epoch = scene.epoch};
    snprintf(ret->endpoint.host, sizeof(ret->endpoint.host), "c%d", scene.leader);
    ret->endpoint.port = PORT;
    return true;
}

void metadata_loop_decide(struct metadata_loop *loop, struct controller_call *call)
{
    scene.decided++;
    call->error = KAFKA_ERROR_NONE;
    shard_call_answer(&call->call);
}

int16_t *controller_call_error_field(const struct message_desc *desc, void *message)
{
    for (int i = 0; i < desc->body->field_count; i++)
        if (strcmp(desc->body->fields[i].name, "ErrorCode") == 0)
            return (int16_t *)(void *)((char *)message + desc->body->fields[i].offset);
    return NULL;
}

/* --- the broker --------------------------------------------------------------------------- */

static void *broker_boot(struct env *env, void *ctx)
{
    struct node *node = mem_calloc(1, sizeof(*node));
    node->env = env;
    node->shard = (struct shard){.node = node, .loop = env->loops[0]};
    node->channel = controller_channel_new(node);
    message_init(&unregister_broker_request_desc, &node->body);
    message_init(&broker_heartbeat_request_desc, &node->heartbeat);
    node->request = (struct request){
        .shard = &node->shard,
        .api = api_find(API_UNREGISTER_BROKER),
        .header = {.request_api_key = API_UNREGISTER_BROKER,
                   .correlation_id = 77,
                   .client_id = STR("client")},
        .principal = STR("User:somebody"),
        .client_host = STR("10.1.2.3"),
    };
    return node;
}

static struct node *broker(void)
{
    return sim_node_program(scene.broker);
}

static void answered(struct shard_call *shard_call)
{
    struct controller_call *call = CONTAINER_OF(shard_call, struct controller_call, call);
    struct broker_app_call *c = CONTAINER_OF(call, struct broker_app_call, call);
    scene.answers[c->index]++;
    scene.errors[c->index] = call->error;
    scene.codes[c->index] = *controller_call_error_field(call->api->response, call->response);
    scene.answered_ms[c->index] = sim_now_us(scene.sim) / 1000;
}

static void begin(struct task *task)
{
    struct broker_app_call *c = CONTAINER_OF(task, struct broker_app_call, task);
    struct node *node = c->call.shard->node;
    c->call.due_ms = env_now_ms(node->env) + c->call.timeout_ms;
    c->call.call = (struct shard_call){
        .from = node->env->loops[0], .to = node->env->loops[0], .done = answered};
    list_init(&c->call.link);
    if (!controller_channel_take(node->channel, &c->call)) {
        c->call.error = KAFKA_ERROR_NOT_CONTROLLER;
        shard_call_answer(&c->call.call);
    }
}

/* From outside of the process: the call goes to its loop. */
static void ask(int index, bool for_client, int64_t timeout_ms)
{
    struct node *node = broker();
    struct broker_app_call *c = &node->calls[index];
    *c = (struct broker_app_call){.index = index};
    arena_init(&c->arena, 0);
    c->call = (struct controller_call){
        .shard = &node->shard,
        .arena = &c->arena,
        .api = api_find(for_client ? API_UNREGISTER_BROKER : API_BROKER_HEARTBEAT),
        .version = for_client ? 0 : -1,
        .request = for_client ? &node->request : NULL,
        .timeout_ms = timeout_ms,
        .body = for_client ? (const void *)&node->body : &node->heartbeat,
        .response = for_client ? (void *)&c->unregistered : &c->heard,
    };
    c->task.run = begin;
    loop_post(node->env->loops[0], &c->task);
}

static void tell(struct task *task)
{
    controller_channel_leader_changed(broker()->channel);
}

static struct task tell_task;

static void lead(int leader)
{
    scene.leader = leader;
    scene.epoch++;
    tell_task.run = tell;
    loop_post(broker()->env->loops[0], &tell_task);
}

static void run_ms(int64_t ms)
{
    sim_run_until(scene.sim, sim_now_us(scene.sim) + ms * SIM_MS);
    assert_null(sim_failure(scene.sim));
}

static void assert_answer(int index, enum kafka_error error, int16_t code)
{
    assert_int_equal(scene.answers[index], 1);
    assert_int_equal(scene.errors[index], error);
    if (error == KAFKA_ERROR_NONE)
        assert_int_equal(scene.codes[index], code);
}

static int setup(void **state)
{
    scene = (struct scene){.sim = sim_new(5, false), .heartbeat_max = 1};
    for (int i = 1; i <= 2; i++) {
        struct sim_node_config config = {.name = i == 1 ? "c1" : "c2",
                                         .loops = 1,
                                         .boot = controller_boot,
                                         .ctx = (void *)(intptr_t)i};
        scene.controllers[i] = sim_node_new(scene.sim, &config);
        sim_node_start(scene.controllers[i]);
    }
    struct sim_node_config config = {.name = "b", .loops = 1, .boot = broker_boot};
    scene.broker = sim_node_new(scene.sim, &config);
    sim_node_start(scene.broker);
    run_ms(50);
    return 0;
}

static int teardown(void **state)
{
    sim_free(scene.sim);
    return 0;
}

/* --- tests -------------------------------------------------------------------------------- */

static void a_call_waits_until_somebody_leads(void **state)
{
    ask(0, false, END_MS);
    ask(1, true, END_MS);
    run_ms(1000);
    assert_int_equal(scene.answers[0] + scene.answers[1], 0);
    lead(FIRST);
    run_ms(100);
    assert_answer(0, KAFKA_ERROR_NONE, 1); /* the newest version that both know */
    assert_answer(1, KAFKA_ERROR_NONE, KAFKA_ERROR_BROKER_ID_NOT_REGISTERED);
    assert_int_equal(scene.greeted[FIRST], 1);
    int16_t min, max;
    assert_true(controller_channel_versions(broker()->channel, API_BROKER_HEARTBEAT, &min, &max));
    assert_int_equal(max, 1);
    assert_true(controller_channel_versions(broker()->channel, API_CREATE_TOPICS, &min, &max));
    assert_true(min > max);
}

static void who_does_not_lead_any_more_is_left(void **state)
{
    scene.moods[FIRST] = NOT_ACTIVE;
    lead(FIRST);
    ask(0, false, END_MS);
    ask(1, true, END_MS);
    run_ms(2000);
    assert_int_equal(scene.answers[0] + scene.answers[1], 0);
    assert_true(scene.asked[FIRST] > 2 && scene.asked[FIRST] < 50); /* with pauses */
    lead(SECOND);
    run_ms(100);
    assert_answer(0, KAFKA_ERROR_NONE, 1);
    assert_answer(1, KAFKA_ERROR_NONE, KAFKA_ERROR_BROKER_ID_NOT_REGISTERED);
}

static void what_was_under_way_is_sent_again(void **state)
{
    scene.moods[FIRST] = SILENT;
    lead(FIRST);
    ask(0, false, END_MS);
    ask(1, true, END_MS);
    run_ms(500);
    assert_int_equal(scene.asked[FIRST], 2);
    sim_node_kill(scene.controllers[FIRST]);
    run_ms(500);
    lead(SECOND);
    run_ms(200);
    assert_answer(0, KAFKA_ERROR_NONE, 1);
    assert_answer(1, KAFKA_ERROR_NONE, KAFKA_ERROR_BROKER_ID_NOT_REGISTERED);
    scene.moods[SECOND] = RUDE; /* closes the connection instead of an answer */
    ask(2, false, END_MS);
    run_ms(1000);
    assert_int_equal(scene.answers[2], 0);
    scene.moods[SECOND] = GOOD;
    run_ms(2000);
    assert_answer(2, KAFKA_ERROR_NONE, 1);
}

/* The same one leads on, in a new epoch: it has what was sent, and may have done it. */
static void who_leads_anew_is_not_asked_again(void **state)
{
    scene.moods[FIRST] = SILENT;
    lead(FIRST);
    ask(0, true, END_MS);
    run_ms(500);
    lead(FIRST);
    run_ms(500);
    assert_int_equal(scene.asked[FIRST], 1);
    assert_int_equal(scene.greeted[FIRST], 1);
}

static void a_call_ends_when_its_time_is_over(void **state)
{
    int64_t begin_ms = sim_now_us(scene.sim) / 1000;
    ask(0, false, 700); /* nobody leads */
    run_ms(2000);
    assert_answer(0, KAFKA_ERROR_REQUEST_TIMED_OUT, 0);
    assert_in_range(scene.answered_ms[0] - begin_ms, 700, 800);
    scene.moods[FIRST] = SILENT;
    lead(FIRST);
    ask(1, false, 700); /* somebody leads, and does not answer */
    run_ms(2000);
    assert_answer(1, KAFKA_ERROR_REQUEST_TIMED_OUT, 0);
    /* Its time is over; the connection's is not. */
    assert_int_equal(scene.greeted[FIRST], 1);
}

static void what_the_controller_lacks_is_not_sent(void **state)
{
    scene.heartbeat_max = -1;
    lead(FIRST);
    ask(0, false, END_MS);
    run_ms(200);
    assert_answer(0, KAFKA_ERROR_UNSUPPORTED_VERSION, 0);
    assert_int_equal(scene.asked[FIRST], 0);
}

static void what_waits_is_decided_here_when_we_lead(void **state)
{
    ask(0, false, END_MS);
    ask(1, true, END_MS);
    run_ms(300);
    lead(OURSELVES);
    run_ms(300);
    assert_int_equal(scene.decided, 2);
    assert_answer(0, KAFKA_ERROR_NONE, 0);
    assert_answer(1, KAFKA_ERROR_NONE, 0);
}

static void now_stopped(void *ctx)
{
    scene.stopped = true;
    controller_channel_free(ctx);
}

static void stop(struct task *task)
{
    controller_channel_stop(broker()->channel, now_stopped, broker()->channel);
}

static void a_stop_answers_all(void **state)
{
    struct task task = {.run = stop};
    ask(0, false, END_MS);
    run_ms(100);
    scene.moods[FIRST] = SILENT;
    lead(FIRST);
    run_ms(200); /* one is on its way */
    scene.leader = NOWHERE;
    ask(1, true, END_MS);
    run_ms(10);
    loop_post(broker()->env->loops[0], &task);
    run_ms(500);
    assert_true(scene.stopped);
    assert_answer(0, KAFKA_ERROR_NOT_CONTROLLER, 0);
    assert_answer(1, KAFKA_ERROR_NOT_CONTROLLER, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_call_waits_until_somebody_leads, setup, teardown),
        cmocka_unit_test_setup_teardown(who_does_not_lead_any_more_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_under_way_is_sent_again, setup, teardown),
        cmocka_unit_test_setup_teardown(who_leads_anew_is_not_asked_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_call_ends_when_its_time_is_over, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_controller_lacks_is_not_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(what_waits_is_decided_here_when_we_lead, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stop_answers_all, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
