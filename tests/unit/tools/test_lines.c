#include "tools/lines.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    int in; /* what is written here is read */
    struct lines lines;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int fds[2];
    if (pipe(fds) != 0)
        return -1;
    f->in = fds[1];
    lines_init(&f->lines, fds[0]);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close(f->lines.fd);
    if (f->in >= 0)
        close(f->in);
    lines_release(&f->lines);
    free(f);
    return 0;
}

static void feed(struct fixture *f, const char *text)
{
    assert_int_equal(write(f->in, text, strlen(text)), strlen(text));
    assert_int_equal(lines_fill(&f->lines), 0);
}

static void expect(struct fixture *f, const char *text)
{
    struct str line;
    assert_int_equal(lines_next(&f->lines, &line), 1);
    assert_int_equal(line.len, strlen(text));
    assert_memory_equal(line.data, text, strlen(text));
}

static void expect_more(struct fixture *f)
{
    struct str line;
    assert_int_equal(lines_next(&f->lines, &line), -EAGAIN);
}

static void expect_end(struct fixture *f)
{
    struct str line;
    close(f->in);
    f->in = -1;
    assert_int_equal(lines_fill(&f->lines), 0);
    if (lines_next(&f->lines, &line) == 0)
        return;
    fail_msg("a line behind the last");
}

static void test_ends(void **state)
{
    struct fixture *f = *state;
    expect_more(f);
    feed(f, "a\nb\rc\r\n\n\r\r\nlast");
    expect(f, "a");
    expect(f, "b");
    expect(f, "c");
    expect(f, "");
    expect(f, "");
    expect(f, "");
    expect_more(f);
    close(f->in);
    f->in = -1;
    assert_int_equal(lines_fill(&f->lines), 0);
    expect(f, "last");
    struct str line;
    assert_int_equal(lines_next(&f->lines, &line), 0);
}

/* Line ends and lines in pieces. */
static void test_pieces(void **state)
{
    struct fixture *f = *state;
    feed(f, "ab");
    expect_more(f);
    feed(f, "c\r");
    expect(f, "abc");
    expect_more(f);
    feed(f, "\nx\r");
    expect(f, "x");
    feed(f, "y\n");
    expect(f, "y");
    expect_more(f);
    expect_end(f);
}

static void test_long_lines(void **state)
{
    struct fixture *f = *state;
    enum { PIECES = 200, LEN = 1000 };
    char piece[LEN + 1];
    memset(piece, 'z', LEN);
    piece[LEN] = '\0';
    for (int i = 0; i < PIECES; i++) {
        feed(f, piece);
        expect_more(f);
    }
    feed(f, "\nnext\n");
    struct str line;
    assert_int_equal(lines_next(&f->lines, &line), 1);
    assert_int_equal(line.len, PIECES * LEN);
    for (int32_t i = 0; i < line.len; i++)
        assert_int_equal(line.data[i], 'z');
    expect(f, "next");
    expect_end(f);
}

static void test_read_error(void **state)
{
    struct fixture *f = *state;
    int fd = f->lines.fd;
    f->lines.fd = -1;
    assert_int_equal(lines_fill(&f->lines), -EBADF);
    f->lines.fd = fd;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(test_ends), TEST(test_pieces), TEST(test_long_lines),
                                       TEST(test_read_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
