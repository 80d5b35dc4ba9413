#include "raft/quorum_map.h"

#include "common/base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

static void test_mapping(void **state)
{
    assert_int_equal(quorum_index_of(0), 2);
    assert_int_equal(quorum_offset_of(2), 0);
    assert_int_equal(quorum_offset_of(QUORUM_INDEX_BOOTSTRAP), -1);
    assert_int_equal(quorum_term_of(0), QUORUM_TERM_BOOTSTRAP);
    assert_int_equal(quorum_epoch_of(1), 0);
    assert_int_equal(quorum_term_of(INT32_MAX), (uint64_t)INT32_MAX + 1);
}

static void expect(const struct quorum_map *map, uint64_t index, uint64_t base, uint64_t end,
                   uint64_t term)
{
    struct quorum_extent extent;
    assert_true(quorum_map_find(map, index, &extent));
    assert_int_equal(extent.base, base);
    assert_int_equal(extent.end, end);
    assert_int_equal(extent.term, term);
    assert_int_equal(quorum_map_term(map, index), term);
}

static void test_find(void **state)
{
    struct quorum_map map;
    struct quorum_extent extent;
    quorum_map_init(&map, 1);
    assert_true(quorum_map_empty(&map));
    assert_int_equal(quorum_map_last(&map), 0);
    quorum_map_append(&map, 1, 1);
    quorum_map_append(&map, 3, 2);
    quorum_map_append(&map, 3, 2);
    quorum_map_append(&map, 3, 3);
    quorum_map_append(&map, 1, 3);
    assert_int_equal(quorum_map_last(&map), 11);
    expect(&map, 1, 1, 1, 1);
    expect(&map, 3, 2, 4, 2);
    expect(&map, 5, 5, 7, 2);
    expect(&map, 7, 5, 7, 2);
    expect(&map, 8, 8, 10, 3);
    expect(&map, 11, 11, 11, 3);
    assert_false(quorum_map_find(&map, 0, &extent));
    assert_false(quorum_map_find(&map, 12, &extent));
    assert_int_equal(quorum_map_term(&map, 12), 0);
    quorum_map_release(&map);
}

/* Against a plain array of entries, with random appends, truncations and prefixes dropped. */
static void test_model(void **state)
{
    enum { LIMIT = 4096 };
    static struct quorum_extent model[LIMIT];
    uint64_t seed = 42;
    for (int round = 0; round < 30; round++) {
        struct quorum_map map;
        uint64_t first = 1 + round, next = first, term = 1;
        quorum_map_init(&map, first);
        for (int i = 0; i < 400; i++) {
            seed = hash_u64(seed + 0x9e3779b97f4a7c15u);
            uint64_t choice = seed % 100, pick = seed >> 32;
            if (choice < 80 && next + 8 < LIMIT) {
                uint32_t count = choice < 50 ? 1 : 1 + (uint32_t)(pick % 7);
                term += pick % 20 == 0;
                for (uint64_t k = next; k < next + count; k++)
                    model[k] = (struct quorum_extent){next, next + count - 1, term};
                quorum_map_append(&map, count, term);
                next += count;
            } else if (choice < 90 && next > first) {
                uint64_t base = model[first + pick % (next - first)].base;
                quorum_map_truncate(&map, base);
                next = base;
            } else if (choice >= 95 && next > first) {
                first = model[first + pick % (next - first)].base;
                quorum_map_drop_prefix(&map, first);
            }
            assert_int_equal(map.first, first);
            assert_int_equal(map.next, next);
            for (uint64_t k = first; k < next; k += 1 + pick % 5)
                expect(&map, k, model[k].base, model[k].end, model[k].term);
            assert_int_equal(quorum_map_term(&map, first - 1), 0);
        }
        quorum_map_drop_prefix(&map, next);
        assert_true(quorum_map_empty(&map));
        quorum_map_append(&map, 2, term);
        expect(&map, next, next, next + 1, term);
        quorum_map_release(&map);
    }
}

static void test_runs_are_compact(void **state)
{
    struct quorum_map map;
    quorum_map_init(&map, 2);
    for (int i = 0; i < 1000000; i++)
        quorum_map_append(&map, 1, 5);
    assert_int_equal(map.count - map.front, 1);
    quorum_map_reset(&map, 70);
    assert_int_equal(quorum_map_last(&map), 69);
    quorum_map_release(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mapping),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_runs_are_compact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
