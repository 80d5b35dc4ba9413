/* Recorded exchanges decode to the recorded fields and encode to the same bytes. */
#include "tests/unit/common/protocol/capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void check_capture(const struct capture *c, struct arena *arena)
{
    struct bytebuf out;
    bytebuf_init(&out);
    struct bytes rest = c->frame;
    void *header = arena_calloc(arena, 1, c->header_desc->body->size_bytes);
    void *body = arena_calloc(arena, 1, c->desc->body->size_bytes);
    int error = message_decode(c->header_desc, c->header_version, &rest, arena, header);
    if (!error)
        error = message_decode(c->desc, c->version, &rest, arena, body);
    if (error || rest.len != c->extra_bytes)
        fail_msg("%s: error %d, %d bytes left", c->file, error, rest.len);
    error = message_encode(c->header_desc, c->header_version, header, &out);
    if (!error)
        error = message_encode(c->desc, c->version, body, &out);
    size_t expected = (size_t)(c->frame.len - c->extra_bytes);
    if (error || out.len != expected || memcmp(out.data, c->frame.data, expected) != 0)
        fail_msg("%s: error %d, %zu bytes for %zu", c->file, error, out.len, expected);
    bytebuf_release(&out);
}

static int check_folder(const char *folder)
{
    struct captures all;
    struct capture capture;
    struct arena arena;
    int count = 0;
    if (!captures_open(&all, folder))
        return 0;
    arena_init(&arena, 1 << 20);
    while (captures_next(&all, &capture)) {
        check_capture(&capture, &arena);
        arena_reset(&arena);
        free((void *)(uintptr_t)capture.frame.data);
        count++;
    }
    arena_release(&arena);
    captures_close(&all);
    return count;
}

static void every_recorded_exchange(void **state)
{
    int count = check_folder(SHARED_DATA "/kafka-data/wire");
    if (count == 0)
        skip();
    assert_int_equal(count, 1620);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recorded_exchange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
