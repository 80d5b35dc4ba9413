/*
 * Inside of the libuv env: a loop, its worker pools, its streams. See uv_env.h.
 *
 * A turn of a loop: timers, posted tasks and descriptors run their callbacks; then, just before the
 * loop waits, what streams queued meanwhile goes out (one writev per stream) and the next timer is
 * armed.
 */
#ifndef KRAFTD_NET_UV_ENV_INTERNAL_H
#define KRAFTD_NET_UV_ENV_INTERNAL_H

#include "common/base/list.h"
#include "common/base/stream.h"
#include "common/base/timer_heap.h"
#include "common/net/uv_env.h"

#include <pthread.h>
#include <sys/socket.h>
#include <uv.h>

enum {
    POOL_RESOLVER = WORK_CLASS_COUNT, /* names; a dead DNS server must not hold up disk work */
    POOL_COUNT,
    SIGNALS_MAX = 8,
    SCRATCH_BYTES = 64 * 1024,
};

struct uv_env_loop {
    struct loop base;
    uv_loop_t uv;
    uv_poll_t wake;       /* posts of other threads */
    int wake_fd;          /* an eventfd */
    uv_idle_t idle;       /* active while something must run without waiting */
    uv_prepare_t prepare; /* end of a turn */
    uv_timer_t timer;     /* for the first of `timers` */
    int64_t armed_us;     /* due time it was armed for; -1: not armed */
    struct timer_heap timers;
    _Atomic(struct task *) posted; /* newest first; whoever finds it empty wakes the loop */
    struct list dirty;             /* streams with something to do at the end of the turn */
    int open_count;                /* streams, listeners and connects that are not closed */
    struct list connects;
    pthread_t thread;
    _Atomic uintptr_t running_thread; /* 0 while it stands still: tells its own posts */
    uint8_t *scratch; /* SCRATCH_BYTES for small reads of files on their way to a socket */
};

struct worker_pool {
    pthread_mutex_t mutex;
    pthread_cond_t wake, idle;
    struct task *first, **last;
    int running_count;
    bool stopping;
    const char *name;
    struct list workers;            /* struct worker */
    int thread_count, wanted_count; /* those that go on, and how many shall */
};

struct uv_env {
    struct env base;
    struct uv_env_options options;
    struct uv_env_loop *loops;
    struct worker_pool pools[POOL_COUNT];
    struct uv_env_signal {
        uv_signal_t handle;
        void (*caught)(void *ctx, int signal);
        void *ctx;
    } signals[SIGNALS_MAX];
    int signal_count;
};

static inline struct uv_env *uv_env_of(struct env *env)
{
    return CONTAINER_OF(env, struct uv_env, base);
}

static inline struct uv_env_loop *uv_env_loop_of(struct loop *loop)
{
    return CONTAINER_OF(loop, struct uv_env_loop, base);
}

/* uv_loop.c */
int uv_env_loop_init(struct uv_env_loop *loop, struct env *env, int index);
/* Until uv_stop(&loop->uv). */
void uv_env_loop_run(struct uv_env_loop *loop);
/* Runs what was posted; false when there was nothing. */
bool uv_env_loop_drain(struct uv_env_loop *loop);
void uv_env_loop_release(struct uv_env_loop *loop);
void uv_env_loop_post(struct loop *loop, struct task *task);
void uv_env_timer_start(struct timer *timer, int64_t due_us);
void uv_env_timer_stop(struct timer *timer);
/* Makes the loop take another turn without waiting. On its thread. */
void uv_env_loop_stay_awake(struct uv_env_loop *loop);

/* uv_worker.c */
int worker_pool_init(struct worker_pool *pool, const char *name, int thread_count);
/* More threads at once; those that are too many end when they have nothing to do. One thread calls
 * this. After an error there are as many as could be made. */
int worker_pool_resize(struct worker_pool *pool, int thread_count);
/* Until nothing is queued or running; false when it was so from the start. */
bool worker_pool_wait(struct worker_pool *pool);
/* Completes what is queued, then joins the threads. */
void worker_pool_release(struct worker_pool *pool);
void worker_pool_submit(struct worker_pool *pool, struct work *work);
/* A thread that takes none of the signals meant for the process as a whole. */
int thread_start(pthread_t *ret_thread, void *(*run)(void *), void *arg);

/* uv_stream.c */
struct uv_stream;
/* Takes over a connected, non-blocking socket. */
struct stream *uv_stream_new(struct uv_env *env, int fd, const struct sockaddr *peer);
void uv_stream_end_of_turn(struct list *dirty_node);
void uv_stream_start(struct stream *s, struct loop *loop, const struct stream_handler *handler,
                     void *owner);
void uv_stream_read_pause(struct stream *s);
void uv_stream_read_resume(struct stream *s);
void uv_stream_write(struct stream *s, struct out_chunk *chunks, int count);
void uv_stream_close(struct stream *s, bool flush, void (*closed)(void *owner), void *owner);

/* uv_listener.c */
int uv_listener_open(struct loop *loop, const struct endpoint *endpoint, int backlog,
                     void (*on_accept)(void *owner, struct stream *), void *owner,
                     struct listener **ret_listener);
uint16_t uv_listener_port(struct listener *listener);
void uv_listener_close(struct listener *listener);

/* uv_connect.c */
void uv_connect(struct loop *loop, const struct endpoint *endpoint, int timeout_ms,
                void (*connected)(void *owner, struct stream *, int status), void *owner);
/* Fails all connects of a loop that ends. */
void uv_connect_cancel_all(struct uv_env_loop *loop);

#endif
