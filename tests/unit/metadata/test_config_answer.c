#include "metadata/config_answer.h"

#include "common/base/disk.h"
#include "common/protocol/codec.h"
#include "tests/unit/metadata/config_image.h"

#include <string.h>

/* answered.tsv holds what Apache Kafka answered; the changes in between are those made here. */
static const struct config_setting first[] = {
    {CONFIG_RESOURCE_BROKER, "", "min.insync.replicas", "1"},
    {CONFIG_RESOURCE_TOPIC, "t1", "retention.ms", "5000"},
    {CONFIG_RESOURCE_TOPIC, "t1", "cleanup.policy", "compact, delete"},
    {CONFIG_RESOURCE_TOPIC, "t1", "min.cleanable.dirty.ratio", ".25"},
};
static const struct config_setting dynamic[] = {
    {CONFIG_RESOURCE_BROKER, "1", "log.retention.ms", "3600000"},
    {CONFIG_RESOURCE_BROKER, "1", "leader.replication.throttled.rate", "1000"},
    {CONFIG_RESOURCE_BROKER, "1", "log.cleaner.threads", "2"},
    {CONFIG_RESOURCE_BROKER, "1", "listener.name.plaintext.max.connections", "66"},
    {CONFIG_RESOURCE_BROKER, "1", "bogus.broker", "1"},
    {CONFIG_RESOURCE_BROKER, "", "log.retention.ms", "7200000"},
    {CONFIG_RESOURCE_BROKER, "", "message.max.bytes", "2000000"},
    {CONFIG_RESOURCE_BROKER, "", "follower.replication.throttled.rate", "2000"},
    {CONFIG_RESOURCE_BROKER, "", "max.connections", "100"},
    {CONFIG_RESOURCE_BROKER, "", "bogus.cluster", "1"},
    {CONFIG_RESOURCE_BROKER, "", "log.flush.interval.ms", "88"},
    {CONFIG_RESOURCE_BROKER, "", "compression.type", "lz4"},
    {CONFIG_RESOURCE_GROUP, "g1", "consumer.session.timeout.ms", "50000"},
    {CONFIG_RESOURCE_GROUP, "g1", "share.auto.offset.reset", "earliest"},
    {CONFIG_RESOURCE_CLIENT_METRICS, "m1", "metrics", "a.b,c"},
    {CONFIG_RESOURCE_CLIENT_METRICS, "m1", "interval.ms", "5000"},
    {CONFIG_RESOURCE_CLIENT_METRICS, "m1", "match", "client_id=abc"},
};

struct fixture {
    struct disk *disk;
    char *recorded;
    struct server_config config;
    struct image_chain *chain;
    struct arena arena;
    struct describe_configs_response_describe_configs_result result;
};

