#include "common/base/str.h"
#include "tests/sim/sim_disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct disk *base;

/* The helpers of disk.h are not used: this tests the vtable alone. */
static struct disk_file *open_file(const char *path, int flags)
{
    struct disk_file *file = NULL;
    assert_int_equal(base->ops->open(base, path, flags, &file), 0);
    return file;
}

static int write_text(struct disk_file *file, const char *text, int64_t position)
{
    char copy[8192];
    size_t len = strlen(text);
    memcpy(copy, text, len);
    struct iovec iov = {copy, len};
    return base->ops->pwritev(file, &iov, 1, position);
}

static void make_file(const char *path, const char *text, bool sync)
{
    struct disk_file *file = open_file(path, DISK_WRITE | DISK_CREATE);
    assert_int_equal(write_text(file, text, 0), 0);
    if (sync)
        assert_int_equal(base->ops->fsync(file), 0);
    base->ops->close(file);
}

/* "-": not there. */
static void assert_file(const char *path, const char *expected)
{
    struct disk_file *file = NULL;
    int rv = base->ops->open(base, path, DISK_READ, &file);
    if (strcmp(expected, "-") == 0) {
        assert_int_equal(rv, -ENOENT);
        return;
    }
    assert_int_equal(rv, 0);
    char data[8192];
    ssize_t len = base->ops->pread(file, data, sizeof(data) - 1, 0);
    base->ops->close(file);
    assert_true(len >= 0);
    data[len] = '\0';
    assert_string_equal(data, expected);
}

static void test_reads_what_was_written(void **state)
{
    struct sim_disk *d = sim_disk_new(1);
    base = sim_disk_base(d);
    assert_int_equal(base->ops->mkdir(base, "/a"), 0);
    assert_int_equal(base->ops->mkdir(base, "/a"), -EEXIST);
    struct disk_file *file = open_file("/a/f", DISK_WRITE | DISK_CREATE);
    assert_int_equal(base->ops->size(file), 0);
    assert_int_equal(write_text(file, "hello", 4094), 0);
    assert_int_equal(base->ops->size(file), 4099);
    char data[4200];
    assert_int_equal(base->ops->pread(file, data, sizeof(data), 4090), 9);
    assert_memory_equal(data, "\0\0\0\0hello", 9);
    assert_int_equal(base->ops->truncate(file, 4096), 0);
    assert_int_equal(base->ops->preallocate(file, 5000), 0);
    assert_int_equal(base->ops->pread(file, data, sizeof(data), 4094), 5000 - 4094);
    assert_memory_equal(data, "he\0\0\0\0", 6);
    struct disk_stat st;
    assert_int_equal(base->ops->stat(base, "/a/f", &st), 0);
    assert_int_equal(st.size_bytes, 5000);
    assert_false(st.is_directory);
    struct disk_file *other = NULL;
    assert_int_equal(base->ops->open(base, "/a/f", DISK_CREATE | DISK_EXCLUSIVE, &other), -EEXIST);
    assert_int_equal(base->ops->open(base, "/a", DISK_READ, &other), -EISDIR);
    assert_int_equal(base->ops->open(base, "/a/f/g", DISK_READ, &other), -ENOTDIR);
    assert_int_equal(base->ops->open(base, "/b/f", DISK_CREATE, &other), -ENOENT);
    assert_int_equal(base->ops->rmdir(base, "/a"), -ENOTEMPTY);
    assert_int_equal(base->ops->unlink(base, "/a/f"), 0);
    assert_int_equal(base->ops->pread(file, data, 2, 4094), 2);
    base->ops->close(file);
    assert_int_equal(base->ops->rmdir(base, "/a"), 0);
    assert_int_equal(sim_disk_count(d, SIM_RMDIR), 2);
    sim_disk_free(d);
}

