/*
 * First byte: bits 0 to 2 the codec, bit 3 whether the rest is compressed first (and must come back
 * as it was), bits 4 to 7 the limit. Second byte: how much is read at a time. A stream read piece
 * by piece and at once must give the same.
 */
#include "common/base/check.h"
#include "common/protocol/decompressor.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_both_ways(int codec, struct bytes input, size_t limit, size_t step)
{
    struct bytebuf whole, pieces;
    bytebuf_init(&whole);
    bytebuf_init(&pieces);
    int rv = compression_decompress(codec, input, limit, &whole);
    CHECK(rv == 0 || rv == -EBADMSG || rv == -EMSGSIZE || rv == -ENOTSUP);
    CHECK(whole.len <= limit);
    CHECK(rv == 0 || whole.len == 0);

    struct decompressor d;
    decompressor_init(&d);
    ssize_t n = decompressor_start(&d, codec, input, limit);
    while (n == 0 && (n = decompressor_read(&d, bytebuf_reserve(&pieces, step), step)) > 0) {
        CHECK((size_t)n <= step);
        pieces.len += (size_t)n;
        CHECK(pieces.len <= limit);
        n = 0;
        if (pieces.len > 4096)
            step = 65536;
    }
    CHECK((rv == 0) == (n == 0));
    if (rv == 0)
        CHECK(whole.len == pieces.len &&
              (whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0));
    decompressor_release(&d);
    bytebuf_release(&pieces);
    bytebuf_release(&whole);
}

static void check_round_trip(enum compression_codec codec, struct bytes input)
{
    struct bytes chunks[2] = {{input.data, input.len / 3},
                              {input.data + input.len / 3, input.len - input.len / 3}};
    struct bytebuf packed, out;
    bytebuf_init(&packed);
    bytebuf_init(&out);
    compression_compress(codec, compression_level_default(codec), chunks, 2, &packed);
    struct bytes stream = {packed.data, (int32_t)packed.len};
    CHECK(compression_decompress((int)codec, stream, (size_t)input.len, &out) == 0);
    CHECK(out.len == (size_t)input.len);
    CHECK(out.len == 0 || memcmp(out.data, input.data, out.len) == 0);
    bytebuf_release(&out);
    bytebuf_release(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    int codec = data[0] & 7;
    struct bytes input = {data + 2, (int32_t)size - 2};
    if ((data[0] & 8) != 0 && codec < COMPRESSION_CODECS)
        check_round_trip((enum compression_codec)codec, input);
    else
        check_both_ways(codec, input, (size_t)8 << (data[0] >> 4), (size_t)data[1] * 16 + 1);
    return 0;
}
