/*
 * env: everything a node gets from outside itself: clocks, timers, loops, worker threads,
 * randomness, network and disk. Two implementations: libuv (common/net/uv_env.h) and the
 * simulation's virtual time (tests/sim). A node never asks the operating system any other way,
 * which is what makes a simulated run replay exactly from its seed.
 *
 * Threads: a loop runs its tasks, timers and stream callbacks one at a time on its own thread.
 * loop_post may be called from any thread; all else that names a loop only on that loop's thread.
 * Tasks, timers and work items are embedded in the caller's structs and must stay alive until they
 * ran or were stopped.
 */
#ifndef KRAFTD_BASE_ENV_H
#define KRAFTD_BASE_ENV_H

#include "common/base/uuid.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk;
struct env;
struct logger;
struct loop;

struct task {
    void (*run)(struct task *);
    struct task *next; /* the queue's */
};

struct timer {
    void (*fire)(struct timer *);
    struct loop *loop;
    int64_t due_us;
    uint64_t sequence; /* of its start, the heap's */
    size_t heap_index; /* 0: not running */
};

/* Which threads run it. The quorum's fsync has a thread of its own: it never waits behind others.
 */
enum work_class {
    WORK_QUORUM, /* the metadata log's writes and syncs; one thread, in order of submission */
    WORK_FLUSH,  /* fsync of partitions */
    WORK_DISK,   /* opening, recovery, deletion, snapshots, page-cache warming */
    WORK_CLASS_COUNT,
};

struct work {
    void (*run)(struct work *);  /* on a worker thread */
    void (*done)(struct work *); /* then on `loop` */
    struct loop *loop;
    struct task task; /* the implementation's, to queue it with */
};

struct net_ops; /* common/base/stream.h */

struct env_ops {
    int64_t (*now_us)(struct env *);  /* monotonic */
    int64_t (*wall_ms)(struct env *); /* Unix time; may jump */
    void (*random)(struct env *, void *ret_bytes, size_t len);
    void (*post)(struct loop *, struct task *);
    void (*timer_start)(struct timer *, int64_t due_us);
    void (*timer_stop)(struct timer *);
    void (*submit)(struct work *, enum work_class);
    int64_t (*busy_us)(struct loop *); /* CPU time that it has used */
    /* So many threads, not 0, run this class from now on; 0 or an errno. NULL: there are none. */
    int (*set_workers)(struct env *, enum work_class, int thread_count);
};

struct env {
    const struct env_ops *ops;
    const struct net_ops *net;
    struct disk *disk;
    struct logger *logger;
    struct loop **loops; /* loop 0 is the metadata loop */
    int loop_count;
};

/* Implementations embed this first. */
struct loop {
    struct env *env;
    int index;
};

static inline int64_t env_now_us(struct env *env)
{
    return env->ops->now_us(env);
}

static inline int64_t env_now_ms(struct env *env)
{
    return env->ops->now_us(env) / 1000;
}

static inline int64_t env_wall_ms(struct env *env)
{
    return env->ops->wall_ms(env);
}

static inline void env_random(struct env *env, void *ret_bytes, size_t len)
{
    env->ops->random(env, ret_bytes, len);
}

/* A fresh random id in Kafka's form. */
struct uuid env_random_uuid(struct env *env);

/* Runs task->run once on the loop, after what was posted there before it. Any thread. */
static inline void loop_post(struct loop *loop, struct task *task)
{
    loop->env->ops->post(loop, task);
}

static inline void timer_init(struct timer *timer, struct loop *loop, void (*fire)(struct timer *))
{
    *timer = (struct timer){.fire = fire, .loop = loop};
}

/* (Re)starts; fires once. A delay of 0 or less fires on the next turn, never from inside this call.
 */
static inline void timer_start_in_ms(struct timer *timer, int64_t delay_ms)
{
    struct env *env = timer->loop->env;
    env->ops->timer_start(timer, env_now_us(env) + delay_ms * 1000);
}

static inline void timer_start_at_us(struct timer *timer, int64_t due_us)
{
    timer->loop->env->ops->timer_start(timer, due_us);
}

/* Harmless when it is not running. */
static inline void timer_stop(struct timer *timer)
{
    timer->loop->env->ops->timer_stop(timer);
}

static inline bool timer_running(const struct timer *timer)
{
    return timer->heap_index != 0;
}

/* run() on a worker thread, then done() on work->loop. Cannot be cancelled. Any thread. */
static inline void work_submit(struct work *work, enum work_class work_class)
{
    work->loop->env->ops->submit(work, work_class);
}

#endif
