/*
 * Takes a compressed stream (compression.h) apart piece by piece, so that a small input which
 * stands for a huge output costs no more than its limit: what a decompressor holds is the library's
 * window and, for snappy, one block.
 *
 * It can be started again for another stream and keeps its contexts of the libraries; one per loop
 * or thread is enough. Owned by its user; not thread-safe.
 * Errors: -EBADMSG for bytes that are not of the codec or end too early, -EMSGSIZE where the stream
 * goes on beyond its limit, -ENOTSUP for an unknown codec, -ENOMEM. They stay until the next start.
 */
#ifndef KRAFTD_PROTOCOL_DECOMPRESSOR_H
#define KRAFTD_PROTOCOL_DECOMPRESSOR_H

#include "common/protocol/compression.h"

#include <sys/types.h>

struct decompressor {
    enum compression_codec codec;
    struct bytes rest;   /* input that was not taken yet; not owned */
    size_t budget_bytes; /* what may still come out */
    int error;
    bool ended;
    bool framed;       /* snappy: behind the framing's header */
    bool lz4_large;    /* lz4's context has buffers for large blocks */
    bool frame_begins; /* zstd: the next byte is a frame's first */
    /* Contexts of the libraries, made on first use. */
    void *gzip, *lz4, *zstd;
    /* Snappy: the block that is being handed out. */
    uint8_t *block;
    size_t block_capacity, block_len, block_at;
};

void decompressor_init(struct decompressor *d);
void decompressor_release(struct decompressor *d);
/*
 * Begins a stream of which at most max_bytes may come out. The input must stay in place until the
 * stream has been read. COMPRESSION_NONE copies.
 */
int decompressor_start(struct decompressor *d, int codec, struct bytes input, size_t max_bytes);
/* Up to len (at least 1) bytes of the stream: how many there are now, 0 at the end, or an error. */
ssize_t decompressor_read(struct decompressor *d, void *data, size_t len);

#endif
