#include "common/base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static int values[4096];

static void keys_are_told_apart_by_text_and_number(void **state)
{
    struct map map;
    map_init(&map, MAP_STR);
    assert_null(map_get(&map, map_key_str(STR("a"))));
    assert_null(map_put(&map, map_key_str_int(STR("a"), 0), &values[0]));
    assert_null(map_put(&map, map_key_str_int(STR("a"), 1), &values[1]));
    assert_null(map_put(&map, map_key_str(STR_NULL), &values[2]));
    assert_null(map_put(&map, map_key_str(STR_EMPTY), &values[3]));
    assert_ptr_equal(map_get(&map, map_key_str(STR("a"))), &values[0]);
    assert_ptr_equal(map_get(&map, map_key_str_int(STR("a"), 1)), &values[1]);
    assert_null(map_get(&map, map_key_str_int(STR("a"), 2)));
    assert_ptr_equal(map_get(&map, map_key_str(STR_NULL)), &values[2]);
    assert_ptr_equal(map_get(&map, map_key_str(STR_EMPTY)), &values[3]);
    assert_int_equal(map.count, 4);
    map_release(&map);
}

static void a_copied_key_outlives_the_callers_text(void **state)
{
    struct map map;
    map_init(&map, MAP_STR);
    char text[16];
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "k%d", i);
        map_put(&map, map_key_str(str_of(text)), &values[i]);
    }
    assert_ptr_equal(map_get(&map, map_key_str(STR("k42"))), &values[42]);
    assert_ptr_equal(map_put(&map, map_key_str(STR("k42")), &values[1000]), &values[42]);
    assert_int_equal(map.count, 100);
    map_clear(&map);
    assert_null(map_get(&map, map_key_str(STR("k42"))));
    assert_null(map_put(&map, map_key_str(STR("k42")), &values[1]));
    map_release(&map);
}

static void iteration_follows_insertion(void **state)
{
    struct map map;
    map_init(&map, MAP_U64);
    for (uint64_t i = 0; i < 1000; i++)
        map_put(&map, map_key_u64(i * 7919 % 1009), &values[i]);
    for (uint64_t i = 0; i < 1000; i += 3)
        assert_ptr_equal(map_remove(&map, map_key_u64(i * 7919 % 1009)), &values[i]);
    for (uint64_t i = 0; i < 1000; i += 3)
        map_put(&map, map_key_u64(i * 7919 % 1009), &values[i]);
    size_t seen = 0;
    for (uint64_t i = 0; i < 1000; i++)
        if (i % 3 != 0)
            seen++;
    size_t at = 0, late = 0;
    MAP_FOR_EACH (entry, &map) {
        int value = (int)((int *)entry->value - values);
        if (at < seen)
            assert_int_not_equal(value % 3, 0);
        else
            assert_int_equal(value, (int)(3 * late++));
        at++;
    }
    assert_int_equal(at, 1000);
    map_release(&map);
}

static void entries_may_go_while_iterating(void **state)
{
    struct map map;
    map_init(&map, MAP_UUID);
    for (int i = 0; i < 64; i++) {
        struct uuid id = {{(uint8_t)i}};
        map_put(&map, map_key_uuid_int(id, i), &values[i]);
    }
    int seen = 0;
    MAP_FOR_EACH (entry, &map) {
        seen++;
        int at = entry->key.number;
        assert_ptr_equal(map_remove(&map, entry->key), &values[at]);
        struct uuid next = {{(uint8_t)(at + 1)}};
        map_remove(&map, map_key_uuid_int(next, at + 1));
    }
    assert_int_equal(seen, 32);
    assert_int_equal(map.count, 0);
    assert_null(map_next(&map, map.first));
    map_release(&map);
}

/* A queue-like use leaves holes in front; memory must not grow with the number of operations. */
static void churn_keeps_the_table_small(void **state)
{
    struct map map;
    map_init(&map, MAP_U64);
    for (uint64_t i = 0; i < 200000; i++) {
        map_put(&map, map_key_u64(i), &values[i % 4096]);
        if (i >= 10)
            assert_non_null(map_remove(&map, map_key_u64(i - 10)));
    }
    assert_int_equal(map.count, 10);
    assert_true(map.capacity <= 64);
    assert_int_equal(map_next(&map, 0)->key.u64, 200000 - 10);
    map_release(&map);
}

static void agrees_with_a_plain_array(void **state)
{
    struct map map;
    map_init(&map, MAP_U64);
    void *model[256] = {0};
    unsigned seed = 7;
    for (int i = 0; i < 100000; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned key = (seed >> 16) % 256;
        void *old = model[key];
        if ((seed >> 8) % 3 == 0) {
            assert_ptr_equal(map_remove(&map, map_key_u64(key)), old);
            model[key] = NULL;
        } else {
            model[key] = &values[i % 4096];
            assert_ptr_equal(map_put(&map, map_key_u64(key), model[key]), old);
        }
        unsigned other = (seed >> 20) % 256;
        assert_ptr_equal(map_get(&map, map_key_u64(other)), model[other]);
    }
    map_release(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_told_apart_by_text_and_number),
        cmocka_unit_test(a_copied_key_outlives_the_callers_text),
        cmocka_unit_test(iteration_follows_insertion),
        cmocka_unit_test(entries_may_go_while_iterating),
        cmocka_unit_test(churn_keeps_the_table_small),
        cmocka_unit_test(agrees_with_a_plain_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
