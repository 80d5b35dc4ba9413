/*
 * A node's directories under a crash at every disk call: logs that come, go, are set aside, and an
 * orderly stop. Whatever happens, the next start finds directories it can use, and what it was told
 * to be durable.
 */
#include "tests/unit/common/storage/log_manager_crash.h"

static bool knows_all(void *ctx, struct str topic, int32_t partition)
{
    return !str_eq_z(topic, "gone");
}

/* One life of a node, until its end or the first error. */
static int live(struct fixture *f, struct told *told)
{
    struct log *kept = NULL, *dropped = NULL;
    int rv = log_manager_open(f->disk, paths, 2, &f->m, f->error);
    if (rv == 0)
        rv = log_manager_begin(f->m);
    if (rv == 0)
        rv = try_open(f, "t", 0, 1, &kept);
    if (rv == 0)
        rv = try_open(f, "u", 0, 1, &dropped);
    if (rv == 0)
        rv = log_manager_set_aside_strays(f->m, knows_all, (struct uuid){{9}}, NULL, NULL);
    if (rv == 0)
        rv = log_manager_started(f->m);
    for (int i = 0; rv == 0 && i < 3; i++)
        rv = try_append(kept, 1);
    if (rv == 0)
        rv = log_flush_now(kept, true, NOW_MS);
    if (rv == 0)
        told->durable_end = log_durable_end_offset(kept);
    if (rv == 0)
        rv = log_manager_checkpoint(f->m);
    if (rv == 0)
        rv = try_append(kept, 1);
    if (rv == 0) {
        rv = delete_log(f, dropped, (struct uuid){{7}}, NOW_MS);
        dropped = NULL;
    }
    if (rv == 0)
        rv = try_open(f, "gone", 0, 3, &dropped);
    if (rv == 0)
        rv = log_manager_purge(f->m, NOW_MS + 60000);
    int64_t end = kept != NULL ? log_end_offset(kept) : 0;
    bool whole = rv == 0;
    if (kept != NULL && close_log(f, kept, whole) != 0)
        whole = false;
    if (dropped != NULL && close_log(f, dropped, whole) != 0)
        whole = false;
    return end_life(f, rv, whole, end, told);
}

static void check_next_start(struct fixture *f, struct told *told)
{
    struct log *log;
    start(f);
    if (told->stopped)
        assert_int_equal(log_manager_dir(f->m, 0)->trust, LOG_TRUST_CLEAN);
    assert_int_equal(try_open(f, "t", 0, 1, &log), 0);
    assert_true(log_end_offset(log) >= told->durable_end);
    assert_true(log_recovery_point(log) <= log_end_offset(log));
    append(log, 2);
    assert_int_equal(close_log(f, log, true), 0);
    /* Another topic of a name that may be there. */
    assert_int_equal(try_open(f, "u", 0, 8, &log), 0);
    assert_int_equal(log_end_offset(log), 0);
    assert_int_equal(close_log(f, log, true), 0);
    end_in_order(f, NOW_MS);
}

static void crash_at_any_call(void **state)
{
    crash_at_calls(&(struct crash_test){setup, live, check_next_start, 5});
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(crash_at_any_call)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
