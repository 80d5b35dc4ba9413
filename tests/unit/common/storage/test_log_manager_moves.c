/*
 * Logs on their way to another directory: what a crash at any disk call of a move leaves, which
 * directory is the log then, and where a log is made that somebody asked for.
 */
#include "common/storage/log_manager_moves.h"

#include "common/storage/log_copy.h"
#include "common/storage/log_epochs.h"
#include "common/storage/log_retention.h"
#include "common/storage/log_truncate.h"
#include "common/storage/meta_properties.h"
#include "tests/unit/common/storage/log_manager_crash.h"

#include <stdio.h>

static const struct uuid ids[] = {{{0xd1, 200}}, {{0xd2, 200}}};

static int setup_moves(void **state)
{
    setup(state);
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        struct meta_properties meta = {.cluster_id = "c", .node_id = 1, .directory_id = ids[i]};
        char path[32];
        snprintf(path, sizeof(path), "%s/meta.properties", paths[i]);
        assert_int_equal(meta_properties_write(f->disk, path, &meta, NOW_MS), 0);
    }
    return 0;
}

static struct log_manager_log_args args_of(struct fixture *f, struct uuid directory)
{
    return (struct log_manager_log_args){
        .files = &f->files,
        .topic = str_of("t"),
        .topic_id = {{1}},
        .directory_id = directory,
        .config = &f->config,
        .unique = {{0xab, 1}},
        .now_ms = NOW_MS,
    };
}

static int open_in(struct fixture *f, int dir, struct log **ret_log)
{
    struct log_manager_log_args args = args_of(f, ids[dir]);
    return log_manager_open_log(f->m, &args, ret_log, NULL);
}

static int open_future(struct fixture *f, size_t dir, struct log **ret_log)
{
    struct log_manager_log_args args = args_of(f, UUID_ZERO);
    return log_manager_open_future(f->m, &args, dir, ret_log);
}

static int copy_all(struct log *from, struct log *to)
{
    int64_t bytes = 1;
    bool reading;
    int rv = 0;
    while (rv == 0 && bytes > 0)
        rv = log_copy(from, to, 100, NOW_MS, &bytes, &reading);
    log_set_high_watermark(to, log_high_watermark(from));
    return rv;
}

/* A log of ten records in the first directory, and all of it in the second. */
static void start_with_copy(struct fixture *f, struct log **ret_log, struct log **ret_future)
{
    start(f);
    assert_int_equal(open_in(f, 0, ret_log), 0);
    append(*ret_log, 10);
    assert_int_equal(log_manager_future(f->m, str_of("t"), 0), -1);
    assert_int_equal(open_future(f, 1, ret_future), 0);
    assert_int_equal(copy_all(*ret_log, *ret_future), 0);
}

static int replace(struct fixture *f, struct log *log, struct log *future)
{
    log_detach(log);
    log_detach(future);
    int rv = log_manager_replace(f->m, log, future, (struct uuid){{0xee}}, NOW_MS);
    if (rv == 0)
        log_attach(future, &f->files);
    return rv;
}

struct seen {
    int current, future, current_dir, future_dir;
};

static void see(void *ctx, const struct log_manager_entry *entry)
{
    struct seen *seen = ctx;
    if (entry->is_future)
        seen->future++, seen->future_dir = (int)entry->dir;
    else
        seen->current++, seen->current_dir = (int)entry->dir;
}

#define FUTURE "/d2/t-0.ab010000000000000000000000000000-future"
#define OLD    "/d1/t-0.ee000000000000000000000000000000-delete"

