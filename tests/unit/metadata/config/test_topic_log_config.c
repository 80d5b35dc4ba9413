#include "metadata/config/topic_log_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct str list_get(const void *ctx, struct str name)
{
    for (const char *const *at = ctx; *at != NULL; at += 2)
        if (str_eq_z(name, at[0]))
            return str_of(at[1]);
    return STR_NULL;
}

static void defaults_are_those_of_the_log(void **state)
{
    static const struct config_layers none;
    struct log_config config = topic_log_config(&none), standard = LOG_CONFIG_DEFAULT;
    assert_int_equal(config.segment_bytes, standard.segment_bytes);
    assert_int_equal(config.segment_index_bytes, standard.segment_index_bytes);
    assert_int_equal(config.index_interval_bytes, standard.index_interval_bytes);
    assert_int_equal(config.max_message_bytes, standard.max_message_bytes);
    assert_int_equal(config.segment_ms, standard.segment_ms);
    assert_int_equal(config.segment_jitter_ms, standard.segment_jitter_ms);
    assert_int_equal(config.retention_bytes, standard.retention_bytes);
    assert_int_equal(config.retention_ms, standard.retention_ms);
    assert_int_equal(config.file_delete_delay_ms, standard.file_delete_delay_ms);
    assert_true(config.flush_messages == standard.flush_messages);
    assert_true(config.flush_ms == standard.flush_ms);
    assert_int_equal(config.producer_id_expiration_ms, standard.producer_id_expiration_ms);
    assert_int_equal(config.delete_policy, standard.delete_policy);
    assert_int_equal(config.compact_policy, standard.compact_policy);
    assert_int_equal(config.preallocate, standard.preallocate);
    assert_int_equal(config.log_append_time, standard.log_append_time);
}

static void settings_of_the_topic_and_the_broker_arrive(void **state)
{
    static const char *const topic[] = {"cleanup.policy",
                                        "compact",
                                        "flush.messages",
                                        "1",
                                        "message.timestamp.type",
                                        "LogAppendTime",
                                        "internal.segment.bytes",
                                        "4096",
                                        "segment.bytes",
                                        "2097152",
                                        NULL};
    static const char *const file[] = {
        "log.roll.hours", "2", "log.flush.scheduler.interval.ms", "9", "log.preallocate",
        "true",           NULL};
    struct config_layers layers = {.own = {list_get, topic}, .file = {list_get, file}};
    struct log_config config = topic_log_config(&layers);
    assert_true(config.compact_policy && !config.delete_policy);
    assert_int_equal(config.flush_messages, 1);
    assert_int_equal(config.flush_ms, 9);
    assert_int_equal(config.segment_bytes, 4096);
    assert_int_equal(config.segment_ms, 7200000);
    assert_true(config.log_append_time && config.preallocate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_log),
        cmocka_unit_test(settings_of_the_topic_and_the_broker_arrive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
