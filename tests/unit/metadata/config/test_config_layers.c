#include "metadata/config/config_layers.h"

#include "tests/unit/metadata/config/recorded_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* A layer is a list of name, value, name, value ... NULL. */
static struct str list_get(const void *ctx, struct str name)
{
    for (const char *const *at = ctx; *at != NULL; at += 2)
        if (str_eq_z(name, at[0]))
            return str_of(at[1]);
    return STR_NULL;
}

#define LAYER(list)                                                                                \
    {                                                                                              \
        .get = list_get, .ctx = (list)                                                             \
    }

/* The server.properties of the broker that was asked. */
static const char *const file[] = {
    "process.roles",
    "broker,controller",
    "node.id",
    "1",
    "broker.id",
    "1",
    "listeners",
    "PLAINTEXT://127.0.0.1:43901,CONTROLLER://127.0.0.1:43902",
    "controller.listener.names",
    "CONTROLLER",
    "controller.quorum.bootstrap.servers",
    "127.0.0.1:43902",
    "log.dirs",
    "/tmp/kafka-data",
    "num.partitions",
    "3",
    "log.retention.hours",
    "99",
    "offsets.topic.replication.factor",
    "1",
    NULL,
};
static const char *const cluster[] = {"min.insync.replicas", "1", NULL};
static const char *const topic[] = {"retention.ms", "60000", NULL};
static const char *const nothing[] = {NULL};

static struct str origins_text(const struct config_description *d, struct arena *arena)
{
    struct str text = STR_EMPTY;
    for (int i = 0; i < d->origins_count; i++)
        text = arena_printf(arena, "%.*s%s%.*s=%.*s@%d", STR_FMT(text), i > 0 ? "|" : "",
                            STR_FMT(d->origins[i].name), STR_FMT(d->origins[i].value),
                            (int)d->origins[i].level);
    return text;
}

static void check_line(struct str line)
{
    struct str whole = line, kind, name, value, type, access, level;
    str_split(&line, '\t', &kind);
    str_split(&line, '\t', &name);
    str_split(&line, '\t', &value);
    str_split(&line, '\t', &type);
    str_split(&line, '\t', &access);
    str_split(&line, '\t', &level);
    bool is_topic = str_eq_z(kind, "topic");
    struct config_layers layers = {
        .own = LAYER(is_topic ? topic : nothing), .cluster = LAYER(cluster), .file = LAYER(file)};
    enum config_scope scope = str_eq_z(kind, "broker")  ? CONFIG_SCOPE_BROKER
                              : is_topic                ? CONFIG_SCOPE_TOPIC
                              : str_eq_z(kind, "group") ? CONFIG_SCOPE_GROUP
                                                        : CONFIG_SCOPE_CLIENT_METRICS;
    struct arena arena;
    arena_init(&arena, 0);
    struct config_description d;
    assert_true(config_describe(&layers, scope, name, &arena, &d));
    struct str shown =
        arena_printf(&arena, "%.*s\t%.*s\t%s\t%s\t%s\t%d\t%s", STR_FMT(kind), STR_FMT(name),
                     str_is_null(d.value) ? "null" : d.value.data, config_type_name(d.type),
                     d.is_read_only ? "ro" : "rw", (int)d.level, origins_text(&d, &arena).data);
    if (!str_eq(shown, whole))
        fail_msg("\n%s\ninstead of\n%.*s", shown.data, STR_FMT(whole));
    assert_true(config_is_listed(config_find(scope, name)));
    assert_int_equal(d.is_sensitive, str_eq_z(type, "PASSWORD"));
    arena_release(&arena);
}

static void keys_are_described_as_by_kafka(void **state)
{
    assert_true(recorded_lines(TEST_DATA "/config/described.tsv", check_line) > 400);
}

static void the_nearest_level_counts(void **state)
{
    static const char *const hours[] = {"log.retention.hours", "2", NULL};
    static const char *const minutes[] = {"log.retention.minutes", "-1", NULL};
    static const char *const ms[] = {"log.retention.ms", "7", NULL};
    static const char *const bad[] = {"log.retention.ms", "soon", NULL};
    struct config_layers layers = {.file = LAYER(hours)};
    assert_int_equal(config_layers_integer(&layers, CONFIG_TOPIC_RETENTION_MS), 7200000);
    layers.file = (struct config_layer)LAYER(minutes);
    assert_int_equal(config_layers_integer(&layers, CONFIG_TOPIC_RETENTION_MS), -1);
    layers.cluster = (struct config_layer)LAYER(ms);
    assert_int_equal(config_layers_integer(&layers, CONFIG_TOPIC_RETENTION_MS), 7);
    layers.broker = (struct config_layer)LAYER(bad);
    assert_int_equal(config_layers_integer(&layers, CONFIG_TOPIC_RETENTION_MS), 7);
    layers.own = (struct config_layer)LAYER(topic);
    assert_int_equal(config_layers_integer(&layers, CONFIG_TOPIC_RETENTION_MS), 60000);
    assert_int_equal(config_layers_integer(&layers, CONFIG_BROKER_NUM_PARTITIONS), 1);
    assert_false(config_layers_boolean(&layers, CONFIG_TOPIC_PREALLOCATE));
    struct arena arena;
    arena_init(&arena, 0);
    assert_int_equal(config_layers_get(&layers, CONFIG_BROKER_BROKER_RACK, &arena).type,
                     CONFIG_TYPE_UNKNOWN);
    arena_release(&arena);
}

