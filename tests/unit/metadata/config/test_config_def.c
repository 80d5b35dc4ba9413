#include "metadata/config/config_def.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <cmocka.h>

static void names_are_found(void **state)
{
    for (int id = 0; id < CONFIG_COUNT; id++)
        assert_ptr_equal(config_find(config_defs[id].scope, config_defs[id].name),
                         &config_defs[id]);
    assert_null(config_find(CONFIG_SCOPE_TOPIC, STR("num.partitions")));
    assert_null(config_find(CONFIG_SCOPE_BROKER, STR("")));
    assert_null(config_find(CONFIG_SCOPE_IP, STR("zzz")));
}

static enum config_id find_id(const char *name, const char *base)
{
    struct str found = STR_NULL;
    const struct config_def *def = config_find_broker(str_of(name), &found);
    if (def == NULL)
        return CONFIG_COUNT;
    assert_true(str_eq_z(found, base));
    return def->id;
}

static void listener_prefixes_are_looked_through(void **state)
{
    assert_int_equal(find_id("listeners", "listeners"), CONFIG_BROKER_LISTENERS);
    assert_int_equal(find_id("kraftd.admin.listener", "kraftd.admin.listener"),
                     CONFIG_KRAFTD_ADMIN_LISTENER);
    assert_int_equal(find_id("listener.name.x.max.connections", "max.connections"),
                     CONFIG_BROKER_MAX_CONNECTIONS);
    assert_int_equal(find_id("listener.name.sasl.plain.sasl.jaas.config", "sasl.jaas.config"),
                     CONFIG_BROKER_SASL_JAAS_CONFIG);
    assert_int_equal(find_id("listener.name.x.y.max.connections", ""), CONFIG_COUNT);
    assert_int_equal(find_id("listener.name.max.connections", ""), CONFIG_COUNT);
    assert_int_equal(find_id("listener.name.", ""), CONFIG_COUNT);
    assert_int_equal(find_id("no.such", ""), CONFIG_COUNT);
}

/* Where the reference gives the name of a constant, or another order of the same entries. */
static bool default_is_spelt_otherwise(struct str name)
{
    return str_eq_z(name, "group.streams.topology.description.plugin.class") ||
           str_eq_z(name, "internal.metadata.max.batch.size.in.bytes") ||
           str_eq_z(name, "principal.builder.class") || str_eq_z(name, "request_percentage") ||
           str_eq_z(name, "controller_mutation_rate");
}

static const struct config_def *find_reference(struct str scope, struct str name)
{
    for (int i = 0; i < CONFIG_SCOPE_COUNT; i++) {
        bool same = str_eq_z(scope, config_scope_name(i));
        /* Quotas stand among the broker's keys there. */
        bool quota =
            (i == CONFIG_SCOPE_CLIENT || i == CONFIG_SCOPE_IP) && str_eq_z(scope, "broker");
        const struct config_def *def = same || quota ? config_find(i, name) : NULL;
        if (def != NULL)
            return def;
    }
    return NULL;
}

static void check_reference(struct str line)
{
    static const char *const importances[] = {"high", "medium", "low"};
    struct str cell[5];
    for (int i = 0; i < 5; i++)
        str_split(&line, '\t', &cell[i]);
    const struct config_def *def = find_reference(cell[0], cell[1]);
    if (def == NULL)
        fail_msg("%.*s is missing", STR_FMT(cell[1]));
    assert_int_equal(cell[2].len, strlen(config_type_name(def->type)));
    assert_int_equal(strncasecmp(cell[2].data, config_type_name(def->type), (size_t)cell[2].len),
                     0);
    assert_true(str_eq_z(cell[4], importances[def->importance]));
    assert_int_equal(str_eq_z(cell[3], "(required)"), def->required);
    if (str_eq_z(cell[3], "null"))
        assert_true(str_is_null(def->default_value));
    else if (!def->required && !default_is_spelt_otherwise(def->name) &&
             !str_eq(cell[3], def->default_value))
        fail_msg("%s: %s instead of %.*s", def->name.data, def->default_value.data,
                 STR_FMT(cell[3]));
}

static void the_table_equals_the_reference(void **state)
{
    FILE *file = fopen(SHARED_DATA "/kafka-spec/configs.tsv", "r");
    if (file == NULL)
        skip();
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    int count = 0;
    while ((len = getline(&line, &capacity, file)) > 0)
        if (count++ > 0)
            check_reference(str_from(line, (size_t)len - 1));
    free(line);
    fclose(file);
    assert_true(count > 400);
}

static void dynamic_keys_are_kafkas(void **state)
{
    assert_int_equal(config_defs[CONFIG_BROKER_LISTENERS].update, CONFIG_UPDATE_BROKER);
    assert_int_equal(config_defs[CONFIG_BROKER_LOG_RETENTION_MS].update, CONFIG_UPDATE_CLUSTER);
    assert_int_equal(config_defs[CONFIG_BROKER_LOG_RETENTION_HOURS].update, CONFIG_UPDATE_NEVER);
    assert_int_equal(config_defs[CONFIG_BROKER_LOG_DIRS].update, CONFIG_UPDATE_NEVER);
    assert_true(config_is_sensitive(&config_defs[CONFIG_BROKER_SSL_KEY_PASSWORD]));
    assert_true(config_is_sensitive(NULL));
    assert_false(config_is_sensitive(&config_defs[CONFIG_BROKER_LISTENERS]));
}

static void topic_synonyms_point_at_broker_keys(void **state)
{
    const struct config_def *def = &config_defs[CONFIG_TOPIC_RETENTION_MS];
    assert_int_equal(def->synonyms_count, 3);
    assert_int_equal(def->synonyms[0].id, CONFIG_BROKER_LOG_RETENTION_MS);
    assert_int_equal(def->synonyms[1].id, CONFIG_BROKER_LOG_RETENTION_MINUTES);
    assert_int_equal(def->synonyms[1].factor, 60000);
    assert_int_equal(def->synonyms[2].factor, 3600000);
    assert_int_equal(config_defs[CONFIG_TOPIC_REMOTE_STORAGE_ENABLE].synonyms_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(listener_prefixes_are_looked_through),
        cmocka_unit_test(the_table_equals_the_reference),
        cmocka_unit_test(dynamic_keys_are_kafkas),
        cmocka_unit_test(topic_synonyms_point_at_broker_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
