#include "common/protocol/compression.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/compression_internal.h"
#include "common/protocol/decompressor.h"
#include "common/protocol/endian.h"

#include <errno.h>
#include <limits.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

/* 15 bits of window, gzip framing. */
#define GZIP_WINDOW_BITS   (15 + 16)
#define GZIP_MEMORY_LEVEL  8
#define LZ4_LEVEL_FAST     9  /* what Kafka's default level means: the fast compressor */
#define LZ4_LEVEL_HIGH_MIN 3  /* below it the library takes the fast compressor */
#define LZ4_LEVEL_HIGH_MAX 12 /* Kafka goes up to 17, the library does not */

static const struct codec {
    const char *name;
    int level_min, level_max, level_default;
} codecs[COMPRESSION_CODECS] = {
    [COMPRESSION_NONE] = {"none", 0, 0, 0},
    [COMPRESSION_GZIP] = {"gzip", 1, 9, -1},
    [COMPRESSION_SNAPPY] = {"snappy", 0, 0, 0},
    [COMPRESSION_LZ4] = {"lz4", 1, 17, LZ4_LEVEL_FAST},
    [COMPRESSION_ZSTD] = {"zstd", -131072, 22, 3},
};

const char *compression_name(int codec)
{
    return codec >= 0 && codec < COMPRESSION_CODECS ? codecs[codec].name : NULL;
}

int compression_of_name(struct str name, enum compression_codec *ret_codec)
{
    for (int i = 0; i < COMPRESSION_CODECS; i++) {
        if (str_eq_z(name, codecs[i].name)) {
            *ret_codec = (enum compression_codec)i;
            return 0;
        }
    }
    return -EINVAL;
}

int compression_level_default(enum compression_codec codec)
{
    return codecs[codec].level_default;
}

bool compression_level_ok(enum compression_codec codec, int level)
{
    const struct codec *c = &codecs[codec];
    return level == c->level_default || (level >= c->level_min && level <= c->level_max);
}

static size_t total_bytes(const struct bytes *chunks, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += (size_t)chunks[i].len;
    return total;
}

static void none_compress(const struct bytes *chunks, size_t count, struct bytebuf *out)
{
    for (size_t i = 0; i < count; i++)
        bytebuf_append(out, chunks[i].data, (size_t)chunks[i].len);
}

/* Bytes of ours for an interface without const. */
static Bytef *without_const(const uint8_t *data)
{
    union {
        const uint8_t *in;
        Bytef *out;
    } u = {data};
    return u.out;
}

static void gzip_compress(int level, const struct bytes *chunks, size_t count, struct bytebuf *out)
{
    z_stream z = {0};
    CHECK(deflateInit2(&z, level, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL,
                       Z_DEFAULT_STRATEGY) == Z_OK);
    size_t left = deflateBound(&z, total_bytes(chunks, count));
    int rv = Z_OK;
    for (size_t i = 0; i <= count; i++) {
        bool last = i == count;
        if (!last) {
            z.next_in = without_const(chunks[i].data);
            z.avail_in = (uInt)chunks[i].len;
        }
        do {
            /* The bound is a reservation; an int of output at a time is the interface's limit. */
            size_t room = MIN(MAX(left, 64), INT_MAX);
            z.next_out = bytebuf_reserve(out, room);
            z.avail_out = (uInt)room;
            rv = deflate(&z, last ? Z_FINISH : Z_NO_FLUSH);
            size_t made = room - z.avail_out;
            out->len += made;
            left -= MIN(left, made);
        } while (z.avail_out == 0 || (last && rv == Z_OK));
    }
    CHECK(rv == Z_STREAM_END);
    deflateEnd(&z);
}

static void snappy_block(const uint8_t *data, size_t len, struct bytebuf *out)
{
    size_t size = snappy_max_compressed_length(len);
    uint8_t *at = bytebuf_reserve(out, 4 + size);
    CHECK(snappy_compress((const char *)data, len, (char *)at + 4, &size) == SNAPPY_OK);
    put_u32(at, (uint32_t)size);
    out->len += 4 + size;
}

