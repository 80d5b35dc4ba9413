#include "broker/server/shard_topics.h"

#include "common/protocol/compression.h"
#include "common/protocol/record_validate.h"
#include "metadata/config/server_config.h"
#include "tests/unit/metadata/config_image.h"

static struct server_config config;
static struct image_chain *chain;

static int setup(void **state)
{
    server_config_init(&config);
    chain = image_chain_new(false);
    return 0;
}

static int teardown(void **state)
{
    image_chain_free(chain);
    server_config_release(&config);
    return 0;
}

static void load(const char *text)
{
    struct server_config_options options = {
        .text = str_of(text), .source = STR("test"), .hostname = STR("box.example")};
    server_config_release(&config);
    if (server_config_load(&config, &options) != 0)
        fail_msg("%s", config.error);
}

static struct topic_settings resolve(const char *topic)
{
    struct topic_settings settings;
    topic_settings_resolve(&config, image_chain_published(chain), str_of(topic), &settings);
    return settings;
}

static void set(int8_t type, const char *resource, const char *key, const char *value)
{
    const struct config_setting setting = {type, resource, key, value};
    config_image_set(chain, &setting, 1);
}

#define TOPIC   CONFIG_RESOURCE_TOPIC, "t"
#define BROKER  CONFIG_RESOURCE_BROKER, "1"
#define CLUSTER CONFIG_RESOURCE_BROKER, ""

static void test_defaults(void **state)
{
    load("");
    struct topic_settings settings = resolve("t");
    struct log_config defaults = LOG_CONFIG_DEFAULT;
    assert_int_equal(settings.log.segment_bytes, defaults.segment_bytes);
    assert_int_equal(settings.log.segment_index_bytes, defaults.segment_index_bytes);
    assert_int_equal(settings.log.index_interval_bytes, defaults.index_interval_bytes);
    assert_int_equal(settings.log.max_message_bytes, defaults.max_message_bytes);
    assert_int_equal(settings.log.segment_ms, defaults.segment_ms);
    assert_int_equal(settings.log.segment_jitter_ms, 0);
    assert_int_equal(settings.log.retention_bytes, -1);
    assert_int_equal(settings.log.retention_ms, defaults.retention_ms);
    assert_int_equal(settings.log.file_delete_delay_ms, defaults.file_delete_delay_ms);
    assert_true(settings.log.flush_messages == INT64_MAX && settings.log.flush_ms == INT64_MAX);
    assert_int_equal(settings.log.producer_id_expiration_ms, defaults.producer_id_expiration_ms);
    assert_true(settings.log.delete_policy && !settings.log.compact_policy);
    assert_true(!settings.log.preallocate && !settings.log.log_append_time);
    assert_int_equal(settings.codec, RECORD_CODEC_PRODUCER);
    assert_true(settings.timestamp_before_max_ms == INT64_MAX);
    assert_int_equal(settings.timestamp_after_max_ms, 3600000);
    assert_int_equal(settings.min_insync_replicas, 1);
}

static void test_from_file(void **state)
{
    load("log.retention.hours=2\nlog.roll.hours=3\nlog.roll.jitter.hours=1\n"
         "log.segment.bytes=2000000\nlog.flush.scheduler.interval.ms=77\nlog.preallocate=true\n"
         "log.cleanup.policy=compact\ncompression.type=lz4\ncompression.lz4.level=12\n"
         "log.message.timestamp.type=LogAppendTime\nmessage.max.bytes=5000\n"
         "log.message.timestamp.after.max.ms=9\nproducer.id.expiration.ms=1000\n");
    struct topic_settings settings = resolve("t");
    assert_int_equal(settings.log.retention_ms, 2 * 3600000);
    assert_int_equal(settings.log.segment_ms, 3 * 3600000);
    assert_int_equal(settings.log.segment_jitter_ms, 3600000);
    assert_int_equal(settings.log.segment_bytes, 2000000);
    assert_int_equal(settings.log.flush_ms, 77);
    assert_true(settings.log.preallocate && settings.log.log_append_time);
    assert_true(settings.log.compact_policy && !settings.log.delete_policy);
    assert_int_equal(settings.log.max_message_bytes, 5000);
    assert_int_equal(settings.log.producer_id_expiration_ms, 1000);
    assert_int_equal(settings.timestamp_after_max_ms, 9);
    assert_int_equal(settings.codec, COMPRESSION_LZ4);
    assert_int_equal(settings.compression_level, 12);
}