/* Kafka's tools show: DYNAMIC_BROKER_CONFIG:log.retention.ms=6000,
 * DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=5000, DEFAULT_CONFIG:log.retention.hours=168 */
static void synonyms_go_level_by_level(void **state)
{
    static const char *const near[] = {"log.retention.ms", "6000", NULL};
    static const char *const far[] = {"log.retention.ms", "5000", NULL};
    struct config_layers layers = {.broker = LAYER(near), .cluster = LAYER(far)};
    struct arena arena;
    arena_init(&arena, 0);
    struct config_description d;
    assert_true(config_describe(&layers, CONFIG_SCOPE_BROKER, STR("log.retention.ms"), &arena, &d));
    assert_string_equal(
        origins_text(&d, &arena).data,
        "log.retention.ms=6000@2|log.retention.ms=5000@3|log.retention.hours=168@5");
    assert_string_equal(d.value.data, "6000");
    layers.own = (struct config_layer)LAYER(topic);
    assert_true(config_describe(&layers, CONFIG_SCOPE_TOPIC, STR("retention.ms"), &arena, &d));
    assert_string_equal(origins_text(&d, &arena).data,
                        "retention.ms=60000@1|log.retention.ms=6000@2|log.retention.ms=5000@3|"
                        "log.retention.hours=168@5");
    arena_release(&arena);
}

static void what_is_secret_or_unknown_is_not_shown(void **state)
{
    static const char *const dynamic[] = {"no.such",
                                          "5",
                                          "listener.name.sasl.plain.sasl.jaas.config",
                                          "secret",
                                          "listener.name.x.max.connections",
                                          "9",
                                          NULL};
    struct config_layers layers = {.broker = LAYER(dynamic)};
    struct arena arena;
    arena_init(&arena, 0);
    struct config_description d;
    assert_true(config_describe(&layers, CONFIG_SCOPE_BROKER, STR("no.such"), &arena, &d));
    assert_true(d.is_sensitive && str_is_null(d.value) && d.origins_count == 1);
    assert_true(str_is_null(d.origins[0].value));
    assert_int_equal(d.level, CONFIG_LEVEL_BROKER);
    struct str jaas = STR("listener.name.sasl.plain.sasl.jaas.config");
    assert_true(config_describe(&layers, CONFIG_SCOPE_BROKER, jaas, &arena, &d));
    assert_true(d.is_sensitive && d.is_read_only && str_is_null(d.value));
    assert_int_equal(d.type, CONFIG_TYPE_PASSWORD);
    assert_int_equal(d.origins_count, 1);
    struct str limit = STR("listener.name.x.max.connections");
    assert_true(config_describe(&layers, CONFIG_SCOPE_BROKER, limit, &arena, &d));
    assert_string_equal(d.value.data, "9");
    assert_string_equal(origins_text(&d, &arena).data,
                        "listener.name.x.max.connections=9@2|max.connections=2147483647@5");
    assert_false(config_describe(&layers, CONFIG_SCOPE_TOPIC, STR("no.such"), &arena, &d));
    arena_release(&arena);
}

static void a_listener_has_values_of_its_own(void **state)
{
    static const char *const here[] = {"listener.name.external.max.connections", "5",
                                       "listener.name.other.max.connections", "x", NULL};
    static const char *const everywhere[] = {"max.connections",
                                             "7",
                                             "listener.name.external.max.connections",
                                             "6",
                                             "listener.name.inside.max.connections",
                                             "8",
                                             NULL};
    static const char *const started[] = {"listener.name.other.max.connections", "9", NULL};
    const struct config_layers layers = {
        .broker = LAYER(here), .cluster = LAYER(everywhere), .file = LAYER(started)};
    static const struct {
        const char *listener;
        int64_t value; /* 0: none of its own */
    } cases[] = {{"EXTERNAL", 5}, {"INSIDE", 8}, {"OTHER", 9}, {"PLAINTEXT", 0}};
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_value value = config_layers_of_listener(
            &layers, str_of(cases[i].listener), CONFIG_BROKER_MAX_CONNECTIONS, &arena);
        assert_int_equal(value.type, cases[i].value ? CONFIG_TYPE_INT : CONFIG_TYPE_UNKNOWN);
        if (cases[i].value)
            assert_int_equal(value.integer, cases[i].value);
    }
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_described_as_by_kafka),
        cmocka_unit_test(the_nearest_level_counts),
        cmocka_unit_test(synonyms_go_level_by_level),
        cmocka_unit_test(what_is_secret_or_unknown_is_not_shown),
        cmocka_unit_test(a_listener_has_values_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