static char *read_data(struct fixture *f, const char *path)
{
    char *text;
    size_t len;
    assert_int_equal(disk_read_file(f->disk, path, 1 << 20, &text, &len), 0);
    return text;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->disk = disk_posix_new();
    f->recorded = read_data(f, TEST_DATA "/config/answered.tsv");
    char *text = read_data(f, TEST_DATA "/config/answered.properties");
    server_config_init(&f->config);
    struct server_config_options options = {
        .text = str_of(text), .source = STR("answered.properties"), .hostname = STR("box.example")};
    if (server_config_load(&f->config, &options) != 0)
        fail_msg("%s", f->config.error);
    free(text);
    f->chain = image_chain_new(false);
    arena_init(&f->arena, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_release(&f->arena);
    image_chain_free(f->chain);
    server_config_release(&f->config);
    free(f->recorded);
    disk_posix_free(f->disk);
    free(f);
    return 0;
}

static void describe(struct fixture *f, enum config_resource_type type, const char *name,
                     const struct config_answer_options *options)
{
    message_struct_init(&describe_configs_response_describe_configs_result_struct, &f->result, 1);
    config_answer(&image_chain_published(f->chain)->configs, &f->config, type, str_of(name),
                  options, &f->arena, &f->result);
    for (int32_t i = 1; i < f->result.configs_count; i++)
        assert_true(str_cmp(f->result.configs[i - 1].name, f->result.configs[i].name) < 0);
}

static struct str shown(struct str s)
{
    return str_is_null(s) ? STR("\\N") : s;
}

/* One entry in the form of answered.tsv. */
static struct str
entry_text(struct fixture *f,
           const struct describe_configs_response_describe_configs_resource_result *e)
{
    struct str text = arena_printf(&f->arena, "%.*s\t%.*s\t%d\t%d\t%s%s\t", STR_FMT(e->name),
                                   STR_FMT(shown(e->value)), e->config_source, e->config_type,
                                   e->read_only ? "ro" : "rw", e->is_sensitive ? " sensitive" : "");
    for (int32_t i = 0; i < e->synonyms_count; i++)
        text = arena_printf(&f->arena, "%.*s%s%d %.*s=%.*s", STR_FMT(text), i ? " | " : "",
                            e->synonyms[i].source, STR_FMT(e->synonyms[i].name),
                            STR_FMT(shown(e->synonyms[i].value)));
    return text;
}

static const struct describe_configs_response_describe_configs_resource_result *
find(struct fixture *f, struct str name)
{
    for (int32_t i = 0; i < f->result.configs_count; i++)
        if (str_eq(f->result.configs[i].name, name))
            return &f->result.configs[i];
    return NULL;
}

/* Every line of the section is among the entries. Returns how many there were in all, where the
 * head of the section says so, else how many lines it has. */
static int assert_section(struct fixture *f, const char *section)
{
    struct str rest = str_of(f->recorded), line, head = arena_printf(&f->arena, "[%s]", section);
    bool inside = false;
    int lines = 0, all = 0;
    while (!str_is_null(rest)) {
        str_split(&rest, '\n', &line);
        if (line.len > 0 && line.data[0] == '[') {
            inside = str_starts_with(line, head);
            if (inside)
                (void)sscanf(line.data + head.len, "%d", &all);
        } else if (inside && line.len > 0) {
            struct str after = line, name;
            str_split(&after, '\t', &name);
            const void *entry = find(f, name);
            if (entry == NULL)
                fail_msg("%.*s is missing", STR_FMT(name));
            struct str text = entry_text(f, entry);
            if (!str_eq(text, line))
                fail_msg("\"%.*s\" instead of \"%.*s\"", STR_FMT(text), STR_FMT(line));
            lines++;
        }
    }
    assert_true(lines > 0);
    return all > 0 ? all : lines;
}

static const struct {
    const char *section;
    enum config_resource_type type;
    const char *name;
    int new_keys; /* by the dynamic changes */
} sections[] = {
    {"broker", CONFIG_RESOURCE_BROKER, "1", 4},
    {"topic", CONFIG_RESOURCE_TOPIC, "t1", 0},
    {"group", CONFIG_RESOURCE_GROUP, "g1", 0},
    {"client-metrics", CONFIG_RESOURCE_CLIENT_METRICS, "m1", 0},
};

static void test_same_as_kafka(void **state)
{
    struct fixture *f = *state;
    struct config_answer_options options = {.synonyms = true};
    int counts[ARRAY_LEN(sections)];
    config_image_set(f->chain, first, ARRAY_LEN(first));
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        describe(f, sections[i].type, sections[i].name, &options);
        counts[i] = assert_section(f, sections[i].section);
        assert_int_equal(f->result.configs_count, counts[i]);
    }
    config_image_set(f->chain, dynamic, ARRAY_LEN(dynamic));
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        describe(f, sections[i].type, sections[i].name, &options);
        assert_section(f, arena_printf(&f->arena, "%s dynamic", sections[i].section).data);
        assert_int_equal(f->result.configs_count, counts[i] + sections[i].new_keys);
    }
    describe(f, CONFIG_RESOURCE_BROKER, "", &options);
    assert_int_equal(f->result.configs_count, assert_section(f, "cluster dynamic"));
}

static void test_chosen_keys(void **state)
{
    struct fixture *f = *state;
    struct str keys[] = {STR("retention.ms"), STR("nope"), STR("retention.ms"), STR("flush.ms")};
    struct config_answer_options options = {.keys = keys, .keys_count = ARRAY_LEN(keys)};
    config_image_set(f->chain, first, ARRAY_LEN(first));
    describe(f, CONFIG_RESOURCE_TOPIC, "t1", &options);
    assert_int_equal(f->result.configs_count, 2);
    assert_string_equal(entry_text(f, &f->result.configs[0]).data, "flush.ms\t777777\t5\t5\trw\t");
    assert_string_equal(entry_text(f, &f->result.configs[1]).data,
                        "retention.ms\t5000\t1\t5\trw\t");
    assert_true(str_is_null(f->result.configs[1].documentation));

    options.documentation = true;
    describe(f, CONFIG_RESOURCE_TOPIC, "t1", &options);
    assert_true(f->result.configs[1].documentation.len > 10);

    /* Nothing is set for the cluster under these names. */
    describe(f, CONFIG_RESOURCE_BROKER, "", &options);
    assert_int_equal(f->result.configs_count, 0);
}

static void test_internal_keys(void **state)
{
    struct fixture *f = *state;
    struct config_answer_options options = {.synonyms = true};
    describe(f, CONFIG_RESOURCE_TOPIC, "t1", &options);
    assert_null(find(f, STR("internal.segment.bytes")));
    /* What was set is shown, and what nobody knows is kept secret. */
    const struct config_setting set[] = {
        {CONFIG_RESOURCE_TOPIC, "t1", "internal.segment.bytes", "4000"},
        {CONFIG_RESOURCE_TOPIC, "t1", "of.another.program", "5"}};
    config_image_set(f->chain, set, ARRAY_LEN(set));
    describe(f, CONFIG_RESOURCE_TOPIC, "t1", &options);
    assert_string_equal(entry_text(f, find(f, STR("internal.segment.bytes"))).data,
                        "internal.segment.bytes\t4000\t1\t3\trw\t1 internal.segment.bytes=4000");
    assert_string_equal(entry_text(f, find(f, STR("of.another.program"))).data,
                        "of.another.program\t\\N\t1\t0\trw sensitive\t1 of.another.program=\\N");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_as_kafka, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chosen_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_internal_keys, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
