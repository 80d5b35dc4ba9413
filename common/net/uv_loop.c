#include "common/net/uv_env_internal.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void run_timers(uv_timer_t *handle)
{
    struct uv_env_loop *loop = CONTAINER_OF(handle, struct uv_env_loop, timer);
    loop->armed_us = -1;
    int64_t now_us = env_now_us(loop->base.env);
    uint64_t limit = loop->timers.next_sequence;
    struct timer *timer;
    while ((timer = timer_heap_pop_due(&loop->timers, now_us, limit)) != NULL)
        timer->fire(timer);
}

static void arm_timer(struct uv_env_loop *loop)
{
    struct timer *first = timer_heap_first(&loop->timers);
    int64_t due_us = first ? first->due_us : -1;
    if (due_us == loop->armed_us)
        return;
    loop->armed_us = due_us;
    if (first == NULL) {
        uv_timer_stop(&loop->timer);
        return;
    }
    int64_t wait_us = due_us - env_now_us(loop->base.env);
    uint64_t wait_ms = wait_us > 0 ? (uint64_t)(wait_us + 999) / 1000 : 0;
    uv_update_time(&loop->uv);
    CHECK(uv_timer_start(&loop->timer, run_timers, wait_ms, 0) == 0);
}

void uv_env_timer_start(struct timer *timer, int64_t due_us)
{
    struct uv_env_loop *loop = uv_env_loop_of(timer->loop);
    if (timer->heap_index != 0)
        timer_heap_remove(&loop->timers, timer);
    timer->due_us = MAX(due_us, 0); /* -1 means unarmed */
    timer_heap_insert(&loop->timers, timer);
}

void uv_env_timer_stop(struct timer *timer)
{
    if (timer->heap_index != 0)
        timer_heap_remove(&uv_env_loop_of(timer->loop)->timers, timer);
}

/* uv_async_send would do, but that the woken loop spins until the one that woke it has returned
 * from the kernel: a seventh of the time under many small requests. */
static void wake(struct uv_env_loop *loop)
{
    uint64_t one = 1;
    ssize_t n;
    do
        n = write(loop->wake_fd, &one, sizeof(one));
    while (n < 0 && errno == EINTR);
    CHECK(n == (ssize_t)sizeof(one));
}

/*
 * Posting: a lock-free stack that producers push to and the loop takes whole and turns around.
 * Whoever pushes onto the empty stack wakes the loop, so that a burst costs one wake-up; a loop's
 * own posts cost no system call at all.
 */
void uv_env_loop_post(struct loop *base, struct task *task)
{
    struct uv_env_loop *loop = uv_env_loop_of(base);
    struct task *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do
        task->next = head;
    while (!atomic_compare_exchange_weak_explicit(&loop->posted, &head, task, memory_order_release,
                                                  memory_order_relaxed));
    if (head != NULL)
        return;
    uintptr_t self = (uintptr_t)pthread_self();
    if (atomic_load_explicit(&loop->running_thread, memory_order_relaxed) == self)
        uv_env_loop_stay_awake(loop);
    else
        wake(loop);
}

bool uv_env_loop_drain(struct uv_env_loop *loop)
{
    struct task *newest = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire);
    struct task *oldest = NULL;
    while (newest != NULL) {
        struct task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    bool any = oldest != NULL;
    while (oldest != NULL) {
        struct task *task = oldest;
        oldest = task->next; /* before it runs: it may free or post itself again */
        task->run(task);
    }
    return any;
}

static void on_wake(uv_poll_t *handle, int status, int events)
{
    struct uv_env_loop *loop = CONTAINER_OF(handle, struct uv_env_loop, wake);
    uint64_t count;
    CHECK(status == 0);
    ssize_t n = read(loop->wake_fd, &count, sizeof(count));
    CHECK(n == (ssize_t)sizeof(count) || (n < 0 && (errno == EAGAIN || errno == EINTR)));
    uv_env_loop_drain(loop);
}

static void on_idle(uv_idle_t *handle)
{
    /* What needs another turn after this one asks again. */
    uv_idle_stop(handle);
    uv_env_loop_drain(CONTAINER_OF(handle, struct uv_env_loop, idle));
}

void uv_env_loop_stay_awake(struct uv_env_loop *loop)
{
    CHECK(uv_idle_start(&loop->idle, on_idle) == 0);
}

static void on_prepare(uv_prepare_t *handle)
{
    struct uv_env_loop *loop = CONTAINER_OF(handle, struct uv_env_loop, prepare);
    struct list streams;
    /* Streams that become dirty meanwhile wait for the next turn, which then comes at once. */
    list_init(&streams);
    while (!list_empty(&loop->dirty))
        list_push_back(&streams, list_pop_front(&loop->dirty));
    while (!list_empty(&streams))
        uv_stream_end_of_turn(list_pop_front(&streams));
    if (!list_empty(&loop->dirty))
        uv_env_loop_stay_awake(loop);
    arm_timer(loop);
}

int uv_env_loop_init(struct uv_env_loop *loop, struct env *env, int index)
{
    loop->base = (struct loop){.env = env, .index = index};
    list_init(&loop->dirty);
    list_init(&loop->connects);
    loop->armed_us = -1;
    int rv = uv_loop_init(&loop->uv);
    if (rv != 0)
        return rv;
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake_fd < 0) {
        rv = -errno;
        CHECK(uv_loop_close(&loop->uv) == 0);
        return rv;
    }
    CHECK(uv_poll_init(&loop->uv, &loop->wake, loop->wake_fd) == 0);
    CHECK(uv_poll_start(&loop->wake, UV_READABLE, on_wake) == 0);
    CHECK(uv_idle_init(&loop->uv, &loop->idle) == 0);
    CHECK(uv_prepare_init(&loop->uv, &loop->prepare) == 0);
    CHECK(uv_timer_init(&loop->uv, &loop->timer) == 0);
    CHECK(uv_prepare_start(&loop->prepare, on_prepare) == 0);
    loop->scratch = mem_alloc(SCRATCH_BYTES);
    return 0;
}

void uv_env_loop_run(struct uv_env_loop *loop)
{
    atomic_store(&loop->running_thread, (uintptr_t)pthread_self());
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    atomic_store(&loop->running_thread, 0);
}

void uv_env_loop_release(struct uv_env_loop *loop)
{
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    CHECK(uv_loop_close(&loop->uv) == 0);
    close(loop->wake_fd);
    timer_heap_release(&loop->timers);
    free(loop->scratch);
}