/* Of milliseconds, minutes and hours the finest that is set counts, wherever it is set. */
static void test_finer_synonym_wins(void **state)
{
    load("log.retention.hours=2\nlog.retention.minutes=5\n");
    assert_int_equal(resolve("t").log.retention_ms, 5 * 60000);
    load("log.retention.hours=2\nlog.retention.minutes=-1\n");
    assert_int_equal(resolve("t").log.retention_ms, -1);
    load("log.retention.ms=-5\n");
    assert_int_equal(resolve("t").log.retention_ms, -1);
    load("log.retention.ms=1234\n");
    set(CLUSTER, "log.retention.hours", "7");
    assert_int_equal(resolve("t").log.retention_ms, 1234);
}

static void test_levels(void **state)
{
    load("log.retention.ms=1000\n");
    assert_int_equal(resolve("t").log.retention_ms, 1000);
    set(CLUSTER, "log.retention.ms", "2000");
    assert_int_equal(resolve("t").log.retention_ms, 2000);
    set(BROKER, "log.retention.ms", "3000");
    assert_int_equal(resolve("t").log.retention_ms, 3000);
    set(CONFIG_RESOURCE_BROKER, "2", "log.retention.ms", "9000");
    assert_int_equal(resolve("t").log.retention_ms, 3000);
    set(TOPIC, "retention.ms", "4000");
    assert_int_equal(resolve("t").log.retention_ms, 4000);
    assert_int_equal(resolve("u").log.retention_ms, 3000);
    /* And back. */
    set(TOPIC, "retention.ms", NULL);
    assert_int_equal(resolve("t").log.retention_ms, 3000);
    set(BROKER, "log.retention.ms", NULL);
    set(CLUSTER, "log.retention.ms", NULL);
    assert_int_equal(resolve("t").log.retention_ms, 1000);
}

static void test_topic_values(void **state)
{
    static const struct {
        const char *type;
        int codec;
    } codecs[] = {{"uncompressed", COMPRESSION_NONE},
                  {"gzip", COMPRESSION_GZIP},
                  {"snappy", COMPRESSION_SNAPPY},
                  {"zstd", COMPRESSION_ZSTD},
                  {"producer", RECORD_CODEC_PRODUCER}};
    load("");
    for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
        set(TOPIC, "compression.type", codecs[i].type);
        assert_int_equal(resolve("t").codec, codecs[i].codec);
        if (codecs[i].codec >= 0)
            assert_true(compression_level_ok((enum compression_codec)codecs[i].codec,
                                             resolve("t").compression_level));
    }
    set(TOPIC, "compression.type", "zstd");
    set(TOPIC, "compression.zstd.level", "7");
    assert_int_equal(resolve("t").compression_level, 7);
    set(TOPIC, "cleanup.policy", "compact, delete");
    assert_true(resolve("t").log.compact_policy && resolve("t").log.delete_policy);
    set(TOPIC, "cleanup.policy", "");
    assert_true(!resolve("t").log.compact_policy && !resolve("t").log.delete_policy);
    set(TOPIC, "min.insync.replicas", "2");
    assert_int_equal(resolve("t").min_insync_replicas, 2);
    set(TOPIC, "internal.segment.bytes", "4096");
    assert_int_equal(resolve("t").log.segment_bytes, 4096);
}

/* A value that another program or an older log left behind never stops a partition. */
static void test_unreadable_values(void **state)
{
    load("log.retention.ms=1000\n");
    set(CLUSTER, "log.retention.ms", "much");
    assert_int_equal(resolve("t").log.retention_ms, 1000);
    set(TOPIC, "retention.ms", "-2");
    set(TOPIC, "compression.type", "brotli");
    assert_int_equal(resolve("t").log.retention_ms, 1000);
    assert_int_equal(resolve("t").codec, RECORD_CODEC_PRODUCER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_from_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_finer_synonym_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_topic_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unreadable_values, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
