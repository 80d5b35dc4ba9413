/* What a request names several times, in the order of the answer. */
#include "broker/server/fan_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct mention {
    const char *topic;
    int32_t partition;
};

struct fixture {
    struct request request;
    struct fan_out fan;
};

/* The `in` of an item is the mention itself. */
static int32_t gather(struct fixture *f, const struct mention *mentions, int32_t count)
{
    arena_init(&f->request.arena, 0);
    f->fan = (struct fan_out){.request = &f->request, .count = count};
    f->fan.items = ARENA_ARRAY(&f->request.arena, struct fan_out_item, count);
    for (int32_t i = 0; i < count; i++)
        f->fan.items[i] = (struct fan_out_item){.topic = str_of(mentions[i].topic),
                                                .partition = mentions[i].partition,
                                                .in = &mentions[i]};
    return fan_out_gather(&f->fan);
}

static void assert_item(const struct fixture *f, int32_t i, const struct mention *in, bool begins,
                        bool repeated)
{
    const struct fan_out_item *item = &f->fan.items[i];
    assert_ptr_equal(item->in, in);
    assert_true(str_eq_z(item->topic, in->topic));
    assert_int_equal(item->partition, in->partition);
    assert_int_equal(item->begins_topic, begins);
    assert_int_equal(item->repeated, repeated);
}

static void the_last_mention_counts(void **state)
{
    (void)state;
    const struct mention m[] = {{"a", 0}, {"a", 1}, {"a", 0}, {"a", 0}};
    struct fixture f;
    assert_int_equal(gather(&f, m, 4), 1);
    assert_int_equal(f.fan.count, 2);
    assert_item(&f, 0, &m[3], true, true);
    assert_item(&f, 1, &m[1], false, false);
    arena_release(&f.request.arena);
}

static void topics_stand_together(void **state)
{
    (void)state;
    const struct mention m[] = {{"b", 1}, {"a", 1}, {"b", 0}, {"c", 5}, {"a", 1}, {"b", 2}};
    struct fixture f;
    assert_int_equal(gather(&f, m, 6), 3);
    assert_int_equal(f.fan.count, 5);
    assert_item(&f, 0, &m[0], true, false);
    assert_item(&f, 1, &m[2], false, false);
    assert_item(&f, 2, &m[5], false, false);
    assert_item(&f, 3, &m[4], true, true);
    assert_item(&f, 4, &m[3], true, false);
    arena_release(&f.request.arena);
}

static void nothing_is_named(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(gather(&f, NULL, 0), 0);
    assert_int_equal(f.fan.count, 0);
    arena_release(&f.request.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_mention_counts),
        cmocka_unit_test(topics_stand_together),
        cmocka_unit_test(nothing_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
