#include "common/storage/epoch_cache.h"

#include "tests/sim/sim_disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct epoch_cache fill(const struct epoch_entry *entries, size_t count)
{
    struct epoch_cache cache;
    epoch_cache_init(&cache);
    for (size_t i = 0; i < count; i++)
        epoch_cache_assign(&cache, entries[i].epoch, entries[i].start_offset);
    return cache;
}

static const struct epoch_entry three[] = {{2, 0}, {5, 10}, {7, 30}};

static void expect_end(const struct epoch_cache *cache, int32_t epoch, int32_t ret, int64_t end)
{
    int32_t e;
    int64_t offset;
    epoch_cache_end_of(cache, epoch, 50, &e, &offset);
    assert_int_equal(e, ret);
    assert_int_equal(offset, end);
}

static void ends_of_epochs(void **state)
{
    struct epoch_cache cache = fill(three, 3);
    expect_end(&cache, 7, 7, 50);
    expect_end(&cache, 6, 5, 30);
    expect_end(&cache, 5, 5, 30);
    expect_end(&cache, 2, 2, 10);
    expect_end(&cache, 1, 1, 0); /* before the first: it ends where that begins */
    expect_end(&cache, 8, -1, -1);
    expect_end(&cache, -1, -1, -1);
    epoch_cache_clear(&cache);
    expect_end(&cache, 0, -1, -1);
    epoch_cache_release(&cache);
}

static void epochs_of_offsets(void **state)
{
    struct epoch_cache cache = fill(three, 3);
    epoch_cache_truncate_start(&cache, 5);
    assert_int_equal(cache.entries[0].start_offset, 5);
    assert_int_equal(epoch_cache_of(&cache, 4), -1);
    assert_int_equal(epoch_cache_of(&cache, 9), 2);
    assert_int_equal(epoch_cache_of(&cache, 10), 5);
    assert_int_equal(epoch_cache_of(&cache, 1000), 7);
    epoch_cache_truncate_start(&cache, 31);
    assert_int_equal(cache.count, 1);
    assert_int_equal(epoch_cache_of(&cache, 31), 7);
    epoch_cache_release(&cache);
}

static void newer_leaders_win(void **state)
{
    struct epoch_cache cache = fill(three, 3);
    cache.changed = false;
    epoch_cache_assign(&cache, 7, 40);
    assert_false(cache.changed);
    epoch_cache_assign(&cache, 8, 30); /* 7 wrote nothing */
    assert_int_equal(cache.count, 3);
    assert_int_equal(epoch_cache_latest(&cache), 8);
    epoch_cache_assign(&cache, 9, 5); /* the log was truncated below 5 */
    assert_int_equal(cache.count, 2);
    assert_int_equal(epoch_cache_of(&cache, 4), 2);
    epoch_cache_truncate_end(&cache, 5);
    assert_int_equal(epoch_cache_latest(&cache), 2);
    epoch_cache_release(&cache);
}

static void written_and_read_back(void **state)
{
    struct sim_disk *sim = sim_disk_new(1);
    struct disk *disk = sim_disk_base(sim);
    struct epoch_cache cache = fill(three, 3), copy;
    assert_int_equal(epoch_cache_save(&cache, disk, "/epochs"), 0);
    char *text;
    size_t len;
    assert_int_equal(disk_read_file(disk, "/epochs", 100, &text, &len), 0);
    assert_string_equal(text, "0\n3\n2 0\n5 10\n7 30\n");
    free(text);
    epoch_cache_init(&copy);
    assert_int_equal(epoch_cache_load(&copy, disk, "/epochs"), 0);
    assert_int_equal(copy.count, 3);
    assert_int_equal(copy.entries[2].start_offset, 30);
    epoch_cache_clear(&copy);
    static const char *const bad[] = {
        "x",         "0\n",        "0\n1\n",  "0\n2\n1 1\n", "0\n1\n1 1\n2 2\n", "0\n2\n1 5\n2 5\n",
        "0\n1\n1\n", "0\n1\n1 12", "0\n-1\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(disk_replace_file(disk, "/epochs", bad[i], strlen(bad[i])), 0);
        assert_int_equal(epoch_cache_load(&copy, disk, "/epochs"), -EBADMSG);
        assert_int_equal(copy.count, 0);
    }
    epoch_cache_release(&cache);
    epoch_cache_release(&copy);
    sim_disk_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_of_epochs),
        cmocka_unit_test(epochs_of_offsets),
        cmocka_unit_test(newer_leaders_win),
        cmocka_unit_test(written_and_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