static void test_power_cut_takes_what_was_not_synced(void **state)
{
    struct sim_disk *d = sim_disk_new(1);
    base = sim_disk_base(d);
    make_file("/named", "synced, but its name was not", true);
    make_file("/kept", "old", true);
    make_file("/moved", "text", true);
    make_file("/removed", "still there", true);
    base->ops->fsync_dir(base, "/");
    sim_disk_power_cut(d, SIM_CUT_DROP_ALL);
    assert_file("/kept", "old");
    make_file("/named2", "synced, but its name was not", true);
    make_file("/kept", "new and longer", false);
    assert_int_equal(base->ops->rename(base, "/moved", "/moved2"), 0);
    assert_int_equal(base->ops->unlink(base, "/removed"), 0);
    sim_disk_kill(d);
    assert_file("/kept", "new and longer");
    assert_file("/moved", "-");
    assert_file("/removed", "-");
    char boot[DISK_CACHE_ID_MAX], next_boot[DISK_CACHE_ID_MAX];
    base->ops->cache_id(base, "/", boot);
    uint8_t *data;
    size_t len;
    assert_int_equal(sim_disk_read_durable(d, "/kept", &data, &len), 0);
    assert_int_equal(len, 3);
    free(data);
    assert_int_equal(sim_disk_read_durable(d, "/named2", &data, &len), -ENOENT);
    sim_disk_power_cut(d, SIM_CUT_DROP_ALL);
    base->ops->cache_id(base, "/", next_boot);
    assert_string_not_equal(boot, next_boot);
    assert_file("/named2", "-");
    assert_file("/kept", "old");
    assert_file("/moved", "text");
    assert_file("/moved2", "-");
    assert_file("/removed", "still there");
    sim_disk_free(d);
}

static void test_rename_replaces_atomically(void **state)
{
    int old = 0, new = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct sim_disk *d = sim_disk_new(seed);
        base = sim_disk_base(d);
        make_file("/f", "old", true);
        base->ops->fsync_dir(base, "/");
        make_file("/f.tmp", "new", true);
        assert_int_equal(base->ops->rename(base, "/f.tmp", "/f"), 0);
        sim_disk_power_cut(d, SIM_CUT_RANDOM);
        uint8_t *data;
        size_t len;
        assert_int_equal(sim_disk_read_durable(d, "/f", &data, &len), 0);
        assert_int_equal(len, 3);
        old += memcmp(data, "old", 3) == 0;
        new += memcmp(data, "new", 3) == 0;
        free(data);
        sim_disk_free(d);
    }
    assert_int_equal(old + new, 100);
    assert_true(old > 10 && new > 10);
}

static void test_rename_without_fsync_of_the_file_may_leave_it_empty(void **state)
{
    struct sim_disk *d = sim_disk_new(3);
    base = sim_disk_base(d);
    make_file("/f.tmp", "new", false);
    assert_int_equal(base->ops->rename(base, "/f.tmp", "/f"), 0);
    base->ops->fsync_dir(base, "/");
    sim_disk_power_cut(d, SIM_CUT_DROP_ALL);
    assert_file("/f", "");
    sim_disk_free(d);
}

static void test_rename_between_directories_takes_the_file_along(void **state)
{
    struct sim_disk *d = sim_disk_new(3);
    base = sim_disk_base(d);
    base->ops->mkdir(base, "/a");
    base->ops->mkdir(base, "/b");
    base->ops->fsync_dir(base, "/");
    make_file("/a/f", "text", true);
    assert_int_equal(base->ops->rename(base, "/a/f", "/b/g"), 0);
    base->ops->fsync_dir(base, "/b");
    sim_disk_power_cut(d, SIM_CUT_DROP_ALL);
    assert_file("/a/f", "-");
    assert_file("/b/g", "text");
    sim_disk_free(d);
}

static void test_each_write_has_its_own_fate(void **state)
{
    char text[1501] = {0};
    int kept_after_lost = 0, torn = 0, none = 0, all = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct sim_disk *d = sim_disk_new(seed);
        base = sim_disk_base(d);
        struct disk_file *file = open_file("/f", DISK_WRITE | DISK_CREATE);
        base->ops->fsync_dir(base, "/");
        write_text(file, "00000000", 0);
        base->ops->fsync(file);
        memset(text, '1', 1500);
        write_text(file, text, 8);
        memset(text, '2', 8);
        text[8] = '\0';
        write_text(file, text, 5000);
        sim_disk_power_cut(d, SIM_CUT_RANDOM);
        assert_int_equal(base->ops->fsync(file), -EIO);
        assert_int_equal(base->ops->size(file), -EIO);
        base->ops->close(file);
        uint8_t *data;
        size_t len;
        assert_int_equal(sim_disk_read_durable(d, "/f", &data, &len), 0);
        assert_true(len >= 8 && len <= 5008);
        assert_memory_equal(data, "00000000", 8);
        size_t ones = 0, twos = 0;
        for (size_t i = 8; i < len; i++) {
            ones += data[i] == '1';
            twos += data[i] == '2';
            assert_true(data[i] == 0 || data[i] == (i < 1508 ? '1' : '2'));
        }
        assert_true(ones <= 1500 && twos <= 8);
        torn += ones > 0 && ones < 1500;
        kept_after_lost += ones < 1500 && twos == 8;
        none += len == 8;
        all += ones == 1500 && twos == 8;
        free(data);
        sim_disk_free(d);
    }
    assert_true(kept_after_lost > 10 && torn > 10 && none > 10 && all > 10);
}

