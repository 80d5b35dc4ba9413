#include "common/protocol/decompressor.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/compression_internal.h"
#include "common/protocol/endian.h"

#include <errno.h>
#include <limits.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

/* A context or block above this is given back after the stream that needed it. */
#define KEEP_BYTES_MAX ((size_t)4 << 20)

static void take(struct decompressor *d, size_t len)
{
    d->rest.data += len;
    d->rest.len -= (int32_t)len;
}

static void block_drop(struct decompressor *d)
{
    free(d->block);
    d->block = NULL;
    d->block_capacity = 0;
}

static void gzip_free(struct decompressor *d)
{
    if (d->gzip == NULL)
        return;
    inflateEnd(d->gzip);
    free(d->gzip);
    d->gzip = NULL;
}

void decompressor_init(struct decompressor *d)
{
    *d = (struct decompressor){.error = -EINVAL};
}

void decompressor_release(struct decompressor *d)
{
    gzip_free(d);
    LZ4F_freeDecompressionContext(d->lz4);
    ZSTD_freeDCtx(d->zstd);
    block_drop(d);
    decompressor_init(d);
}

static int gzip_start(struct decompressor *d)
{
    if (d->gzip != NULL)
        return inflateReset(d->gzip) == Z_OK ? 0 : -EBADMSG;
    z_stream *z = mem_calloc(1, sizeof(*z));
    if (inflateInit2(z, 15 + 16) != Z_OK) {
        free(z);
        return -ENOMEM;
    }
    d->gzip = z;
    return 0;
}

/* Fewer bytes than this behind a member are no other member to Java, whatever they are. */
#define GZIP_MEMBER_MIN 19

static bool gzip_member_follows(struct bytes rest)
{
    return rest.len >= GZIP_MEMBER_MIN && rest.data[0] == 0x1f && rest.data[1] == 0x8b;
}

static ssize_t gzip_read(struct decompressor *d, uint8_t *data, size_t len)
{
    z_stream *z = d->gzip;
    for (;;) {
        union {
            const uint8_t *in;
            Bytef *out;
        } from = {d->rest.data};
        z->next_in = from.out;
        z->avail_in = (uInt)d->rest.len;
        z->next_out = data;
        z->avail_out = (uInt)MIN(len, INT_MAX);
        int rv = inflate(z, Z_NO_FLUSH);
        size_t made = MIN(len, INT_MAX) - z->avail_out;
        take(d, (size_t)d->rest.len - z->avail_in);
        if (rv == Z_MEM_ERROR)
            return -ENOMEM;
        if (rv == Z_STREAM_END) {
            if (gzip_member_follows(d->rest))
                inflateReset(z);
            else
                d->ended = true;
        } else if (rv != Z_OK) {
            return -EBADMSG;
        }
        if (made > 0 || d->ended)
            return (ssize_t)made;
        if (d->rest.len == 0)
            return -EBADMSG;
    }
}

static int lz4_start(struct decompressor *d)
{
    if (d->lz4_large) {
        LZ4F_freeDecompressionContext(d->lz4);
        d->lz4 = NULL;
        d->lz4_large = false;
    }
    LZ4F_dctx *context = d->lz4;
    if (context == NULL) {
        if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
            return -ENOMEM;
        d->lz4 = context;
    }
    LZ4F_resetDecompressionContext(context);
    LZ4F_frameInfo_t info;
    size_t size = (size_t)d->rest.len;
    if (LZ4F_isError(LZ4F_getFrameInfo(context, &info, d->rest.data, &size)))
        return -EBADMSG;
    take(d, size);
    d->lz4_large = info.blockSizeID > LZ4F_max256KB;
    /* What Kafka's own readers do not take. */
    if (info.frameType != LZ4F_frame || info.blockMode != LZ4F_blockIndependent || info.dictID != 0)
        return -EBADMSG;
    return 0;
}

static ssize_t lz4_read(struct decompressor *d, uint8_t *data, size_t len)
{
    for (;;) {
        size_t made = len, taken = (size_t)d->rest.len;
        size_t hint = LZ4F_decompress(d->lz4, data, &made, d->rest.data, &taken, NULL);
        if (LZ4F_isError(hint))
            return -EBADMSG;
        take(d, taken);
        if (hint == 0)
            d->ended = true;
        if (made > 0 || d->ended)
            return (ssize_t)made;
        if (taken == 0)
            return -EBADMSG;
    }
}

static int zstd_start(struct decompressor *d)
{
    if (d->zstd != NULL && ZSTD_sizeof_DCtx(d->zstd) > KEEP_BYTES_MAX) {
        ZSTD_freeDCtx(d->zstd);
        d->zstd = NULL;
    }
    if (d->zstd == NULL)
        d->zstd = ZSTD_createDCtx();
    if (d->zstd == NULL)
        return -ENOMEM;
    /* The window stays at the library's limit of 128 MB, which level 22 needs; its pages are
     * touched only as far as output reaches, which the budget limits. */
    ZSTD_DCtx_reset(d->zstd, ZSTD_reset_session_only);
    d->frame_begins = true;
    return d->rest.len > 0 ? 0 : -EBADMSG;
}

