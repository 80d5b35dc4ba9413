/* Cases of topics that Kafka was not asked about in test_behaviour.c. */
#include "common/protocol/kafka_error.h"
#include "tests/unit/metadata/controller/controller_cluster.h"

typedef struct create_topics_request_creatable_topic new_topic;

struct call {
    struct create_topics_request request;
    struct create_topics_response response;
};

static new_topic *prepare(struct harness *h, struct call *call, int32_t count)
{
    message_init(&create_topics_request_desc, &call->request);
    call->request.topics_count = count;
    call->request.topics = MESSAGE_ARRAY(&h->arena, create_topics_request_creatable_topic, count);
    for (int32_t i = 0; i < count; i++) {
        call->request.topics[i].num_partitions = -1;
        call->request.topics[i].replication_factor = -1;
    }
    return call->request.topics;
}

static void create(struct harness *h, struct call *call)
{
    controller_create_topics(h->c, &h->ctx, &call->request, &h->arena, &call->response, &h->result);
    harness_commit(h);
}

static void assert_topic(const struct call *call, int32_t i, int16_t code, const char *message)
{
    assert_true(i < call->response.topics_count);
    assert_int_equal(call->response.topics[i].error_code, code);
    if (message)
        assert_true(str_eq_z(call->response.topics[i].error_message, message));
    else
        assert_true(str_is_null(call->response.topics[i].error_message));
}

static void names_that_collide(void **state)
{
    static const struct {
        const char *first, *second, *clash;
    } cases[] = {
        {"a.b", "a_b", "a.b"},
        {"x_y.z", "x.y_z", "x_y.z"},
        {"._", "_.", "._"},
        {"many.dots.in.a.name", "many_dots_in_a_name", "many.dots.in.a.name"},
        {"p.q", "p.q2", NULL},
        {"p.qq", "p_q.q", NULL},
        {"plain", "plain2", NULL},
    };
    struct harness h;
    struct str message;
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(harness_create_topic(&h, cases[i].first, 1, 1, NULL), 0);
        int16_t code = harness_create_topic(&h, cases[i].second, 1, 1, &message);
        if (!cases[i].clash) {
            assert_int_equal(code, 0);
            continue;
        }
        char expected[128];
        snprintf(expected, sizeof(expected), "Topic '%s' collides with existing topic: %s",
                 cases[i].second, cases[i].clash);
        assert_int_equal(code, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION);
        assert_true(str_eq_z(message, expected));
    }
    harness_release(&h);
}

static void a_long_name_is_refused(void **state)
{
    struct harness h;
    struct str message;
    char name[251], expected[400];
    memset(name, 'n', 250);
    name[250] = '\0';
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    assert_int_equal(harness_create_topic(&h, name, 1, 1, &message),
                     KAFKA_ERROR_INVALID_TOPIC_EXCEPTION);
    snprintf(expected, sizeof(expected),
             "Topic name is invalid: the length of '%s' is longer than the max allowed length 249",
             name);
    assert_true(str_eq_z(message, expected));
    harness_release(&h);
}

/* Results come in the order of the request, then what could not be looked at by itself. */
static void one_bad_topic_does_not_stop_the_others(void **state)
{
    struct harness h;
    struct call call;
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    new_topic *topics = prepare(&h, &call, 6);
    topics[0].name = STR("twice");
    topics[1].name = STR("good");
    topics[2].name = STR("bad name");
    topics[3].name = STR("twice");
    topics[4].name = STR("__cluster_metadata");
    topics[5].name = STR("good2");
    create(&h, &call);
    assert_int_equal(call.response.topics_count, 5);
    assert_topic(&call, 0, 0, NULL);
    assert_int_equal(call.response.topics[1].error_code, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION);
    assert_topic(&call, 2, 0, NULL);
    assert_topic(&call, 3, KAFKA_ERROR_INVALID_REQUEST, "Duplicate topic name.");
    assert_topic(&call, 4, KAFKA_ERROR_INVALID_REQUEST,
                 "Creation of internal topic __cluster_metadata is prohibited.");
    assert_int_equal(harness_image(&h)->topics.by_name.count, 2);
    harness_release(&h);
}