static void test_writes_to_one_sector_stay_in_order(void **state)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct sim_disk *d = sim_disk_new(seed);
        base = sim_disk_base(d);
        struct disk_file *file = open_file("/f", DISK_WRITE | DISK_CREATE);
        base->ops->fsync_dir(base, "/");
        write_text(file, "1111", 0);
        write_text(file, "2222", 4);
        write_text(file, "3333", 2);
        base->ops->close(file);
        sim_disk_power_cut(d, SIM_CUT_RANDOM);
        uint8_t *data;
        size_t len;
        assert_int_equal(sim_disk_read_durable(d, "/f", &data, &len), 0);
        assert_true(len <= 4 || memcmp(data, "11", 2) == 0);
        assert_true(len < 4 || data[3] != '3' || (len == 8 && memcmp(data + 6, "22", 2) == 0));
        free(data);
        sim_disk_free(d);
    }
}

static void test_failed_fsync_loses_what_still_reads_back(void **state)
{
    struct sim_disk *d = sim_disk_new(11);
    base = sim_disk_base(d);
    struct disk_file *file = open_file("/f", DISK_WRITE | DISK_CREATE);
    base->ops->fsync_dir(base, "/");
    for (int i = 0; i < 20; i++)
        write_text(file, "0123456789", i * 4096);
    sim_disk_fail_at(d, SIM_FSYNC, "f", 1, -EIO);
    assert_int_equal(base->ops->fsync(file), -EIO);
    assert_int_equal(base->ops->fsync(file), 0);
    char data[10];
    assert_int_equal(base->ops->pread(file, data, 10, 19 * 4096), 10);
    assert_memory_equal(data, "0123456789", 10);
    base->ops->close(file);
    sim_disk_power_cut(d, SIM_CUT_KEEP_ALL);
    uint8_t *durable;
    size_t len;
    assert_int_equal(sim_disk_read_durable(d, "/f", &durable, &len), 0);
    int lost = 0;
    for (size_t i = 0; i < 20; i++)
        lost += i * 4096 + 10 > len || memcmp(durable + i * 4096, "0123456789", 10) != 0;
    assert_true(lost > 3);
    free(durable);
    sim_disk_free(d);
}

static void test_full_volume_and_failed_volume(void **state)
{
    struct sim_disk *d = sim_disk_new(1);
    base = sim_disk_base(d);
    sim_disk_mount(d, "/data1");
    sim_disk_mount(d, "/data2");
    sim_disk_set_capacity(d, "/data1", 8192);
    struct disk_file *file = open_file("/data1/f", DISK_WRITE | DISK_CREATE);
    char big[9000];
    memset(big, 'x', sizeof(big));
    struct iovec iov = {big, sizeof(big)};
    assert_int_equal(base->ops->pwritev(file, &iov, 1, 0), -ENOSPC);
    assert_int_equal(base->ops->size(file), 8192);
    struct disk_usage usage;
    assert_int_equal(base->ops->usage(base, "/data1/f", &usage), 0);
    assert_int_equal(usage.total_bytes, 8192);
    assert_int_equal(usage.usable_bytes, 0);
    make_file("/data2/f", "text", true);
    assert_int_equal(base->ops->rename(base, "/data2/f", "/data1/g"), -EXDEV);
    assert_int_equal(base->ops->unlink(base, "/data1/f"), 0);
    base->ops->close(file);
    assert_int_equal(base->ops->usage(base, "/data1", &usage), 0);
    assert_int_equal(usage.usable_bytes, 8192);
    sim_disk_set_failed(d, "/data1", true);
    struct disk_stat st;
    assert_int_equal(base->ops->stat(base, "/data1", &st), -EIO);
    assert_int_equal(base->ops->stat(base, "/data2/f", &st), 0);
    sim_disk_wipe(d, "/data2");
    assert_int_equal(base->ops->stat(base, "/data2/f", &st), -ENOENT);
    sim_disk_free(d);
}

