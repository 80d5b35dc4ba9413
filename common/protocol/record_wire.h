/*
 * Big-endian integers and the zigzag varints of records: least significant seven bits first, the
 * top bit set on all bytes but the last, at most five bytes for 32 bits and ten for 64; bits beyond
 * the type's width are refused, so that a value that was read has exactly that meaning everywhere.
 * No function reads beyond `end`. Any thread.
 */
#ifndef KRAFTD_PROTOCOL_RECORD_WIRE_H
#define KRAFTD_PROTOCOL_RECORD_WIRE_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RECORD_VARINT_MAX  5
#define RECORD_VARLONG_MAX 10

static inline int16_t record_load_i16(const uint8_t *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof(v));
    return (int16_t)be16toh(v);
}

static inline uint32_t record_load_u32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof(v));
    return be32toh(v);
}

static inline int32_t record_load_i32(const uint8_t *at)
{
    return (int32_t)record_load_u32(at);
}

static inline int64_t record_load_i64(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof(v));
    return (int64_t)be64toh(v);
}

static inline void record_store_i16(uint8_t *at, int16_t value)
{
    uint16_t v = htobe16((uint16_t)value);
    memcpy(at, &v, sizeof(v));
}

static inline void record_store_u32(uint8_t *at, uint32_t value)
{
    uint32_t v = htobe32(value);
    memcpy(at, &v, sizeof(v));
}

static inline void record_store_i32(uint8_t *at, int32_t value)
{
    record_store_u32(at, (uint32_t)value);
}

static inline void record_store_i64(uint8_t *at, int64_t value)
{
    uint64_t v = htobe64((uint64_t)value);
    memcpy(at, &v, sizeof(v));
}

static inline uint64_t record_zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int64_t record_unzigzag(uint64_t value)
{
    return (int64_t)((value >> 1) ^ (0 - (value & 1)));
}

/* Bytes that the value takes as a varint; the same for both widths. */
static inline size_t record_varint_size(int64_t value)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(record_zigzag(value) | 1);
    return (bits + 6) / 7;
}

static inline uint8_t *record_varint_store(uint8_t *at, int64_t value)
{
    uint64_t v = record_zigzag(value);
    while (v >= 0x80) {
        *at++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *at++ = (uint8_t)v;
    return at;
}

/* Where the varint ends, or NULL when it is cut off or too long for `bits` bits. */
static inline const uint8_t *record_varint_load_bits(const uint8_t *at, const uint8_t *end,
                                                     unsigned bits, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < bits && at < end; shift += 7) {
        uint64_t b = *at++;
        if (shift + 7 > bits && (b & 0x7f) >> (bits - shift) != 0)
            return NULL;
        value |= (b & 0x7f) << shift;
        if (b < 0x80) {
            *ret_value = value;
            return at;
        }
    }
    return NULL;
}

static inline const uint8_t *record_varint_load(const uint8_t *at, const uint8_t *end,
                                                int32_t *ret_value)
{
    uint64_t v;
    if (at < end && *at < 0x80) {
        *ret_value = (int32_t)record_unzigzag(*at);
        return at + 1;
    }
    at = record_varint_load_bits(at, end, 32, &v);
    if (at != NULL)
        *ret_value = (int32_t)record_unzigzag(v);
    return at;
}

static inline const uint8_t *record_varlong_load(const uint8_t *at, const uint8_t *end,
                                                 int64_t *ret_value)
{
    uint64_t v;
    at = record_varint_load_bits(at, end, 64, &v);
    if (at != NULL)
        *ret_value = record_unzigzag(v);
    return at;
}

#endif
