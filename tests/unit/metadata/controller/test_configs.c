/* Cases of configs that Kafka was not asked about in test_behaviour.c. */
#include "common/protocol/kafka_error.h"
#include "tests/unit/metadata/controller/controller_cluster.h"

enum { SET, DELETE, APPEND, SUBTRACT };

struct answer {
    int16_t code;
    struct str message;
};

static struct answer alter(struct harness *h, int8_t type, const char *resource, const char *name,
                           const char *value, int8_t operation)
{
    struct incremental_alter_configs_request request;
    struct incremental_alter_configs_response response;
    message_init(&incremental_alter_configs_request_desc, &request);
    request.resources_count = 1;
    request.resources =
        MESSAGE_ARRAY(&h->arena, incremental_alter_configs_request_alter_configs_resource, 1);
    request.resources[0].resource_type = type;
    request.resources[0].resource_name = str_of(resource);
    request.resources[0].configs_count = 1;
    request.resources[0].configs =
        MESSAGE_ARRAY(&h->arena, incremental_alter_configs_request_alterable_config, 1);
    request.resources[0].configs[0].name = str_of(name);
    request.resources[0].configs[0].value = str_of(value);
    request.resources[0].configs[0].config_operation = operation;
    controller_incremental_alter_configs(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
    harness_commit(h);
    return (struct answer){response.responses[0].error_code, response.responses[0].error_message};
}

static struct str value_of(const struct harness *h, int8_t type, const char *resource,
                           const char *name)
{
    return configs_image_get(&harness_image(h)->configs, type, str_of(resource), str_of(name));
}

static void assert_answer(struct answer answer, int16_t code, const char *message)
{
    assert_int_equal(answer.code, code);
    if (message)
        assert_true(str_eq_z(answer.message, message));
    else
        assert_true(str_is_null(answer.message));
}

static void elr_guards_the_minimum(void **state)
{
    struct harness h;
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    assert_answer(alter(&h, CONFIG_RESOURCE_BROKER, "1", "min.insync.replicas", "2", SET),
                  KAFKA_ERROR_INVALID_CONFIG,
                  "Broker-level min.insync.replicas cannot be altered while ELR is enabled.");
    assert_answer(alter(&h, CONFIG_RESOURCE_BROKER, "", "min.insync.replicas", NULL, DELETE),
                  KAFKA_ERROR_INVALID_CONFIG,
                  "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.");
    assert_answer(alter(&h, CONFIG_RESOURCE_BROKER, "", "min.insync.replicas", "2", SET), 0, NULL);
    assert_int_equal(h.last.count, 2);
    const struct clear_elr_record *clear = h.last.items[1].data;
    assert_int_equal(h.last.items[1].key, METADATA_CLEAR_ELR_RECORD);
    assert_true(str_eq(clear->topic_name, STR_EMPTY));
    assert_int_equal(harness_create_topic(&h, "t", 1, 1, NULL), 0);
    assert_answer(alter(&h, CONFIG_RESOURCE_TOPIC, "t", "min.insync.replicas", "1", SET), 0, NULL);
    clear = h.last.items[1].data;
    assert_int_equal(h.last.items[1].key, METADATA_CLEAR_ELR_RECORD);
    assert_true(str_eq(clear->topic_name, STR("t")));
    /* The old way of setting everything leaves the cluster's minimum alone. */
    struct alter_configs_request request;
    struct alter_configs_response response;
    message_init(&alter_configs_request_desc, &request);
    request.resources_count = 1;
    request.resources = MESSAGE_ARRAY(&h.arena, alter_configs_request_alter_configs_resource, 1);
    request.resources[0].resource_type = CONFIG_RESOURCE_BROKER;
    controller_alter_configs(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    assert_int_equal(response.responses[0].error_code, 0);
    harness_commit(&h);
    assert_true(str_eq(value_of(&h, CONFIG_RESOURCE_BROKER, "", "min.insync.replicas"), STR("2")));
    harness_release(&h);
}

static void resources_have_to_exist(void **state)
{
    struct harness h;
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    assert_answer(alter(&h, CONFIG_RESOURCE_BROKER, "x", "max.connections", "5", SET),
                  KAFKA_ERROR_INVALID_REQUEST, "Unable to parse broker name as a base 10 number.");
    assert_answer(alter(&h, CONFIG_RESOURCE_BROKER, "-1", "max.connections", "5", SET),
                  KAFKA_ERROR_INVALID_REQUEST, "Invalid negative broker ID.");
    assert_int_equal(alter(&h, CONFIG_RESOURCE_BROKER, "9", "max.connections", "5", SET).code,
                     KAFKA_ERROR_BROKER_ID_NOT_REGISTERED);
    assert_answer(alter(&h, CONFIG_RESOURCE_BROKER_LOGGER, "1", "x", "INFO", SET),
                  KAFKA_ERROR_INVALID_REQUEST, "Unexpected resource type BROKER_LOGGER.");
    assert_answer(alter(&h, CONFIG_RESOURCE_CLIENT_METRICS, "", "interval.ms", "1000", SET),
                  KAFKA_ERROR_INVALID_REQUEST, "Subscription name can't be empty");
    assert_answer(alter(&h, CONFIG_RESOURCE_BROKER, "1", "max.connections", "5", SET), 0, NULL);
    /* The same value again is a record too: the broker is to load it again. */
    assert_answer(alter(&h, CONFIG_RESOURCE_BROKER, "1", "max.connections", "5", SET), 0, NULL);
    assert_int_equal(h.last.count, 1);
    harness_release(&h);
}

static void lists_grow_and_shrink(void **state)
{
    struct harness h;
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    assert_int_equal(harness_create_topic(&h, "t", 1, 1, NULL), 0);
    assert_answer(
        alter(&h, CONFIG_RESOURCE_TOPIC, "t", "cleanup.policy", "compact,compact", APPEND), 0,
        NULL);
    assert_true(
        str_eq(value_of(&h, CONFIG_RESOURCE_TOPIC, "t", "cleanup.policy"), STR("delete,compact")));
    assert_answer(alter(&h, CONFIG_RESOURCE_TOPIC, "t", "cleanup.policy", "delete,nope", SUBTRACT),
                  0, NULL);
    assert_true(str_eq(value_of(&h, CONFIG_RESOURCE_TOPIC, "t", "cleanup.policy"), STR("compact")));
    assert_int_equal(alter(&h, CONFIG_RESOURCE_TOPIC, "t", "cleanup.policy", "shrink", APPEND).code,
                     KAFKA_ERROR_INVALID_CONFIG);
    assert_answer(alter(&h, CONFIG_RESOURCE_TOPIC, "t", "cleanup.policy", "compact", SET), 0, NULL);
    assert_int_equal(h.last.count, 0); /* nothing new */
    assert_answer(alter(&h, CONFIG_RESOURCE_TOPIC, "t", "cleanup.policy", NULL, SET),
                  KAFKA_ERROR_INVALID_REQUEST, "Null value not supported for : cleanup.policy");
    harness_release(&h);
}

static void values_have_a_largest_size(void **state)
{
    struct harness h;
    char *value = mem_alloc(32769);
    memset(value, 'x', 32768);
    value[32768] = '\0';
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    assert_answer(alter(&h, CONFIG_RESOURCE_BROKER, "1", "ssl.keystore.location", value, SET),
                  KAFKA_ERROR_INVALID_CONFIG,
                  "The configuration value cannot be added because it exceeds the maximum value "
                  "size of 32767 bytes.");
    value[32767] = '\0';
    assert_answer(alter(&h, CONFIG_RESOURCE_BROKER, "1", "ssl.keystore.location", value, SET), 0,
                  NULL);
    harness_release(&h);
    free(value);
}

static void one_key_twice_is_refused(void **state)
{
    struct harness h;
    struct incremental_alter_configs_request request;
    struct incremental_alter_configs_response response;
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    assert_int_equal(harness_create_topic(&h, "t", 1, 1, NULL), 0);
    message_init(&incremental_alter_configs_request_desc, &request);
    request.resources_count = 1;
    request.resources =
        MESSAGE_ARRAY(&h.arena, incremental_alter_configs_request_alter_configs_resource, 1);
    request.resources[0].resource_type = CONFIG_RESOURCE_TOPIC;
    request.resources[0].resource_name = STR("t");
    request.resources[0].configs_count = 2;
    request.resources[0].configs =
        MESSAGE_ARRAY(&h.arena, incremental_alter_configs_request_alterable_config, 2);
    for (int i = 0; i < 2; i++) {
        request.resources[0].configs[i].name = STR("retention.ms");
        request.resources[0].configs[i].value = STR("60000");
    }
    controller_incremental_alter_configs(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    assert_int_equal(response.responses[0].error_code, KAFKA_ERROR_INVALID_REQUEST);
    assert_int_equal(h.result.records.count, 0);
    harness_release(&h);
}

static void cordoned_directories_need_their_metadata_version(void **state)
{
    static const char refusal[] = "The cordoned.log.dirs configuration value cannot be set because "
                                  "it requires metadata.version >= 4.3-IV0";
    struct harness h;
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    assert_answer(alter(&h, CONFIG_RESOURCE_BROKER, "1", "cordoned.log.dirs", "/d", SET), 0, NULL);
    h.result = (struct controller_result){.atomic = true};
    struct feature_level_record *level =
        METADATA_RECORD_ADD(&h.result.records, &h.arena, feature_level_record, FEATURE_LEVEL, 0);
    level->name = STR("metadata.version");
    level->feature_level = METADATA_VERSION_CORDONED_DIRS - 1;
    harness_commit(&h);
    assert_answer(alter(&h, CONFIG_RESOURCE_BROKER, "1", "cordoned.log.dirs", "/d", SET),
                  KAFKA_ERROR_INVALID_CONFIG, refusal);
    assert_answer(alter(&h, CONFIG_RESOURCE_BROKER, "1", "cordoned.log.dirs", NULL, DELETE),
                  KAFKA_ERROR_INVALID_CONFIG, refusal);
    assert_answer(alter(&h, CONFIG_RESOURCE_BROKER, "1", "log.retention.ms", "5", SET), 0, NULL);
    harness_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elr_guards_the_minimum),
        cmocka_unit_test(resources_have_to_exist),
        cmocka_unit_test(lists_grow_and_shrink),
        cmocka_unit_test(values_have_a_largest_size),
        cmocka_unit_test(one_key_twice_is_refused),
        cmocka_unit_test(cordoned_directories_need_their_metadata_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
