#include "common/base/logger.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define LOG_MODULE "test"

static char *kept;

static void keep(struct logger *logger, enum log_level level, const char *module,
                 const char *message)
{
    free(kept);
    kept = logger_format_line(1795255200123, level, module, message);
}

static void lines_have_kafkas_form(void **state)
{
    setenv("TZ", "UTC", 1);
    tzset();
    struct logger logger = {.level = LOG_INFO, .sink = keep};
    log_info(&logger, "started node=%d", 7);
    assert_string_equal(kept, "[2026-11-21 10:00:00,123] INFO started node=7 (test)\n");
    log_debug(&logger, "hidden");
    assert_non_null(strstr(kept, "started"));
    log_warn(&logger, "client=%s", "x\n[2026-11-21 10:00:00,000] FATAL forged");
    assert_ptr_equal(strchr(kept, '\n'), kept + strlen(kept) - 1);
    free(kept);
    kept = NULL;
}

static void long_messages_are_kept_whole(void **state)
{
    static char text[5000];
    memset(text, 'x', sizeof(text) - 1);
    struct logger logger = {.level = LOG_TRACE, .sink = keep};
    log_error(&logger, "%s!", text);
    assert_non_null(strstr(kept, "x! (test)\n"));
    assert_true(strlen(kept) > 5000);
    free(kept);
    kept = NULL;
}

static void level_names(void **state)
{
    enum log_level level = LOG_INFO;
    assert_int_equal(log_level_parse(STR("warn"), &level), 0);
    assert_int_equal(level, LOG_WARN);
    assert_int_equal(log_level_parse(STR("OFF"), &level), 0);
    assert_int_equal(level, LOG_FATAL);
    assert_int_equal(log_level_parse(STR("WARNING"), &level), -EINVAL);
    assert_int_equal(log_level_parse(STR_NULL, &level), -EINVAL);
    assert_int_equal(level, LOG_FATAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_have_kafkas_form),
        cmocka_unit_test(long_messages_are_kept_whole),
        cmocka_unit_test(level_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
