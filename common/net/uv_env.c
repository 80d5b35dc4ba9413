#include "common/net/uv_env.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/net/uv_env_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

static const struct {
    const char *name;
    int thread_count;
} pool_defaults[POOL_COUNT] = {
    [WORK_QUORUM] = {"quorum", 1},
    [WORK_FLUSH] = {"flush", 2},
    [WORK_DISK] = {"disk", 4},
    [POOL_RESOLVER] = {"resolver", 2},
};

static int64_t clock_us(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t now_us(struct env *env)
{
    return clock_us(CLOCK_MONOTONIC);
}

static int64_t wall_ms(struct env *env)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

static void random_bytes(struct env *env, void *ret_bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = getrandom((char *)ret_bytes + done, len - done, 0);
        CHECK(n > 0 || errno == EINTR);
        done += n > 0 ? (size_t)n : 0;
    }
}

static void submit(struct work *work, enum work_class work_class)
{
    worker_pool_submit(&uv_env_of(work->loop->env)->pools[work_class], work);
}

static int64_t busy_us(struct loop *loop)
{
    return uv_env_busy_us(loop->env, loop->index);
}

static int set_workers(struct env *env, enum work_class work_class, int thread_count)
{
    CHECK(work_class != WORK_QUORUM);
    return worker_pool_resize(&uv_env_of(env)->pools[work_class], thread_count);
}

static const struct env_ops env_ops = {
    .now_us = now_us,
    .wall_ms = wall_ms,
    .random = random_bytes,
    .post = uv_env_loop_post,
    .timer_start = uv_env_timer_start,
    .timer_stop = uv_env_timer_stop,
    .submit = submit,
    .busy_us = busy_us,
    .set_workers = set_workers,
};

static const struct net_ops net_ops = {
    .listen = uv_listener_open,
    .listener_port = uv_listener_port,
    .listener_close = uv_listener_close,
    .connect = uv_connect,
    .start = uv_stream_start,
    .read_pause = uv_stream_read_pause,
    .read_resume = uv_stream_read_resume,
    .write = uv_stream_write,
    .close = uv_stream_close,
};

static int start_pools(struct uv_env *env)
{
    for (int i = 0; i < POOL_COUNT; i++) {
        int count = pool_defaults[i].thread_count;
        if (i != WORK_QUORUM && i < WORK_CLASS_COUNT && env->options.worker_counts[i] > 0)
            count = env->options.worker_counts[i];
        int rv = worker_pool_init(&env->pools[i], pool_defaults[i].name, count);
        if (rv != 0) {
            while (i-- > 0)
                worker_pool_release(&env->pools[i]);
            return rv;
        }
    }
    return 0;
}

int uv_env_new(const struct uv_env_options *options, struct env **ret_env)
{
    struct uv_env *env = mem_calloc(1, sizeof(*env));
    int count = options->loop_count > 0 ? options->loop_count : (int)uv_available_parallelism();
    int made = 0;
    env->options = *options;
    env->base = (struct env){
        .ops = &env_ops,
        .net = &net_ops,
        .disk = options->disk,
        .logger = options->logger,
        .loops = mem_calloc((size_t)count, sizeof(struct loop *)),
        .loop_count = count,
    };
    env->loops = mem_calloc((size_t)count, sizeof(*env->loops));
    signal(SIGPIPE, SIG_IGN);
    int rv = 0;
    for (; made < count; made++) {
        rv = uv_env_loop_init(&env->loops[made], &env->base, made);
        if (rv != 0)
            goto err_loops;
        env->base.loops[made] = &env->loops[made].base;
    }
    rv = start_pools(env);
    if (rv != 0)
        goto err_loops;
    *ret_env = &env->base;
    return 0;
err_loops:
    while (made-- > 0)
        uv_env_loop_release(&env->loops[made]);
    free(env->loops);
    free(env->base.loops);
    free(env);
    return rv;
}

static void *loop_main(void *arg)
{
    uv_env_loop_run(arg);
    return NULL;
}

struct stop {
    struct task task;
    struct uv_env_loop *loop;
};

static void stop_loop(struct task *task)
{
    struct stop *stop = CONTAINER_OF(task, struct stop, task);
    uv_stop(&stop->loop->uv);
    free(stop);
}

