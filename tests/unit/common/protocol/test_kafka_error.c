#include "common/protocol/kafka_error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void codes_have_names_and_messages(void **state)
{
    assert_string_equal(kafka_error_name(KAFKA_ERROR_NONE), "NONE");
    assert_string_equal(kafka_error_name(-1), "UNKNOWN_SERVER_ERROR");
    assert_string_equal(kafka_error_name(36), "TOPIC_ALREADY_EXISTS");
    assert_string_equal(kafka_error_message(3), "This server does not host this topic-partition.");
    assert_true(kafka_error_retriable(KAFKA_ERROR_NOT_CONTROLLER));
    assert_false(kafka_error_retriable(KAFKA_ERROR_TOPIC_ALREADY_EXISTS));
}

static void unknown_codes_read_as_unknown_server_error(void **state)
{
    assert_int_equal(kafka_error_of(KAFKA_ERROR_LAST + 1), KAFKA_ERROR_UNKNOWN_SERVER_ERROR);
    assert_int_equal(kafka_error_of(KAFKA_ERROR_FIRST - 1), KAFKA_ERROR_UNKNOWN_SERVER_ERROR);
    assert_string_equal(kafka_error_name(INT16_MAX), "UNKNOWN_SERVER_ERROR");
}

static void errors_are_found_by_name(void **state)
{
    enum kafka_error error = KAFKA_ERROR_NONE;
    assert_true(kafka_error_find(STR("INVALID_RECORD"), &error));
    assert_int_equal(error, 87);
    assert_false(kafka_error_find(STR("INVALID"), &error));
    assert_int_equal(error, 87);
}

/* Kafka's own list, when it is beside the project. */
static void table_equals_the_reference(void **state)
{
    FILE *file = fopen(SHARED_DATA "/kafka-spec/errors.tsv", "r");
    if (!file)
        skip();
    char line[256];
    assert_non_null(fgets(line, sizeof(line), file));
    int count = 0;
    while (fgets(line, sizeof(line), file)) {
        char name[128], retriable[8];
        int code;
        assert_int_equal(sscanf(line, "%d %127s %7s", &code, name, retriable), 3);
        assert_int_equal(kafka_error_of((int16_t)code), code);
        assert_string_equal(kafka_error_name((int16_t)code), name);
        assert_string_equal(kafka_error_retriable((int16_t)code) ? "yes" : "no", retriable);
        count++;
    }
    fclose(file);
    assert_int_equal(count, KAFKA_ERROR_LAST - KAFKA_ERROR_FIRST + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_have_names_and_messages),
        cmocka_unit_test(unknown_codes_read_as_unknown_server_error),
        cmocka_unit_test(errors_are_found_by_name),
        cmocka_unit_test(table_equals_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
