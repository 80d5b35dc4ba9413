#include "common/protocol/compression.h"

#include "common/base/check.h"
#include "common/protocol/decompressor.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <cmocka.h>

#define NO_LIMIT SIZE_MAX

static struct bytes bytes_of(const struct bytebuf *b)
{
    return (struct bytes){b->data, (int32_t)b->len};
}

/* Half text that repeats, half noise. */
static struct bytebuf sample(size_t len)
{
    struct bytebuf b;
    bytebuf_init(&b);
    uint8_t *at = bytebuf_reserve(&b, len + 1);
    uint32_t noise = 12345;
    for (size_t i = 0; i < len; i++) {
        noise = noise * 1664525 + 1013904223;
        at[i] = (i / 512) % 2 ? (uint8_t)(noise >> 24) : (uint8_t) "abcabcabd "[i % 10];
    }
    b.len = len;
    return b;
}

static struct bytebuf packed(enum compression_codec codec, int level, const struct bytebuf *data,
                             size_t chunk_bytes)
{
    struct bytes chunks[64];
    size_t count = 0;
    for (size_t at = 0; at < data->len; at += chunk_bytes) {
        assert_true(count < ARRAY_LEN(chunks));
        chunks[count++] =
            (struct bytes){data->data + at, (int32_t)MIN(chunk_bytes, data->len - at)};
    }
    struct bytebuf out;
    bytebuf_init(&out);
    compression_compress(codec, level, chunks, count, &out);
    return out;
}

static void assert_unpacks(int codec, struct bytes input, const struct bytebuf *want)
{
    struct bytebuf out;
    bytebuf_init(&out);
    assert_int_equal(compression_decompress(codec, input, want->len, &out), 0);
    assert_int_equal(out.len, want->len);
    if (want->len > 0)
        assert_memory_equal(out.data, want->data, want->len);
    bytebuf_release(&out);
}

static void names_and_levels(void **state)
{
    (void)state;
    enum compression_codec codec = COMPRESSION_NONE;
    for (int i = 0; i < COMPRESSION_CODECS; i++) {
        assert_int_equal(compression_of_name(str_of(compression_name(i)), &codec), 0);
        assert_int_equal(codec, i);
        assert_true(compression_level_ok(codec, compression_level_default(codec)));
    }
    assert_null(compression_name(5));
    assert_null(compression_name(-1));
    assert_int_equal(compression_of_name(STR("producer"), &codec), -EINVAL);
    assert_int_equal(compression_of_name(STR_NULL, &codec), -EINVAL);
    assert_int_equal(codec, COMPRESSION_ZSTD);

    static const struct {
        enum compression_codec codec;
        int level;
        bool ok;
    } levels[] = {
        {COMPRESSION_GZIP, -1, true},       {COMPRESSION_GZIP, 0, false},
        {COMPRESSION_GZIP, 1, true},        {COMPRESSION_GZIP, 9, true},
        {COMPRESSION_GZIP, 10, false},      {COMPRESSION_LZ4, 0, false},
        {COMPRESSION_LZ4, 1, true},         {COMPRESSION_LZ4, 17, true},
        {COMPRESSION_LZ4, 18, false},       {COMPRESSION_ZSTD, 22, true},
        {COMPRESSION_ZSTD, 23, false},      {COMPRESSION_ZSTD, 0, true},
        {COMPRESSION_ZSTD, -5, true},       {COMPRESSION_ZSTD, -131072, true},
        {COMPRESSION_ZSTD, -131073, false}, {COMPRESSION_SNAPPY, 1, false},
        {COMPRESSION_NONE, 0, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        assert_int_equal(compression_level_ok(levels[i].codec, levels[i].level), levels[i].ok);
}

static void every_codec_both_ways(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, 100, 32767, 32768, 32769, 65536, 200000};
    static const size_t chunks[] = {1 << 30, 32768, 10000};
    for (int codec = 0; codec < COMPRESSION_CODECS; codec++) {
        for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
            for (size_t j = 0; j < ARRAY_LEN(chunks); j++) {
                struct bytebuf data = sample(lens[i]);
                int level = compression_level_default((enum compression_codec)codec);
                struct bytebuf out = packed((enum compression_codec)codec, level, &data, chunks[j]);
                /* An empty xerial stream is only its header, and reads as nothing. */
                assert_unpacks(codec, bytes_of(&out), &data);
                if (codec != COMPRESSION_NONE && lens[i] > 1000)
                    assert_true(out.len < data.len * 3 / 4);
                bytebuf_release(&out);
                bytebuf_release(&data);
            }
        }
    }
}

