#include "metadata/config/config_validate.h"

#include "metadata/config/server_config.h"
#include "tests/unit/metadata/config/recorded_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct str file_get(const void *ctx, struct str name)
{
    return str_eq_z(name, "log.retention.hours") ? STR("99") : STR_NULL;
}

static const struct config_layers layers = {.file = {.get = file_get}};

/* The brokers that were asked; the second one has advertised.listeners. */
static struct server_config servers[2];

static int start_servers(void **state)
{
    static const char *const texts[] = {
        "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n"
        "listeners=PLAINTEXT://127.0.0.1:9092,EXTERNAL://127.0.0.1:9094,"
        "CONTROLLER://127.0.0.1:9093\ninter.broker.listener.name=PLAINTEXT\n"
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,EXTERNAL:PLAINTEXT,"
        "CONTROLLER:PLAINTEXT\nlog.dirs=/d1,/d2\n"
        "controller.quorum.bootstrap.servers=127.0.0.1:9093\n",
        "advertised.listeners=PLAINTEXT://127.0.0.1:9092,EXTERNAL://127.0.0.1:9094\n"};
    struct arena arena;
    arena_init(&arena, 0);
    struct str all = STR_EMPTY;
    for (int i = 0; i < 2; i++) {
        all = arena_printf(&arena, "%.*s%s", STR_FMT(all), texts[i]);
        struct server_config_options options = {.text = all, .hostname = STR("box.example")};
        server_config_init(&servers[i]);
        assert_int_equal(server_config_load(&servers[i], &options), 0);
    }
    arena_release(&arena);
    return 0;
}

static int stop_servers(void **state)
{
    server_config_release(&servers[0]);
    server_config_release(&servers[1]);
    return 0;
}

struct settings {
    const struct config_entry *entries;
    int count;
};

static struct str settings_get(const void *ctx, struct str name)
{
    const struct settings *settings = ctx;
    for (int i = 0; i < settings->count; i++)
        if (str_eq(settings->entries[i].key, name))
            return settings->entries[i].value;
    return STR_NULL;
}

static enum kafka_error validate(struct str kind, const struct config_entry *settings, int count,
                                 struct arena *arena, struct str *message)
{
    if (str_eq_z(kind, "topic"))
        return config_validate_topic(settings, count, &layers, arena, message);
    if (str_eq_z(kind, "group"))
        return config_validate_group(settings, count, &layers, arena, message);
    if (str_eq_z(kind, "client-metrics"))
        return config_validate_client_metrics(settings, count, arena, message);
    struct settings set = {settings, count};
    struct config_layers after = layers;
    bool is_default = str_eq_z(kind, "brokers");
    *(is_default ? &after.cluster : &after.broker) =
        (struct config_layer){.get = settings_get, .ctx = &set};
    struct broker_change change = {.entries = settings,
                                   .count = count,
                                   .is_default = is_default,
                                   .current = &layers,
                                   .after = &after,
                                   .server = &servers[str_eq_z(kind, "broker-told")]};
    return config_validate_broker(&change, arena, message);
}

static void check_line(struct str line)
{
    struct str kind, all, error_name, item;
    struct config_entry settings[4];
    int count = 0;
    bool more = true;
    struct str line_text = line;
    str_split(&line, '\t', &kind);
    str_split(&line, '\t', &all);
    str_split(&line, '\t', &error_name);
    while (more) {
        more = str_split(&all, '|', &item);
        str_split(&item, '=', &settings[count].key);
        settings[count++].value = item;
    }
    struct arena arena;
    arena_init(&arena, 0);
    struct str message = STR_EMPTY;
    enum kafka_error error = validate(kind, settings, count, &arena, &message);
    const char *name = kafka_error_name(error);
    if (!str_eq_z(error_name, name) || !str_eq(message, line))
        fail_msg("%.*s: got %s %.*s", STR_FMT(line_text), name, STR_FMT(message));
    arena_release(&arena);
}

static void changes_are_judged_as_kafka_does(void **state)
{
    assert_true(recorded_lines(TEST_DATA "/config/changes.tsv", check_line) > 300);
}

static void check(const char *kind, const char *name, const char *value, enum kafka_error error,
                  const char *message)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct config_entry setting = {str_of(name), str_of(value)};
    struct str text = STR_EMPTY;
    assert_int_equal(validate(str_of(kind), &setting, 1, &arena, &text), error);
    assert_string_equal(text.data, message);
    arena_release(&arena);
}

static void what_else_kafka_says(void **state)
{
    check("group", "errors.deadletterqueue.topic.name", "__x", KAFKA_ERROR_INVALID_CONFIG,
          "errors.deadletterqueue.topic.name: DLQ topic name must not start with '__'");
    check("group", "streams.assignor.name", " sticky ", KAFKA_ERROR_NONE, "");
    check("broker", "listener.name.x.ssl.keystore.type", "JKS", KAFKA_ERROR_NONE, "");
    check("brokers", "listener.name.x.ssl.keystore.type", "JKS", KAFKA_ERROR_INVALID_REQUEST,
          "Cannot update these configs at default cluster level, broker id must be specified: "
          "[listener.name.x.ssl.keystore.type]");
    check("broker", "ssl.keymanager.algorithm", "PKIX", KAFKA_ERROR_NONE, "");
    check("topic", "", "x", KAFKA_ERROR_INVALID_CONFIG, "Unknown topic config name: ");
}