static void a_future_log_becomes_the_log(void **state)
{
    struct fixture *f = *state;
    struct log *log, *future;
    struct seen seen = {0};
    start_with_copy(f, &log, &future);
    assert_int_equal(log_manager_find_dir(f->m, str_of("/d2")), 1);
    assert_int_equal(log_manager_find_dir(f->m, str_of("/d2/")), -1);
    append(log, 10);
    assert_string_equal(log_path(future), FUTURE);
    assert_int_equal(copy_all(log, future), 0);
    log_manager_each(f->m, see, &seen);
    assert_true(seen.current == 1 && seen.future == 1 && seen.future_dir == 1);
    assert_int_equal(replace(f, log, future), 0);
    assert_string_equal(log_path(future), "/d2/t-0");
    assert_int_equal(log_end_offset(future), 20);
    assert_int_equal(log_durable_end_offset(future), 20);
    assert_true(disk_exists(f->disk, OLD));
    assert_false(disk_exists(f->disk, "/d1/t-0"));
    append(future, 5);
    seen = (struct seen){0};
    log_manager_each(f->m, see, &seen);
    assert_true(seen.current == 1 && seen.future == 0 && seen.current_dir == 1);
    assert_int_equal(log_manager_purge(f->m, NOW_MS + 60001), 0);
    assert_false(disk_exists(f->disk, OLD));
    assert_int_equal(close_log(f, future, true), 0);
    assert_int_equal(log_manager_stop(f->m, 5), 0);
    crash(f, true);
    start(f);
    assert_int_equal(open_in(f, 1, &log), 0);
    assert_int_equal(log_end_offset(log), 25);
    close_log(f, log, false);
}

static void a_copy_is_found_again(void **state)
{
    struct fixture *f = *state;
    struct log *log, *future;
    start_with_copy(f, &log, &future);
    append(log, 10);
    assert_int_equal(close_log(f, log, true), 0);
    assert_int_equal(close_log(f, future, true), 0);
    assert_int_equal(log_manager_stop(f->m, 5), 0);
    crash(f, true);
    start(f);
    /* The metadata knows already where it will be: it is there yet. */
    assert_int_equal(open_in(f, 1, &log), 0);
    assert_string_equal(log_path(log), "/d1/t-0");
    assert_int_equal(log_manager_future(f->m, str_of("t"), 0), 1);
    assert_int_equal(open_future(f, 0, &future), -EBUSY);
    assert_int_equal(open_future(f, 1, &future), 0);
    assert_string_equal(log_path(future), FUTURE);
    assert_int_equal(log_end_offset(future), 10);
    assert_int_equal(log_manager_future(f->m, str_of("t"), 0), -1);
    /* Given up: it goes, and another one may begin. */
    assert_int_equal(delete_log(f, future, (struct uuid){{0xcc}}, NOW_MS), 0);
    assert_true(disk_exists(f->disk, "/d2/t-0.cc000000000000000000000000000000-delete"));
    assert_int_equal(open_future(f, 1, &future), 0);
    assert_int_equal(log_end_offset(future), 0);
    close_log(f, future, false);
    close_log(f, log, false);
}

static void a_copy_stands_in_for_a_log_that_is_gone(void **state)
{
    struct fixture *f = *state;
    struct log *log, *future;
    start_with_copy(f, &log, &future);
    close_log(f, log, false);
    close_log(f, future, false);
    crash(f, false);
    assert_int_equal(disk_remove_tree(f->disk, "/d1/t-0"), 0);
    start(f);
    /* Not while the metadata has it elsewhere. */
    assert_int_equal(open_in(f, 0, &log), 0);
    assert_int_equal(log_end_offset(log), 0);
    close_log(f, log, false);
    crash(f, false);
    assert_int_equal(disk_remove_tree(f->disk, "/d1/t-0"), 0);
    start(f);
    assert_int_equal(open_in(f, 1, &log), 0);
    assert_string_equal(log_path(log), "/d2/t-0");
    assert_int_equal(log_end_offset(log), 10);
    assert_int_equal(log_manager_future(f->m, str_of("t"), 0), -1);
    close_log(f, log, false);
}

static bool nobody(void *ctx, struct str topic, int32_t partition)
{
    return false;
}

static void a_copy_of_no_topic_is_a_stray(void **state)
{
    struct fixture *f = *state;
    struct log *log, *future;
    start(f);
    assert_int_equal(open_in(f, 0, &log), 0);
    assert_int_equal(open_future(f, 1, &future), 0);
    close_log(f, log, false);
    close_log(f, future, false);
    crash(f, false);
    start(f);
    assert_int_equal(log_manager_set_aside_strays(f->m, nobody, (struct uuid){{0xdd}}, NULL, NULL),
                     0);
    assert_true(disk_exists(f->disk, "/d2/t-0.dd000000000000000000000000000000-stray"));
    assert_false(disk_exists(f->disk, FUTURE));
}

