#include "common/base/pmap.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* --- a map of numbers, checked against a plain array ---------------------------------------- */

#define KEYS 2000

struct number {
    uint64_t version;
    int64_t key;
    uint32_t payload;
};

static struct pmap_key number_key(const void *value)
{
    return pmap_key_i64(((const struct number *)value)->key);
}

static const struct pmap_kind numbers = {.key_of = number_key, .owns_values = true};

struct word {
    uint64_t version;
    uint32_t payload;
    int len;
    char text[32];
};

static struct pmap_key word_key(const void *value)
{
    const struct word *w = value;
    return pmap_key_str(str_from(w->text, (size_t)w->len));
}

static const struct pmap_kind words = {.key_of = word_key, .owns_values = true};

static uint64_t random_state = 7;

static uint32_t rnd(uint32_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % bound;
}

/* model[k]: payload, 0 when the key is absent */
struct model {
    uint32_t payload[KEYS];
};

static void assert_equals_model(struct pmap map, const struct model *model)
{
    struct pmap_iter iter;
    pmap_iter_first(&iter, map);
    uint32_t count = 0;
    for (int64_t key = 0; key < KEYS; key++) {
        const struct number *found = pmap_get(&numbers, map, pmap_key_i64(key - KEYS / 2));
        if (!model->payload[key]) {
            assert_null(found);
            continue;
        }
        count++;
        assert_non_null(found);
        assert_int_equal(found->payload, model->payload[key]);
        assert_ptr_equal(pmap_iter_next(&iter), found);
    }
    assert_null(pmap_iter_next(&iter));
    assert_int_equal(map.count, count);
}

static void change(struct pmap *map, struct pmap_edit *edit, struct model *model)
{
    int64_t key = rnd(KEYS);
    if (rnd(5) < 2) {
        bool removed = pmap_remove(&numbers, map, edit, pmap_key_i64(key - KEYS / 2));
        assert_int_equal(removed, model->payload[key] != 0);
        model->payload[key] = 0;
        return;
    }
    struct number *value = pmap_edit_new(edit, sizeof(*value));
    value->key = key - KEYS / 2;
    value->payload = model->payload[key] = rnd(1000000) + 1;
    pmap_put(&numbers, map, edit, value);
}

struct diff_check {
    const struct model *before, *after;
    bool seen[KEYS];
    int64_t last_key;
};

static void check_reported(void *ctx, void *old_value, void *new_value)
{
    struct diff_check *check = ctx;
    const struct number *before = old_value, *after = new_value;
    assert_true(before || after);
    int64_t key = (before ? before : after)->key;
    assert_true(key > check->last_key);
    check->last_key = key;
    key += KEYS / 2;
    assert_int_equal(before ? before->payload : 0, check->before->payload[key]);
    assert_int_equal(after ? after->payload : 0, check->after->payload[key]);
    check->seen[key] = true;
}

static void assert_diff(struct pmap a, struct pmap b, const struct model *before,
                        const struct model *after)
{
    struct diff_check *check = mem_calloc(1, sizeof(*check));
    *check = (struct diff_check){.before = before, .after = after, .last_key = INT64_MIN};
    pmap_diff(&numbers, a, b, check_reported, check);
    for (int key = 0; key < KEYS; key++)
        assert_true(check->seen[key] || before->payload[key] == after->payload[key]);
    free(check);
}

#define VERSIONS 6

