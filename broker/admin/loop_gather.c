#include "broker/admin/loop_gather.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct visit {
    struct task task;
    struct gather *gather;
    struct loop *loop;
    struct bytebuf text;
    bool done;
};

/* Freed by whoever lets go of it last: the asker or a late loop. */
struct gather {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    void (*visit)(struct loop *, void *ctx, struct bytebuf *text);
    void *ctx;
    int count, done_count, references;
    struct visit visits[];
};

/* Takes the mutex as locked. */
static void release(struct gather *g)
{
    bool last = --g->references == 0;
    pthread_mutex_unlock(&g->mutex);
    if (!last)
        return;
    for (int i = 0; i < g->count; i++)
        bytebuf_release(&g->visits[i].text);
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->mutex);
    free(g);
}

static void run_visit(struct task *task)
{
    struct visit *v = CONTAINER_OF(task, struct visit, task);
    struct gather *g = v->gather;
    g->visit(v->loop, g->ctx, &v->text);
    pthread_mutex_lock(&g->mutex);
    v->done = true;
    g->done_count++;
    pthread_cond_signal(&g->changed);
    release(g);
}

int loop_gather(struct env *env, void (*visit)(struct loop *, void *ctx, struct bytebuf *text),
                void *ctx, int timeout_ms, struct bytebuf *out)
{
    struct gather *g = mem_calloc(1, sizeof(*g) + (size_t)env->loop_count * sizeof(g->visits[0]));
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&g->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&g->mutex, NULL);
    g->visit = visit;
    g->ctx = ctx;
    g->count = env->loop_count;
    g->references = g->count + 1;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + (int64_t)timeout_ms * 1000000;
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    for (int i = 0; i < g->count; i++) {
        g->visits[i] = (struct visit){.task.run = run_visit, .gather = g, .loop = env->loops[i]};
        loop_post(env->loops[i], &g->visits[i].task);
    }
    int rv = 0;
    pthread_mutex_lock(&g->mutex);
    while (g->done_count < g->count && rv == 0)
        rv = -pthread_cond_timedwait(&g->changed, &g->mutex, &until);
    for (int i = 0; i < g->count; i++)
        if (g->visits[i].done)
            bytebuf_append(out, g->visits[i].text.data, g->visits[i].text.len);
    rv = g->done_count < g->count ? -ETIMEDOUT : 0;
    release(g);
    return rv;
}