static void levels_are_used(void **state)
{
    (void)state;
    struct bytebuf data = sample(200000);
    static const struct {
        enum compression_codec codec;
        int low, high;
    } pairs[] = {{COMPRESSION_GZIP, 1, 9}, {COMPRESSION_LZ4, 9, 17}, {COMPRESSION_ZSTD, -100, 19}};
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct bytebuf low = packed(pairs[i].codec, pairs[i].low, &data, 1 << 30);
        struct bytebuf high = packed(pairs[i].codec, pairs[i].high, &data, 1 << 30);
        assert_true(high.len < low.len);
        assert_unpacks(pairs[i].codec, bytes_of(&low), &data);
        assert_unpacks(pairs[i].codec, bytes_of(&high), &data);
        bytebuf_release(&low);
        bytebuf_release(&high);
    }
    for (int level = 1; level <= 17; level++) {
        struct bytebuf out = packed(COMPRESSION_LZ4, level, &data, 1 << 30);
        assert_unpacks(COMPRESSION_LZ4, bytes_of(&out), &data);
        bytebuf_release(&out);
    }
    bytebuf_release(&data);
}

/* Cut anywhere, a stream is either refused or, where its framing does not tell, shorter. */
static void every_truncation(void **state)
{
    (void)state;
    struct bytebuf data = sample(3000);
    for (int codec = 1; codec < COMPRESSION_CODECS; codec++) {
        int level = compression_level_default((enum compression_codec)codec);
        struct bytebuf in = packed((enum compression_codec)codec, level, &data, 1 << 30);
        for (size_t len = 0; len < in.len; len++) {
            uint8_t *cut = malloc(len + 1);
            memcpy(cut, in.data, len);
            struct bytebuf out;
            bytebuf_init(&out);
            bytebuf_append(&out, "keep", 4);
            int rv =
                compression_decompress(codec, (struct bytes){cut, (int32_t)len}, NO_LIMIT, &out);
            if (codec == COMPRESSION_SNAPPY && len >= 16 && len < 20)
                assert_int_equal(rv, 0); /* the header of xerial's framing alone */
            else
                assert_int_equal(rv, -EBADMSG);
            assert_int_equal(out.len, 4);
            assert_memory_equal(out.data, "keep", 4);
            bytebuf_release(&out);
            free(cut);
        }
        bytebuf_release(&in);
    }
    bytebuf_release(&data);
}

static void garbage(void **state)
{
    (void)state;
    struct bytebuf out;
    bytebuf_init(&out);
    struct bytes junk = {(const uint8_t *)"garbage!", 8};
    for (int codec = 1; codec < COMPRESSION_CODECS; codec++)
        assert_int_equal(compression_decompress(codec, junk, NO_LIMIT, &out), -EBADMSG);
    for (int codec = 5; codec < 8; codec++)
        assert_int_equal(compression_decompress(codec, junk, NO_LIMIT, &out), -ENOTSUP);
    assert_int_equal(compression_decompress(-1, junk, NO_LIMIT, &out), -ENOTSUP);
    for (int codec = 1; codec < COMPRESSION_CODECS; codec++)
        assert_int_equal(compression_decompress(codec, BYTES_NULL, NO_LIMIT, &out), -EBADMSG);
    assert_int_equal(compression_decompress(COMPRESSION_NONE, BYTES_NULL, 0, &out), 0);
    assert_int_equal(out.len, 0);
    bytebuf_release(&out);
}