static void assign(struct harness *h, new_topic *topic, int32_t i, int32_t partition,
                   const int32_t *brokers, int32_t count)
{
    topic->assignments[i].partition_index = partition;
    topic->assignments[i].broker_ids = ARENA_ARRAY(&h->arena, int32_t, count);
    memcpy(topic->assignments[i].broker_ids, brokers, (size_t)count * sizeof(*brokers));
    topic->assignments[i].broker_ids_count = count;
}

static void given_replicas_are_taken(void **state)
{
    struct harness h;
    struct call call;
    harness_init(&h);
    for (int32_t id = 1; id <= 3; id++)
        harness_add_broker(&h, id, 1, NULL);
    struct broker_registration_request fenced = harness_registration(&h, 4, 1, NULL);
    struct broker_registration_response response;
    controller_broker_registration(h.c, &h.ctx, &fenced, &h.arena, &response, &h.result);
    harness_commit(&h);
    new_topic *topics = prepare(&h, &call, 4);
    for (int i = 0; i < 4; i++) {
        topics[i].name = arena_printf(&h.arena, "t%d", i);
        topics[i].assignments_count = 2;
        topics[i].assignments =
            MESSAGE_ARRAY(&h.arena, create_topics_request_creatable_replica_assignment, 2);
    }
    /* Out of order; the fenced broker is a replica and not in sync. */
    assign(&h, &topics[0], 0, 1, (const int32_t[]){3, 1}, 2);
    assign(&h, &topics[0], 1, 0, (const int32_t[]){4, 2}, 2);
    assign(&h, &topics[1], 0, 0, (const int32_t[]){1, 2}, 2);
    assign(&h, &topics[1], 1, 1, (const int32_t[]){1, 2, 3}, 3);
    assign(&h, &topics[2], 0, 0, (const int32_t[]){4}, 1);
    assign(&h, &topics[2], 1, 1, (const int32_t[]){1}, 1);
    assign(&h, &topics[3], 0, 0, (const int32_t[]){1}, 1);
    assign(&h, &topics[3], 1, 1, (const int32_t[]){2}, 1);
    topics[3].replication_factor = 1;
    create(&h, &call);
    assert_topic(&call, 0, 0, NULL);
    assert_topic(&call, 1, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                 "The manual partition assignment includes a partition with 3 replica(s), but this "
                 "is not consistent with previous partitions, which have 2 replica(s).");
    assert_topic(&call, 2, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                 "All brokers specified in the manual partition assignment for partition 0 are "
                 "fenced or in controlled shutdown.");
    assert_topic(&call, 3, KAFKA_ERROR_INVALID_REQUEST,
                 "A manual partition assignment was specified, but replication factor was not set "
                 "to -1.");
    const struct partition_image *p = harness_partition(&h, "t0", 0);
    assert_int_equal(p->leader, 2);
    assert_int_equal(p->isr_count, 1);
    assert_int_equal(partition_replicas(p).ids[0], 4);
    assert_int_equal(harness_partition(&h, "t0", 1)->leader, 3);
    harness_release(&h);
}

static void without_a_live_broker_nothing_is_made(void **state)
{
    struct harness h;
    struct str message;
    harness_init(&h);
    assert_int_equal(harness_create_topic(&h, "t", 1, 1, &message),
                     KAFKA_ERROR_INVALID_REPLICATION_FACTOR);
    assert_true(str_eq(message, STR("Unable to replicate the partition 1 time(s): All brokers are "
                                    "currently fenced, or have all their log directories "
                                    "cordoned.")));
    harness_release(&h);
}

static bool nobody_may(void *ctx, struct str topic)
{
    return false;
}

