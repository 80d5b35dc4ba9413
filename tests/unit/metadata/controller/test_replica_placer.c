#include "metadata/controller/replica_placer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void fill(void *ctx, void *ret_bytes, size_t len)
{
    uint64_t *state = ctx;
    for (size_t i = 0; i < len; i++) {
        *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
        ((uint8_t *)ret_bytes)[i] = (uint8_t)(*state >> 40);
    }
}

struct placement {
    struct arena arena;
    uint64_t seed;
    struct random_source random;
    int32_t *ids;
    int32_t partitions, factor;
};

static void place(struct placement *p, const struct placer_broker *brokers, int32_t count,
                  int32_t partitions, int32_t factor, uint64_t seed)
{
    struct placer_broker copy[64];
    memcpy(copy, brokers, (size_t)count * sizeof(*brokers));
    arena_init(&p->arena, 0);
    p->seed = seed;
    p->random = (struct random_source){fill, &p->seed};
    p->partitions = partitions;
    p->factor = factor;
    p->ids = ARENA_ARRAY(&p->arena, int32_t, (size_t)partitions * (size_t)factor);
    replica_placer_place(copy, count, partitions, factor, &p->random, &p->arena, p->ids);
}

static const int32_t *replicas(const struct placement *p, int32_t partition)
{
    return p->ids + (size_t)partition * (size_t)p->factor;
}

/* How often a broker is the first replica, or any. */
static int32_t count_of(const struct placement *p, int32_t broker, bool leaders_only)
{
    int32_t count = 0;
    for (int32_t i = 0; i < p->partitions; i++) {
        for (int32_t k = 0; k < (leaders_only ? 1 : p->factor); k++)
            count += replicas(p, i)[k] == broker;
    }
    return count;
}

static void replicas_are_distinct_and_even(void **state)
{
    const struct placer_broker brokers[] = {{1, STR_NULL, false},
                                            {2, STR_NULL, false},
                                            {3, STR_NULL, false},
                                            {4, STR_NULL, false},
                                            {5, STR_NULL, false}};
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct placement p;
        place(&p, brokers, 5, 100, 3, seed);
        for (int32_t i = 0; i < 100; i++) {
            const int32_t *r = replicas(&p, i);
            assert_true(r[0] != r[1] && r[0] != r[2] && r[1] != r[2]);
        }
        for (int32_t id = 1; id <= 5; id++) {
            assert_int_equal(count_of(&p, id, true), 20);
            assert_int_equal(count_of(&p, id, false), 60);
        }
        arena_release(&p.arena);
    }
}

static int32_t rack_of(int32_t broker)
{
    return broker / 10;
}

static void replicas_spread_over_racks(void **state)
{
    const struct placer_broker brokers[] = {{10, STR("a"), false}, {11, STR("a"), false},
                                            {20, STR("b"), false}, {21, STR("b"), false},
                                            {30, STR("c"), false}, {31, STR("c"), false}};
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct placement p;
        place(&p, brokers, 6, 60, 3, seed);
        for (int32_t i = 0; i < 60; i++) {
            const int32_t *r = replicas(&p, i);
            assert_true(rack_of(r[0]) != rack_of(r[1]) && rack_of(r[0]) != rack_of(r[2]) &&
                        rack_of(r[1]) != rack_of(r[2]));
        }
        for (int32_t id = 1; id <= 3; id++)
            assert_int_equal(count_of(&p, id * 10, true) + count_of(&p, id * 10 + 1, true), 20);
        arena_release(&p.arena);
    }
}

/* Where a rack is lost, its leaders do not all move to the same other one; and the turns of a rack
 * without a live broker go to all of the others. */
static void racks_take_turns_in_random_order(void **state)
{
    const struct placer_broker brokers[] = {
        {10, STR("a"), false}, {20, STR("b"), false}, {30, STR("c"), false}, {40, STR("d"), true},
        {11, STR("a"), false}, {21, STR("b"), false}, {31, STR("c"), false}};
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct placement p;
        int32_t after[5][5] = {{0}};
        place(&p, brokers, 7, 240, 2, seed);
        for (int32_t i = 0; i < 240; i++)
            after[rack_of(replicas(&p, i)[0])][rack_of(replicas(&p, i)[1])]++;
        for (int32_t x = 1; x <= 3; x++) {
            int32_t leaders = count_of(&p, x * 10, true) + count_of(&p, x * 10 + 1, true);
            assert_in_range(leaders, 60, 100);
            for (int32_t y = 1; y <= 4; y++)
                assert_true(x == y ? after[x][y] == 0 : after[x][y] > 5);
        }
        arena_release(&p.arena);
    }
}

static void uneven_racks_are_used_up(void **state)
{
    const struct placer_broker brokers[] = {{10, STR("a"), false},
                                            {20, STR("b"), false},
                                            {21, STR("b"), false},
                                            {22, STR("b"), false},
                                            {1, STR_NULL, false}};
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct placement p;
        place(&p, brokers, 5, 40, 5, seed);
        for (int32_t i = 0; i < 40; i++) {
            uint32_t seen = 0;
            for (int32_t k = 0; k < 5; k++)
                seen |= UINT32_C(1) << replicas(&p, i)[k];
            assert_int_equal(__builtin_popcount(seen), 5);
        }
        arena_release(&p.arena);
    }
}

/* A fenced broker never leads and is taken only when the others do not suffice. */
static void fenced_brokers_come_last(void **state)
{
    const struct placer_broker brokers[] = {
        {1, STR_NULL, false}, {2, STR_NULL, true}, {3, STR_NULL, false}, {4, STR("b"), true}};
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct placement p;
        place(&p, brokers, 3, 30, 2, seed);
        assert_int_equal(count_of(&p, 2, false), 0);
        arena_release(&p.arena);
        place(&p, brokers, 4, 30, 4, seed);
        assert_int_equal(count_of(&p, 2, true) + count_of(&p, 4, true), 0);
        assert_int_equal(count_of(&p, 2, false), 30);
        assert_int_equal(count_of(&p, 4, false), 30);
        arena_release(&p.arena);
    }
}

static void the_seed_decides(void **state)
{
    const struct placer_broker brokers[] = {
        {1, STR_NULL, false}, {2, STR_NULL, false}, {3, STR_NULL, false}};
    struct placement a, b;
    bool differ = false;
    for (uint64_t seed = 0; seed < 10; seed++) {
        place(&a, brokers, 3, 10, 2, 1);
        place(&b, brokers, 3, 10, 2, seed * 977 + 1);
        bool same = memcmp(a.ids, b.ids, 20 * sizeof(int32_t)) == 0;
        assert_true(seed != 0 || same);
        differ |= !same;
        arena_release(&a.arena);
        arena_release(&b.arena);
    }
    assert_true(differ);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas_are_distinct_and_even),
        cmocka_unit_test(replicas_spread_over_racks),
        cmocka_unit_test(racks_take_turns_in_random_order),
        cmocka_unit_test(uneven_racks_are_used_up),
        cmocka_unit_test(fenced_brokers_come_last),
        cmocka_unit_test(the_seed_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
