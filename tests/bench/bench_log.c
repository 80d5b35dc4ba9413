/*
 * bench_log: what the log costs.
 *
 *   bench_log append [BYTES [COUNT [DIRECTORY]]]
 *       COUNT leader appends of one batch of BYTES, idempotent and not; CPU per append beside that
 * of the bare pwrite of the same bytes. bench_log open [PARTITIONS [DIRECTORY]] creates so many
 * logs with one record each, then opens them after an orderly stop, after a kill on the same boot,
 * and after a power cut; microseconds and resident bytes of each. bench_log read [DIRECTORY] reads
 * at the tail and at random offsets of a 200 MB log.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/record_batch_builder.h"
#include "common/storage/file_cache.h"
#include "common/storage/log.h"
#include "common/storage/log_flush.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now_s(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct bench {
    struct disk *disk;
    struct file_cache files;
    struct log_config config;
    char root[256];
};

static void bench_init(struct bench *b, const char *directory)
{
    b->disk = disk_posix_new();
    file_cache_init(&b->files, 1000);
    b->config = LOG_CONFIG_DEFAULT;
    snprintf(b->root, sizeof(b->root), "%s/bench-log-XXXXXX", directory);
    CHECK(mkdtemp(b->root) != NULL);
}

static void bench_release(struct bench *b)
{
    file_cache_release(&b->files);
    CHECK(disk_remove_tree(b->disk, b->root) == 0);
    disk_posix_free(b->disk);
}

static struct log *open_log(struct bench *b, int partition, enum log_trust trust)
{
    char path[300];
    struct log *log;
    snprintf(path, sizeof(path), "%s/t-%d", b->root, partition);
    struct log_open_args args = {
        .disk = b->disk,
        .files = &b->files,
        .path = path,
        .config = &b->config,
        .trust = trust,
        .create = true,
        .topic_id = UUID_METADATA_TOPIC,
        .now_ms = 1700000000000,
    };
    CHECK(log_open(&args, &log, NULL) == 0);
    return log;
}

static void build(struct bytebuf *out, size_t bytes, bool idempotent)
{
    struct record_batch_options o = RECORD_BATCH_OPTIONS_INIT;
    struct record_batch_builder builder;
    uint8_t *value = mem_calloc(1, bytes);
    if (idempotent) {
        o.producer_id = 1;
        o.producer_epoch = 0;
        o.base_sequence = 0;
    }
    record_batch_builder_init(&builder);
    record_batch_builder_start(&builder, &o);
    CHECK(record_batch_builder_append(&builder, 1700000000000, BYTES_NULL,
                                      (struct bytes){value, (int32_t)bytes}, NULL, 0) == 0);
    record_batch_builder_close(&builder, out);
    record_batch_builder_release(&builder);
    free(value);
}

static void append_one(struct log *log, const struct bytebuf *batch)
{
    struct log_append_info info;
    struct log_append_args args = {
        {batch->data, (int32_t)batch->len}, LOG_APPEND_CLIENT, 1, 1700000000000};
    CHECK(log_append(log, &args, &info) == 0 && info.error == KAFKA_ERROR_NONE);
}

/* The sequence number of a one-record batch, where it stands. */
static void set_sequence(struct bytebuf *batch, uint32_t sequence)
{
    for (int i = 0; i < 4; i++)
        batch->data[53 + i] = (uint8_t)(sequence >> (24 - 8 * i));
}

static double time_appends(struct bench *b, int partition, size_t bytes, int count, bool idempotent)
{
    struct bytebuf batch;
    bytebuf_init(&batch);
    build(&batch, bytes, idempotent);
    struct log *log = open_log(b, partition, LOG_TRUST_CLEAN);
    append_one(log, &batch);
    double start = now_s(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 1; i < count; i++) {
        if (idempotent)
            set_sequence(&batch, (uint32_t)i);
        append_one(log, &batch);
    }
    double cpu = now_s(CLOCK_PROCESS_CPUTIME_ID) - start;
    log_close(log, false);
    bytebuf_release(&batch);
    return cpu / count * 1e6;
}

static double time_pwrites(struct bench *b, size_t bytes, int count)
{
    struct bytebuf batch;
    char path[300];
    struct disk_file *file;
    bytebuf_init(&batch);
    build(&batch, bytes, false);
    snprintf(path, sizeof(path), "%s/raw", b->root);
    CHECK(disk_open(b->disk, path, DISK_WRITE | DISK_CREATE, &file) == 0);
    double start = now_s(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < count; i++)
        CHECK(disk_pwrite(file, batch.data, batch.len, (int64_t)i * (int64_t)batch.len) == 0);
    double cpu = now_s(CLOCK_PROCESS_CPUTIME_ID) - start;
    disk_file_unref(file);
    bytebuf_release(&batch);
    return cpu / count * 1e6;
}

