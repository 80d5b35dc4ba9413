#include "common/base/properties.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static char error[PROPERTIES_ERROR_LEN];

/* The text says exactly one key and value. */
static void assert_pair_n(struct str text, const char *key, const char *value)
{
    struct properties p;
    properties_init(&p);
    assert_int_equal(properties_parse(&p, text, error), 0);
    assert_int_equal(p.map.count, 1);
    struct str found = properties_get(&p, str_of(key));
    assert_false(str_is_null(found));
    assert_string_equal(found.data, value);
    assert_int_equal(found.len, strlen(value));
    properties_release(&p);
}

static void assert_pair(const char *text, const char *key, const char *value)
{
    assert_pair_n(str_of(text), key, value);
}

static void separators_and_white_space(void **state)
{
    assert_pair("a=b", "a", "b");
    assert_pair("a:b\n", "a", "b");
    assert_pair("a b\r\n", "a", "b");
    assert_pair(" \t\f a \t = \t b c \n", "a", "b c ");
    assert_pair("a = = b", "a", "= b");
    assert_pair("a==b", "a", "=b");
    assert_pair("a  b=c", "a", "b=c");
    assert_pair("a", "a", "");
    assert_pair("a=", "a", "");
    assert_pair("=b", "", "b");
    assert_pair("a=b#c", "a", "b#c");
    assert_pair("\n# x=y\n  ! z=1\r\r\na=b", "a", "b");
    assert_pair("# ends in a backslash \\\na=b", "a", "b");
}

static void escapes(void **state)
{
    assert_pair("a\\ b\\:\\=\\#=c", "a b:=#", "c");
    assert_pair("a=\\t\\n\\r\\f\\\\\\q\\ x", "a", "\t\n\r\f\\q x");
    assert_pair("a=\\u0041\\u00e9\\u20AC", "a", "A\xc3\xa9\xe2\x82\xac");
    assert_pair("a=\\ud83d\\ude00", "a", "\xf0\x9f\x98\x80");
    assert_pair("a=\\ud83dx", "a", "\xef\xbf\xbdx");
    assert_pair("a=\\ud83d\\u0041", "a",
                "\xef\xbf\xbd"
                "A");
    assert_pair("a=\xc3\xa9", "a", "\xc3\xa9");
}

static void continued_lines(void **state)
{
    assert_pair("a=b\\\n   c", "a", "bc");
    assert_pair("a=b\\\r\n\t c\\\r  d", "a", "bcd");
    assert_pair("a\\\n = b", "a", "b");
    assert_pair("a = \\\n b", "a", "b");
    assert_pair("a=b\\\\\n", "a", "b\\");
    assert_pair("a=b\\", "a", "b");
    assert_pair("a=b\\\n", "a", "b");
    assert_pair("a=b\\\n# c", "a", "b# c");
    assert_pair(" \\\n# a comment, as the line was empty so far\na=b", "a", "b");
    struct properties p;
    properties_init(&p);
    assert_int_equal(properties_parse(&p, STR("a=b\\\n  \nc=d"), error), 0);
    assert_true(str_eq_z(properties_get(&p, STR("a")), "b"));
    assert_int_equal(properties_find(&p, STR("c"))->line, 3);
    properties_release(&p);
}

static void the_last_value_counts(void **state)
{
    struct properties p;
    properties_init(&p);
    assert_int_equal(properties_parse(&p, STR("a=1\nb=2\r\n\na=3\n"), error), 0);
    const struct property *a = properties_find(&p, STR("a"));
    assert_true(str_eq_z(a->value, "3"));
    assert_int_equal(a->line, 4);
    assert_int_equal(a->earlier_line, 1);
    assert_int_equal(properties_find(&p, STR("b"))->earlier_line, 0);
    assert_null(properties_find(&p, STR("c")));
    assert_true(str_is_null(properties_get(&p, STR("c"))));
    properties_set(&p, STR("b"), STR("9"), 0);
    assert_int_equal(properties_find(&p, STR("b"))->line, 0);
    int place = 0;
    PROPERTIES_FOR_EACH(entry, &p)
    {
        const struct property *item = entry->value;
        assert_true(str_eq_z(item->key, place++ == 0 ? "a" : "b"));
    }
    assert_int_equal(place, 2);
    properties_release(&p);
}

