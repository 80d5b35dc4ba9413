#include "common/protocol/wire.h"

uint32_t reader_uvarint_slow(struct wire_reader *r)
{
    uint32_t value = 0;
    for (int i = 0; i < UVARINT_MAX_BYTES; i++) {
        const uint8_t *p = reader_take(r, 1);
        if (!p)
            return 0;
        value |= (uint32_t)(*p & 0x7f) << (7 * i);
        if (*p < 0x80)
            return value;
    }
    reader_fail(r);
    return 0;
}

int64_t reader_varlong(struct wire_reader *r)
{
    uint64_t value = 0;
    for (int i = 0; i < VARLONG_MAX_BYTES; i++) {
        const uint8_t *p = reader_take(r, 1);
        if (!p)
            return 0;
        value |= (uint64_t)(*p & 0x7f) << (7 * i);
        if (*p < 0x80)
            return (int64_t)((value >> 1) ^ (0 - (value & 1)));
    }
    reader_fail(r);
    return 0;
}

void writer_init(struct wire_writer *w, struct bytebuf *out)
{
    w->out = out;
    w->at = bytebuf_reserve(out, 64);
    w->end = out->data + out->capacity;
}

void writer_finish(struct wire_writer *w)
{
    w->out->len = writer_len(w);
}

void writer_grow(struct wire_writer *w, size_t more)
{
    writer_finish(w);
    w->at = bytebuf_reserve(w->out, more);
    w->end = w->out->data + w->out->capacity;
}

void writer_raw(struct wire_writer *w, const void *data, size_t len)
{
    if (len > 0)
        memcpy(writer_room(w, len), data, len);
}

static void write_uvarint64(struct wire_writer *w, uint64_t v)
{
    uint8_t *at = writer_room(w, VARLONG_MAX_BYTES);
    w->at = at + put_uvarint(at, v);
}

void writer_uvarint_slow(struct wire_writer *w, uint32_t v)
{
    write_uvarint64(w, v);
}

void writer_varint(struct wire_writer *w, int32_t v)
{
    write_uvarint64(w, zigzag32(v));
}

void writer_varlong(struct wire_writer *w, int64_t v)
{
    write_uvarint64(w, zigzag64(v));
}
