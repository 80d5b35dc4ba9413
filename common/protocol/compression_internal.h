/*
 * Xerial's framing of snappy, shared by the reading and the writing side.
 */
#ifndef KRAFTD_PROTOCOL_COMPRESSION_INTERNAL_H
#define KRAFTD_PROTOCOL_COMPRESSION_INTERNAL_H

#define XERIAL_MAGIC "\x82SNAPPY\0"
/* Magic, version, compatible version. */
#define XERIAL_MAGIC_SIZE  8
#define XERIAL_HEADER_SIZE 16
#define XERIAL_VERSION     1
/* Bytes of input per block that snappy-java writes. */
#define XERIAL_BLOCK_SIZE 32768
/* Snappy's best case is a copy of 64 bytes by 3: no block can promise more than this. */
#define SNAPPY_RATIO_MAX 22

#endif
