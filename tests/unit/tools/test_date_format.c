/* Patterns of SimpleDateFormat. */
#include "tools/date_format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

/* 2026-11-21 08:57:33.085 UTC */
#define AT_MS INT64_C(1795251453085)

static void expect(const char *pattern, const char *text)
{
    struct bytebuf out;
    struct failure failure;
    bytebuf_init(&out);
    assert_true(date_format_check(pattern, &failure));
    date_format_append(pattern, AT_MS, &out);
    bytebuf_append(&out, "", 1);
    assert_string_equal((const char *)out.data, text);
    bytebuf_release(&out);
}

static void expect_refusal(const char *pattern, const char *text)
{
    struct failure failure;
    assert_false(date_format_check(pattern, &failure));
    assert_string_equal(failure.text, text);
}

static void patterns_are_javas(void **state)
{
    expect("yyyy-MM-dd HH:mm:ss:SSS", "2026-11-21 08:57:33:085");
    expect("HH:mm", "08:57");
    expect("d/M/yy h:m a", "21/11/26 8:57 AM");
    expect("d MMM yyyy 'o''clock' H", "21 Nov 2026 o'clock 8");
    expect("", "");
}

static void wrong_patterns_are_refused(void **state)
{
    expect_refusal("xx?", "Illegal pattern character 'x'");
    expect_refusal("HH 'o", "Unterminated quote");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_are_javas),
        cmocka_unit_test(wrong_patterns_are_refused),
    };
    setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