static void configs_are_shown_to_who_may_see_them(void **state)
{
    struct harness h;
    struct call call;
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    prepare(&h, &call, 1)[0].name = STR("t");
    h.ctx.may_describe_configs = nobody_may;
    create(&h, &call);
    assert_topic(&call, 0, 0, NULL);
    assert_int_equal(call.response.topics[0].topic_config_error_code,
                     KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(call.response.topics[0].configs_count, -1);
    assert_int_equal(call.response.topics[0].num_partitions, -1);
    harness_release(&h);
}

/* --- DeleteTopics --------------------------------------------------------------------------- */

static void topics_go_by_name_and_by_id(void **state)
{
    struct harness h;
    struct delete_topics_request request;
    struct delete_topics_response response;
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    for (int i = 0; i < 4; i++)
        harness_create_topic(&h, (const char *[]){"a", "b", "c", "d"}[i], 2, 1, NULL);
    const struct topics_image *topics = &harness_image(&h)->topics;
    struct uuid b = topics_image_find(topics, STR("b"))->id;
    struct uuid c = topics_image_find(topics, STR("c"))->id;
    message_init(&delete_topics_request_desc, &request);
    request.timeout_ms = 1000;
    request.topics_count = 6;
    request.topics = MESSAGE_ARRAY(&h.arena, delete_topics_request_delete_topic_state, 6);
    request.topics[0].name = STR("a");
    request.topics[1].topic_id = b;
    request.topics[2].name = STR("c");
    request.topics[3].topic_id = c;
    request.topics[4].name = STR("d");
    request.topics[4].topic_id = b;
    controller_delete_topics(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    assert_int_equal(response.responses_count, 6);
    assert_int_equal(response.responses[0].error_code, 0);
    assert_int_equal(response.responses[1].error_code, 0);
    assert_true(str_eq(response.responses[1].name, STR("b")));
    assert_int_equal(response.responses[2].error_code, 0);
    assert_int_equal(response.responses[3].error_code, KAFKA_ERROR_INVALID_REQUEST);
    assert_true(str_eq(response.responses[3].error_message,
                       STR("The provided topic name maps to an ID that was already supplied.")));
    assert_true(str_eq(response.responses[4].error_message,
                       STR("You may not specify both topic name and topic id.")));
    assert_true(str_eq(response.responses[5].error_message,
                       STR("Neither topic name nor id were specified.")));
    harness_commit(&h);
    assert_int_equal(harness_image(&h)->topics.by_name.count, 1);
    assert_int_equal(harness_image(&h)->topics.partition_count, 2);
    harness_release(&h);
}

static void deletion_may_be_disabled(void **state)
{
    struct harness h;
    struct delete_topics_request request;
    struct delete_topics_response response;
    struct str name = STR("a");
    harness_init(&h);
    controller_deactivate(h.c);
    controller_free(h.c);
    h.config.delete_topic_enable = false;
    h.c = controller_new(&h.config, &h.loader);
    harness_activate(&h);
    harness_add_broker(&h, 1, 1, NULL);
    harness_create_topic(&h, "a", 1, 1, NULL);
    message_init(&delete_topics_request_desc, &request);
    request.timeout_ms = 1000;
    request.topic_names = &name;
    request.topic_names_count = 1;
    controller_delete_topics(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    assert_int_equal(response.responses[0].error_code, KAFKA_ERROR_TOPIC_DELETION_DISABLED);
    assert_int_equal(h.result.records.count, 0);
    harness_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_collide),
        cmocka_unit_test(a_long_name_is_refused),
        cmocka_unit_test(one_bad_topic_does_not_stop_the_others),
        cmocka_unit_test(given_replicas_are_taken),
        cmocka_unit_test(without_a_live_broker_nothing_is_made),
        cmocka_unit_test(configs_are_shown_to_who_may_see_them),
        cmocka_unit_test(topics_go_by_name_and_by_id),
        cmocka_unit_test(deletion_may_be_disabled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
