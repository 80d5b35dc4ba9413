/*
 * Primitives of Kafka's encoding: big-endian numbers, variable-length numbers, and a reader and a
 * writer (wire_writer.h) for them. Used by the codec, record batches, checkpoints and snapshots.
 *
 * uvarint: 7 bits a byte, low ones first, high bit set on all but the last byte; at most 5 bytes.
 * varint, varlong: the same of the zigzag form, at most 5 and 10 bytes.
 *
 * The reader never leaves its bytes. Once it was asked for more than there is (or met a number
 * that is too long) it has failed for good: it is at its end and every further read gives 0 or
 * NULL, so a caller may read many values and test `failed` once.
 */
#ifndef KRAFTD_PROTOCOL_WIRE_H
#define KRAFTD_PROTOCOL_WIRE_H

#include "common/base/str.h"
#include "common/base/uuid.h"
#include "common/protocol/endian.h"
#include "common/protocol/wire_writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_reader {
    const uint8_t *at, *end;
    bool failed;
};

static inline void reader_init(struct wire_reader *r, struct bytes input)
{
    r->at = input.data;
    r->end = input.len > 0 ? input.data + input.len : input.data;
    r->failed = false;
}

static inline size_t reader_left(const struct wire_reader *r)
{
    return (size_t)(r->end - r->at);
}

static inline void reader_fail(struct wire_reader *r)
{
    r->failed = true;
    r->at = r->end;
}

/* The next `len` bytes; NULL when there are fewer. */
static inline const uint8_t *reader_take(struct wire_reader *r, size_t len)
{
    if (reader_left(r) < len) {
        reader_fail(r);
        return NULL;
    }
    const uint8_t *at = r->at;
    r->at += len;
    return at;
}

#define WIRE_READER_OF(name, type, width)                                                          \
    static inline type reader_##name(struct wire_reader *r)                                        \
    {                                                                                              \
        const uint8_t *p = reader_take(r, width);                                                  \
        return p ? (type)get_##name(p) : 0;                                                        \
    }
WIRE_READER_OF(i8, int8_t, 1)
WIRE_READER_OF(i16, int16_t, 2)
WIRE_READER_OF(u16, uint16_t, 2)
WIRE_READER_OF(i32, int32_t, 4)
WIRE_READER_OF(u32, uint32_t, 4)
WIRE_READER_OF(i64, int64_t, 8)
WIRE_READER_OF(f64, double, 8)
#undef WIRE_READER_OF

/* Numbers of more than one byte; use reader_uvarint and the like. */
uint32_t reader_uvarint_slow(struct wire_reader *r);
int64_t reader_varlong(struct wire_reader *r);

/* Bits beyond the 32nd are dropped, as Kafka does. */
static inline uint32_t reader_uvarint(struct wire_reader *r)
{
    if (r->at < r->end && *r->at < 0x80)
        return *r->at++;
    return reader_uvarint_slow(r);
}

static inline int32_t reader_varint(struct wire_reader *r)
{
    uint32_t v = reader_uvarint(r);
    return (int32_t)((v >> 1) ^ (0 - (v & 1)));
}

static inline struct uuid reader_uuid(struct wire_reader *r)
{
    struct uuid uuid = UUID_ZERO;
    const uint8_t *p = reader_take(r, 16);
    if (p)
        memcpy(uuid.b, p, 16);
    return uuid;
}

#endif
