/* Hand-made histories: a clean one, and one for each anomaly, which must be found and nothing else.
 */
#include "tests/chaos/checker.h"
#include "tests/chaos/timeline.h"

#include "common/base/check.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Two producers in one partition; the log is p0:0 p1:0 p0:1, and p1:1 was given up. */
#define SENT                                                                                       \
    "t 0 0 chaos-0\n"                                                                              \
    "p 0 0 none\n"                                                                                 \
    "p 0 1 lz4\n"                                                                                  \
    "a 10 0 0 0\n"                                                                                 \
    "a 11 0 1 0\n"                                                                                 \
    "a 12 0 0 1\n"                                                                                 \
    "a 13 0 1 1\n"
#define ACKNOWLEDGED                                                                               \
    "k 20 0 0 0 0\n"                                                                               \
    "k 21 0 1 0 1\n"                                                                               \
    "k 22 0 0 1 2\n"                                                                               \
    "x 23 0 1 1 _MSG_TIMED_OUT\n"
#define FOLLOWED                                                                                   \
    "o 1 0 0 0\n"                                                                                  \
    "r 30 0 0 0 0 0 -1\n"                                                                          \
    "r 31 0 0 1 1 0 -1\n"                                                                          \
    "r 32 0 0 2 0 1 -1\n"                                                                          \
    "d 41 0 0 3\n"
#define READ_AGAIN                                                                                 \
    "o 50 0 1 0\n"                                                                                 \
    "r 51 0 1 0 0 0 -1\n"                                                                          \
    "r 52 0 1 1 1 0 -1\n"                                                                          \
    "r 53 0 1 2 0 1 -1\n"                                                                          \
    "d 54 0 1 3\n"

static struct checker *judge(const char *history)
{
    struct checker *checker = checker_new();
    while (*history) {
        size_t length = strcspn(history, "\n");
        struct history_event event;
        if (!history_parse(history, length, &event))
            fail_msg("not a line: %.*s", (int)length, history);
        if (checker_event(checker, &event) != 0)
            fail_msg("refused: %.*s", (int)length, history);
        history += length + 1;
    }
    checker_finish(checker);
    return checker;
}

/* Exactly `count` of `anomaly` and none of the others, but for `also`. */
static void expect(const char *history, enum anomaly anomaly, int64_t count, enum anomaly also)
{
    struct checker *checker = judge(history);
    for (enum anomaly i = 0; i < ANOMALY_COUNT; i++) {
        int64_t found = checker_counts(checker)->anomalies[i];
        if (i == anomaly ? found != count : i != also && found != 0)
            fail_msg("%s: %d found, of them: %s", anomaly_name(i), (int)found,
                     found > 0 ? checker_example(checker, i, 0) : "-");
        assert_true((checker_example(checker, i, 0) != NULL) == (found > 0));
    }
    checker_free(checker);
}

static void test_clean(void **state)
{
    expect(SENT ACKNOWLEDGED FOLLOWED "s 60\n" READ_AGAIN, ANOMALY_LOST, 0, ANOMALY_LOST);
    struct checker *checker = judge(SENT ACKNOWLEDGED FOLLOWED READ_AGAIN);
    assert_int_equal(checker_counts(checker)->attempted, 4);
    assert_int_equal(checker_counts(checker)->acknowledged, 3);
    assert_int_equal(checker_counts(checker)->given_up, 1);
    assert_int_equal(checker_counts(checker)->read[READER_FINAL], 3);
    assert_string_equal(checker_partition(checker, 0), "chaos-0");
    assert_null(checker_partition(checker, 1));
    assert_int_equal(checker_end(checker, "chaos-0"), 3);
    assert_int_equal(checker_end(checker, "chaos-1"), -1);
    checker_free(checker);
}

/* What was given up may be there; an offset that was not told is no fault; a reader may begin anew.
 */
static void test_allowed(void **state)
{
    expect(SENT "k 20 0 0 0 -1\n"
                "k 21 0 1 0 1\n"
                "x 23 0 1 1 _MSG_TIMED_OUT\n"
                "o 1 0 0 0\n"
                "r 30 0 0 0 0 0 -1\n"
                "o 30 0 0 1\n"
                "r 31 0 0 1 1 0 -1\n"
                "r 32 0 0 2 0 1 -1\n"
                "r 33 0 0 3 1 1 -1\n"
                "d 41 0 0 4\n" READ_AGAIN "o 54 0 1 3\n"
                "r 55 0 1 3 1 1 -1\n"
                "d 56 0 1 4\n",
           ANOMALY_LOST, 0, ANOMALY_LOST);
}

