#include "common/base/buf.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct buf *buf_try_new(size_t size_bytes)
{
    if (size_bytes > SIZE_MAX / 2)
        return NULL;
    struct buf *buf = mem_try_alloc(sizeof(*buf) + size_bytes);
    if (buf == NULL)
        return NULL;
    atomic_init(&buf->references, 1);
    buf->size_bytes = size_bytes;
    buf->data = (uint8_t *)(buf + 1);
    return buf;
}

struct buf *buf_new(size_t size_bytes)
{
    struct buf *buf = buf_try_new(size_bytes);
    CHECK(buf != NULL);
    return buf;
}

struct buf *buf_copy(const void *data, size_t size_bytes)
{
    struct buf *buf = buf_new(size_bytes);
    if (size_bytes > 0)
        memcpy(buf->data, data, size_bytes);
    return buf;
}

struct buf *buf_ref(struct buf *buf)
{
    atomic_fetch_add_explicit(&buf->references, 1, memory_order_relaxed);
    return buf;
}

void buf_unref(struct buf *buf)
{
    if (buf == NULL)
        return;
    uint32_t before = atomic_fetch_sub_explicit(&buf->references, 1, memory_order_acq_rel);
    CHECK(before > 0);
    if (before > 1)
        return;
    if (buf->data != (uint8_t *)(buf + 1))
        free(buf->data);
    free(buf);
}

void bytebuf_init(struct bytebuf *b)
{
    *b = (struct bytebuf){0};
}

void bytebuf_release(struct bytebuf *b)
{
    free(b->data);
    bytebuf_init(b);
}

uint8_t *bytebuf_reserve(struct bytebuf *b, size_t more)
{
    if (b->capacity - b->len < more) {
        size_t wanted = MAX(b->capacity * 2, b->len + more);
        wanted = MAX(wanted, 128);
        b->data = mem_realloc(b->data, wanted);
        b->capacity = wanted;
    }
    return b->data + b->len;
}

void bytebuf_append(struct bytebuf *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    memcpy(bytebuf_reserve(b, len), data, len);
    b->len += len;
}

void bytebuf_printf(struct bytebuf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(len >= 0);
    uint8_t *at = bytebuf_reserve(b, (size_t)len + 1);
    vsnprintf((char *)at, (size_t)len + 1, format, again);
    va_end(again);
    b->len += (size_t)len;
}

struct buf *bytebuf_to_buf(struct bytebuf *b)
{
    struct buf *buf = mem_alloc(sizeof(*buf));
    atomic_init(&buf->references, 1);
    buf->size_bytes = b->len;
    buf->data = b->data;
    if (b->data == NULL)
        buf->data = (uint8_t *)mem_alloc(1);
    bytebuf_init(b);
    return buf;
}