/* A crash between the two renames. */
static void the_metadata_says_which_of_two_is_the_log(void **state)
{
    struct fixture *f = *state;
    for (int chosen = 0; chosen < 3; chosen++) {
        struct log *log, *future;
        start_with_copy(f, &log, &future);
        sim_disk_fail_at(f->sim, SIM_RENAME, "/d1/t-0", 1, -EIO);
        assert_int_equal(replace(f, log, future), 0);
        assert_int_equal(log_manager_dir_status(f->m, 0), -EIO);
        close_log(f, future, false);
        crash(f, false);
        start(f);
        struct log_manager_log_args args = args_of(f, chosen < 2 ? ids[chosen] : UUID_ZERO);
        int rv = log_manager_open_log(f->m, &args, &log, NULL);
        assert_int_equal(rv, chosen < 2 ? 0 : -EEXIST);
        if (rv == 0) {
            assert_int_equal(log_manager_dir_of(f->m, log), chosen);
            assert_int_equal(log_end_offset(log), 10);
            assert_false(disk_exists(f->disk, chosen == 0 ? "/d2/t-0" : "/d1/t-0"));
            close_log(f, log, false);
        }
        assert_int_equal(log_manager_dir_status(f->m, 0), 0);
        crash(f, false);
        disk_remove_tree(f->disk, "/d1/t-0");
        disk_remove_tree(f->disk, "/d2/t-0");
    }
}

static void a_disk_that_fails_at_the_end_leaves_the_old_log(void **state)
{
    struct fixture *f = *state;
    struct log *log, *future;
    start_with_copy(f, &log, &future);
    sim_disk_fail_at(f->sim, SIM_FSYNC_DIR, "/d2", 2, -EIO);
    assert_int_equal(replace(f, log, future), -EIO);
    assert_int_equal(log_manager_dir_status(f->m, 1), -EIO);
    assert_int_equal(log_manager_dir_status(f->m, 0), 0);
    assert_false(disk_exists(f->disk, "/d2/t-0"));
    log_attach(log, &f->files);
    append(log, 1);
    assert_int_equal(close_log(f, future, false), 0);
    assert_int_equal(close_log(f, log, false), 0);
}

static void a_log_is_made_where_it_was_asked_for(void **state)
{
    struct fixture *f = *state;
    struct log *log;
    start(f);
    log_manager_prefer(f->m, str_of("t"), 0, 0);
    log_manager_prefer(f->m, str_of("t"), 0, 1);
    assert_int_equal(open_in(f, 0, &log), 0);
    assert_int_equal(log_manager_dir_of(f->m, log), 1);
    assert_int_equal(delete_log(f, log, (struct uuid){{0xcc}}, NOW_MS), 0);
    /* Once. */
    assert_int_equal(open_in(f, 0, &log), 0);
    assert_int_equal(log_manager_dir_of(f->m, log), 0);
    close_log(f, log, false);
    for (int i = 0; i < 20000; i++)
        log_manager_prefer(f->m, str_of("many"), i, 1);
    char name[220];
    memset(name, 'x', sizeof(name));
    assert_false(log_manager_name_too_long(str_from(name, 213), 0));
    assert_true(log_manager_name_too_long(str_from(name, 214), 0));
}

/* A follower whose leader's records were deleted up to within a batch. */
static void a_copy_begins_within_a_batch(void **state)
{
    struct fixture *f = *state;
    struct log *log, *future;
    start(f);
    assert_int_equal(open_in(f, 0, &log), 0);
    append(log, 10);
    append(log, 10);
    assert_int_equal(log_increment_start_offset(log, 15), KAFKA_ERROR_NONE);
    assert_int_equal(open_future(f, 1, &future), 0);
    assert_int_equal(log_truncate_fully(future, 15, -1, NOW_MS), 0);
    assert_int_equal(copy_all(log, future), 0);
    assert_int_equal(log_start_offset(future), 15);
    assert_int_equal(log_end_offset(future), 20);
    assert_true(disk_exists(f->disk, FUTURE "/00000000000000000010.log"));
    assert_false(disk_exists(f->disk, FUTURE "/00000000000000000015.log"));
    assert_int_equal(replace(f, log, future), 0);
    assert_int_equal(close_log(f, future, false), 0);
    crash(f, true);
    start(f);
    assert_int_equal(open_in(f, 1, &log), 0);
    assert_int_equal(log_start_offset(log), 15);
    assert_int_equal(log_end_offset(log), 20);
    append(log, 1);
    close_log(f, log, false);
}

