#include "common/protocol/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* Vectors of RFC 3720, B.4, in the host's byte order. */
static void known_values(void **state)
{
    (void)state;
    uint8_t data[32];
    assert_int_equal(crc32c("", 0), 0);
    assert_int_equal(crc32c("123456789", 9), 0xe3069283);
    memset(data, 0, sizeof(data));
    assert_int_equal(crc32c(data, sizeof(data)), 0x8a9136aa);
    memset(data, 0xff, sizeof(data));
    assert_int_equal(crc32c(data, sizeof(data)), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        data[i] = (uint8_t)i;
    assert_int_equal(crc32c(data, sizeof(data)), 0x46dd794e);
    for (int i = 0; i < 32; i++)
        data[i] = (uint8_t)(31 - i);
    assert_int_equal(crc32c(data, sizeof(data)), 0x113fdb5c);
}

static uint32_t bit_by_bit(const uint8_t *data, size_t len)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static void every_length_and_split(void **state)
{
    (void)state;
    uint8_t data[300];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 131 + (i >> 3));
    for (size_t len = 0; len <= sizeof(data); len++)
        assert_int_equal(crc32c(data, len), bit_by_bit(data, len));
    uint32_t whole = crc32c(data, sizeof(data));
    for (size_t at = 0; at <= sizeof(data); at++) {
        uint32_t crc = crc32c_update(crc32c(data, at), data + at, sizeof(data) - at);
        assert_int_equal(crc, whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(every_length_and_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
