/*
 * Recorded exchanges, damaged: cut at every byte, with huge and negative numbers at every byte,
 * with flipped bits. Nothing may be read beyond the input (each piece is an allocation of its own,
 * so that the sanitizer sees it), and memory stays in proportion to the input.
 */
#include "tests/unit/common/protocol/capture.h"
#include "tests/unit/common/protocol/codec_property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Of a long frame only some places are tried, so that the time is in proportion to its length. */
#define PLACES_MAX 600

static int check_copy(const struct capture *c, const uint8_t *data, int32_t len)
{
    uint8_t *copy = mem_alloc((size_t)MAX(len, 1));
    memcpy(copy, data, (size_t)len);
    int error = codec_check(c->desc, c->version, (struct bytes){copy, len});
    free(copy);
    return error;
}

static int32_t step_of(int32_t len)
{
    return MAX(len / PLACES_MAX, 1);
}

static void check_cuts(const struct capture *c, struct bytes body)
{
    int32_t len = body.len - c->extra_bytes;
    for (int32_t cut = 0; cut < len; cut += step_of(len)) {
        if (check_copy(c, body.data, cut) != -EBADMSG)
            fail_msg("%s: %d of %d bytes are taken for a whole", c->file, cut, len);
    }
    assert_int_equal(check_copy(c, body.data, body.len), 0);
}

static void check_numbers(const struct capture *c, struct bytes body)
{
    static const struct {
        uint8_t bytes[5];
        int32_t len;
    } numbers[] = {
        {{0x7f, 0xff, 0xff, 0xff}, 4},       /* the largest count */
        {{0x80, 0x00, 0x00, 0x00}, 4},       /* the smallest */
        {{0xff, 0xff, 0xff, 0xfe}, 4},       /* -2 */
        {{0x7f, 0xff}, 2},                   /* the longest string */
        {{0x80, 0x00}, 2},                   /* the smallest length of one */
        {{0xff, 0xff, 0xff, 0xff, 0x07}, 5}, /* uvarints: 2^31 - 1, */
        {{0x80, 0x80, 0x80, 0x80, 0x08}, 5}, /* 2^31, */
        {{0xff, 0xff, 0xff, 0xff, 0x0f}, 5}, /* 2^32 - 1, */
        {{0xff, 0xff, 0xff, 0xff, 0xff}, 5}, /* too long */
    };
    uint8_t *copy = mem_alloc((size_t)body.len + 1);
    for (int32_t at = 0; at < body.len; at += step_of(body.len)) {
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
            memcpy(copy, body.data, (size_t)body.len);
            memcpy(copy + at, numbers[i].bytes, (size_t)MIN(numbers[i].len, body.len - at));
            check_copy(c, copy, body.len);
        }
    }
    free(copy);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void check_bit_flips(const struct capture *c, struct bytes body, uint64_t *random)
{
    uint8_t *copy = mem_alloc((size_t)body.len + 1);
    for (int round = 0; round < 50 && body.len > 0; round++) {
        memcpy(copy, body.data, (size_t)body.len);
        int flips = 1 + (int)(next_random(random) % 4);
        for (int i = 0; i < flips; i++)
            copy[next_random(random) % (uint64_t)body.len] ^= 1 << next_random(random) % 8;
        check_copy(c, copy, body.len);
    }
    free(copy);
}

static void check_damage(const struct capture *c, uint64_t *random)
{
    struct arena arena;
    struct bytes body = c->frame;
    arena_init(&arena, 0);
    void *header = arena_calloc(&arena, 1, c->header_desc->body->size_bytes);
    assert_int_equal(message_decode(c->header_desc, c->header_version, &body, &arena, header), 0);
    check_cuts(c, body);
    check_numbers(c, body);
    check_bit_flips(c, body, random);
    arena_release(&arena);
}

static void damaged_exchanges(void **state)
{
    struct captures all;
    struct capture capture;
    uint64_t random = 20240917;
    int count = 0;
    assert_true(captures_open(&all, TEST_DATA "/wire"));
    while (captures_next(&all, &capture)) {
        check_damage(&capture, &random);
        free((void *)(uintptr_t)capture.frame.data);
        count++;
    }
    captures_close(&all);
    assert_true(count > 500);
}

/* Every message in every version, from bytes that mean nothing. */
static void noise(void **state)
{
    uint64_t random = 7;
    uint8_t data[64];
    for (int16_t key = 0; key < api_table_size; key++) {
        const struct api *api = api_find(key);
        if (!api)
            continue;
        for (int16_t v = api->request->min_version; v <= api->request->max_version; v++) {
            for (int round = 0; round < 100; round++) {
                /* Mostly small numbers: otherwise the first length would end it. */
                for (size_t i = 0; i < sizeof(data); i++)
                    data[i] = (uint8_t)(next_random(&random) % (round % 3 ? 4 : 256));
                struct capture c = {.desc = api->request, .version = v};
                check_copy(&c, data, sizeof(data));
                c.desc = api->response;
                check_copy(&c, data, sizeof(data));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_exchanges),
        cmocka_unit_test(noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