/* One bit wrong: refused, or the bytes differ in length or value; never anything worse. */
static void bit_flips(void **state)
{
    (void)state;
    struct bytebuf data = sample(2000);
    for (int codec = 1; codec < COMPRESSION_CODECS; codec++) {
        int level = compression_level_default((enum compression_codec)codec);
        struct bytebuf in = packed((enum compression_codec)codec, level, &data, 1 << 30);
        int refused = 0;
        for (size_t bit = 0; bit < in.len * 8; bit++) {
            in.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            struct bytebuf out;
            bytebuf_init(&out);
            int rv = compression_decompress(codec, bytes_of(&in), 4096, &out);
            assert_true(rv == 0 || rv == -EBADMSG || rv == -EMSGSIZE);
            assert_true(out.len <= 4096);
            refused += rv != 0;
            bytebuf_release(&out);
            in.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_true(refused > 0);
        bytebuf_release(&in);
    }
    bytebuf_release(&data);
}

static void a_bomb_stops_at_its_limit(void **state)
{
    (void)state;
    struct bytebuf zeros;
    bytebuf_init(&zeros);
    size_t len = 8 << 20;
    memset(bytebuf_reserve(&zeros, len), 0, len);
    zeros.len = len;
    struct decompressor d;
    decompressor_init(&d);
    for (int codec = 1; codec < COMPRESSION_CODECS; codec++) {
        int level = compression_level_default((enum compression_codec)codec);
        struct bytebuf in = packed((enum compression_codec)codec, level, &zeros, 1 << 20);
        static const size_t limits[] = {0, 1, 1000, 65536, 100000};
        for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
            assert_int_equal(decompressor_start(&d, codec, bytes_of(&in), limits[i]), 0);
            uint8_t piece[777];
            size_t total = 0;
            ssize_t n;
            while ((n = decompressor_read(&d, piece, sizeof(piece))) > 0)
                total += (size_t)n;
            assert_int_equal(n, -EMSGSIZE);
            assert_true(total <= limits[i]);
            /* Snappy refuses a block before unpacking it, the others hand out all they may. */
            assert_true(total == limits[i] || codec == COMPRESSION_SNAPPY);
            assert_int_equal(decompressor_read(&d, piece, sizeof(piece)), -EMSGSIZE);
        }
        /* Exactly the limit is within it, for all and with the same decompressor. */
        assert_int_equal(decompressor_start(&d, codec, bytes_of(&in), len), 0);
        uint8_t piece[7777];
        size_t total = 0;
        ssize_t n;
        while ((n = decompressor_read(&d, piece, sizeof(piece))) > 0)
            total += (size_t)n;
        assert_int_equal(n, 0);
        assert_int_equal(total, len);
        assert_int_equal(decompressor_read(&d, piece, sizeof(piece)), 0);
        bytebuf_release(&in);
    }
    decompressor_release(&d);
    bytebuf_release(&zeros);
}

static void xerial_vectors(void **state)
{
    (void)state;
    struct bytebuf out, want;
    bytebuf_init(&out);
    bytebuf_init(&want);
    bytebuf_append(&want, "hello", 5);
    /* As snappy-java writes "hello". */
    static const uint8_t framed[] = {0x82, 'S', 'N', 'A',    'P', 'P', 'Y', 0,   0,
                                     0,    0,   1,   0,      0,   0,   1,   0,   0,
                                     0,    7,   5,   4 << 2, 'h', 'e', 'l', 'l', 'o'};
    struct bytes chunk = bytes_of(&want);
    compression_compress(COMPRESSION_SNAPPY, 0, &chunk, 1, &out);
    assert_int_equal(out.len, sizeof(framed));
    assert_memory_equal(out.data, framed, sizeof(framed));
    assert_unpacks(COMPRESSION_SNAPPY, bytes_of(&out), &want);
    /* The same as a raw block. */
    assert_unpacks(COMPRESSION_SNAPPY, (struct bytes){framed + 20, 7}, &want);

    /* A block whose length says one byte too many, is 0, negative or cut off. */
    struct bytebuf none;
    bytebuf_init(&none);
    static const uint8_t lengths[][4] = {{0, 0, 0, 8}, {0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        memcpy(out.data + 16, lengths[i], 4);
        assert_int_equal(
            compression_decompress(COMPRESSION_SNAPPY, bytes_of(&out), NO_LIMIT, &none), -EBADMSG);
    }
    memcpy(out.data + 16, framed + 16, 4);
    /* Two streams, one behind the other. */
    bytebuf_append(&out, framed, sizeof(framed));
    bytebuf_append(&want, "hello", 5);
    assert_unpacks(COMPRESSION_SNAPPY, bytes_of(&out), &want);
    /* Versions do not matter, nor do bytes that cannot be a block. */
    out.data[11] = 0;
    bytebuf_append(&out, "abc", 3);
    assert_unpacks(COMPRESSION_SNAPPY, bytes_of(&out), &want);
    bytebuf_append(&out, "d", 1);
    assert_int_equal(compression_decompress(COMPRESSION_SNAPPY, bytes_of(&out), NO_LIMIT, &none),
                     -EBADMSG);
    /* A few bytes that promise 2 GB: refused before any of it is allocated. */
    static const uint8_t promise[] = {0xff, 0xff, 0xff, 0xff, 0x07, 0};
    assert_int_equal(
        compression_decompress(COMPRESSION_SNAPPY, (struct bytes){promise, 6}, NO_LIMIT, &none),
        -EBADMSG);
    bytebuf_release(&none);
    bytebuf_release(&want);
    bytebuf_release(&out);
}

static void gzip_members_and_what_follows(void **state)
{
    (void)state;
    struct bytebuf data = sample(500), in = packed(COMPRESSION_GZIP, 6, &data, 1 << 30);
    bytebuf_append(&in, "\0\0\0", 3);
    assert_unpacks(COMPRESSION_GZIP, bytes_of(&in), &data);
    in.len -= 3;
    struct bytebuf again = packed(COMPRESSION_GZIP, 1, &data, 1 << 30);
    bytebuf_append(&in, again.data, again.len);
    struct bytebuf twice = sample(500);
    bytebuf_append(&twice, data.data, data.len);
    assert_unpacks(COMPRESSION_GZIP, bytes_of(&in), &twice);
    in.len--;
    struct bytebuf out;
    bytebuf_init(&out);
    /* A second member that is hardly more than its header is not taken for one. */
    struct bytes brief = {in.data, (int32_t)(in.len + 1 - again.len + 18)};
    assert_unpacks(COMPRESSION_GZIP, brief, &data);
    brief.len++;
    assert_int_equal(compression_decompress(COMPRESSION_GZIP, brief, NO_LIMIT, &out), -EBADMSG);
    assert_int_equal(compression_decompress(COMPRESSION_GZIP, bytes_of(&in), NO_LIMIT, &out),
                     -EBADMSG);
    bytebuf_release(&out);
    bytebuf_release(&twice);
    bytebuf_release(&again);
    bytebuf_release(&in);
    bytebuf_release(&data);
}

static void zstd_frames_follow_each_other(void **state)
{
    (void)state;
    struct bytebuf data = sample(500), in = packed(COMPRESSION_ZSTD, 3, &data, 1 << 30);
    struct bytebuf one = packed(COMPRESSION_ZSTD, 3, &data, 100), out;
    bytebuf_append(&in, one.data, one.len);
    struct bytebuf same = sample(500);
    bytebuf_append(&data, same.data, same.len);
    bytebuf_release(&same);
    assert_unpacks(COMPRESSION_ZSTD, bytes_of(&in), &data);
    bytebuf_append(&in, "x", 1);
    bytebuf_init(&out);
    assert_int_equal(compression_decompress(COMPRESSION_ZSTD, bytes_of(&in), NO_LIMIT, &out),
                     -EBADMSG);
    bytebuf_release(&out);
    bytebuf_release(&one);
    bytebuf_release(&in);
    bytebuf_release(&data);
}

/* The library would decode a whole frame at once where the reader's room allows, without this. */
static void a_zstd_window_has_its_limit_whatever_the_room(void **state)
{
    (void)state;
    /* A frame of 256 times "a" that asks for a window of 1 GB: descriptor, window, size, block. */
    static const uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x40, 0xa0, 0, 0, 0x03, 0x08, 0, 'a'};
    static const size_t rooms[] = {1, 255, 256, 4096};
    uint8_t out[4096];
    struct decompressor d;
    decompressor_init(&d);
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
        assert_int_equal(decompressor_start(&d, COMPRESSION_ZSTD,
                                            (struct bytes){frame, sizeof(frame)}, NO_LIMIT),
                         0);
        assert_int_equal(decompressor_read(&d, out, rooms[i]), -EBADMSG);
    }
    decompressor_release(&d);
}

