/*
 * Arena: many small allocations that die together; one per request. Single-threaded.
 */
#ifndef KRAFTD_BASE_ARENA_H
#define KRAFTD_BASE_ARENA_H

#include "common/base/str.h"

#include <stdarg.h>
#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    char *at, *end;
    size_t used_bytes;
    size_t limit_bytes; /* 0: none */
};

/* limit_bytes bounds what arena_try_alloc gives out in all; 0 for no bound. */
void arena_init(struct arena *arena, size_t limit_bytes);
void arena_release(struct arena *arena);
/* Forgets everything, keeps one chunk for reuse. */
void arena_reset(struct arena *arena);

/* Aligned to 16. Never NULL: for sizes that our own code chose. */
void *arena_alloc(struct arena *arena, size_t size_bytes);
void *arena_calloc(struct arena *arena, size_t count, size_t size_bytes);
/* For sizes a peer chose: NULL when over the limit or out of memory. */
void *arena_try_calloc(struct arena *arena, size_t count, size_t size_bytes);
struct str arena_str(struct arena *arena, struct str s);
/* The text itself where it is UTF-8, else a copy with U+FFFD for each byte that is not. */
struct str arena_utf8(struct arena *arena, struct str s);
struct bytes arena_bytes(struct arena *arena, struct bytes b);
char *arena_str_z(struct arena *arena, struct str s);
/* printf into the arena; also terminated by a zero byte. */
__attribute__((format(printf, 2, 3))) struct str arena_printf(struct arena *arena,
                                                              const char *format, ...);
__attribute__((format(printf, 2, 0))) struct str arena_vprintf(struct arena *arena,
                                                               const char *format, va_list args);

#define ARENA_NEW(arena, type) ((type *)arena_calloc((arena), 1, sizeof(type)))
#define ARENA_ARRAY(arena, type, count)                                                            \
    ((type *)arena_calloc((arena), (size_t)(count), sizeof(type)))

#endif
