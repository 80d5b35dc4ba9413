#include "common/storage/log_dir.h"

#include "tests/sim/sim_disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void write_meta(struct sim_disk *sim, int expect)
{
    struct meta_properties meta = {.cluster_id = "5L6g3nShT-eMCtK--X86sw", .node_id = 1};
    assert_int_equal(
        meta_properties_write(sim_disk_base(sim), "/data/" META_PROPERTIES_FILE, &meta, 0), expect);
}

static bool open_and_close(struct sim_disk *sim, int expect)
{
    struct log_dir *dir;
    assert_int_equal(log_dir_open(sim_disk_base(sim), "/data", &dir), expect);
    bool has_meta = dir->has_meta;
    log_dir_close(dir);
    return has_meta;
}

/* The directory was not synced when the file got its name, and the process began anew. */
static void test_meta_is_durable_before_it_counts(void **state)
{
    struct sim_disk *sim = sim_disk_new(3);
    assert_int_equal(disk_make_path(sim_disk_base(sim), "/data"), 0);
    sim_disk_fail_at(sim, SIM_FSYNC_DIR, "/data", 1, -EIO);
    write_meta(sim, -EIO);
    sim_disk_kill(sim);
    sim_disk_fail_at(sim, SIM_FSYNC_DIR, "/data", 1, -EIO);
    open_and_close(sim, -EIO);
    sim_disk_kill(sim);
    assert_true(open_and_close(sim, 0));
    sim_disk_power_cut(sim, SIM_CUT_DROP_ALL);
    assert_true(open_and_close(sim, 0));
    sim_disk_free(sim);
}

/* The process died between mkdir and the sync of the directory above. */
static void test_the_directory_is_durable_before_it_counts(void **state)
{
    int deaths = 0;
    for (int64_t call = 1; call < 10; call++) {
        struct sim_disk *sim = sim_disk_new(3);
        struct log_dir *dir;
        sim_disk_crash_at(sim, call);
        (void)log_dir_open(sim_disk_base(sim), "/data/a", &dir);
        log_dir_close(dir);
        deaths += sim_disk_crashed(sim);
        sim_disk_kill(sim);
        assert_int_equal(log_dir_open(sim_disk_base(sim), "/data/a", &dir), 0);
        log_dir_close(dir);
        sim_disk_power_cut(sim, SIM_CUT_DROP_ALL);
        assert_true(disk_exists(sim_disk_base(sim), "/data/a"));
        sim_disk_free(sim);
    }
    assert_true(deaths > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_is_durable_before_it_counts),
        cmocka_unit_test(test_the_directory_is_durable_before_it_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
