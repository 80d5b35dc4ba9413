#include "common/protocol/crc32c.h"

#include "common/base/check.h"

#include <isa-l/crc.h>

/* ISA-L takes the length as an int. */
#define STEP_BYTES ((size_t)1 << 30)

uint32_t crc32c_update(uint32_t crc, const void *data, size_t len)
{
    /* ISA-L leaves out the inversion before and after, and its argument lacks a const. */
    union {
        const void *in;
        unsigned char *out;
    } at = {data};
    crc = ~crc;
    while (len > 0) {
        size_t step = MIN(len, STEP_BYTES);
        crc = crc32_iscsi(at.out, (int)step, crc);
        at.out += step;
        len -= step;
    }
    return ~crc;
}
