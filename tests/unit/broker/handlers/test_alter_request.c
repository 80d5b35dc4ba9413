/* Whose decision an answer of the controller is. */
#include "broker/handlers/alter_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { TOPIC = 2, BROKER = 4 };

static void decisions_find_their_resources(void **state)
{
    struct alter_resource resources[] = {
        {.type = TOPIC, .name = STR("a")},
        {.type = TOPIC, .name = STR("1"), .decided = true, .error = KAFKA_ERROR_INVALID_CONFIG},
        {.type = TOPIC, .name = STR("1")},
        {.type = BROKER, .name = STR("1")},
        {.type = TOPIC, .name = STR("b")},
    };
    struct alter_request alter = {.resources = resources, .count = ARRAY_LEN(resources)};
    alter_request_decided(&alter, BROKER, STR("1"), KAFKA_ERROR_INVALID_REQUEST, STR("broker 1"));
    alter_request_decided(&alter, TOPIC, STR("b"), KAFKA_ERROR_NONE, STR_NULL);
    alter_request_decided(&alter, TOPIC, STR("1"), KAFKA_ERROR_POLICY_VIOLATION, STR("topic 1"));
    assert_false(resources[0].decided);
    assert_int_equal(resources[1].error, KAFKA_ERROR_INVALID_CONFIG);
    assert_int_equal(resources[2].error, KAFKA_ERROR_POLICY_VIOLATION);
    assert_true(str_eq(resources[2].message, STR("topic 1")));
    assert_int_equal(resources[3].error, KAFKA_ERROR_INVALID_REQUEST);
    assert_true(resources[4].decided);
    assert_int_equal(resources[4].error, KAFKA_ERROR_NONE);
    /* Of nobody, or of one that is decided already: nothing changes. */
    alter_request_decided(&alter, TOPIC, STR("c"), KAFKA_ERROR_INVALID_REQUEST, STR_NULL);
    alter_request_decided(&alter, TOPIC, STR("b"), KAFKA_ERROR_INVALID_REQUEST, STR_NULL);
    assert_false(resources[0].decided);
    assert_int_equal(resources[4].error, KAFKA_ERROR_NONE);
    alter_request_decided(&alter, TOPIC, STR("a"), KAFKA_ERROR_NONE, STR_NULL);
    assert_true(resources[0].decided);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions_find_their_resources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
