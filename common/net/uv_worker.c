#include "common/net/uv_env_internal.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <signal.h>
#include <stdlib.h>

int thread_start(pthread_t *ret_thread, void *(*run)(void *), void *arg)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        sigdelset(&blocked, own[i]);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    int rv = pthread_create(ret_thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rv;
}

static void run_done(struct task *task)
{
    struct work *work = CONTAINER_OF(task, struct work, task);
    work->done(work);
}

static void *worker_main(void *arg)
{
    struct worker_pool *pool = arg;
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (pool->first == NULL && !pool->stopping)
            pthread_cond_wait(&pool->wake, &pool->mutex);
        struct task *task = pool->first;
        if (task == NULL)
            break;
        pool->first = task->next;
        if (pool->first == NULL)
            pool->last = &pool->first;
        pool->running_count++;
        pthread_mutex_unlock(&pool->mutex);
        struct work *work = CONTAINER_OF(task, struct work, task);
        work->run(work);
        work->task = (struct task){.run = run_done};
        loop_post(work->loop, &work->task);
        pthread_mutex_lock(&pool->mutex);
        if (--pool->running_count == 0 && pool->first == NULL)
            pthread_cond_broadcast(&pool->idle);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

int worker_pool_init(struct worker_pool *pool, const char *name, int thread_count)
{
    *pool = (struct worker_pool){.last = &pool->first};
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->idle, NULL);
    pool->threads = mem_calloc((size_t)thread_count, sizeof(*pool->threads));
    for (; pool->thread_count < thread_count; pool->thread_count++) {
        int rv = thread_start(&pool->threads[pool->thread_count], worker_main, pool);
        if (rv != 0) {
            worker_pool_release(pool);
            return rv;
        }
        pthread_setname_np(pool->threads[pool->thread_count], name);
    }
    return 0;
}

void worker_pool_release(struct worker_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    free(pool->threads);
    pthread_cond_destroy(&pool->wake);
    pthread_cond_destroy(&pool->idle);
    pthread_mutex_destroy(&pool->mutex);
}

bool worker_pool_wait(struct worker_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    bool waited = false;
    while (pool->first != NULL || pool->running_count > 0) {
        waited = true;
        pthread_cond_wait(&pool->idle, &pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return waited;
}

void worker_pool_submit(struct worker_pool *pool, struct work *work)
{
    work->task.next = NULL;
    pthread_mutex_lock(&pool->mutex);
    CHECK(!pool->stopping);
    *pool->last = &work->task;
    pool->last = &work->task.next;
    pthread_cond_signal(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}