static struct str wide_get(const void *ctx, struct str name)
{
    if (str_eq_z(name, "group.consumer.max.heartbeat.interval.ms"))
        return STR("90000");
    return str_eq_z(name, "group.consumer.max.session.timeout.ms") ? STR("100000") : STR_NULL;
}

/* Bounds come from the brokers; what is set is compared with what is not. */
static void a_session_is_longer_than_a_heartbeat(void **state)
{
    static const struct config_layers wide = {.cluster = {.get = wide_get}};
    struct config_entry settings[] = {
        {STR("consumer.heartbeat.interval.ms"), STR("50000")},
        {STR("consumer.session.timeout.ms"), STR("50001")},
    };
    struct arena arena;
    arena_init(&arena, 0);
    struct str message = STR_EMPTY;
    assert_int_equal(config_validate_group(settings, 2, &wide, &arena, &message), KAFKA_ERROR_NONE);
    assert_int_equal(config_validate_group(settings, 1, &wide, &arena, &message),
                     KAFKA_ERROR_INVALID_CONFIG);
    assert_string_equal(message.data, "consumer.session.timeout.ms must be greater than "
                                      "consumer.heartbeat.interval.ms");
    arena_release(&arena);
}

#define OLD "PLAINTEXT://127.0.0.1:9092,EXTERNAL://127.0.0.1:9094,CONTROLLER://127.0.0.1:9093"
#define MAP "PLAINTEXT:PLAINTEXT,EXTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
#define PART(text)                                                                                 \
    "Invalid value org.apache.kafka.common.config.ConfigException: " text                          \
    " for configuration Invalid dynamic configuration"

/* A broker that has a listener NEW already, which server.properties does not know. `set`: what its
 * configuration is then, name, value ... NULL. */
static void change_again(int server, const char *const *set, enum kafka_error error,
                         const char *message)
{
    const struct config_entry now[] = {
        {STR("listeners"), STR(OLD ",NEW://127.0.0.1:9095")},
        {STR("listener.security.protocol.map"), STR(MAP ",NEW:PLAINTEXT")},
    };
    const struct settings before = {now, 2};
    struct config_entry then[4];
    struct settings left = {then, 0};
    for (; *set != NULL; set += 2)
        then[left.count++] = (struct config_entry){str_of(set[0]), str_of(set[1])};
    const struct config_layers current = {.broker = {.get = settings_get, .ctx = &before}};
    const struct config_layers after = {.broker = {.get = settings_get, .ctx = &left}};
    struct broker_change change = {.entries = then,
                                   .count = left.count,
                                   .current = &current,
                                   .after = &after,
                                   .server = &servers[server]};
    struct arena arena;
    arena_init(&arena, 0);
    struct str text = STR_EMPTY;
    assert_int_equal(config_validate_broker(&change, &arena, &text), error);
    assert_string_equal(text.data, message);
    arena_release(&arena);
}

static void an_added_listener_is_judged_as_one_that_was_there(void **state)
{
    static const char *const nothing[] = {NULL};
    static const char *const secured[] = {"listeners", OLD ",NEW://127.0.0.1:9095",
                                          "listener.security.protocol.map", MAP ",NEW:SSL", NULL};
    static const char *const unmapped[] = {"listeners", OLD ",NEW://127.0.0.1:9095", NULL};
    static const char *const limited[] = {"listeners",
                                          OLD ",NEW://127.0.0.1:9095",
                                          "listener.security.protocol.map",
                                          MAP ",NEW:PLAINTEXT",
                                          "listener.name.new.max.connections",
                                          "0",
                                          NULL};
    /* What nobody advertises goes again; without advertised.listeners every one is. */
    change_again(1, nothing, KAFKA_ERROR_NONE, "");
    change_again(0, nothing, KAFKA_ERROR_INVALID_REQUEST,
                 PART("Advertised listeners 'Set(ListenerName(PLAINTEXT), ListenerName(EXTERNAL), "
                      "ListenerName(NEW))' must be a subset of listeners "
                      "'Set(ListenerName(PLAINTEXT), ListenerName(EXTERNAL), "
                      "ListenerName(CONTROLLER))'"));
    change_again(0, secured, KAFKA_ERROR_INVALID_REQUEST,
                 PART("Security protocol cannot be updated for existing listener "
                      "ListenerName(NEW)"));
    change_again(1, unmapped, KAFKA_ERROR_INVALID_REQUEST,
                 "Error creating broker listeners from '[PLAINTEXT://127.0.0.1:9092, "
                 "EXTERNAL://127.0.0.1:9094, CONTROLLER://127.0.0.1:9093, NEW://127.0.0.1:9095]': "
                 "No security protocol defined for listener NEW");
    change_again(1, limited, KAFKA_ERROR_INVALID_REQUEST, PART("Invalid max.connections 0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_judged_as_kafka_does),
        cmocka_unit_test(what_else_kafka_says),
        cmocka_unit_test(a_session_is_longer_than_a_heartbeat),
        cmocka_unit_test(an_added_listener_is_judged_as_one_that_was_there),
    };
    return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
