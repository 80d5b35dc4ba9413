/*
 * Slices: a pointer and a length into memory that somebody else owns. Not terminated by a zero
 * byte. len -1 (STR_NULL, BYTES_NULL) is Kafka's null; an empty slice has len 0. Plain values; any
 * thread.
 */
#ifndef KRAFTD_BASE_STR_H
#define KRAFTD_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *data;
    int32_t len; /* -1: null */
};

struct bytes {
    const uint8_t *data;
    int32_t len; /* -1: null */
};

#define STR_NULL   ((struct str){NULL, -1})
#define STR_EMPTY  ((struct str){"", 0})
#define BYTES_NULL ((struct bytes){NULL, -1})
/* A slice over a string literal. */
#define STR(literal) ((struct str){"" literal, (int32_t)sizeof(literal) - 1})
/* printf("%.*s", STR_FMT(s)) */
#define STR_FMT(s) ((s).len > 0 ? (s).len : 0), ((s).len > 0 ? (s).data : "")

static inline bool str_is_null(struct str s)
{
    return s.len < 0;
}

static inline struct str str_of(const char *z)
{
    return z ? (struct str){z, (int32_t)strlen(z)} : STR_NULL;
}

static inline struct str str_from(const char *data, size_t len)
{
    return (struct str){data, (int32_t)len};
}

/* Null equals only null. */
static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len <= 0 || memcmp(a.data, b.data, (size_t)a.len) == 0);
}

static inline bool str_eq_z(struct str a, const char *z)
{
    return str_eq(a, str_of(z));
}

/* Equal but for the case of ASCII letters; null is equal to nothing but null. */
bool str_eq_nocase(struct str a, struct str b);
/* Orders by bytes, then by length; null first. */
int str_cmp(struct str a, struct str b);
bool str_starts_with(struct str s, struct str prefix);
bool str_ends_with(struct str s, struct str suffix);
/* Without white space at both ends. */
struct str str_trim(struct str s);
/* Splits at the first `separator`: *ret_head before it, *rest after it. False when it is not there
 * (then *ret_head is all of *rest and *rest becomes null). */
bool str_split(struct str *rest, char separator, struct str *ret_head);
/* 64-bit hash, stable within one process and across runs (simulation replays). */
uint64_t str_hash(struct str s);
uint64_t hash_bytes(const void *data, size_t len);
uint64_t hash_u64(uint64_t value);
/* Terminated copy in fresh memory (NULL for null); the caller frees. */
char *str_dup_z(struct str s);
/* Decimal integers; 0 or -EINVAL, -ERANGE; nothing but digits and one sign may stand in it. */
int str_to_i64(struct str s, int64_t *ret_value);
int str_to_i32(struct str s, int32_t *ret_value);

#endif
