/*
 * Big-endian numbers and variable-length numbers at an address; no bounds are checked here (see
 * wire.h for a reader that does).
 */
#ifndef KRAFTD_PROTOCOL_ENDIAN_H
#define KRAFTD_PROTOCOL_ENDIAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define UVARINT_MAX_BYTES 5
#define VARLONG_MAX_BYTES 10

static inline int8_t get_i8(const uint8_t *p)
{
    return (int8_t)p[0];
}

static inline uint16_t get_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap16(v);
}

static inline int16_t get_i16(const uint8_t *p)
{
    return (int16_t)get_u16(p);
}

static inline uint32_t get_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap32(v);
}

static inline int32_t get_i32(const uint8_t *p)
{
    return (int32_t)get_u32(p);
}

static inline uint64_t get_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

static inline int64_t get_i64(const uint8_t *p)
{
    return (int64_t)get_u64(p);
}

static inline double get_f64(const uint8_t *p)
{
    uint64_t bits = get_u64(p);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static inline void put_i8(uint8_t *p, int8_t v)
{
    *p = (uint8_t)v;
}

static inline void put_u16(uint8_t *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(p, &v, sizeof(v));
}

static inline void put_i16(uint8_t *p, int16_t v)
{
    put_u16(p, (uint16_t)v);
}

static inline void put_u32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof(v));
}

static inline void put_i32(uint8_t *p, int32_t v)
{
    put_u32(p, (uint32_t)v);
}

static inline void put_u64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof(v));
}

static inline void put_i64(uint8_t *p, int64_t v)
{
    put_u64(p, (uint64_t)v);
}

static inline void put_f64(uint8_t *p, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    put_u64(p, bits);
}

static inline uint32_t zigzag32(int32_t v)
{
    return ((uint32_t)v << 1) ^ (uint32_t)(v >> 31);
}

static inline uint64_t zigzag64(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

/* Bytes that the number takes as a uvarint (or, up to 10 of them, as a varlong's zigzag form). */
static inline int uvarint_size(uint64_t v)
{
    return (70 - __builtin_clzll(v | 1)) / 7;
}

static inline int varint_size(int32_t v)
{
    return uvarint_size(zigzag32(v));
}

static inline int varlong_size(int64_t v)
{
    return uvarint_size(zigzag64(v));
}

/* Writes at most 10 bytes (5 for 32-bit values) and returns how many. */
static inline int put_uvarint(uint8_t *p, uint64_t v)
{
    int n = 0;
    for (; v >= 0x80; v >>= 7)
        p[n++] = (uint8_t)(v | 0x80);
    p[n++] = (uint8_t)v;
    return n;
}

#endif
