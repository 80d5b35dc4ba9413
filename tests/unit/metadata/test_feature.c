#include "metadata/feature.h"

#include "common/base/check.h"
#include "metadata/topic_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void levels_have_names(void **state)
{
    assert_null(metadata_version_find(METADATA_VERSION_MIN - 1));
    assert_null(metadata_version_find(METADATA_VERSION_LATEST + 1));
    assert_string_equal(metadata_version_find(METADATA_VERSION_LATEST)->name, "4.4-IV2");
    assert_string_equal(metadata_version_find(METADATA_VERSION_MIN)->name, "3.3-IV3");
    assert_int_equal(metadata_version_find_name(STR("4.0-IV1"))->level, METADATA_VERSION_ELR);
    assert_int_equal(metadata_version_find_name(STR("3.7"))->level, 19);
    assert_int_equal(metadata_version_find_name(STR("4.4"))->level, 33);
    assert_int_equal(metadata_version_find_name(STR("3.9.1"))->level, 21);
    assert_int_equal(metadata_version_find_name(STR("4.0-IV1.7"))->level, METADATA_VERSION_ELR);
    assert_null(metadata_version_find_name(STR("4.0.")));
    assert_null(metadata_version_find_name(STR("4..0")));
    assert_null(metadata_version_find_name(STR("4.")));
    assert_null(metadata_version_find_name(STR("2.8")));
}

/* What Kafka wrote at each level. */
static void levels_choose_record_versions(void **state)
{
    static const struct {
        int16_t level, broker, change, partition;
    } cases[] = {{7, 1, 1, 0},  {8, 2, 1, 0},  {16, 2, 1, 0}, {17, 3, 2, 1}, {22, 3, 2, 1},
                 {23, 3, 2, 2}, {29, 3, 2, 2}, {30, 4, 3, 2}, {33, 4, 3, 2}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(metadata_version_register_broker_record(cases[i].level), cases[i].broker);
        assert_int_equal(metadata_version_broker_change_record(cases[i].level), cases[i].change);
        assert_int_equal(metadata_version_partition_record(cases[i].level), cases[i].partition);
    }
}

static int16_t level_for(const char *name, int16_t metadata_version)
{
    return feature_default_level(feature_find(str_of(name)), metadata_version);
}

static void new_clusters_get_the_levels_of_their_release(void **state)
{
    assert_int_equal(level_for("metadata.version", 20), 20);
    assert_int_equal(level_for("group.version", 21), 0);
    assert_int_equal(level_for("group.version", 22), 1);
    assert_int_equal(level_for("transaction.version", 24), 2);
    assert_int_equal(level_for("share.version", 28), 1);
    assert_int_equal(level_for("share.version", 33), 2);
    assert_int_equal(level_for("eligible.leader.replicas.version", 25), 0);
    assert_int_equal(level_for("eligible.leader.replicas.version", 26), 1);
    assert_null(feature_find(STR("nope.version")));
}

static void names_of_topics(void **state)
{
    char longest[TOPIC_NAME_LEN_MAX + 1];
    memset(longest, 'x', sizeof(longest));
    assert_true(topic_name_valid(STR("a.B_c-9")));
    assert_true(topic_name_valid(STR("...")));
    assert_true(topic_name_valid(str_from(longest, TOPIC_NAME_LEN_MAX)));
    assert_false(topic_name_valid(str_from(longest, sizeof(longest))));
    assert_false(topic_name_valid(STR_EMPTY));
    assert_false(topic_name_valid(STR_NULL));
    assert_false(topic_name_valid(STR(".")));
    assert_false(topic_name_valid(STR("..")));
    assert_false(topic_name_valid(str_from("a\0b", 3)));
    assert_true(topic_names_collide(STR("a.b_c"), STR("a_b.c")));
    assert_false(topic_names_collide(STR("a.b"), STR("a.b.")));
    assert_false(topic_names_collide(STR("a.b"), STR("a-b")));
    assert_true(topic_name_may_collide(STR("a_b")));
    assert_false(topic_name_may_collide(STR("a-b")));
    assert_true(topic_name_internal(STR("__consumer_offsets")));
    assert_false(topic_name_internal(STR("__other")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(levels_choose_record_versions),
        cmocka_unit_test(new_clusters_get_the_levels_of_their_release),
        cmocka_unit_test(names_of_topics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
