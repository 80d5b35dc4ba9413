/*
 * Heap of timers, shared by the implementations of env: earliest first, equal times in order of
 * starting. Single-threaded; owns nothing but its array.
 */
#ifndef KRAFTD_BASE_TIMER_HEAP_H
#define KRAFTD_BASE_TIMER_HEAP_H

#include "common/base/env.h"

struct timer_heap {
    struct timer **timers; /* [1..count]; all zero is an empty heap */
    size_t count, capacity;
    uint64_t next_sequence;
};

void timer_heap_release(struct timer_heap *heap);
/* The timer's due_us is set and it is not running. */
void timer_heap_insert(struct timer_heap *heap, struct timer *timer);
void timer_heap_remove(struct timer_heap *heap, struct timer *timer);
struct timer *timer_heap_first(const struct timer_heap *heap); /* NULL when empty */

/* Removes and returns the next timer that is due at now_us and was started before `limit`, a value
 * of next_sequence from the start of the turn: what is started inside a turn waits for the next
 * one, so that timers which start themselves again cannot keep a loop busy. NULL when none is. */
struct timer *timer_heap_pop_due(struct timer_heap *heap, int64_t now_us, uint64_t limit);

#endif
