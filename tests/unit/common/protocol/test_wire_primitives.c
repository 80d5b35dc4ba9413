#include "common/protocol/wire.h"

#include "common/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct {
    uint64_t value;
    uint8_t bytes[VARLONG_MAX_BYTES];
    int len;
} uvarints[] = {
    {0, {0}, 1},
    {1, {1}, 1},
    {127, {0x7f}, 1},
    {128, {0x80, 0x01}, 2},
    {16383, {0xff, 0x7f}, 2},
    {16384, {0x80, 0x80, 0x01}, 3},
    {INT32_MAX, {0xff, 0xff, 0xff, 0xff, 0x07}, 5},
    {UINT32_MAX, {0xff, 0xff, 0xff, 0xff, 0x0f}, 5},
    {UINT64_MAX, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 10},
};

static void uvarints_there_and_back(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(uvarints); i++) {
        uint8_t out[VARLONG_MAX_BYTES];
        assert_int_equal(uvarint_size(uvarints[i].value), uvarints[i].len);
        assert_int_equal(put_uvarint(out, uvarints[i].value), uvarints[i].len);
        assert_memory_equal(out, uvarints[i].bytes, (size_t)uvarints[i].len);
        if (uvarints[i].value > UINT32_MAX)
            continue;
        struct wire_reader r;
        reader_init(&r, (struct bytes){out, uvarints[i].len});
        assert_int_equal(reader_uvarint(&r), uvarints[i].value);
        assert_int_equal(reader_left(&r), 0);
        assert_false(r.failed);
        reader_init(&r, (struct bytes){out, uvarints[i].len - 1});
        assert_int_equal(reader_uvarint(&r), 0);
        assert_true(r.failed);
    }
}

static void signed_varints_there_and_back(void **state)
{
    static const int64_t values[] = {0,   -1,        1,         63,        -64,      64,
                                     -65, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct bytebuf out;
        struct wire_writer w;
        struct wire_reader r;
        bool small = values[i] >= INT32_MIN && values[i] <= INT32_MAX;
        bytebuf_init(&out);
        writer_init(&w, &out);
        writer_varlong(&w, values[i]);
        if (small)
            writer_varint(&w, (int32_t)values[i]);
        writer_finish(&w);
        size_t expected = (size_t)varlong_size(values[i]);
        if (small)
            expected += (size_t)varint_size((int32_t)values[i]);
        assert_int_equal(out.len, expected);
        reader_init(&r, (struct bytes){out.data, (int32_t)out.len});
        assert_true(reader_varlong(&r) == values[i]);
        if (small)
            assert_int_equal(reader_varint(&r), (int32_t)values[i]);
        assert_false(r.failed);
        assert_int_equal(reader_left(&r), 0);
        bytebuf_release(&out);
    }
}

static void zigzag_is_kafkas(void **state)
{
    assert_int_equal(zigzag32(0), 0);
    assert_int_equal(zigzag32(-1), 1);
    assert_int_equal(zigzag32(1), 2);
    assert_int_equal(zigzag32(INT32_MIN), UINT32_MAX);
    assert_true(zigzag64(INT64_MIN) == UINT64_MAX);
}

static void numbers_that_are_too_long(void **state)
{
    static const uint8_t data[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
    struct wire_reader r;
    reader_init(&r, (struct bytes){data, sizeof(data)});
    assert_int_equal(reader_uvarint(&r), 0);
    assert_true(r.failed);
    reader_init(&r, (struct bytes){data, sizeof(data)});
    assert_true(reader_varlong(&r) == 0);
    assert_true(r.failed);
}

static void numbers_are_big_endian(void **state)
{
    struct bytebuf out;
    struct wire_writer w;
    bytebuf_init(&out);
    writer_init(&w, &out);
    writer_i8(&w, -2);
    writer_i16(&w, -2);
    writer_i32(&w, 0x01020304);
    writer_i64(&w, 0x0102030405060708);
    writer_f64(&w, 1.0);
    writer_u32(&w, 0xfffefdfc);
    writer_finish(&w);
    static const uint8_t expected[] = {0xfe, 0xff, 0xfe, 1, 2, 3, 4, 1, 2, 3,    4,    5,    6,   7,
                                       8,    0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0xfd, 0xfc};
    assert_int_equal(out.len, sizeof(expected));
    assert_memory_equal(out.data, expected, sizeof(expected));
    struct wire_reader r;
    reader_init(&r, (struct bytes){out.data, (int32_t)out.len});
    assert_int_equal(reader_i8(&r), -2);
    assert_int_equal(reader_i16(&r), -2);
    assert_int_equal(reader_i32(&r), 0x01020304);
    assert_true(reader_i64(&r) == 0x0102030405060708);
    assert_true(reader_f64(&r) == 1.0);
    assert_int_equal(reader_u32(&r), 0xfffefdfc);
    assert_false(r.failed);
    bytebuf_release(&out);
}

static void failure_stays(void **state)
{
    static const uint8_t data[] = {1, 2, 3};
    struct wire_reader r;
    reader_init(&r, (struct bytes){data, sizeof(data)});
    assert_int_equal(reader_i32(&r), 0);
    assert_true(r.failed);
    assert_int_equal(reader_i8(&r), 0); /* although there was a byte */
    assert_null(reader_take(&r, 1));
    reader_init(&r, BYTES_NULL);
    assert_int_equal(reader_left(&r), 0);
    assert_false(r.failed);
    assert_int_equal(reader_i8(&r), 0);
    assert_true(r.failed);
}

static void writer_appends_and_grows(void **state)
{
    struct bytebuf out;
    struct wire_writer w;
    bytebuf_init(&out);
    bytebuf_append(&out, "head", 4);
    writer_init(&w, &out);
    for (int i = 0; i < 1000; i++)
        writer_i32(&w, i);
    assert_int_equal(writer_len(&w), 4004);
    writer_raw(&w, "tail", 4);
    writer_raw(&w, NULL, 0);
    writer_finish(&w);
    assert_int_equal(out.len, 4008);
    assert_memory_equal(out.data, "head", 4);
    assert_int_equal(get_i32(out.data + 4 + 4 * 999), 999);
    assert_memory_equal(out.data + 4004, "tail", 4);
    bytebuf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uvarints_there_and_back),  cmocka_unit_test(signed_varints_there_and_back),
        cmocka_unit_test(zigzag_is_kafkas),         cmocka_unit_test(numbers_that_are_too_long),
        cmocka_unit_test(numbers_are_big_endian),   cmocka_unit_test(failure_stays),
        cmocka_unit_test(writer_appends_and_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