static void post_stop(struct uv_env_loop *loop)
{
    struct stop *stop = mem_alloc(sizeof(*stop));
    *stop = (struct stop){.task.run = stop_loop, .loop = loop};
    loop_post(&loop->base, &stop->task);
}

void uv_env_run(struct env *base)
{
    struct uv_env *env = uv_env_of(base);
    for (int i = 1; i < base->loop_count; i++) {
        char name[24];
        snprintf(name, sizeof(name), "loop-%d", i);
        /* Without its loops a node is nothing; this happens at start or not at all. */
        CHECK(thread_start(&env->loops[i].thread, loop_main, &env->loops[i]) == 0);
        name[15] = '\0'; /* all the kernel takes */
        pthread_setname_np(env->loops[i].thread, name);
    }
    uv_env_loop_run(&env->loops[0]);
    for (int i = 1; i < base->loop_count; i++)
        post_stop(&env->loops[i]);
    for (int i = 1; i < base->loop_count; i++)
        pthread_join(env->loops[i].thread, NULL);
}

void uv_env_stop(struct env *base)
{
    post_stop(&uv_env_of(base)->loops[0]);
}

/* Completes all posted tasks, work and closes, whatever they lead to. The loops stand still. */
static void settle(struct uv_env *env)
{
    bool any;
    do {
        any = false;
        for (int i = 0; i < env->base.loop_count; i++) {
            any |= uv_env_loop_drain(&env->loops[i]);
            uv_run(&env->loops[i].uv, UV_RUN_NOWAIT);
        }
        for (int i = 0; i < POOL_COUNT; i++)
            any |= worker_pool_wait(&env->pools[i]);
    } while (any);
}

void uv_env_free(struct env *base)
{
    if (base == NULL)
        return;
    struct uv_env *env = uv_env_of(base);
    for (int i = 0; i < base->loop_count; i++)
        uv_connect_cancel_all(&env->loops[i]);
    settle(env);
    for (int i = 0; i < POOL_COUNT; i++)
        worker_pool_release(&env->pools[i]);
    for (int i = 0; i < env->signal_count; i++)
        uv_close((uv_handle_t *)&env->signals[i].handle, NULL);
    for (int i = 0; i < base->loop_count; i++) {
        CHECK(env->loops[i].open_count == 0); /* streams and listeners were closed before */
        uv_env_loop_release(&env->loops[i]);
    }
    free(env->loops);
    free(base->loops);
    free(env);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct uv_env_signal *s = CONTAINER_OF(handle, struct uv_env_signal, handle);
    s->caught(s->ctx, signum);
}

int uv_env_on_signal(struct env *base, int signum, void (*caught)(void *, int), void *ctx)
{
    struct uv_env *env = uv_env_of(base);
    CHECK(env->signal_count < SIGNALS_MAX);
    struct uv_env_signal *s = &env->signals[env->signal_count];
    s->caught = caught;
    s->ctx = ctx;
    int rv = uv_signal_init(&env->loops[0].uv, &s->handle);
    if (rv != 0)
        return rv;
    env->signal_count++;
    return uv_signal_start(&s->handle, on_signal, signum);
}

/* From outside, by the thread's CPU clock: libuv's own idle metric makes each wait two system
 * calls.
 */
int64_t uv_env_busy_us(struct env *env, int loop_index)
{
    struct uv_env_loop *loop = &uv_env_of(env)->loops[loop_index];
    uintptr_t thread = atomic_load(&loop->running_thread);
    clockid_t clock;
    if (thread == 0 || pthread_getcpuclockid((pthread_t)thread, &clock) != 0)
        return 0;
    return clock_us(clock);
}

int uv_env_raise_descriptor_limit(uint64_t wanted, uint64_t *ret_limit)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -errno;
    if (limit.rlim_cur < wanted) {
        struct rlimit raised = {.rlim_cur = wanted, .rlim_max = MAX(limit.rlim_max, wanted)};
        if (setrlimit(RLIMIT_NOFILE, &raised) != 0) {
            raised = limit;
            raised.rlim_cur = MIN(limit.rlim_max, wanted);
            if (setrlimit(RLIMIT_NOFILE, &raised) != 0)
                raised = limit;
        }
        limit = raised;
    }
    *ret_limit = limit.rlim_cur;
    return 0;
}