/* Old versions stay as they were while new ones are built; going back frees what was newer. */
static void versions_are_independent(void **state)
{
    static struct model models[VERSIONS + 1];
    struct pmap maps[VERSIONS + 1] = {PMAP_EMPTY};
    struct pmap_retired retired[VERSIONS + 1] = {{0}};
    uint64_t version = 1;
    int live = 0; /* maps[0..live] exist */
    for (int round = 0; round < 120; round++) {
        if (live == VERSIONS) { /* the oldest half has no reader any more */
            for (int i = 1; i <= live / 2; i++)
                pmap_retired_free(&retired[i]);
            int kept = live - live / 2;
            memmove(&maps[0], &maps[live / 2], sizeof(maps[0]) * (size_t)(kept + 1));
            memmove(&models[0], &models[live / 2], sizeof(models[0]) * (size_t)(kept + 1));
            memmove(&retired[0], &retired[live / 2], sizeof(retired[0]) * (size_t)(kept + 1));
            live = kept;
        }
        struct pmap_edit edit = {.version = version};
        models[live + 1] = models[live];
        maps[live + 1] = maps[live];
        int changes = rnd(10) == 0 ? 1500 : (int)rnd(30);
        for (int i = 0; i < changes; i++)
            change(&maps[live + 1], &edit, &models[live + 1]);
        if (rnd(25) == 0) {
            pmap_clear(&numbers, &maps[live + 1], &edit);
            memset(&models[live + 1], 0, sizeof(models[0]));
        }
        assert_diff(maps[live], maps[live + 1], &models[live], &models[live + 1]);
        assert_diff(maps[live + 1], maps[0], &models[live + 1], &models[0]);
        if (rnd(4) == 0) { /* give it up */
            pmap_retired_undo(&edit.retired, version - 1);
            pmap_discard(&numbers, &maps[live + 1], version - 1);
        } else {
            retired[++live] = edit.retired;
        }
        version++;
        for (int i = 0; i <= live; i += 3)
            assert_equals_model(maps[i], &models[i]);
    }
    for (int i = 1; i <= live; i++)
        pmap_retired_free(&retired[i]);
    pmap_discard(&numbers, &maps[live], 0);
}

static void going_back_over_several_versions(void **state)
{
    static struct model models[2];
    struct pmap base = PMAP_EMPTY;
    struct pmap_edit edit = {.version = 1};
    for (int i = 0; i < 800; i++)
        change(&base, &edit, &models[0]);
    pmap_retired_free(&edit.retired);
    struct pmap newest = base;
    struct pmap_retired retired[5] = {{0}};
    models[1] = models[0];
    for (uint64_t v = 2; v < 7; v++) {
        edit = (struct pmap_edit){.version = v};
        for (int i = 0; i < 300; i++)
            change(&newest, &edit, &models[1]);
        retired[v - 2] = edit.retired;
    }
    assert_equals_model(newest, &models[1]);
    for (int i = 4; i >= 0; i--)
        pmap_retired_undo(&retired[i], 1);
    pmap_discard(&numbers, &newest, 1);
    assert_equals_model(base, &models[0]);
    pmap_discard(&numbers, &base, 0);
}

static void put_word(struct pmap *map, struct pmap_edit *edit, const char *text, uint32_t payload)
{
    struct word *w = pmap_edit_new(edit, sizeof(*w));
    w->len = snprintf(w->text, sizeof(w->text), "%s", text);
    w->payload = payload;
    pmap_put(&words, map, edit, w);
}

static const struct word *get_word(struct pmap map, const char *text)
{
    return pmap_get(&words, map, pmap_key_str(str_of(text)));
}

