/*
 * For the tests of the log manager: two log directories on simulated disks.
 */
#ifndef KRAFTD_TEST_LOG_MANAGER_FIXTURE_H
#define KRAFTD_TEST_LOG_MANAGER_FIXTURE_H

#include "common/storage/log_manager.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/record_batch_builder.h"
#include "common/storage/file_cache.h"
#include "common/storage/log_flush.h"
#include "tests/sim/sim_disk.h"
#include "tests/unit/mutate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NOW_MS 1700000000000

struct fixture {
    struct sim_disk *sim;
    struct disk *disk;
    struct file_cache files;
    struct log_config config;
    struct log_manager *m;
    char error[LOG_MANAGER_ERROR_LEN];
};

static const char *const paths[] = {"/d1", "/d2"};

static inline int setup(void **state)
{
    struct fixture *f = mem_calloc(1, sizeof(*f));
    f->sim = sim_disk_new(3);
    f->disk = sim_disk_base(f->sim);
    f->disk->mutations = mutate_for_good();
    sim_disk_mount(f->sim, "/d1");
    sim_disk_mount(f->sim, "/d2");
    file_cache_init(&f->files, 16);
    f->config = LOG_CONFIG_DEFAULT;
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    log_manager_free(f->m);
    file_cache_release(&f->files);
    sim_disk_free(f->sim);
    free(f);
    return 0;
}

static inline void start(struct fixture *f)
{
    int rv = log_manager_open(f->disk, paths, 2, &f->m, f->error);
    if (rv != 0)
        fail_msg("%s", f->error);
    assert_int_equal(log_manager_begin(f->m), 0);
}

static inline int try_open(struct fixture *f, const char *topic, int32_t partition, uint8_t id,
                           struct log **ret_log)
{
    struct log_manager_log_args args = {
        .files = &f->files,
        .topic = str_of(topic),
        .partition = partition,
        .topic_id = {{id}},
        .config = &f->config,
        .unique = {{0xab, id}},
        .now_ms = NOW_MS,
    };
    return log_manager_open_log(f->m, &args, ret_log, NULL);
}

static inline struct log *open_log(struct fixture *f, const char *topic, int32_t partition,
                                   uint8_t id)
{
    struct log *log;
    assert_int_equal(try_open(f, topic, partition, id, &log), 0);
    return log;
}

static inline int try_append(struct log *log, int count)
{
    struct record_batch_options o = RECORD_BATCH_OPTIONS_INIT;
    struct record_batch_builder b;
    struct bytebuf bytes;
    struct log_append_info info;
    record_batch_builder_init(&b);
    bytebuf_init(&bytes);
    record_batch_builder_start(&b, &o);
    for (int i = 0; i < count; i++)
        assert_int_equal(record_batch_builder_append(&b, NOW_MS, BYTES_NULL, BYTES_NULL, NULL, 0),
                         0);
    record_batch_builder_close(&b, &bytes);
    struct log_append_args args = {{bytes.data, (int32_t)bytes.len}, LOG_APPEND_CLIENT, 1, NOW_MS};
    int rv = log_append(log, &args, &info);
    if (rv == 0)
        log_set_high_watermark(log, log_end_offset(log));
    record_batch_builder_release(&b);
    bytebuf_release(&bytes);
    return rv;
}

static inline void append(struct log *log, int count)
{
    assert_int_equal(try_append(log, count), 0);
}

static inline int close_log(struct fixture *f, struct log *log, bool clean)
{
    log_detach(log);
    return log_manager_close_log(f->m, log, clean);
}

static inline int delete_log(struct fixture *f, struct log *log, struct uuid unique, int64_t now_ms)
{
    log_detach(log);
    return log_manager_delete_log(f->m, log, unique, now_ms);
}

static inline void crash(struct fixture *f, bool power)
{
    log_manager_free(f->m);
    f->m = NULL;
    if (power)
        sim_disk_power_cut(f->sim, SIM_CUT_DROP_ALL);
    else
        sim_disk_kill(f->sim);
}

#endif