static void many_keys(void **state)
{
    struct properties p;
    properties_init(&p);
    char key[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "k%d", i % 500);
        properties_set(&p, str_of(key), str_of(key + 1), i);
    }
    assert_int_equal(p.map.count, 500);
    assert_true(str_eq_z(properties_get(&p, STR("k499")), "499"));
    properties_release(&p);
}

static void assert_refused(struct str text, const char *message)
{
    struct properties p;
    properties_init(&p);
    assert_int_equal(properties_parse(&p, text, error), -EINVAL);
    assert_string_equal(error, message);
    assert_true(str_eq_z(properties_get(&p, STR("first")), "1"));
    properties_release(&p);
}

static void errors_name_the_line(void **state)
{
    const char *digits = "line 3: \\u must be followed by four hexadecimal digits";
    assert_refused(STR("first=1\n\na=\\u00g0"), digits);
    assert_refused(STR("first=1\n\na=\\u"), digits);
    assert_refused(STR("first=1\n\\u12"),
                   "line 2: \\u must be followed by four hexadecimal digits");
    assert_refused(STR("first=1\na=\\u0000"), "line 2: \\u0000 cannot stand in a key or a value");
    assert_refused(STR("first=1\na=b\0c"), "line 2: a zero byte cannot stand in a key or a value");
    assert_refused(STR("first=1\na=\\\nb\0"),
                   "line 3: a zero byte cannot stand in a key or a value");
}

static void assert_written(struct str key, struct str value, const char *text)
{
    struct bytebuf out;
    bytebuf_init(&out);
    properties_write(&out, key, value);
    bytebuf_append(&out, "", 1);
    assert_string_equal((char *)out.data, text);
    struct properties p;
    properties_init(&p);
    assert_int_equal(properties_parse(&p, str_of(text), error), 0);
    assert_true(str_eq(properties_get(&p, key), value));
    properties_release(&p);
    bytebuf_release(&out);
}

static void writes_what_java_writes(void **state)
{
    assert_written(STR("cluster.id"), STR("abc-_"), "cluster.id=abc-_\n");
    assert_written(STR("a b"), STR(" c d "), "a\\ b=\\ c d \n");
    assert_written(STR("a:=#!\\"), STR(":=#!\\"), "a\\:\\=\\#\\!\\\\=\\:\\=\\#\\!\\\\\n");
    assert_written(STR("t"), STR("\t\n\r\f\x01\x7f"), "t=\\t\\n\\r\\f\\u0001\\u007F\n");
    assert_written(STR("u"), STR("\xc3\xa9\xf0\x9f\x98\x80"), "u=\\u00E9\\uD83D\\uDE00\n");
    assert_written(STR("e"), STR(""), "e=\n");
}

static void bytes_that_are_no_utf8_are_replaced(void **state)
{
    struct bytebuf out;
    bytebuf_init(&out);
    properties_write(&out, STR("\xff"), STR("\xc3(\xe2\x82\xed\xa0\x80\xc0\x80\xf4\x90\x80\x80"));
    bytebuf_append(&out, "", 1);
    assert_non_null(strstr((char *)out.data, "\\uFFFD=\\uFFFD(\\uFFFD\\uFFFD\\uFFFD"));
    bytebuf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(separators_and_white_space),
        cmocka_unit_test(escapes),
        cmocka_unit_test(continued_lines),
        cmocka_unit_test(the_last_value_counts),
        cmocka_unit_test(many_keys),
        cmocka_unit_test(errors_name_the_line),
        cmocka_unit_test(writes_what_java_writes),
        cmocka_unit_test(bytes_that_are_no_utf8_are_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
