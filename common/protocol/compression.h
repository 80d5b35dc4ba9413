/*
 * The codecs of record batches, through their libraries. What stands in a batch is the whole of its
 * records as one stream:
 *
 *   1 gzip    RFC 1952; members may follow each other, bytes behind them that start no other
 *             member are ignored
 *   2 snappy  the framing of xerial's snappy-java: 82 'S' 'N' 'A' 'P' 'P' 'Y' 00, int32 version,
 *             int32 compatible version, then blocks, each int32 length (big-endian) and raw
 *             snappy; the versions are not looked at, up to three bytes at the end are ignored.
 *             Without that header all is one raw snappy block. Both are read, the framing is
 *             written
 *   3 lz4     one frame of format 1.5.1 with independent blocks: Kafka's readers refuse linked
 *             ones, so a batch that has them could be stored but never consumed. Bytes behind the
 *             frame are ignored
 *   4 zstd    RFC 8878 frames, one behind the other, with windows up to 128 MB
 *
 * What is read is what Apache Kafka reads (tried out), except that a wrong checksum of an lz4
 * frame's content is refused.
 *
 * Pure functions; any thread. Decompression piece by piece: decompressor.h.
 */
#ifndef KRAFTD_PROTOCOL_COMPRESSION_H
#define KRAFTD_PROTOCOL_COMPRESSION_H

#include "common/base/buf.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum compression_codec {
    COMPRESSION_NONE = 0,
    COMPRESSION_GZIP = 1,
    COMPRESSION_SNAPPY = 2,
    COMPRESSION_LZ4 = 3,
    COMPRESSION_ZSTD = 4,
};
#define COMPRESSION_CODECS 5

/* Kafka's name of a codec ("none", "gzip", ...), or NULL for an id that is none. */
const char *compression_name(int codec);
/* Codec of a name; -EINVAL when there is none. */
int compression_of_name(struct str name, enum compression_codec *ret_codec);

/*
 * Levels as compression.gzip.level (1 to 9, or -1), compression.lz4.level (1 to 17) and
 * compression.zstd.level (-131072 to 22) take them; the defaults are -1, 9 and 3. none and snappy
 * know level 0 only.
 */
int compression_level_default(enum compression_codec codec);
bool compression_level_ok(enum compression_codec codec, int level);

/*
 * Appends the chunks, one behind the other, to out as one stream. The level must be ok. There is no
 * error: a library that fails to compress what lies in memory is a fault of this program.
 */
void compression_compress(enum compression_codec codec, int level, const struct bytes *chunks,
                          size_t count, struct bytebuf *out);
/* Appends all of a stream to out, at most max_bytes. Errors as in decompressor.h; out is then as
 * before. */
int compression_decompress(int codec, struct bytes input, size_t max_bytes, struct bytebuf *out);

#endif