static void test_write_error_leaves_a_prefix(void **state)
{
    struct sim_disk *d = sim_disk_new(5);
    base = sim_disk_base(d);
    struct disk_file *file = open_file("/f", DISK_WRITE | DISK_CREATE);
    sim_disk_fail_at(d, SIM_PWRITE, NULL, 2, -ENOSPC);
    assert_int_equal(write_text(file, "aaaa", 0), 0);
    assert_int_equal(write_text(file, "bbbbbbbb", 4), -ENOSPC);
    assert_true(base->ops->size(file) >= 4 && base->ops->size(file) <= 12);
    assert_int_equal(write_text(file, "cc", 4), 0);
    sim_disk_set_faults(d, "/", &(struct sim_disk_faults){.read_error = 1000000});
    char data[4];
    assert_int_equal(base->ops->pread(file, data, 4, 0), -EIO);
    base->ops->close(file);
    sim_disk_free(d);
}

static void test_locks_belong_to_the_handle(void **state)
{
    struct sim_disk *d = sim_disk_new(5);
    base = sim_disk_base(d);
    struct disk_file *a = open_file("/.lock", DISK_WRITE | DISK_CREATE);
    struct disk_file *b = open_file("/.lock", DISK_WRITE | DISK_CREATE);
    assert_int_equal(base->ops->lock(a), 0);
    assert_int_equal(base->ops->lock(b), -EAGAIN);
    base->ops->close(a);
    assert_int_equal(base->ops->lock(b), 0);
    sim_disk_kill(d);
    assert_int_equal(base->ops->lock(b), -EIO);
    a = open_file("/.lock", DISK_WRITE);
    assert_int_equal(base->ops->lock(a), 0);
    sim_disk_kill(d);
    assert_int_equal(sim_disk_reclaim_handles(d), 2);
    sim_disk_free(d);
}

static void test_crash_at_every_call_ends_with_the_old_or_the_new(void **state)
{
    int64_t call = 1;
    for (bool crashed = true; crashed; call++) {
        struct sim_disk *d = sim_disk_new((uint64_t)call);
        base = sim_disk_base(d);
        make_file("/f", "old", true);
        base->ops->fsync_dir(base, "/");
        sim_disk_crash_at(d, call);
        struct disk_file *file = NULL;
        if (base->ops->open(base, "/f.tmp", DISK_WRITE | DISK_CREATE, &file) == 0) {
            int rv = write_text(file, "new", 0);
            if (rv == 0)
                rv = base->ops->fsync(file);
            base->ops->close(file);
            if (rv == 0)
                rv = base->ops->rename(base, "/f.tmp", "/f");
            if (rv == 0)
                rv = base->ops->fsync_dir(base, "/");
        }
        crashed = sim_disk_crashed(d);
        sim_disk_power_cut(d, SIM_CUT_RANDOM);
        uint8_t *data;
        size_t len;
        assert_int_equal(sim_disk_read_durable(d, "/f", &data, &len), 0);
        assert_int_equal(len, 3);
        assert_true(memcmp(data, "new", 3) == 0 || (crashed && memcmp(data, "old", 3) == 0));
        free(data);
        sim_disk_free(d);
    }
    assert_int_equal(call, 7); /* open, write, fsync, rename, fsync_dir, and the one without */
}

static int count_name(void *ctx, const char *name)
{
    int *count = ctx;
    (*count)++;
    /* A callback may change the directory. */
    char path[32];
    snprintf(path, sizeof(path), "/d/%s", name);
    assert_int_equal(base->ops->unlink(base, path), 0);
    return 0;
}

static void test_list_gives_every_name_once(void **state)
{
    struct sim_disk *d = sim_disk_new(5);
    base = sim_disk_base(d);
    base->ops->mkdir(base, "/d");
    for (int i = 0; i < 50; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/d/%d", i);
        make_file(path, "x", false);
    }
    int count = 0;
    assert_int_equal(base->ops->list(base, "/d/", count_name, &count), 0);
    assert_int_equal(count, 50);
    assert_int_equal(base->ops->rmdir(base, "/d"), 0);
    assert_int_equal(base->ops->list(base, "/d", count_name, &count), -ENOENT);
    sim_disk_free(d);
}