static struct log_append_info append_of_producer(struct log *log)
{
    struct record_batch_options o = RECORD_BATCH_OPTIONS_INIT;
    struct record_batch_builder b;
    struct bytebuf bytes;
    struct log_append_info info;
    o.producer_id = 8001;
    o.producer_epoch = 0;
    o.base_sequence = 0;
    record_batch_builder_init(&b);
    bytebuf_init(&bytes);
    record_batch_builder_start(&b, &o);
    record_batch_builder_append(&b, NOW_MS, BYTES_NULL, BYTES_NULL, NULL, 0);
    record_batch_builder_close(&b, &bytes);
    struct log_append_args args = {{bytes.data, (int32_t)bytes.len}, LOG_APPEND_CLIENT, 1, NOW_MS};
    assert_int_equal(log_append(log, &args, &info), 0);
    log_set_high_watermark(log, log_end_offset(log));
    record_batch_builder_release(&b);
    bytebuf_release(&bytes);
    return info;
}

/* The batch of a producer is deleted, and all that is left has a copy. */
static void start_with_producer(struct fixture *f, bool durable, struct log **ret_log,
                                struct log **ret_future)
{
    start(f);
    assert_int_equal(open_in(f, 0, ret_log), 0);
    append(*ret_log, 10);
    assert_int_equal(append_of_producer(*ret_log).first_offset, 10);
    append(*ret_log, 5);
    if (durable)
        assert_int_equal(log_flush_now(*ret_log, true, NOW_MS), 0);
    assert_int_equal(log_increment_start_offset(*ret_log, 11), KAFKA_ERROR_NONE);
    assert_int_equal(open_future(f, 1, ret_future), 0);
    if (durable)
        assert_int_equal(log_manager_started(f->m), 0);
    assert_int_equal(log_truncate_fully(*ret_future, 11, -1, NOW_MS), 0);
    assert_int_equal(copy_all(*ret_log, *ret_future), 0);
}

/* It comes again after the move. */
static void producers_move_along(void **state)
{
    struct fixture *f = *state;
    struct log *log, *future;
    start_with_producer(f, false, &log, &future);
    assert_int_equal(replace(f, log, future), 0);
    assert_true(append_of_producer(future).duplicate);
    assert_int_equal(close_log(f, future, true), 0);
    assert_int_equal(log_manager_stop(f->m, 5), 0);
    crash(f, true);
    start(f);
    assert_int_equal(open_in(f, 1, &log), 0);
    assert_true(append_of_producer(log).duplicate);
    close_log(f, log, false);
}

/* The same, where the power goes at any disk call of the swap, or right behind it. */
static void producers_outlive_a_power_cut(void **state)
{
    bool crashed = true;
    for (int64_t n = 1; crashed; n++) {
        struct fixture *f;
        struct log *log, *future;
        setup_moves((void **)&f);
        start_with_producer(f, true, &log, &future);
        sim_disk_crash_at(f->sim, n);
        bool replaced = replace(f, log, future) == 0;
        crashed = sim_disk_crashed(f->sim);
        if (!replaced)
            close_log(f, log, false);
        close_log(f, future, false);
        crash(f, true);
        start(f);
        assert_int_equal(open_in(f, 1, &log), 0);
        assert_int_equal(log_end_offset(log), 16);
        assert_true(append_of_producer(log).duplicate);
        close_log(f, log, false);
        teardown((void **)&f);
    }
}

