#include "common/base/str.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

int str_cmp(struct str a, struct str b)
{
    int32_t shared = MIN(a.len, b.len);
    int order = shared > 0 ? memcmp(a.data, b.data, (size_t)shared) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (str_is_null(a) || str_is_null(b))
        return str_is_null(a) && str_is_null(b);
    return a.len == b.len && strncasecmp(a.data, b.data, (size_t)a.len) == 0;
}

bool str_starts_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len && prefix.len >= 0 &&
           memcmp(s.data, prefix.data, (size_t)prefix.len) == 0;
}

bool str_ends_with(struct str s, struct str suffix)
{
    return s.len >= suffix.len && suffix.len >= 0 &&
           memcmp(s.data + s.len - suffix.len, suffix.data, (size_t)suffix.len) == 0;
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && isspace((unsigned char)s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && isspace((unsigned char)s.data[s.len - 1]))
        s.len--;
    return s;
}

bool str_split(struct str *rest, char separator, struct str *ret_head)
{
    const char *at = rest->len > 0 ? memchr(rest->data, separator, (size_t)rest->len) : NULL;
    if (at == NULL) {
        *ret_head = *rest;
        *rest = STR_NULL;
        return false;
    }
    *ret_head = str_from(rest->data, (size_t)(at - rest->data));
    *rest = str_from(at + 1, (size_t)(rest->data + rest->len - at - 1));
    return true;
}

uint64_t hash_u64(uint64_t value)
{
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdULL;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53ULL;
    return value ^ (value >> 33);
}

uint64_t hash_bytes(const void *data, size_t len)
{
    const uint8_t *at = data;
    uint64_t hash = 0x9e3779b97f4a7c15ULL ^ len;
    while (len >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = hash_u64(hash ^ word) * 0x9ddfea08eb382d69ULL;
        at += 8;
        len -= 8;
    }
    uint64_t tail = 0;
    if (len > 0)
        memcpy(&tail, at, len);
    return hash_u64(hash ^ tail);
}

uint64_t str_hash(struct str s)
{
    return hash_bytes(s.data, s.len > 0 ? (size_t)s.len : 0);
}

char *str_dup_z(struct str s)
{
    return s.len < 0 ? NULL : mem_strndup(s.data, (size_t)s.len);
}

int str_to_i64(struct str s, int64_t *ret_value)
{
    int32_t i = 0;
    bool negative = false;
    if (s.len > 0 && (s.data[0] == '-' || s.data[0] == '+')) {
        negative = s.data[0] == '-';
        i = 1;
    }
    if (i >= s.len)
        return -EINVAL;
    int64_t value = 0;
    for (; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return -EINVAL;
        int digit = s.data[i] - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, negative ? -digit : digit, &value))
            return -ERANGE;
    }
    *ret_value = value;
    return 0;
}

int str_to_i32(struct str s, int32_t *ret_value)
{
    int64_t value;
    int rv = str_to_i64(s, &value);
    if (rv != 0)
        return rv;
    if (value < INT32_MIN || value > INT32_MAX)
        return -ERANGE;
    *ret_value = (int32_t)value;
    return 0;
}
