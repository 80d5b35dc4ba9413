#include "metadata/config/config_value.h"

#include "tests/unit/metadata/config/recorded_lines.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static enum config_scope scope_of(struct str name)
{
    for (int scope = 0; scope < CONFIG_SCOPE_COUNT; scope++)
        if (str_eq_z(name, config_scope_name(scope)))
            return scope;
    fail_msg("unknown scope %.*s", STR_FMT(name));
    return CONFIG_SCOPE_COUNT;
}

/* Kafka gives the Java names of our answers, so both are compared as they stand. */
static void check_line(struct str line)
{
    struct str scope, name, text;
    str_split(&line, '\t', &scope);
    str_split(&line, '\t', &name);
    str_split(&line, '\t', &text);
    const struct config_def *def = config_find(scope_of(scope), name);
    assert_non_null(def);
    struct arena arena;
    arena_init(&arena, 0);
    struct config_value value;
    struct str answer;
    if (config_value_parse(def, text, &arena, &value, &answer) == 0) {
        struct str shown = config_value_format(&value, &arena);
        if (def->type == CONFIG_TYPE_PASSWORD)
            shown = STR("hidden");
        answer = arena_printf(&arena, "ok %.*s", STR_FMT(shown));
    }
    if (def->type == CONFIG_TYPE_PASSWORD)
        assert_true(str_starts_with(line, STR("ok")));
    else if (!str_eq(answer, line))
        fail_msg("%.*s=%.*s: \"%.*s\" instead of \"%.*s\"", STR_FMT(name), STR_FMT(text),
                 STR_FMT(answer), STR_FMT(line));
    arena_release(&arena);
}

static void values_are_judged_as_kafka_does(void **state)
{
    assert_true(recorded_lines(TEST_DATA "/config/values.tsv", check_line) > 500);
}

static void defaults_keep_their_own_rules(void **state)
{
    for (int id = 0; id < CONFIG_COUNT; id++) {
        const struct config_def *def = &config_defs[id];
        assert_int_equal(def->id, id);
        struct arena arena;
        arena_init(&arena, 0);
        struct config_value value = config_value_default(def, &arena), again;
        struct str error;
        if (str_is_null(def->default_value)) {
            assert_int_equal(value.type, CONFIG_TYPE_UNKNOWN);
        } else if (config_value_parse(def, def->default_value, &arena, &again, &error) != 0) {
            fail_msg("%s", error.data);
        } else if (def->type != CONFIG_TYPE_DOUBLE) {
            assert_string_equal(config_value_format(&again, &arena).data, def->default_value.data);
        }
        assert_true(def->doc.len > 0);
        arena_release(&arena);
    }
}

static void doubles_look_like_javas(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0.0"},
                 {-0.0, "-0.0"},
                 {0.5, "0.5"},
                 {100, "100.0"},
                 {1234567.25, "1234567.25"},
                 {1e7, "1.0E7"},
                 {2147483647, "2.147483647E9"},
                 {0.001, "0.001"},
                 {0.00012, "1.2E-4"},
                 {1.7976931348623157e308, "1.7976931348623157E308"},
                 {0.1, "0.1"},
                 {-INFINITY, "-Infinity"},
                 {NAN, "NaN"}};
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(config_format_double(cases[i].value, &arena).data, cases[i].text);
    arena_release(&arena);
}

static void a_refused_value_leaves_the_old_one(void **state)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct config_value value = {.type = CONFIG_TYPE_INT, .integer = 7};
    struct str error;
    assert_int_equal(config_value_parse(&config_defs[CONFIG_BROKER_NUM_PARTITIONS], STR("0"),
                                        &arena, &value, &error),
                     -EINVAL);
    assert_int_equal(value.integer, 7);
    assert_string_equal(error.data, "Invalid value 0 for configuration num.partitions: "
                                    "Value must be at least 1");
    arena_release(&arena);
}

static void lists_are_split_and_joined(void **state)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct config_value value = config_split_list(STR(" a ,b\t, ,c "), &arena);
    assert_int_equal(value.list.count, 4);
    assert_true(config_value_list_has(&value, STR("b")));
    assert_false(config_value_list_has(&value, STR("d")));
    assert_string_equal(config_value_join(&value, STR("; "), &arena).data, "a; b; ; c");
    value = config_split_list(STR("  "), &arena);
    assert_int_equal(value.list.count, 0);
    assert_int_equal(config_value_format(&value, &arena).len, 0);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_judged_as_kafka_does),
        cmocka_unit_test(defaults_keep_their_own_rules),
        cmocka_unit_test(doubles_look_like_javas),
        cmocka_unit_test(a_refused_value_leaves_the_old_one),
        cmocka_unit_test(lists_are_split_and_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