/* One life of a node: goes on with a move to the other directory, until its end or an error. */
static int live(struct fixture *f, struct told *told)
{
    struct log *log = NULL, *future = NULL;
    int rv = log_manager_open(f->disk, paths, 2, &f->m, f->error);
    if (rv == 0)
        rv = log_manager_begin(f->m);
    if (rv == 0)
        rv = open_in(f, told->directory, &log);
    size_t to = rv == 0 ? 1 - log_manager_dir_of(f->m, log) : 0;
    for (int i = 0; rv == 0 && i < 3; i++)
        rv = try_append(log, 2);
    if (rv == 0)
        rv = log_flush_now(log, true, NOW_MS);
    if (rv == 0)
        told->durable_end = log_durable_end_offset(log);
    if (rv == 0)
        rv = open_future(f, to, &future);
    if (rv == 0)
        rv = log_manager_started(f->m);
    if (rv == 0)
        rv = copy_all(log, future);
    if (rv == 0)
        rv = try_append(log, 1);
    if (rv == 0)
        rv = log_flush_now(log, false, NOW_MS);
    if (rv == 0)
        told->durable_end = log_durable_end_offset(log);
    if (rv == 0)
        rv = log_manager_checkpoint(f->m);
    if (rv == 0)
        rv = copy_all(log, future);
    if (rv == 0) {
        told->directory = (int)to;
        rv = replace(f, log, future);
        if (rv == 0) {
            log = future;
            future = NULL;
            rv = try_append(log, 1);
            if (rv == 0)
                rv = log_flush_now(log, false, NOW_MS);
            told->durable_end = rv == 0 ? log_durable_end_offset(log) : told->durable_end;
        }
    }
    int64_t end = log != NULL ? log_end_offset(log) : 0;
    bool whole = rv == 0;
    if (log != NULL && close_log(f, log, whole) != 0)
        whole = false;
    if (future != NULL)
        (void)close_log(f, future, false);
    return end_life(f, rv, whole, end, told);
}

static void check_next_start(struct fixture *f, struct told *told)
{
    struct log *log, *future;
    start(f);
    assert_int_equal(open_in(f, told->directory, &log), 0);
    assert_true(log_end_offset(log) >= told->durable_end);
    struct log_epoch_end last = log_end_offset_for_epoch(log, 1);
    assert_int_equal(last.end_offset, log_end_offset(log));
    int dir = log_manager_future(f->m, str_of("t"), 0);
    if (dir >= 0) {
        assert_true((size_t)dir != log_manager_dir_of(f->m, log));
        assert_int_equal(open_future(f, (size_t)dir, &future), 0);
        assert_int_equal(copy_all(log, future), 0);
        assert_int_equal(log_end_offset(future), log_end_offset(log));
        assert_int_equal(replace(f, log, future), 0);
        log = future;
    }
    append(log, 2);
    assert_int_equal(close_log(f, log, true), 0);
    end_in_order(f, NOW_MS + 60001);
}

static void crash_at_any_call(void **state)
{
    crash_at_calls(&(struct crash_test){setup_moves, live, check_next_start, 3});
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup_moves, teardown)

/* KIP-1066: only what is meant for a cordoned directory goes there. */
static void a_cordoned_directory_gets_what_is_meant_for_it(void **state)
{
    struct fixture *f = *state;
    struct log *logs[5];
    start(f);
    log_manager_cordon(f->m, 0, true);
    assert_true(log_manager_dir_cordoned(f->m, 0) && !log_manager_dir_cordoned(f->m, 1));
    for (int i = 0; i < 2; i++) {
        logs[i] = open_log(f, "a", i, 1);
        assert_int_equal(log_manager_dir_of(f->m, logs[i]), 1);
    }
    assert_int_equal(open_in(f, 0, &logs[2]), 0);
    assert_int_equal(log_manager_dir_of(f->m, logs[2]), 0);
    /* With nowhere else to go it is as if none were. */
    log_manager_cordon(f->m, 1, true);
    logs[3] = open_log(f, "a", 2, 1);
    assert_int_equal(log_manager_dir_of(f->m, logs[3]), 0);
    log_manager_cordon(f->m, 0, false);
    log_manager_cordon(f->m, 1, false);
    logs[4] = open_log(f, "a", 3, 1);
    assert_int_equal(log_manager_dir_of(f->m, logs[4]), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(close_log(f, logs[i], true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_future_log_becomes_the_log),
        T(a_copy_is_found_again),
        T(a_copy_stands_in_for_a_log_that_is_gone),
        T(a_copy_of_no_topic_is_a_stray),
        T(the_metadata_says_which_of_two_is_the_log),
        T(a_disk_that_fails_at_the_end_leaves_the_old_log),
        T(a_log_is_made_where_it_was_asked_for),
        T(a_cordoned_directory_gets_what_is_meant_for_it),
        T(a_copy_begins_within_a_batch),
        T(producers_move_along),
        cmocka_unit_test(producers_outlive_a_power_cut),
        cmocka_unit_test(crash_at_any_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
