/*
 * For the tests of this folder: a log in a scratch directory on the real disk.
 */
#ifndef KRAFTD_TEST_LOG_FIXTURE_H
#define KRAFTD_TEST_LOG_FIXTURE_H

#include "common/base/mem.h"
#include "common/protocol/record_batch_builder.h"
#include "common/storage/file_cache.h"
#include "common/storage/log.h"
#include "common/storage/log_flush.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define NOW_MS 1700000000000

struct fixture {
    struct disk *disk;
    struct file_cache files;
    struct log_config config;
    char root[64];
    char path[128]; /* of the partition */
    struct log *log;
    struct log_recovery recovery;
    int32_t leader_epoch;
    struct bytebuf batches;
    struct record_batch_builder builder;
};

static inline int fixture_setup(void **state)
{
    struct fixture *f = mem_calloc(1, sizeof(*f));
    f->disk = disk_posix_new();
    file_cache_init(&f->files, 16);
    f->config = LOG_CONFIG_DEFAULT;
    f->leader_epoch = 1;
    snprintf(f->root, sizeof(f->root), "/tmp/kraftd-log-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->path, sizeof(f->path), "%s/topic-0", f->root);
    bytebuf_init(&f->batches);
    record_batch_builder_init(&f->builder);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    (void)log_close(f->log, false);
    file_cache_release(&f->files);
    bytebuf_release(&f->batches);
    record_batch_builder_release(&f->builder);
    assert_int_equal(disk_remove_tree(f->disk, f->root), 0);
    disk_posix_free(f->disk);
    free(f);
    return 0;
}

static inline struct log_open_args fixture_args(struct fixture *f, enum log_trust trust)
{
    return (struct log_open_args){
        .disk = f->disk,
        .files = &f->files,
        .path = f->path,
        .config = &f->config,
        .trust = trust,
        .create = true,
        .topic_id = UUID_METADATA_TOPIC,
        .now_ms = NOW_MS,
    };
}

static inline void fixture_open(struct fixture *f, enum log_trust trust, int64_t recovery_point)
{
    struct log_open_args args = fixture_args(f, trust);
    args.recovery_point = recovery_point;
    assert_int_equal(log_open(&args, &f->log, &f->recovery), 0);
}

/* As a killed process leaves it: nothing is written that was not. */
static inline void fixture_kill(struct fixture *f)
{
    assert_int_equal(log_close(f->log, false), 0);
    f->log = NULL;
}

static inline void fixture_stop(struct fixture *f)
{
    assert_int_equal(log_close(f->log, true), 0);
    f->log = NULL;
}

static inline char *fixture_file(struct fixture *f, const char *name)
{
    return mem_printf("%s/%s", f->path, name);
}

static inline int64_t fixture_size(struct fixture *f, const char *name)
{
    char *path = fixture_file(f, name);
    struct disk_stat st;
    int rv = f->disk->ops->stat(f->disk, path, &st);
    free(path);
    return rv == 0 ? st.size_bytes : rv;
}

/* Opens a file of the partition to damage it. */
static inline struct disk_file *fixture_open_file(struct fixture *f, const char *name)
{
    char *path = fixture_file(f, name);
    struct disk_file *file;
    assert_int_equal(disk_open(f->disk, path, DISK_WRITE, &file), 0);
    free(path);
    return file;
}

#endif
