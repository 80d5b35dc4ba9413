#include "common/base/arena.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 4096

struct arena_chunk {
    struct arena_chunk *next;
    size_t size_bytes;
    _Alignas(16) char data[];
};

void arena_init(struct arena *arena, size_t limit_bytes)
{
    *arena = (struct arena){.limit_bytes = limit_bytes};
}

void arena_release(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    arena_init(arena, arena->limit_bytes);
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *keep = arena->chunks;
    if (keep == NULL || keep->size_bytes > 16 * CHUNK_BYTES) {
        arena_release(arena);
        return;
    }
    struct arena_chunk *rest = keep->next;
    while (rest != NULL) {
        struct arena_chunk *next = rest->next;
        free(rest);
        rest = next;
    }
    keep->next = NULL;
    arena->at = keep->data;
    arena->end = keep->data + keep->size_bytes;
    arena->used_bytes = 0;
}

static void *arena_get(struct arena *arena, size_t size_bytes)
{
    size_bytes = (size_bytes + 15) & ~(size_t)15;
    /* Nothing asked of an empty arena is still a pointer, not a failure. */
    if (arena->at == NULL || (size_t)(arena->end - arena->at) < size_bytes) {
        size_t want = arena->chunks ? MIN(arena->chunks->size_bytes * 2, 1u << 20) : CHUNK_BYTES;
        want = MAX(want, size_bytes);
        struct arena_chunk *chunk = mem_try_alloc(sizeof(*chunk) + want);
        if (chunk == NULL)
            return NULL;
        chunk->next = arena->chunks;
        chunk->size_bytes = want;
        arena->chunks = chunk;
        arena->at = chunk->data;
        arena->end = chunk->data + want;
    }
    void *ptr = arena->at;
    arena->at += size_bytes;
    arena->used_bytes += size_bytes;
    return ptr;
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
    void *ptr = arena_get(arena, size_bytes);
    CHECK(ptr != NULL);
    return ptr;
}

void *arena_calloc(struct arena *arena, size_t count, size_t size_bytes)
{
    size_t total;
    CHECK(!__builtin_mul_overflow(count, size_bytes, &total));
    return memset(arena_alloc(arena, total), 0, total);
}

void *arena_try_calloc(struct arena *arena, size_t count, size_t size_bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, size_bytes, &total) || total > SIZE_MAX / 2)
        return NULL;
    if (arena->limit_bytes != 0 &&
        total > arena->limit_bytes - MIN(arena->used_bytes, arena->limit_bytes))
        return NULL;
    void *ptr = arena_get(arena, total);
    return ptr ? memset(ptr, 0, total) : NULL;
}

struct str arena_str(struct arena *arena, struct str s)
{
    if (s.len <= 0)
        return s.len < 0 ? STR_NULL : STR_EMPTY;
    return str_from(arena_str_z(arena, s), (size_t)s.len);
}

/* Bytes of the UTF-8 sequence at data, 0 when there is none: no overlong forms, no surrogates. */
static int32_t utf8_length(const char *data, int32_t len)
{
    const uint8_t *b = (const uint8_t *)data;
    int32_t more = b[0] < 0x80   ? 0
                   : b[0] < 0xc2 ? -1
                   : b[0] < 0xe0 ? 1
                   : b[0] < 0xf0 ? 2
                   : b[0] < 0xf5 ? 3
                                 : -1;
    if (more < 0 || more >= len)
        return 0;
    for (int32_t i = 1; i <= more; i++)
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    if ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f) ||
        (b[0] == 0xf0 && b[1] < 0x90) || (b[0] == 0xf4 && b[1] > 0x8f))
        return 0;
    return more + 1;
}

struct str arena_utf8(struct arena *arena, struct str s)
{
    char *copy = NULL;
    int32_t used = 0;
    for (int32_t at = 0; at < s.len;) {
        int32_t step = utf8_length(s.data + at, s.len - at);
        if (step == 0 && copy == NULL) {
            copy = arena_alloc(arena, (size_t)s.len * 3);
            memcpy(copy, s.data, (size_t)at);
            used = at;
        }
        if (step == 0) {
            memcpy(copy + used, "\xef\xbf\xbd", 3);
            used += 3;
        } else if (copy != NULL) {
            memcpy(copy + used, s.data + at, (size_t)step);
            used += step;
        }
        at += MAX(step, 1);
    }
    return copy ? str_from(copy, (size_t)used) : s;
}

struct bytes arena_bytes(struct arena *arena, struct bytes b)
{
    if (b.len < 0)
        return BYTES_NULL;
    void *copy = arena_alloc(arena, (size_t)b.len);
    if (b.len > 0)
        memcpy(copy, b.data, (size_t)b.len);
    return (struct bytes){copy, b.len};
}

char *arena_str_z(struct arena *arena, struct str s)
{
    size_t len = s.len > 0 ? (size_t)s.len : 0;
    char *copy = arena_alloc(arena, len + 1);
    if (len > 0)
        memcpy(copy, s.data, len);
    copy[len] = '\0';
    return copy;
}

struct str arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    CHECK(len >= 0);
    char *text = arena_alloc(arena, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return str_from(text, (size_t)len);
}

struct str arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}