static void test_lost(void **state)
{
    /* Never read by anybody. */
    expect(SENT ACKNOWLEDGED "o 1 0 0 0\nr 30 0 0 0 0 0 -1\nr 31 0 0 1 1 0 -1\nd 41 0 0 2\n"
                             "o 50 0 1 0\nr 51 0 1 0 0 0 -1\nr 52 0 1 1 1 0 -1\nd 54 0 1 2\n",
           ANOMALY_LOST, 1, ANOMALY_LOST);
    /* Read once, gone later: inconsistent as well. */
    expect(SENT ACKNOWLEDGED FOLLOWED
           "o 50 0 1 0\nr 51 0 1 0 0 0 -1\nr 52 0 1 1 1 0 -1\nd 54 0 1 2\n",
           ANOMALY_LOST, 1, ANOMALY_INCONSISTENT);
}

static void test_duplicated(void **state)
{
    expect(SENT ACKNOWLEDGED "o 1 0 0 0\nr 30 0 0 0 0 0 -1\nr 31 0 0 1 1 0 -1\nr 32 0 0 2 0 1 -1\n"
                             "r 33 0 0 3 0 1 -1\nd 41 0 0 4\n" READ_AGAIN
                             "o 54 0 1 3\nr 55 0 1 3 0 1 -1\nd 56 0 1 4\n",
           ANOMALY_DUPLICATED, 1, ANOMALY_DUPLICATED);
}

static void test_reordered(void **state)
{
    expect(SENT "k 20 0 0 0 2\nk 21 0 1 0 1\nk 22 0 0 1 0\n"
                "o 1 0 0 0\nr 30 0 0 0 0 1 -1\nr 31 0 0 1 1 0 -1\nr 32 0 0 2 0 0 -1\nd 41 0 0 3\n"
                "o 1 0 1 0\nr 30 0 1 0 0 1 -1\nr 31 0 1 1 1 0 -1\nr 32 0 1 2 0 0 -1\nd 41 0 1 3\n",
           ANOMALY_REORDERED, 1, ANOMALY_REORDERED);
}

static void test_inconsistent(void **state)
{
    /* Two readers see two records at one offset. */
    expect(SENT "k 20 0 0 0 0\n"
                "o 1 0 0 0\nr 30 0 0 0 0 0 -1\nr 31 0 0 1 1 0 -1\nd 41 0 0 2\n"
                "o 50 0 1 0\nr 51 0 1 0 0 0 -1\nr 52 0 1 1 0 1 -1\nd 54 0 1 2\n",
           ANOMALY_INCONSISTENT, 1, ANOMALY_INCONSISTENT);
    /* The acknowledged offset is another record's. */
    expect(SENT "k 20 0 0 0 1\n" FOLLOWED READ_AGAIN, ANOMALY_INCONSISTENT, 1,
           ANOMALY_INCONSISTENT);
    /* A reader skips an offset. */
    expect(SENT "k 20 0 0 0 0\n"
                "o 1 0 0 0\nr 30 0 0 0 0 0 -1\nr 32 0 0 2 0 1 -1\nd 41 0 0 3\n" READ_AGAIN,
           ANOMALY_INCONSISTENT, 1, ANOMALY_INCONSISTENT);
    /* A reader meets an offset twice. */
    expect(SENT "k 20 0 0 0 0\n"
                "o 1 0 0 0\nr 30 0 0 0 0 0 -1\nr 30 0 0 0 0 0 -1\nr 31 0 0 1 1 0 -1\n"
                "r 32 0 0 2 0 1 -1\nd 41 0 0 3\n" READ_AGAIN,
           ANOMALY_INCONSISTENT, 1, ANOMALY_INCONSISTENT);
    /* What nobody acknowledged was read, and is not there at the end. */
    expect(SENT FOLLOWED "o 50 0 1 0\nr 51 0 1 0 0 0 -1\nr 52 0 1 1 1 0 -1\nd 54 0 1 2\n",
           ANOMALY_INCONSISTENT, 1, ANOMALY_INCONSISTENT);
}

static void test_corrupt(void **state)
{
    expect(SENT FOLLOWED "o 42 0 0 3\nb 43 0 0 3 damaged\nd 44 0 0 4\n" READ_AGAIN
                         "o 54 0 1 3\nr 55 0 1 3 1 7 -1\nd 56 0 1 4\n",
           ANOMALY_CORRUPT, 2, ANOMALY_CORRUPT);
}

