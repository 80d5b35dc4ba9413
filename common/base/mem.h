/*
 * Memory. A small allocation that fails aborts the process (there is nothing useful left to do); an
 * allocation whose size a peer or a file chose goes through mem_try_alloc and may fail.
 */
#ifndef KRAFTD_BASE_MEM_H
#define KRAFTD_BASE_MEM_H

#include <stddef.h>

/* Never return NULL; the caller frees with free(). Any thread. mem_calloc returns zeroed memory. */
void *mem_alloc(size_t size_bytes);
void *mem_calloc(size_t count, size_t size_bytes);
void *mem_realloc(void *ptr, size_t size_bytes);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t len);
/* printf into fresh memory; the caller frees. */
__attribute__((format(printf, 1, 2))) char *mem_printf(const char *format, ...);

/* NULL when there is no memory. */
void *mem_try_alloc(size_t size_bytes);

/*
 * Makes room for one more element in a growing array of pointers or structs:
 * VEC_PUSH(items, count, capacity) = value.
 */
void *mem_grow(void *items, size_t count, size_t *capacity, size_t item_bytes);
#define VEC_PUSH(items, count, capacity)                                                           \
    (*((items) = mem_grow((items), (count), &(capacity), sizeof(*(items))), &(items)[(count)++]))

#endif
