/*
 * Every log and checkpoint that Apache Kafka wrote in ../shared, where that is present, batch by
 * batch and record by record against what Kafka's dump tool printed about it. Values are left out:
 * the tool decodes many of them.
 */
#include "common/protocol/record_batch.h"

#include "common/base/check.h"
#include "tests/unit/common/protocol/batch_text.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>

#define LOG_DIRS SHARED_DATA "/kafka-data/log-dirs"

static struct record_scratch scratch;
static size_t files, batches, records;

/* The next line of the dump that tells of a batch or a record; false at the end of the file's
 * section. */
static bool dump_line(gzFile dump, struct bytebuf *line)
{
    for (;;) {
        line->len = 0;
        /* Not by gzgets: values may hold zero bytes. */
        int c = -1;
        while (c != '\n' && (c = gzgetc(dump)) >= 0)
            bytebuf_append(line, &(uint8_t){(uint8_t)c}, 1);
        if (line->len == 0 || memcmp(line->data, "==> ", MIN(4, line->len)) == 0)
            return false;
        if (line->len > 11 && (memcmp(line->data, "baseOffset:", 11) == 0 ||
                               memcmp(line->data, "| offset: ", 10) == 0))
            return true;
    }
}

static void assert_same(gzFile dump, const struct bytebuf *ours, const char *path)
{
    struct bytebuf line;
    bytebuf_init(&line);
    if (!dump_line(dump, &line))
        fail_msg("%s: the dump ends before %.*s", path, (int)ours->len, (const char *)ours->data);
    if (line.len < ours->len || memcmp(line.data, ours->data, ours->len) != 0)
        fail_msg("%s\ndump: %.*sours: %.*s", path, (int)line.len, (const char *)line.data,
                 (int)ours->len, (const char *)ours->data);
    bytebuf_release(&line);
}

static void compare(const char *path, struct bytes data, gzFile dump)
{
    struct record_batches run = record_batches_of(data);
    struct record_batch batch;
    struct bytebuf text;
    bytebuf_init(&text);
    /* Behind the last batch of a preallocated segment come zeros, which are no batch. */
    while (record_batches_next(&run, &batch) == 1) {
        text.len = 0;
        batch_text(&batch, (size_t)(batch.bytes.data - data.data), &text);
        assert_same(dump, &text, path);
        struct record_iter it;
        struct record r;
        assert_int_equal(record_iter_init(&it, &batch, 64 << 20, &scratch), 0);
        int rv;
        while ((rv = record_iter_next(&it, &r)) == 1) {
            text.len = 0;
            record_text(&batch, &r, false, &text);
            assert_same(dump, &text, path);
            records++;
        }
        assert_int_equal(rv, 0);
        record_iter_release(&it);
        batches++;
    }
    if (dump_line(dump, &text))
        fail_msg("%s: the dump goes on: %.*s", path, (int)text.len, (const char *)text.data);
    bytebuf_release(&text);
    files++;
}

/* The dump of LOG_DIRS/set/[node/]dir/file, at the first line of that file's section. */
static gzFile open_dump(const char *path)
{
    char copy[4096], name[8192], head[512];
    const char *relative = path + strlen(LOG_DIRS) + 1;
    snprintf(copy, sizeof(copy), "%s", relative);
    char *file = strrchr(copy, '/'), *rest = strchr(copy, '/');
    if (file == rest)
        return NULL;
    *file++ = 0;
    *rest++ = 0;
    /* A run of 249 letters L is abbreviated in the dumps' names. */
    const char *dir = rest[0] == 'L' && strlen(rest) > 200 ? "L-x249-0" : rest;
    snprintf(name, sizeof(name), "%s/%s.expected/%s.dump.txt", LOG_DIRS, copy, dir);
    if (access(name, R_OK) != 0)
        snprintf(name, sizeof(name), "%s/%s.expected/%s.dump.txt.gz", LOG_DIRS, copy, dir);
    gzFile dump = gzopen(name, "rb");
    if (dump == NULL)
        return NULL;
    snprintf(head, sizeof(head), "==> %s <==\n", file);
    char line[4096];
    while (gzgets(dump, line, sizeof(line)) != NULL) {
        if (strcmp(line, head) == 0)
            return dump;
    }
    gzclose(dump);
    return NULL;
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    size_t len = strlen(path);
    bool log = len > 4 && strcmp(path + len - 4, ".log") == 0;
    bool checkpoint = len > 11 && strcmp(path + len - 11, ".checkpoint") == 0;
    if (type != FTW_F || st->st_size == 0 || !(log || checkpoint) || strstr(path, "single-torn"))
        return 0;
    gzFile dump = open_dump(path);
    if (dump == NULL)
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    size_t size = (size_t)st->st_size;
    uint8_t *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(data, MAP_FAILED);
    compare(path, (struct bytes){data, (int32_t)size}, dump);
    munmap(data, size);
    close(fd);
    gzclose(dump);
    return 0;
}

static void kafkas_logs_read_as_its_tool_reads_them(void **state)
{
    (void)state;
    if (access(LOG_DIRS, R_OK) != 0)
        skip();
    record_scratch_init(&scratch);
    assert_int_equal(nftw(LOG_DIRS, visit, 16, FTW_PHYS), 0);
    record_scratch_release(&scratch);
    print_message("%zu files, %zu batches, %zu records\n", files, batches, records);
    assert_true(files > 200 && batches > 8000 && records > 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kafkas_logs_read_as_its_tool_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
