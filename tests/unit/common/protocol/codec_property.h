/*
 * What must hold for any bytes that are given to the codec; for tests and fuzz targets. A breach
 * aborts by CHECK.
 */
#ifndef KRAFTD_TESTS_CODEC_PROPERTY_H
#define KRAFTD_TESTS_CODEC_PROPERTY_H

#include "common/base/check.h"
#include "common/protocol/codec.h"

#include <errno.h>

/*
 * Bytes of memory that a message may take for each byte of input, at most: no struct is more than
 * 24 times as large as its shortest form, and arrays lie in each other at most 4 deep, each of
 * which may claim all bytes that remain before it turns out that they do not suffice.
 */
#define MEMORY_PER_BYTE 100

/*
 * Decodes. The memory taken is in proportion to the input. What decodes, encodes; and from then on
 * nothing changes any more. Returns what message_decode returned.
 */
static inline int codec_check(const struct message_desc *desc, int16_t version, struct bytes input)
{
    struct arena arena;
    struct bytebuf first, second;
    arena_init(&arena, 0);
    bytebuf_init(&first);
    bytebuf_init(&second);
    void *msg = arena_calloc(&arena, 2, desc->body->size_bytes);
    size_t before = arena.used_bytes;
    struct bytes rest = input;
    int error = message_decode(desc, version, &rest, &arena, msg);
    CHECK(error == 0 || error == -EBADMSG || error == -EPROTONOSUPPORT);
    CHECK(arena.used_bytes - before <= MEMORY_PER_BYTE * ((size_t)input.len + 1));
    if (!error) {
        void *again = (char *)msg + desc->body->size_bytes;
        CHECK(rest.data + rest.len == input.data + input.len);
        CHECK(message_encode(desc, version, msg, &first) == 0);
        rest = (struct bytes){first.data, (int32_t)first.len};
        CHECK(message_decode(desc, version, &rest, &arena, again) == 0 && rest.len == 0);
        CHECK(message_encode(desc, version, again, &second) == 0);
        CHECK(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    } else {
        CHECK(rest.data == input.data && rest.len == input.len);
    }
    bytebuf_release(&first);
    bytebuf_release(&second);
    arena_release(&arena);
    return error;
}

#endif
