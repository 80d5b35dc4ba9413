#include "common/base/timer_heap.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <stdlib.h>

void timer_heap_release(struct timer_heap *heap)
{
    free(heap->timers);
    *heap = (struct timer_heap){0};
}

static bool before(const struct timer *a, const struct timer *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->sequence < b->sequence;
}

static void put(struct timer_heap *heap, size_t index, struct timer *timer)
{
    heap->timers[index] = timer;
    timer->heap_index = index;
}

static void sift_up(struct timer_heap *heap, size_t index, struct timer *timer)
{
    while (index > 1 && before(timer, heap->timers[index / 2])) {
        put(heap, index, heap->timers[index / 2]);
        index /= 2;
    }
    put(heap, index, timer);
}

static void sift_down(struct timer_heap *heap, size_t index, struct timer *timer)
{
    for (;;) {
        size_t child = index * 2;
        if (child > heap->count)
            break;
        if (child < heap->count && before(heap->timers[child + 1], heap->timers[child]))
            child++;
        if (!before(heap->timers[child], timer))
            break;
        put(heap, index, heap->timers[child]);
        index = child;
    }
    put(heap, index, timer);
}

void timer_heap_insert(struct timer_heap *heap, struct timer *timer)
{
    CHECK(timer->heap_index == 0);
    heap->timers = mem_grow(heap->timers, heap->count + 1, &heap->capacity, sizeof(*heap->timers));
    timer->sequence = heap->next_sequence++;
    sift_up(heap, ++heap->count, timer);
}

void timer_heap_remove(struct timer_heap *heap, struct timer *timer)
{
    size_t index = timer->heap_index;
    CHECK(index > 0 && index <= heap->count && heap->timers[index] == timer);
    timer->heap_index = 0;
    struct timer *last = heap->timers[heap->count--];
    if (last == timer)
        return;
    if (index > 1 && before(last, heap->timers[index / 2]))
        sift_up(heap, index, last);
    else
        sift_down(heap, index, last);
}

struct timer *timer_heap_first(const struct timer_heap *heap)
{
    return heap->count > 0 ? heap->timers[1] : NULL;
}

struct timer *timer_heap_pop_due(struct timer_heap *heap, int64_t now_us, uint64_t limit)
{
    struct timer *first = timer_heap_first(heap);
    if (first == NULL || first->due_us > now_us || first->sequence >= limit)
        return NULL;
    timer_heap_remove(heap, first);
    return first;
}