static void xerial_compress(const struct bytes *chunks, size_t count, struct bytebuf *out)
{
    uint8_t *header = bytebuf_reserve(out, XERIAL_HEADER_SIZE);
    memcpy(header, XERIAL_MAGIC, XERIAL_MAGIC_SIZE);
    put_u32(header + XERIAL_MAGIC_SIZE, XERIAL_VERSION);
    put_u32(header + XERIAL_MAGIC_SIZE + 4, XERIAL_VERSION);
    out->len += XERIAL_HEADER_SIZE;

    /* Only a block that is made of several chunks is copied together first. */
    uint8_t *gathered = NULL;
    size_t gathered_len = 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = chunks[i].data;
        size_t left = (size_t)chunks[i].len;
        while (left > 0) {
            if (gathered_len == 0 && left >= XERIAL_BLOCK_SIZE) {
                snappy_block(at, XERIAL_BLOCK_SIZE, out);
                at += XERIAL_BLOCK_SIZE;
                left -= XERIAL_BLOCK_SIZE;
                continue;
            }
            if (gathered == NULL)
                gathered = mem_alloc(XERIAL_BLOCK_SIZE);
            size_t step = MIN(left, XERIAL_BLOCK_SIZE - gathered_len);
            memcpy(gathered + gathered_len, at, step);
            gathered_len += step;
            at += step;
            left -= step;
            if (gathered_len == XERIAL_BLOCK_SIZE) {
                snappy_block(gathered, gathered_len, out);
                gathered_len = 0;
            }
        }
    }
    if (gathered_len > 0)
        snappy_block(gathered, gathered_len, out);
    free(gathered);
}

static int lz4_library_level(int level)
{
    if (level == LZ4_LEVEL_FAST)
        return 0;
    return MIN(MAX(level, LZ4_LEVEL_HIGH_MIN), LZ4_LEVEL_HIGH_MAX);
}

static void lz4_compress(int level, const struct bytes *chunks, size_t count, struct bytebuf *out)
{
    LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = lz4_library_level(level),
    };
    LZ4F_cctx *context;
    CHECK(!LZ4F_isError(LZ4F_createCompressionContext(&context, LZ4F_VERSION)));
    uint8_t *at = bytebuf_reserve(out, LZ4F_HEADER_SIZE_MAX);
    size_t made = LZ4F_compressBegin(context, at, LZ4F_HEADER_SIZE_MAX, &preferences);
    CHECK(!LZ4F_isError(made));
    out->len += made;
    for (size_t i = 0; i <= count; i++) {
        size_t len = i < count ? (size_t)chunks[i].len : 0;
        size_t bound = LZ4F_compressBound(len, &preferences);
        at = bytebuf_reserve(out, bound);
        if (i < count)
            made = LZ4F_compressUpdate(context, at, bound, chunks[i].data, len, NULL);
        else
            made = LZ4F_compressEnd(context, at, bound, NULL);
        CHECK(!LZ4F_isError(made));
        out->len += made;
    }
    LZ4F_freeCompressionContext(context);
}

static void zstd_compress(int level, const struct bytes *chunks, size_t count, struct bytebuf *out)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    CHECK(context != NULL);
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)));
    size_t total = total_bytes(chunks, count);
    CHECK(!ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(context, total)));
    bytebuf_reserve(out, ZSTD_compressBound(total));
    for (size_t i = 0; i <= count; i++) {
        bool last = i == count;
        ZSTD_inBuffer in = {last ? NULL : chunks[i].data, last ? 0 : (size_t)chunks[i].len, 0};
        size_t left;
        do {
            uint8_t *at = bytebuf_reserve(out, 64);
            ZSTD_outBuffer to = {at, out->capacity - out->len, 0};
            left = ZSTD_compressStream2(context, &to, &in, last ? ZSTD_e_end : ZSTD_e_continue);
            CHECK(!ZSTD_isError(left));
            out->len += to.pos;
        } while (last ? left > 0 : in.pos < in.size);
    }
    ZSTD_freeCCtx(context);
}

void compression_compress(enum compression_codec codec, int level, const struct bytes *chunks,
                          size_t count, struct bytebuf *out)
{
    CHECK(compression_level_ok(codec, level));
    switch (codec) {
    case COMPRESSION_NONE:
        none_compress(chunks, count, out);
        return;
    case COMPRESSION_GZIP:
        gzip_compress(level, chunks, count, out);
        return;
    case COMPRESSION_SNAPPY:
        xerial_compress(chunks, count, out);
        return;
    case COMPRESSION_LZ4:
        lz4_compress(level, chunks, count, out);
        return;
    case COMPRESSION_ZSTD:
        zstd_compress(level, chunks, count, out);
        return;
    }
    UNREACHABLE();
}

int compression_decompress(int codec, struct bytes input, size_t max_bytes, struct bytebuf *out)
{
    size_t before = out->len;
    struct decompressor d;
    decompressor_init(&d);
    int rv = decompressor_start(&d, codec, input, max_bytes);
    while (rv == 0) {
        size_t step = MAX(out->capacity - out->len, 4096);
        ssize_t made = decompressor_read(&d, bytebuf_reserve(out, step), step);
        if (made <= 0) {
            rv = (int)made;
            break;
        }
        out->len += (size_t)made;
    }
    if (rv < 0)
        out->len = before;
    decompressor_release(&d);
    return rv;
}
