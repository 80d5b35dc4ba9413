#include "tools/line_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct properties properties;
    struct arena arena;
    struct line_format format;
    struct line_record record;
    struct failure failure;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    properties_init(&f->properties);
    arena_init(&f->arena, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    properties_release(&f->properties);
    arena_release(&f->arena);
    free(f);
    return 0;
}

static void set(struct fixture *f, const char *key, const char *value)
{
    properties_set(&f->properties, str_of(key), str_of(value), 0);
}

static bool parse(struct fixture *f, const char *line)
{
    assert_true(line_format_read(&f->properties, &f->format, &f->failure));
    return line_record_parse(&f->format, str_of(line), 7, &f->arena, &f->record, &f->failure);
}

static void assert_bytes(struct bytes bytes, const char *text)
{
    if (text == NULL) {
        assert_int_equal(bytes.len, -1);
        return;
    }
    assert_int_equal(bytes.len, strlen(text));
    assert_memory_equal(bytes.data, text, strlen(text));
}

static void test_value_only(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "k\tv"));
    assert_bytes(f->record.key, NULL);
    assert_bytes(f->record.value, "k\tv");
    assert_int_equal(f->record.header_count, 0);
    assert_true(parse(f, ""));
    assert_bytes(f->record.value, "");
}

static void test_keys(void **state)
{
    struct fixture *f = *state;
    set(f, "parse.key", "true");
    set(f, "key.separator", "::");
    assert_true(parse(f, "k::v::w"));
    assert_bytes(f->record.key, "k");
    assert_bytes(f->record.value, "v::w");
    assert_true(parse(f, "::"));
    assert_bytes(f->record.key, "");
    assert_bytes(f->record.value, "");
    assert_false(parse(f, "a:b"));
    assert_string_equal(f->failure.text, "No key separator found on line number 7: 'a:b'");
    assert_false(parse(f, ""));
    set(f, "ignore.error", "true");
    assert_true(parse(f, "a:b"));
    assert_bytes(f->record.key, NULL);
    assert_bytes(f->record.value, "a:b");
}

static void test_headers(void **state)
{
    struct fixture *f = *state;
    set(f, "parse.headers", "true");
    set(f, "parse.key", "true");
    assert_true(parse(f, "a:1,b:,c:x:y,\tk\tv"));
    assert_int_equal(f->record.header_count, 3);
    assert_true(str_eq_z(f->record.headers[0].key, "a"));
    assert_bytes(f->record.headers[0].value, "1");
    assert_bytes(f->record.headers[1].value, "");
    assert_bytes(f->record.headers[2].value, "x:y");
    assert_bytes(f->record.key, "k");
    assert_bytes(f->record.value, "v");
    assert_false(parse(f, "\tk\tv"));
    assert_string_equal(f->failure.text,
                        "No header key separator found in pair '' on line number 7");
    assert_false(parse(f, "none"));
    assert_string_equal(f->failure.text, "No headers delimiter found on line number 7: 'none'");
}

static void test_null_marker(void **state)
{
    struct fixture *f = *state;
    set(f, "parse.headers", "true");
    set(f, "parse.key", "true");
    set(f, "null.marker", "NUL");
    assert_true(parse(f, "NUL\tNUL\tNUL"));
    assert_bytes(f->record.key, NULL);
    assert_bytes(f->record.value, NULL);
    assert_int_equal(f->record.header_count, 0);
    assert_true(parse(f, "h:NUL\tNULL\tv"));
    assert_bytes(f->record.headers[0].value, NULL);
    assert_bytes(f->record.key, "NULL");
    assert_false(parse(f, "NUL:x\tk\tv"));
}

static void test_equal_separators(void **state)
{
    struct fixture *f = *state;
    set(f, "headers.delimiter", ",");
    assert_false(line_format_read(&f->properties, &f->format, &f->failure));
    assert_string_equal(f->failure.text,
                        "headers.delimiter and headers.separator may not be equal");
    set(f, "headers.delimiter", "\t");
    set(f, "null.marker", ":");
    assert_false(line_format_read(&f->properties, &f->format, &f->failure));
    assert_string_equal(f->failure.text, "null.marker and headers.key.separator may not be equal");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_value_only),       TEST(test_keys), TEST(test_headers), TEST(test_null_marker),
        TEST(test_equal_separators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
