#include "common/base/timer_heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void insert(struct timer_heap *heap, struct timer *timer, int64_t due_us)
{
    timer->due_us = due_us;
    timer_heap_insert(heap, timer);
}

static void earliest_first_then_order_of_starting(void **state)
{
    enum { COUNT = 500 };
    static struct timer timers[COUNT];
    struct timer_heap heap = {0};
    for (int i = 0; i < COUNT; i++)
        insert(&heap, &timers[i], (i * 37) % 50);
    int64_t last_due = -1;
    uint64_t last_sequence = 0;
    for (int i = 0; i < COUNT; i++) {
        struct timer *timer = timer_heap_first(&heap);
        assert_true(timer->due_us >= last_due);
        if (timer->due_us == last_due)
            assert_true(timer->sequence > last_sequence);
        last_due = timer->due_us;
        last_sequence = timer->sequence;
        timer_heap_remove(&heap, timer);
        assert_false(timer_running(timer));
    }
    assert_null(timer_heap_first(&heap));
    timer_heap_release(&heap);
}

static void removal_from_the_middle_keeps_order(void **state)
{
    enum { COUNT = 300 };
    static struct timer timers[COUNT];
    struct timer_heap heap = {0};
    for (int i = 0; i < COUNT; i++)
        insert(&heap, &timers[i], (i * 7919) % 1009);
    for (int i = 0; i < COUNT; i += 2)
        timer_heap_remove(&heap, &timers[i]);
    int64_t last_due = -1;
    int left = 0;
    for (struct timer *timer; (timer = timer_heap_first(&heap)) != NULL; left++) {
        assert_true(timer->due_us >= last_due);
        last_due = timer->due_us;
        assert_int_equal((timer - timers) % 2, 1);
        timer_heap_remove(&heap, timer);
    }
    assert_int_equal(left, COUNT / 2);
    timer_heap_release(&heap);
}

static void what_starts_in_a_turn_waits_for_the_next(void **state)
{
    struct timer a = {0}, b = {0};
    struct timer_heap heap = {0};
    insert(&heap, &a, 10);
    uint64_t limit = heap.next_sequence;
    assert_null(timer_heap_pop_due(&heap, 9, limit));
    assert_ptr_equal(timer_heap_pop_due(&heap, 10, limit), &a);
    insert(&heap, &b, 5);
    assert_null(timer_heap_pop_due(&heap, 10, limit));
    assert_ptr_equal(timer_heap_pop_due(&heap, 10, heap.next_sequence), &b);
    timer_heap_release(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(earliest_first_then_order_of_starting),
        cmocka_unit_test(removal_from_the_middle_keeps_order),
        cmocka_unit_test(what_starts_in_a_turn_waits_for_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
