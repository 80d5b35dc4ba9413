#include "tools/deserializer.h"

#include "common/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PACKAGE "org.apache.kafka.common.serialization."

static enum deserializer find(const char *name)
{
    enum deserializer deserializer;
    assert_true(deserializer_find(str_of(name), &deserializer));
    return deserializer;
}

static void expect(const char *name, const void *data, int32_t len, const char *text)
{
    struct bytebuf out;
    struct failure failure;
    bytebuf_init(&out);
    assert_true(deserializer_append(find(name), (struct bytes){data, len}, &out, &failure));
    assert_int_equal(out.len, strlen(text));
    assert_memory_equal(out.data, text, out.len);
    bytebuf_release(&out);
}

static void expect_failure(const char *name, const void *data, int32_t len, const char *text)
{
    struct bytebuf out;
    struct failure failure;
    bytebuf_init(&out);
    assert_false(deserializer_append(find(name), (struct bytes){data, len}, &out, &failure));
    assert_string_equal(failure.text, text);
    assert_int_equal(out.len, 0);
    bytebuf_release(&out);
}

static void test_values(void **state)
{
    expect(PACKAGE "ByteArrayDeserializer", "a\xff", 2, "a\xff");
    expect(PACKAGE "StringDeserializer", "a\xff", 2, "a\xef\xbf\xbd");
    expect(PACKAGE "LongDeserializer", "ABCDEFGH", 8, "4702394921427289928");
    expect(PACKAGE "IntegerDeserializer", "\xff\xff\xff\xfe", 4, "-2");
    expect(PACKAGE "ShortDeserializer", "\x80\x00", 2, "-32768");
    expect(PACKAGE "DoubleDeserializer", "\x3f\xb9\x99\x99\x99\x99\x99\x9a", 8, "0.1");
    expect(PACKAGE "FloatDeserializer", "\x3d\xcc\xcc\xcd", 4, "0.1");
    expect(PACKAGE "FloatDeserializer", "\x7f\x7f\xff\xff", 4, "3.4028235E38");
    expect(PACKAGE "FloatDeserializer", "\x7f\xc0\x00\x00", 4, "NaN");
    expect(PACKAGE "BooleanDeserializer", "\x01", 1, "true");
    expect(PACKAGE "ByteBufferDeserializer", "", 0, "");
    expect(PACKAGE "UUIDDeserializer", "C2A0-1-22-333-123456789aB", 25,
           "0000c2a0-0001-0022-0333-0123456789ab");
}

static void test_wrong_sizes(void **state)
{
    expect_failure(PACKAGE "UUIDDeserializer", "v", 1, "Error parsing data into UUID");
    expect_failure(PACKAGE "UUIDDeserializer", "1-2-3-4-g", 9, "Error parsing data into UUID");
    expect_failure(PACKAGE "UUIDDeserializer", "1-2-3-4-5-6", 11, "Error parsing data into UUID");
    expect_failure(PACKAGE "LongDeserializer", "a", 1,
                   "Size of data received by LongDeserializer is not 8");
    expect_failure(PACKAGE "DoubleDeserializer", "", 0,
                   "Size of data received by Deserializer is not 8");
    expect_failure(PACKAGE "BooleanDeserializer", "\xff", 1,
                   "Unexpected byte received by BooleanDeserializer: -1");
    expect_failure(PACKAGE "VoidDeserializer", "", 0,
                   "Data should be null for a VoidDeserializer.");
}

static void test_unknown(void **state)
{
    static const char *const names[] = {"", "no.such.Class", "LongDeserializer", PACKAGE,
                                        PACKAGE "ListDeserializer"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        enum deserializer deserializer;
        assert_false(deserializer_find(str_of(names[i]), &deserializer));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_wrong_sizes),
                                       cmocka_unit_test(test_unknown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