static void bench_append(size_t bytes, int count, const char *directory)
{
    struct bench b;
    bench_init(&b, directory);
    double raw = time_pwrites(&b, bytes, count);
    double plain = time_appends(&b, 0, bytes, count, false);
    double idempotent = time_appends(&b, 1, bytes, count, true);
    printf("append of %zu bytes, CPU us: pwrite %.2f, log %.2f (+%.2f), idempotent %.2f (+%.2f)\n",
           bytes, raw, plain, plain - raw, idempotent, idempotent - raw);
    bench_release(&b);
}

static void time_open(struct bench *b, int count, enum log_trust trust, bool stop, const char *name)
{
    struct log **logs = mem_calloc((size_t)count, sizeof(struct log *));
    struct bytebuf batch;
    bytebuf_init(&batch);
    build(&batch, 100, false);
    size_t before = mallinfo2().uordblks;
    double cpu = now_s(CLOCK_PROCESS_CPUTIME_ID), wall = now_s(CLOCK_MONOTONIC);
    for (int i = 0; i < count; i++)
        logs[i] = open_log(b, i, trust);
    wall = now_s(CLOCK_MONOTONIC) - wall;
    cpu = now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("%-9s %d logs: %.1f us CPU, %.1f us wall each, %zu bytes resident each\n", name, count,
           cpu / count * 1e6, wall / count * 1e6, (mallinfo2().uordblks - before) / (size_t)count);
    for (int i = 0; i < count; i++) {
        if (log_end_offset(logs[i]) == 0)
            append_one(logs[i], &batch);
    }
    printf("          after an append: %zu bytes each\n",
           (mallinfo2().uordblks - before) / (size_t)count);
    wall = now_s(CLOCK_MONOTONIC);
    for (int i = 0; i < count; i++)
        log_close(logs[i], stop);
    if (stop)
        printf("          orderly stop: %.1f us wall each\n",
               (now_s(CLOCK_MONOTONIC) - wall) / count * 1e6);
    bytebuf_release(&batch);
    free(logs);
}

static void bench_open(int count, const char *directory)
{
    struct bench b;
    bench_init(&b, directory);
    time_open(&b, count, LOG_TRUST_CLEAN, false, "create");
    time_open(&b, count, LOG_TRUST_SAME_BOOT, false, "same boot");
    time_open(&b, count, LOG_TRUST_NONE, true, "power cut");
    time_open(&b, count, LOG_TRUST_CLEAN, false, "clean");
    bench_release(&b);
}

static double time_reads(struct log *log, int count, int64_t step, int32_t max_bytes)
{
    int64_t end = log_end_offset(log), offset = end;
    double start = now_s(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < count; i++) {
        struct log_read_args args = {offset - 1, end, max_bytes, true};
        struct log_read_result read;
        CHECK(log_read(log, &args, &read) == 0 && read.file != NULL);
        disk_file_unref(read.file);
        offset = 1 + (offset * 31 + step * i) % end;
        if (step == 0)
            offset = end;
    }
    return (now_s(CLOCK_PROCESS_CPUTIME_ID) - start) / count * 1e6;
}

static void bench_read(const char *directory)
{
    struct bench b;
    struct bytebuf batch;
    bench_init(&b, directory);
    bytebuf_init(&batch);
    build(&batch, 1000, false);
    struct log *log = open_log(&b, 0, LOG_TRUST_CLEAN);
    for (int i = 0; i < 200000; i++)
        append_one(log, &batch);
    printf("log_read, CPU us: at the tail %.2f, anywhere %.2f, 1 MB anywhere %.2f\n",
           time_reads(log, 200000, 0, 1000), time_reads(log, 200000, 7919, 1000),
           time_reads(log, 200000, 7919, 1 << 20));
    log_close(log, false);
    bytebuf_release(&batch);
    bench_release(&b);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "append") == 0)
        bench_append(argc > 2 ? strtoul(argv[2], NULL, 10) : 100,
                     argc > 3 ? (int)strtol(argv[3], NULL, 10) : 500000,
                     argc > 4 ? argv[4] : "/tmp");
    else if (strcmp(what, "open") == 0)
        bench_open(argc > 2 ? (int)strtol(argv[2], NULL, 10) : 10000, argc > 3 ? argv[3] : "/tmp");
    else if (strcmp(what, "read") == 0)
        bench_read(argc > 2 ? argv[2] : "/tmp");
    else
        return fprintf(stderr, "usage: bench_log append|open|read\n"), 1;
    return 0;
}