static void test_cold_after_a_power_cut(void **state)
{
    struct sim_disk *d = sim_disk_new(5);
    base = sim_disk_base(d);
    make_file("/f", "text", true);
    base->ops->fsync_dir(base, "/");
    sim_disk_power_cut(d, SIM_CUT_DROP_ALL);
    struct disk_file *file = open_file("/f", DISK_READ);
    assert_false(base->ops->cached(file, 2));
    char data[4];
    assert_int_equal(base->ops->pread(file, data, 4, 0), 4);
    assert_true(base->ops->cached(file, 2));
    assert_int_equal(sim_disk_corrupt(d, "/f", 1, 2), 0);
    assert_int_equal(sim_disk_corrupt(d, "/f", 3, 2), -EINVAL);
    assert_int_equal(base->ops->pread(file, data, 4, 0), 4);
    assert_true(data[0] == 't' && data[1] == (char)~'e' && data[3] == 't');
    base->ops->close(file);
    sim_disk_free(d);
}

/* A digest of what a run leaves. */
static uint64_t run_of_seed(uint64_t seed)
{
    struct sim_disk *d = sim_disk_new(seed);
    base = sim_disk_base(d);
    sim_disk_set_writeback(d, 8);
    uint64_t digest = 0;
    for (int i = 0; i < 40; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/f%d", i % 5);
        struct disk_file *file = open_file(path, DISK_WRITE | DISK_CREATE);
        write_text(file, "some text", i * 7);
        if (i % 3 == 0)
            base->ops->fsync(file);
        base->ops->close(file);
        if (i % 10 == 9)
            sim_disk_power_cut(d, SIM_CUT_RANDOM);
    }
    for (int i = 0; i < 5; i++) {
        char path[32];
        uint8_t *data;
        size_t len;
        snprintf(path, sizeof(path), "/f%d", i);
        if (sim_disk_read_durable(d, path, &data, &len) == 0) {
            digest = digest * 31 + hash_bytes(data, len);
            free(data);
        }
    }
    sim_disk_free(d);
    return digest;
}

static void test_same_seed_same_bytes(void **state)
{
    assert_true(run_of_seed(1) == run_of_seed(1));
    assert_true(run_of_seed(1) != run_of_seed(2));
}

static void test_sync_all_keeps_all_of_a_volume(void **state)
{
    struct sim_disk *d = sim_disk_new(5);
    base = sim_disk_base(d);
    struct disk_file *a, *b;
    sim_disk_mount(d, "/v");
    assert_int_equal(base->ops->mkdir(base, "/v/x"), 0);
    assert_int_equal(disk_open(base, "/v/x/a", DISK_WRITE | DISK_CREATE, &a), 0);
    assert_int_equal(disk_open(base, "/b", DISK_WRITE | DISK_CREATE, &b), 0);
    assert_int_equal(disk_pwrite(a, "abc", 3, 0), 0);
    assert_int_equal(disk_pwrite(b, "abc", 3, 0), 0);
    assert_int_equal(base->ops->sync_all(a), 0);
    assert_int_equal(disk_pwrite(a, "def", 3, 3), 0);
    sim_disk_power_cut(d, SIM_CUT_DROP_ALL);
    struct disk_stat st;
    assert_int_equal(base->ops->stat(base, "/v/x/a", &st), 0);
    assert_int_equal(st.size_bytes, 3);
    assert_int_equal(base->ops->stat(base, "/b", &st), -ENOENT); /* another volume */
    disk_file_unref(a);
    disk_file_unref(b);
    sim_disk_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sync_all_keeps_all_of_a_volume),
        cmocka_unit_test(test_reads_what_was_written),
        cmocka_unit_test(test_power_cut_takes_what_was_not_synced),
        cmocka_unit_test(test_rename_replaces_atomically),
        cmocka_unit_test(test_rename_without_fsync_of_the_file_may_leave_it_empty),
        cmocka_unit_test(test_rename_between_directories_takes_the_file_along),
        cmocka_unit_test(test_each_write_has_its_own_fate),
        cmocka_unit_test(test_writes_to_one_sector_stay_in_order),
        cmocka_unit_test(test_failed_fsync_loses_what_still_reads_back),
        cmocka_unit_test(test_full_volume_and_failed_volume),
        cmocka_unit_test(test_write_error_leaves_a_prefix),
        cmocka_unit_test(test_locks_belong_to_the_handle),
        cmocka_unit_test(test_crash_at_every_call_ends_with_the_old_or_the_new),
        cmocka_unit_test(test_list_gives_every_name_once),
        cmocka_unit_test(test_cold_after_a_power_cut),
        cmocka_unit_test(test_same_seed_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
