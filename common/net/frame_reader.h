/*
 * Cuts a stream of bytes into frames: int32 length (big endian, without itself) | length bytes.
 * The body is gathered in one buf of exactly its size. Owns the buf until it is taken.
 * Single-threaded, no I/O.
 */
#ifndef KRAFTD_NET_FRAME_READER_H
#define KRAFTD_NET_FRAME_READER_H

#include "common/base/buf.h"
#include "common/base/check.h"

#include <stdbool.h>

/* A body with more than this to come is worth a read of its own, straight into its buffer. */
enum { FRAME_DIRECT_MIN_BYTES = 8 * 1024 };

struct frame_reader {
    uint8_t header[4];
    int header_len;
    struct buf *body; /* NULL between frames */
    size_t body_len;
};

/* Takes bytes of the header off the front; true when it is whole. Between frames only. */
static inline bool frame_reader_take_header(struct frame_reader *r, const uint8_t **data,
                                            size_t *len)
{
    while (r->header_len < 4 && *len > 0) {
        r->header[r->header_len++] = *(*data)++;
        --*len;
    }
    return r->header_len == 4;
}

static inline int32_t frame_reader_length(const struct frame_reader *r)
{
    return (int32_t)((uint32_t)r->header[0] << 24 | (uint32_t)r->header[1] << 16 |
                     (uint32_t)r->header[2] << 8 | (uint32_t)r->header[3]);
}

/* After the header, whose length the caller has checked. False when there is no memory. */
static inline bool frame_reader_begin_body(struct frame_reader *r)
{
    r->body = buf_try_new((size_t)frame_reader_length(r));
    r->body_len = 0;
    if (r->body != NULL)
        r->header_len = 0;
    return r->body != NULL;
}

static inline size_t frame_reader_missing(const struct frame_reader *r)
{
    return r->body != NULL ? r->body->size_bytes - r->body_len : 0;
}

/* Takes bytes of the body off the front; the whole body, or NULL when more must come. */
static inline struct buf *frame_reader_take_body(struct frame_reader *r, const uint8_t **data,
                                                 size_t *len)
{
    size_t part = MIN(frame_reader_missing(r), *len);
    if (part > 0) {
        memcpy(r->body->data + r->body_len, *data, part);
        r->body_len += part;
        *data += part;
        *len -= part;
    }
    if (frame_reader_missing(r) > 0)
        return NULL;
    struct buf *body = r->body;
    r->body = NULL;
    return body;
}

/* Where to read: the rest of a long body, or else the given room. */
static inline void *frame_reader_room(struct frame_reader *r, void *room, size_t room_len,
                                      size_t *ret_len)
{
    size_t missing = frame_reader_missing(r);
    bool direct = missing >= FRAME_DIRECT_MIN_BYTES;
    *ret_len = direct ? missing : room_len;
    return direct ? r->body->data + r->body_len : room;
}

/* After len bytes were read into frame_reader_room: how many of them are in the room still. */
static inline size_t frame_reader_read(struct frame_reader *r, size_t len)
{
    if (frame_reader_missing(r) < FRAME_DIRECT_MIN_BYTES)
        return len;
    r->body_len += len;
    return 0;
}

static inline void frame_reader_release(struct frame_reader *r)
{
    buf_unref(r->body);
    *r = (struct frame_reader){.body = NULL};
}

#endif
