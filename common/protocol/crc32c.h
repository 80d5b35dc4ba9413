/*
 * CRC32C (Castagnoli, reflected polynomial 0x82f63b78), the checksum of record batches and of
 * Kafka's producer snapshots, computed by ISA-L with the processor's CRC instructions. Plain
 * functions without state; any thread.
 *
 * The values here are finished ones, as they stand in files: crc32c("123456789") is 0xe3069283 and
 * the checksum of nothing is 0. An update continues from a finished value, so that
 * crc32c_update(crc32c(a), b) is the checksum of a followed by b.
 */
#ifndef KRAFTD_PROTOCOL_CRC32C_H
#define KRAFTD_PROTOCOL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

#define CRC32C_INITIAL 0u

uint32_t crc32c_update(uint32_t crc, const void *data, size_t len);

static inline uint32_t crc32c(const void *data, size_t len)
{
    return crc32c_update(CRC32C_INITIAL, data, len);
}

#endif
