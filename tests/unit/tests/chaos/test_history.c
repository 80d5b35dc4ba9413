/* Lines of a history: what is written is what is parsed, and what is no line is refused. */
#include "tests/chaos/history.h"

#include "common/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool parses(const char *line, struct history_event *event)
{
    return history_parse(line, strlen(line), event);
}

static void test_fields(void **state)
{
    struct history_event event;
    assert_true(parses("r 12 3 1 40000000000 7 9 -1", &event));
    assert_int_equal(event.kind, 'r');
    assert_int_equal(event.at_ms, 12);
    assert_int_equal(event.partition, 3);
    assert_int_equal(event.reader, READER_FINAL);
    assert_int_equal(event.offset, 40000000000);
    assert_int_equal(event.producer, 7);
    assert_int_equal(event.seq, 9);
    assert_int_equal(event.epoch, -1);
    assert_true(parses("f 5 2 kill node 1", &event));
    assert_int_equal(event.fault, 2);
    assert_int_equal(event.text_len, 11);
    assert_memory_equal(event.text, "kill node 1", 11);
    assert_true(parses("s 5", &event));
}

static void test_refused(void **state)
{
    static const char *const lines[] = {
        "",          "a",           "a 1 2 3",    "a 1 2 3 4 5",  "a 1 2 3 x",
        "a 1 2 3 -", "a 1  2 3 4",  "a -1 2 3 4", "a 1 2 3 4 ",   "q 1",
        "s 1 text",  "a 1 2 3 4.0", "n 1",        "k 1 2 3 4 -2", "a 1 2 3 4294967296",
    };
    struct history_event event = {.kind = '!'};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (parses(lines[i], &event))
            fail_msg("taken for a line: \"%s\"", lines[i]);
    }
    assert_int_equal(event.kind, '!');
}

static void test_written(void **state)
{
    char path[] = "/tmp/kraftd-history-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct history *history = history_open(path, 0);
    assert_non_null(history);
    history_write(history, (struct history_event){
                               .kind = 'k', .partition = 1, .producer = 2, .seq = 3, .offset = -1});
    history_write(history, (struct history_event){.kind = 'n', .text = "two\nlines"});
    char lengthy[1000];
    memset(lengthy, 'x', sizeof(lengthy) - 1);
    lengthy[sizeof(lengthy) - 1] = '\0';
    history_write(history, (struct history_event){.kind = 'n', .text = lengthy});
    assert_int_equal(history_close(history), 0);

    FILE *file = fopen(path, "r");
    char line[512];
    struct history_event event;
    assert_non_null(fgets(line, sizeof(line), file));
    assert_true(history_parse(line, strlen(line) - 1, &event));
    assert_true(event.at_ms > 0);
    assert_int_equal(event.seq, 3);
    assert_int_equal(event.offset, -1);
    assert_non_null(fgets(line, sizeof(line), file));
    assert_true(history_parse(line, strlen(line) - 1, &event));
    assert_memory_equal(event.text, "two lines", event.text_len);
    assert_non_null(fgets(line, sizeof(line), file));
    assert_true(history_parse(line, strlen(line) - 1, &event));
    assert_true(event.text_len > 100 && event.text_len < 256);
    assert_null(fgets(line, sizeof(line), file));
    fclose(file);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
