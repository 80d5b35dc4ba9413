#include "tools/java_order.h"

#include "common/base/mem.h"

#include <stdlib.h>

/* One character of UTF-8; anything malformed counts as itself. */
static uint32_t next_char(struct str s, int32_t *at)
{
    const uint8_t *p = (const uint8_t *)s.data + *at;
    int32_t left = s.len - *at, len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t c = len == 1 ? p[0] : p[0] & (0xffU >> (len + 1));
    if (p[0] >= 0x80 && (p[0] < 0xc0 || len > left))
        len = 1;
    for (int32_t i = 1; i < len; i++)
        c = c << 6 | (p[i] & 0x3f);
    *at += len;
    return c;
}

int32_t java_string_hash(struct str s)
{
    uint32_t hash = 0;
    for (int32_t at = 0; at < s.len;) {
        uint32_t c = next_char(s, &at);
        if (c >= 0x10000) {
            hash = hash * 31 + 0xd800 + ((c - 0x10000) >> 10);
            c = 0xdc00 + (c & 0x3ff);
        }
        hash = hash * 31 + c;
    }
    return (int32_t)hash;
}

int32_t java_partition_hash(struct str topic, int32_t partition)
{
    return (int32_t)(31 * (31 + (uint32_t)partition) + (uint32_t)java_string_hash(topic));
}

/* A table has a power of two of buckets and doubles above three quarters. */
static size_t bucket_count(size_t count, size_t expected)
{
    size_t buckets = 1;
    while (buckets < expected)
        buckets *= 2;
    if (expected == 0)
        buckets = 16;
    while (count > buckets * 3 / 4)
        buckets *= 2;
    return buckets;
}

struct placed {
    size_t bucket, place;
};

static int compare_placed(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->bucket != y->bucket)
        return x->bucket < y->bucket ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

void java_map_order_of_hashes(const int32_t *hashes, size_t count, size_t expected,
                              size_t *ret_order)
{
    size_t mask = bucket_count(count, expected) - 1;
    struct placed *all = mem_calloc(count + 1, sizeof(*all));
    for (size_t i = 0; i < count; i++) {
        uint32_t hash = (uint32_t)hashes[i];
        all[i] = (struct placed){(hash ^ hash >> 16) & mask, i};
    }
    qsort(all, count, sizeof(*all), compare_placed);
    for (size_t i = 0; i < count; i++)
        ret_order[i] = all[i].place;
    free(all);
}

void java_map_order(const struct str *keys, size_t count, size_t expected, size_t *ret_order)
{
    int32_t *hashes = mem_calloc(count + 1, sizeof(*hashes));
    for (size_t i = 0; i < count; i++)
        hashes[i] = java_string_hash(keys[i]);
    java_map_order_of_hashes(hashes, count, expected, ret_order);
    free(hashes);
}
