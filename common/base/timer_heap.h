/*
 * Heap of timers, shared by the implementations of env: earliest first, equal times in order of
 * starting. Single-threaded; owns nothing but its array.
 */
#ifndef KRAFTD_BASE_TIMER_HEAP_H
#define KRAFTD_BASE_TIMER_HEAP_H

#include "common/base/env.h"

struct timer_heap {
    struct timer **timers; /* [1..count] */
    size_t count, capacity;
};
void timer_heap_release(struct timer_heap *heap);
void timer_heap_insert(struct timer_heap *heap, struct timer *timer);
void timer_heap_remove(struct timer_heap *heap, struct timer *timer);
struct timer *timer_heap_first(const struct timer_heap *heap); /* NULL when empty */

#endif
