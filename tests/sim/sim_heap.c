#include "tests/sim/sim_heap.h"

#include "common/base/check.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void __real_free(void *ptr);
int __real_posix_memalign(void **ret_ptr, size_t alignment, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void __wrap_free(void *ptr);
int __wrap_posix_memalign(void **ret_ptr, size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t len);
int __wrap_vasprintf(char **ret_text, const char *format, va_list args);
int __wrap_asprintf(char **ret_text, const char *format, ...);

struct sim_heap {
    size_t blocks;
    uint64_t allocations;
};

struct block {
    void *ptr; /* NULL: free slot */
    struct sim_heap *heap;
};

/* Blocks of all heaps: open addressing, linear probing, at most half full. The linker's wrappers
 * have no context argument, so this is the one place of the tests with state of the process. */
static struct {
    struct block *slots;
    size_t capacity, count;
    struct sim_heap *entered;
} tracked;

static size_t slot_of(const void *ptr)
{
    return ((uint64_t)(uintptr_t)ptr >> 4) * 0x9e3779b97f4a7c15u >> 20 & (tracked.capacity - 1);
}

static void insert(struct block block)
{
    size_t at = slot_of(block.ptr);
    while (tracked.slots[at].ptr)
        at = (at + 1) & (tracked.capacity - 1);
    tracked.slots[at] = block;
}

static void grow(void)
{
    struct block *old = tracked.slots;
    size_t old_capacity = tracked.capacity;
    tracked.capacity = old_capacity ? old_capacity * 2 : 1 << 14;
    tracked.slots = __real_calloc(tracked.capacity, sizeof(*tracked.slots));
    CHECK(tracked.slots != NULL);
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].ptr)
            insert(old[i]);
    __real_free(old);
}

static void track(void *ptr, struct sim_heap *heap)
{
    if (!heap || !ptr)
        return;
    if (tracked.count * 2 >= tracked.capacity)
        grow();
    insert((struct block){ptr, heap});
    tracked.count++;
    heap->blocks++;
    heap->allocations++;
}

/* Takes the slot out and closes the gap behind it. */
static void remove_slot(size_t hole)
{
    size_t mask = tracked.capacity - 1;
    tracked.slots[hole].heap->blocks--;
    tracked.count--;
    for (size_t at = (hole + 1) & mask; tracked.slots[at].ptr; at = (at + 1) & mask) {
        size_t home = slot_of(tracked.slots[at].ptr);
        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        tracked.slots[hole] = tracked.slots[at];
        hole = at;
    }
    tracked.slots[hole].ptr = NULL;
}

/* The heap that it belonged to. */
static struct sim_heap *untrack(const void *ptr)
{
    if (tracked.count == 0 || !ptr)
        return NULL;
    for (size_t at = slot_of(ptr); tracked.slots[at].ptr; at = (at + 1) & (tracked.capacity - 1)) {
        if (tracked.slots[at].ptr == ptr) {
            struct sim_heap *heap = tracked.slots[at].heap;
            remove_slot(at);
            return heap;
        }
    }
    return NULL;
}

struct sim_heap *sim_heap_new(void)
{
    struct sim_heap *heap = __real_calloc(1, sizeof(*heap));
    CHECK(heap != NULL);
    return heap;
}

void sim_heap_free(struct sim_heap *heap)
{
    if (!heap)
        return;
    CHECK(tracked.entered != heap);
    /* Removing moves later blocks into the hole: look at the same slot again. One that moved from
     * the front of the array to its end is found by the second round. */
    while (heap->blocks > 0) {
        for (size_t i = 0; i < tracked.capacity && heap->blocks > 0;) {
            if (tracked.slots[i].ptr && tracked.slots[i].heap == heap) {
                void *ptr = tracked.slots[i].ptr;
                remove_slot(i);
                __real_free(ptr);
            } else {
                i++;
            }
        }
    }
    __real_free(heap);
}

struct sim_heap *sim_heap_enter(struct sim_heap *heap)
{
    struct sim_heap *before = tracked.entered;
    tracked.entered = heap;
    return before;
}

size_t sim_heap_blocks(const struct sim_heap *heap)
{
    return heap->blocks;
}

uint64_t sim_heap_allocations(const struct sim_heap *heap)
{
    return heap->allocations;
}

/* --- What the linker calls instead of the C library --- */

void *__wrap_malloc(size_t size)
{
    void *ptr = __real_malloc(size);
    track(ptr, tracked.entered);
    return ptr;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *ptr = __real_calloc(count, size);
    track(ptr, tracked.entered);
    return ptr;
}

void *__wrap_realloc(void *ptr, size_t size)
{
    struct sim_heap *heap = ptr ? untrack(ptr) : tracked.entered;
    void *moved = __real_realloc(ptr, size);
    track(moved || size == 0 ? moved : ptr, heap);
    return moved;
}

void __wrap_free(void *ptr)
{
    untrack(ptr);
    __real_free(ptr);
}

int __wrap_posix_memalign(void **ret_ptr, size_t alignment, size_t size)
{
    int rv = __real_posix_memalign(ret_ptr, alignment, size);
    if (rv == 0)
        track(*ret_ptr, tracked.entered);
    return rv;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    void *ptr = __real_aligned_alloc(alignment, size);
    track(ptr, tracked.entered);
    return ptr;
}

char *__wrap_strdup(const char *s)
{
    return __wrap_strndup(s, SIZE_MAX);
}

char *__wrap_strndup(const char *s, size_t len)
{
    len = strnlen(s, len);
    char *copy = __wrap_malloc(len + 1);
    if (copy) {
        memcpy(copy, s, len);
        copy[len] = '\0';
    }
    return copy;
}

int __wrap_vasprintf(char **ret_text, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = len >= 0 ? __wrap_malloc((size_t)len + 1) : NULL;
    if (!text)
        return -1;
    vsnprintf(text, (size_t)len + 1, format, args);
    *ret_text = text;
    return len;
}

int __wrap_asprintf(char **ret_text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = __wrap_vasprintf(ret_text, format, args);
    va_end(args);
    return len;
}
