/*
 * For the tests of the log manager: crashes at every disk call of a life, and what the next start
 * finds. A sample of the calls each time; all with KRAFTD_ALL_FAULTS=1 in the environment.
 */
#ifndef KRAFTD_TEST_LOG_MANAGER_CRASH_H
#define KRAFTD_TEST_LOG_MANAGER_CRASH_H

#include "tests/unit/common/storage/log_manager_fixture.h"

/* What a life was told before it ended. */
struct told {
    int64_t durable_end; /* of the log that is looked at */
    int directory;       /* where that is */
    bool stopped;        /* in order */
};

struct crash_test {
    int (*setup)(void **state);
    /* One life of a node, until its end or the first error, which it returns. */
    int (*live)(struct fixture *f, struct told *told);
    void (*check_next_start)(struct fixture *f, struct told *told);
    int stride; /* of the calls that are tried in a sample */
};

/* The end of a life whose logs are closed: in order where all went well. */
static inline int end_life(struct fixture *f, int rv, bool whole, int64_t end, struct told *told)
{
    if (whole && (rv = log_manager_stop(f->m, 5)) == 0) {
        told->durable_end = end;
        told->stopped = true;
    }
    log_manager_free(f->m);
    f->m = NULL;
    return rv;
}

/* The end of the life after the crash; nothing goes wrong any more. */
static inline void end_in_order(struct fixture *f, int64_t now_ms)
{
    assert_int_equal(log_manager_purge(f->m, now_ms), 0);
    assert_int_equal(log_manager_stop(f->m, 6), 0);
    log_manager_free(f->m);
    f->m = NULL;
}

/* The first life ends in order; the second meets what that left, and crashes at its n-th call: by
 * a power cut that drops all or some of what was not synced, or by kill -9. */
static inline void crash_at_call(const struct crash_test *test, int64_t n, bool *ret_crashed)
{
    for (int power = 0; power < 3; power++) {
        struct told told = {0};
        struct fixture *f;
        test->setup((void **)&f);
        assert_int_equal(test->live(f, &told), 0);
        told.stopped = false;
        sim_disk_crash_at(f->sim, n);
        int rv = test->live(f, &told);
        *ret_crashed = sim_disk_crashed(f->sim);
        assert_true(*ret_crashed || (rv == 0 && told.stopped));
        if (power < 2)
            sim_disk_power_cut(f->sim, power ? SIM_CUT_DROP_ALL : SIM_CUT_RANDOM);
        else
            sim_disk_kill(f->sim);
        test->check_next_start(f, &told);
        teardown((void **)&f);
    }
}

static inline void crash_at_calls(const struct crash_test *test)
{
    int stride = getenv("KRAFTD_ALL_FAULTS") != NULL ? 1 : test->stride;
    bool crashed = true;
    for (int64_t n = 1; crashed; n += stride)
        crash_at_call(test, n, &crashed);
}

#endif