static ssize_t zstd_read(struct decompressor *d, uint8_t *data, size_t len)
{
    for (;;) {
        ZSTD_outBuffer out = {data, len, 0};
        /* A frame that is there whole and fits in the room is decoded at once by the library,
         * without the limit on its window: the first byte alone keeps to one way, so that what is
         * taken does not depend on the reader's room. */
        size_t given = d->frame_begins ? (size_t)MIN(d->rest.len, 1) : (size_t)d->rest.len;
        ZSTD_inBuffer in = {d->rest.data, given, 0};
        size_t rv = ZSTD_decompressStream(d->zstd, &out, &in);
        if (ZSTD_isError(rv))
            return -EBADMSG;
        take(d, in.pos);
        d->frame_begins = rv == 0;
        if (rv == 0 && d->rest.len == 0)
            d->ended = true;
        if (out.pos > 0 || d->ended)
            return (ssize_t)out.pos;
        if (d->rest.len == 0)
            return -EBADMSG;
    }
}

/* Unpacks one raw block into d->block. */
static int snappy_block(struct decompressor *d, struct bytes raw)
{
    const char *from = (const char *)raw.data;
    size_t size = 0;
    if (raw.len <= 0 || snappy_uncompressed_length(from, (size_t)raw.len, &size) != SNAPPY_OK ||
        size > (size_t)raw.len * SNAPPY_RATIO_MAX)
        return -EBADMSG;
    if (size > d->budget_bytes)
        return -EMSGSIZE;
    if (size > d->block_capacity) {
        block_drop(d);
        d->block = mem_try_alloc(size);
        if (d->block == NULL)
            return -ENOMEM;
        d->block_capacity = size;
    }
    d->block_at = 0;
    d->block_len = size;
    if (size == 0)
        return snappy_validate_compressed_buffer(from, (size_t)raw.len) == SNAPPY_OK ? 0 : -EBADMSG;
    if (snappy_uncompress(from, (size_t)raw.len, (char *)d->block, &size) != SNAPPY_OK)
        return -EBADMSG;
    return 0;
}

static bool xerial_header_follows(struct bytes rest)
{
    return rest.len >= XERIAL_HEADER_SIZE &&
           memcmp(rest.data, XERIAL_MAGIC, XERIAL_MAGIC_SIZE) == 0;
}

static int snappy_start(struct decompressor *d)
{
    d->block_at = d->block_len = 0;
    if (d->block_capacity > KEEP_BYTES_MAX)
        block_drop(d);
    d->framed = xerial_header_follows(d->rest);
    return d->rest.len > 0 ? 0 : -EBADMSG;
}

static ssize_t snappy_read(struct decompressor *d, uint8_t *data, size_t len)
{
    while (d->block_at == d->block_len) {
        /* Streams may follow each other, each with a header. */
        while (d->framed && xerial_header_follows(d->rest))
            take(d, XERIAL_HEADER_SIZE);
        /* What cannot hold a block's length any more is ignored, as snappy-java does. */
        if (d->rest.len < (d->framed ? 4 : 1)) {
            d->ended = true;
            return 0;
        }
        struct bytes raw = d->rest;
        if (d->framed) {
            raw = (struct bytes){d->rest.data + 4, get_i32(d->rest.data)};
            take(d, 4);
            if (raw.len <= 0 || raw.len > d->rest.len)
                return -EBADMSG;
        }
        int rv = snappy_block(d, raw);
        if (rv < 0)
            return rv;
        take(d, (size_t)raw.len);
    }
    size_t step = MIN(len, d->block_len - d->block_at);
    memcpy(data, d->block + d->block_at, step);
    d->block_at += step;
    return (ssize_t)step;
}

static ssize_t none_read(struct decompressor *d, uint8_t *data, size_t len)
{
    size_t step = MIN(len, (size_t)d->rest.len);
    if (step > 0)
        memcpy(data, d->rest.data, step);
    take(d, step);
    d->ended = step == 0;
    return (ssize_t)step;
}

int decompressor_start(struct decompressor *d, int codec, struct bytes input, size_t max_bytes)
{
    d->codec = (enum compression_codec)codec;
    d->rest = input.len > 0 ? input : (struct bytes){(const uint8_t *)"", 0};
    d->budget_bytes = max_bytes;
    d->ended = false;
    switch (codec) {
    case COMPRESSION_NONE:
        d->error = 0;
        break;
    case COMPRESSION_GZIP:
        d->error = gzip_start(d);
        break;
    case COMPRESSION_SNAPPY:
        d->error = snappy_start(d);
        break;
    case COMPRESSION_LZ4:
        d->error = lz4_start(d);
        break;
    case COMPRESSION_ZSTD:
        d->error = zstd_start(d);
        break;
    default:
        d->error = -ENOTSUP;
    }
    return d->error;
}

static ssize_t codec_read(struct decompressor *d, uint8_t *data, size_t len)
{
    switch (d->codec) {
    case COMPRESSION_NONE:
        return none_read(d, data, len);
    case COMPRESSION_GZIP:
        return gzip_read(d, data, len);
    case COMPRESSION_SNAPPY:
        return snappy_read(d, data, len);
    case COMPRESSION_LZ4:
        return lz4_read(d, data, len);
    case COMPRESSION_ZSTD:
        return zstd_read(d, data, len);
    }
    UNREACHABLE();
}

ssize_t decompressor_read(struct decompressor *d, void *data, size_t len)
{
    CHECK(len > 0);
    if (d->error < 0)
        return d->error;
    if (d->ended)
        return 0;
    /* Whether a stream ends just at its limit shows only by asking for one byte more. */
    uint8_t beyond;
    ssize_t made = d->budget_bytes > 0 ? codec_read(d, data, MIN(len, d->budget_bytes))
                                       : codec_read(d, &beyond, 1);
    if (made > 0 && d->budget_bytes == 0)
        made = -EMSGSIZE;
    if (made < 0) {
        d->error = (int)made;
        return made;
    }
    d->budget_bytes -= (size_t)made;
    return made;
}