/* Keys that agree in the first eight bytes, or are each other's beginning, stay apart. */
static void long_keys_are_ordered(void **state)
{
    struct pmap map = PMAP_EMPTY;
    struct pmap_edit edit = {.version = 1};
    for (int i = 0; i < 500; i++) {
        char text[32];
        snprintf(text, sizeof(text), "topic-name-%d", i);
        put_word(&map, &edit, text, (uint32_t)i);
    }
    put_word(&map, &edit, "", 1000);
    put_word(&map, &edit, "topic", 1001);
    put_word(&map, &edit, "topic-na", 1002);
    put_word(&map, &edit, "topic-nam", 1003);
    assert_int_equal(map.count, 504);
    assert_int_equal(get_word(map, "")->payload, 1000);
    assert_int_equal(get_word(map, "topic-na")->payload, 1002);
    assert_int_equal(get_word(map, "topic-name-77")->payload, 77);
    assert_null(get_word(map, "topic-name-500"));
    assert_null(get_word(map, "topic-"));

    struct pmap_iter iter;
    pmap_iter_seek(&words, &iter, map, pmap_key_str(STR("topic-name-49")));
    const char *expected[] = {"topic-name-49", "topic-name-490", "topic-name-491"};
    for (int i = 0; i < 3; i++)
        assert_string_equal(((const struct word *)pmap_iter_next(&iter))->text, expected[i]);
    pmap_iter_seek(&words, &iter, map, pmap_key_str(STR("topic-name-999")));
    assert_null(pmap_iter_next(&iter));
    pmap_iter_seek(&words, &iter, map, pmap_key_str(STR("topic-o")));
    assert_null(pmap_iter_next(&iter));
    pmap_iter_seek(&words, &iter, map, pmap_key_str(STR("topic-nb")));
    assert_null(pmap_iter_next(&iter));
    pmap_iter_first(&iter, map);
    struct str last = STR_NULL;
    for (const struct word *w; (w = pmap_iter_next(&iter)) != NULL;) {
        struct str text = str_from(w->text, (size_t)w->len);
        assert_true(str_cmp(last, text) < 0);
        last = text;
    }
    pmap_retired_free(&edit.retired);
    pmap_discard(&words, &map, 0);
}

/* Every position of the cursor against keys between the ones that exist. */
static void seek_finds_the_next_key(void **state)
{
    struct pmap map = PMAP_EMPTY;
    struct pmap_edit edit = {.version = 1};
    for (int64_t key = 0; key < 5000; key += 5) {
        struct number *value = pmap_edit_new(&edit, sizeof(*value));
        value->key = key;
        pmap_put(&numbers, &map, &edit, value);
    }
    for (int64_t key = -3; key < 5000; key++) {
        struct pmap_iter iter;
        pmap_iter_seek(&numbers, &iter, map, pmap_key_i64(key));
        const struct number *found = pmap_iter_next(&iter);
        int64_t expected = key < 0 ? 0 : (key + 4) / 5 * 5;
        if (expected >= 5000) {
            assert_null(found);
            continue;
        }
        assert_int_equal(found->key, expected);
        const struct number *next = pmap_iter_next(&iter);
        assert_int_equal(next ? next->key : 5000, expected + 5);
    }
    pmap_discard(&numbers, &map, 0);
}

static void count_report(void *ctx, void *old_value, void *new_value)
{
    ++*(int *)ctx;
}

/* Two versions that share all but one path report one change. */
static void small_change_is_one_report(void **state)
{
    struct pmap map = PMAP_EMPTY;
    struct pmap_edit edit = {.version = 1};
    for (int64_t key = 0; key < 50000; key++) {
        struct number *value = pmap_edit_new(&edit, sizeof(*value));
        value->key = (key * 7919) % 50000;
        pmap_put(&numbers, &map, &edit, value);
    }
    pmap_retired_free(&edit.retired);
    edit = (struct pmap_edit){.version = 2};
    struct pmap after = map;
    struct number *value = pmap_edit_new(&edit, sizeof(*value));
    value->key = 31337;
    pmap_put(&numbers, &after, &edit, value);
    int reports = 0;
    pmap_diff(&numbers, map, after, count_report, &reports);
    assert_int_equal(reports, 1);
    assert_true(edit.retired.count <= 6); /* one path and the value */
    value->payload = 5;                   /* the edit's own value is changed in place */
    pmap_put(&numbers, &after, &edit, value);
    assert_int_equal(((struct number *)pmap_get(&numbers, after, pmap_key_i64(31337)))->payload, 5);
    assert_int_equal(((struct number *)pmap_get(&numbers, map, pmap_key_i64(31337)))->payload, 0);
    pmap_retired_free(&edit.retired);
    pmap_discard(&numbers, &after, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_independent),
        cmocka_unit_test(going_back_over_several_versions),
        cmocka_unit_test(long_keys_are_ordered),
        cmocka_unit_test(seek_finds_the_next_key),
        cmocka_unit_test(small_change_is_one_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