static void test_unread(void **state)
{
    /* What the last reader did not get to is not called lost. */
    expect(SENT ACKNOWLEDGED FOLLOWED, ANOMALY_UNREAD, 1, ANOMALY_UNREAD);
    expect(SENT FOLLOWED "o 50 0 1 0\nr 51 0 1 0 0 0 -1\nr 52 0 1 1 1 0 -1\nd 54 0 1 3\n",
           ANOMALY_UNREAD, 1, ANOMALY_UNREAD);
}

static void test_impossible(void **state)
{
    static const char *const lines[] = {
        "a 1 9 0 0",         /* no such partition */
        "a 1 0 9 0",         /* no such producer */
        "a 1 0 0 5",         /* sequences have no gaps */
        "k 1 0 0 9 0",       /* never sent */
        "k 1 0 0 0 0",       /* acknowledged before */
        "r 1 0 9 0 0 0 -1",  /* no such reader */
        "r 1 0 0 -1 0 0 -1", /* no such offset */
        "p 1 4000000000 x",  /* more producers than there can be */
    };
    struct checker *checker = judge(SENT ACKNOWLEDGED FOLLOWED READ_AGAIN);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct history_event event;
        assert_true(history_parse(lines[i], strlen(lines[i]), &event));
        if (checker_event(checker, &event) != -EINVAL)
            fail_msg("taken: %s", lines[i]);
    }
    checker_free(checker);
}

static void test_file(void **state)
{
    char path[] = "/tmp/kraftd-history-XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    fputs(SENT "a 30 0 0 2\na 31 0", file); /* killed while it wrote */
    fclose(file);
    struct checker *checker = checker_new();
    int64_t line = 0;
    assert_int_equal(checker_read(checker, path, &line), 0);
    assert_int_equal(checker_counts(checker)->attempted, 5);
    file = fopen(path, "a");
    fputs(" 0 3\nnonsense\n", file);
    fclose(file);
    struct checker *other = checker_new();
    assert_int_equal(checker_read(other, path, &line), -EINVAL);
    assert_int_equal(line, 10);
    assert_int_equal(checker_read(other, "/nowhere/at/all", &line), -ENOENT);
    checker_free(checker);
    checker_free(other);
    unlink(path);
}

/* Partition 0 is served every 10 ms but from 1,000 to 2,500; a fault lasts from 900 to 3,000. */
static void test_timeline(void **state)
{
    struct checker *checker = checker_new();
    struct history_event events[] = {
        {.kind = 't', .text = "chaos-0", .text_len = 7},
        {.kind = 'p', .text = "none", .text_len = 4},
        {.kind = 'f', .at_ms = 900, .fault = 1, .text = "kill node 1", .text_len = 11},
        {.kind = 'h', .at_ms = 3000, .fault = 1, .text = "whole", .text_len = 5},
        {.kind = 'f', .at_ms = 3500, .fault = 2, .text = "pause node 2", .text_len = 12},
    };
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        assert_int_equal(checker_event(checker, &events[i]), 0);
    uint32_t seq = 0;
    for (int64_t at_ms = 100; at_ms <= 4000; at_ms += 10) {
        struct history_event event = {.kind = 'a', .at_ms = at_ms, .seq = seq++};
        assert_int_equal(checker_event(checker, &event), 0);
        event.kind = 'k';
        event.offset = event.seq;
        if (at_ms > 1000 && at_ms < 2500)
            continue;
        assert_int_equal(checker_event(checker, &event), 0);
    }
    struct history_event stop = {.kind = 's', .at_ms = 4600};
    assert_int_equal(checker_event(checker, &stop), 0);
    checker_finish(checker);
    const struct timeline *timeline = checker_timeline(checker);
    assert_int_equal(timeline->max_gap_ms, 1500);
    assert_int_equal(timeline->fault_count, 2);
    assert_int_equal(timeline->faults[0].gap_ms, 1500);
    assert_int_equal(timeline->faults[0].end_ms, 3000);
    assert_int_equal(timeline->faults[1].gap_ms, 600);
    assert_int_equal(timeline->faults[1].end_ms, -1);
    assert_int_equal(timeline->p99_gap_ms, 1500);
    assert_int_equal(timeline->second_count, 5);
    assert_int_equal(timeline->seconds[1].attempted, 100);
    assert_int_equal(timeline->seconds[1].acknowledged, 1);
    checker_free(checker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),      cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_lost),       cmocka_unit_test(test_duplicated),
        cmocka_unit_test(test_reordered),  cmocka_unit_test(test_inconsistent),
        cmocka_unit_test(test_corrupt),    cmocka_unit_test(test_unread),
        cmocka_unit_test(test_impossible), cmocka_unit_test(test_file),
        cmocka_unit_test(test_timeline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
