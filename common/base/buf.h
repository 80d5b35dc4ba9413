/*
 * buf: a block of bytes with a reference count, immutable once shared. Counting is atomic, so a
 * reference may be taken and dropped on any thread. bytebuf: a growing byte array of one owner,
 * which can be turned into a buf without copying.
 */
#ifndef KRAFTD_BASE_BUF_H
#define KRAFTD_BASE_BUF_H

#include "common/base/str.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    _Atomic uint32_t references;
    size_t size_bytes;
    uint8_t *data;
};

/* One reference, contents undefined. NULL when there is no memory (the size may come from a peer).
 */
struct buf *buf_try_new(size_t size_bytes);
struct buf *buf_new(size_t size_bytes);
struct buf *buf_copy(const void *data, size_t size_bytes);
struct buf *buf_ref(struct buf *buf);
/* NULL is fine. */
void buf_unref(struct buf *buf);

struct bytebuf {
    uint8_t *data;
    size_t len, capacity;
};

void bytebuf_init(struct bytebuf *b);
void bytebuf_release(struct bytebuf *b);
/* Room for `more` bytes behind len; returns where they start. Does not change len. */
uint8_t *bytebuf_reserve(struct bytebuf *b, size_t more);
void bytebuf_append(struct bytebuf *b, const void *data, size_t len);
__attribute__((format(printf, 2, 3))) void bytebuf_printf(struct bytebuf *b, const char *format,
                                                          ...);
/* Hands the bytes over as a buf with one reference and leaves b empty. */
struct buf *bytebuf_to_buf(struct bytebuf *b);

#endif