static void lz4_frames_that_kafka_cannot_read(void **state)
{
    (void)state;
    struct bytebuf data = sample(100000), frame, out;
    bytebuf_init(&out);
    bytebuf_init(&frame);
    for (int linked = 0; linked < 2; linked++) {
        LZ4F_preferences_t preferences = {
            .frameInfo = {.blockMode = linked ? LZ4F_blockLinked : LZ4F_blockIndependent,
                          .blockSizeID = LZ4F_max64KB,
                          .contentChecksumFlag = LZ4F_contentChecksumEnabled,
                          .blockChecksumFlag = LZ4F_blockChecksumEnabled,
                          .contentSize = data.len}};
        size_t bound = LZ4F_compressFrameBound(data.len, &preferences);
        frame.len = LZ4F_compressFrame(bytebuf_reserve(&frame, bound), bound, data.data, data.len,
                                       &preferences);
        assert_false(LZ4F_isError(frame.len));
        if (linked)
            assert_int_equal(
                compression_decompress(COMPRESSION_LZ4, bytes_of(&frame), NO_LIMIT, &out),
                -EBADMSG);
        else
            assert_unpacks(COMPRESSION_LZ4, bytes_of(&frame), &data);
        frame.len = 0;
    }
    bytebuf_release(&out);
    bytebuf_release(&frame);
    bytebuf_release(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_levels),
        cmocka_unit_test(every_codec_both_ways),
        cmocka_unit_test(levels_are_used),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(garbage),
        cmocka_unit_test(bit_flips),
        cmocka_unit_test(a_bomb_stops_at_its_limit),
        cmocka_unit_test(xerial_vectors),
        cmocka_unit_test(gzip_members_and_what_follows),
        cmocka_unit_test(zstd_frames_follow_each_other),
        cmocka_unit_test(a_zstd_window_has_its_limit_whatever_the_room),
        cmocka_unit_test(lz4_frames_that_kafka_cannot_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
