#include "common/base/mem.h"

#include "common/base/check.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *mem_alloc(size_t size_bytes)
{
    void *ptr = malloc(size_bytes ? size_bytes : 1);
    CHECK(ptr != NULL);
    return ptr;
}

void *mem_calloc(size_t count, size_t size_bytes)
{
    void *ptr = calloc(count ? count : 1, size_bytes ? size_bytes : 1);
    CHECK(ptr != NULL);
    return ptr;
}

void *mem_realloc(void *ptr, size_t size_bytes)
{
    ptr = realloc(ptr, size_bytes ? size_bytes : 1);
    CHECK(ptr != NULL);
    return ptr;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t len)
{
    char *copy = mem_alloc(len + 1);
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *mem_printf(const char *format, ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    CHECK(len >= 0);
    return text;
}

void *mem_try_alloc(size_t size_bytes)
{
    return malloc(size_bytes ? size_bytes : 1);
}

void *mem_grow(void *items, size_t count, size_t *capacity, size_t item_bytes)
{
    if (count < *capacity)
        return items;
    size_t wanted = *capacity ? *capacity * 2 : 8;
    CHECK(wanted > *capacity && wanted <= SIZE_MAX / item_bytes);
    *capacity = wanted;
    return mem_realloc(items, wanted * item_bytes);
}
