/*
 * The writer of wire.h. It appends to a bytebuf; between writer_init and writer_finish nobody else
 * may use that bytebuf.
 */
#ifndef KRAFTD_PROTOCOL_WIRE_WRITER_H
#define KRAFTD_PROTOCOL_WIRE_WRITER_H

#include "common/base/buf.h"
#include "common/protocol/endian.h"

#include <stddef.h>
#include <stdint.h>

struct wire_writer {
    uint8_t *at, *end;
    struct bytebuf *out;
};

void writer_init(struct wire_writer *w, struct bytebuf *out);
/* Puts the length back into the bytebuf. */
void writer_finish(struct wire_writer *w);
/* Makes room; use writer_room. */
void writer_grow(struct wire_writer *w, size_t more);

/* Room for `len` bytes, which count as written. */
static inline uint8_t *writer_room(struct wire_writer *w, size_t len)
{
    if ((size_t)(w->end - w->at) < len)
        writer_grow(w, len);
    uint8_t *at = w->at;
    w->at += len;
    return at;
}

static inline size_t writer_len(const struct wire_writer *w)
{
    return (size_t)(w->at - w->out->data);
}

#define WIRE_WRITER_OF(name, type, width)                                                          \
    static inline void writer_##name(struct wire_writer *w, type v)                                \
    {                                                                                              \
        put_##name(writer_room(w, width), v);                                                      \
    }
WIRE_WRITER_OF(i8, int8_t, 1)
WIRE_WRITER_OF(i16, int16_t, 2)
WIRE_WRITER_OF(u16, uint16_t, 2)
WIRE_WRITER_OF(i32, int32_t, 4)
WIRE_WRITER_OF(u32, uint32_t, 4)
WIRE_WRITER_OF(i64, int64_t, 8)
WIRE_WRITER_OF(f64, double, 8)
#undef WIRE_WRITER_OF

/* A number of more than one byte; use writer_uvarint. */
void writer_uvarint_slow(struct wire_writer *w, uint32_t v);

static inline void writer_uvarint(struct wire_writer *w, uint32_t v)
{
    if (v < 0x80)
        *writer_room(w, 1) = (uint8_t)v;
    else
        writer_uvarint_slow(w, v);
}

void writer_raw(struct wire_writer *w, const void *data, size_t len);
void writer_varint(struct wire_writer *w, int32_t v);
void writer_varlong(struct wire_writer *w, int64_t v);

#endif
