/* Copies of a partition: equal ones, cut differently, and each way in which they may differ. */
#include "tests/chaos/replicas.h"

#include "common/base/mem.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCH = 80 };

struct fixture {
    char root[32];
    char *folders[2];
};

static int set_up(void **state)
{
    struct fixture *fixture = mem_calloc(1, sizeof(*fixture));
    strncpy(fixture->root, "/tmp/kraftd-replicas-XXXXXX", sizeof(fixture->root) - 1);
    assert_non_null(mkdtemp(fixture->root));
    for (int i = 0; i < 2; i++) {
        fixture->folders[i] = mem_printf("%s/%d", fixture->root, i);
        assert_int_equal(mkdir(fixture->folders[i], 0700), 0);
    }
    *state = fixture;
    return 0;
}

static int drop(const char *path, const struct stat *about, int type, struct FTW *walk)
{
    return remove(path);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    nftw(fixture->root, drop, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture->folders[0]);
    free(fixture->folders[1]);
    free(fixture);
    return 0;
}

/* A batch of `count` records from `base`; `salt` is one byte of its contents. */
static void append(const struct fixture *fixture, int copy, int64_t segment, int64_t base,
                   int count, int epoch, int salt)
{
    char *path = mem_printf("%s/%020" PRId64 ".log", fixture->folders[copy], segment);
    FILE *file = fopen(path, "a");
    free(path);
    assert_non_null(file);
    unsigned char batch[BATCH] = {0};
    batch[6] = (unsigned char)(base >> 8);
    batch[7] = (unsigned char)base;
    batch[11] = BATCH - 12;
    batch[15] = (unsigned char)epoch;
    batch[16] = 2;
    batch[26] = (unsigned char)(count - 1);
    batch[70] = (unsigned char)salt;
    assert_int_equal(fwrite(batch, 1, sizeof(batch), file), sizeof(batch));
    fclose(file);
}

static struct replicas_verdict compare(const struct fixture *fixture, int64_t end)
{
    struct replicas_verdict verdict;
    const char *folders[] = {fixture->folders[0], fixture->folders[1]};
    assert_int_equal(replicas_compare(folders, 2, end, &verdict), 0);
    return verdict;
}

static void expect_difference(const struct fixture *fixture, int64_t end, int64_t at,
                              const char *text)
{
    struct replicas_verdict verdict = compare(fixture, end);
    assert_int_equal(verdict.at, at);
    if (!strstr(verdict.text, text))
        fail_msg("\"%s\" says nothing of \"%s\"", verdict.text, text);
}

static void test_equal(void **state)
{
    struct fixture *fixture = *state;
    append(fixture, 0, 0, 0, 5, 1, 7);
    append(fixture, 0, 0, 5, 3, 2, 8);
    append(fixture, 1, 0, 0, 5, 1, 7);
    append(fixture, 1, 5, 5, 3, 2, 8); /* in a segment of its own */
    append(fixture, 1, 5, 8, 1, 2, 9); /* above the high watermark */
    struct replicas_verdict verdict = compare(fixture, 8);
    assert_int_equal(verdict.at, -1);
    assert_int_equal(verdict.batches, 2);
    assert_int_equal(verdict.bytes, 2 * BATCH);
}

/* Retention took the first segment of one copy. */
static void test_other_start(void **state)
{
    struct fixture *fixture = *state;
    append(fixture, 0, 0, 0, 5, 1, 7);
    append(fixture, 0, 0, 5, 3, 1, 8);
    append(fixture, 1, 5, 5, 3, 1, 8);
    struct replicas_verdict verdict = compare(fixture, 8);
    assert_int_equal(verdict.at, -1);
    assert_int_equal(verdict.batches, 1);
}

static void test_empty(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(compare(fixture, 0).at, -1);
    append(fixture, 0, 0, 0, 5, 1, 7);
    expect_difference(fixture, 5, 0, "ends below");
}

static void test_bytes(void **state)
{
    struct fixture *fixture = *state;
    append(fixture, 0, 0, 0, 5, 1, 7);
    append(fixture, 0, 0, 5, 5, 1, 7);
    append(fixture, 1, 0, 0, 5, 1, 7);
    append(fixture, 1, 0, 5, 5, 1, 9);
    expect_difference(fixture, 10, 5, "other bytes");
    assert_int_equal(compare(fixture, 5).at, -1);
}

static void test_epoch(void **state)
{
    struct fixture *fixture = *state;
    append(fixture, 0, 0, 0, 5, 2, 7);
    append(fixture, 1, 0, 0, 5, 1, 7);
    expect_difference(fixture, 5, 0, "another leader epoch");
}

static void test_short(void **state)
{
    struct fixture *fixture = *state;
    append(fixture, 0, 0, 0, 5, 1, 7);
    append(fixture, 0, 0, 5, 5, 1, 7);
    append(fixture, 1, 0, 0, 5, 1, 7);
    expect_difference(fixture, 10, 5, "ends below the high watermark");
    assert_int_equal(compare(fixture, 5).at, -1);
}

static void test_hole(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 2; i++) {
        append(fixture, i, 0, 0, 5, 1, 7);
        append(fixture, i, 0, 6, 5, 1, 7);
    }
    expect_difference(fixture, 11, 6, "do not join");
}

static void test_falling_epoch(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 2; i++) {
        append(fixture, i, 0, 0, 5, 3, 7);
        append(fixture, i, 0, 5, 5, 2, 7);
    }
    expect_difference(fixture, 10, 5, "epoch that falls");
}

static void test_torn(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 2; i++) {
        append(fixture, i, 0, 0, 5, 1, 7);
        append(fixture, i, 0, 5, 5, 1, 7);
    }
    char *path = mem_printf("%s/%020d.log", fixture->folders[1], 0);
    assert_int_equal(truncate(path, BATCH + 30), 0);
    assert_int_equal(compare(fixture, 5).at, -1);
    struct replicas_verdict verdict = compare(fixture, 10);
    assert_true(verdict.at >= 0);
    assert_non_null(strstr(verdict.text, "torn"));
    free(path);
}

static void test_missing(void **state)
{
    const char *folders[] = {"/nowhere/at/all"};
    struct replicas_verdict verdict = {.batches = 77};
    assert_int_equal(replicas_compare(folders, 1, 5, &verdict), -ENOENT);
    assert_int_equal(verdict.batches, 77);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_equal), TEST(test_other_start), TEST(test_empty), TEST(test_bytes),
        TEST(test_epoch), TEST(test_short),       TEST(test_hole),  TEST(test_falling_epoch),
        TEST(test_torn),  TEST(test_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
