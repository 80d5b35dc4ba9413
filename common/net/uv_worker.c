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

struct worker {
    struct list link;
    pthread_t thread;
    struct worker_pool *pool;
    bool ended;
};

static bool too_many(const struct worker_pool *pool)
{
    return !pool->stopping && pool->thread_count > pool->wanted_count;
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct worker_pool *pool = worker->pool;
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (pool->first == NULL && !pool->stopping && !too_many(pool))
            pthread_cond_wait(&pool->wake, &pool->mutex);
        struct task *task = pool->first;
        if (too_many(pool)) {
            pool->thread_count--;
            worker->ended = true;
            if (task != NULL) /* the signal for it may have come here */
                pthread_cond_signal(&pool->wake);
            break;
        }
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

static int start_worker(struct worker_pool *pool)
{
    struct worker *worker = mem_calloc(1, sizeof(*worker));
    worker->pool = pool;
    int rv = thread_start(&worker->thread, worker_main, worker);
    if (rv != 0) {
        free(worker);
        return rv;
    }
    pthread_setname_np(worker->thread, pool->name);
    list_push_back(&pool->workers, &worker->link);
    pool->thread_count++;
    return 0;
}

static void join_worker(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
    list_remove(&worker->link);
    free(worker);
}

int worker_pool_init(struct worker_pool *pool, const char *name, int thread_count)
{
    *pool = (struct worker_pool){.last = &pool->first, .name = name};
    list_init(&pool->workers);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->idle, NULL);
    int rv = worker_pool_resize(pool, thread_count);
    if (rv != 0)
        worker_pool_release(pool);
    return rv;
}

int worker_pool_resize(struct worker_pool *pool, int thread_count)
{
    struct list ended;
    int rv = 0;
    CHECK(thread_count > 0);
    list_init(&ended);
    pthread_mutex_lock(&pool->mutex);
    pool->wanted_count = thread_count;
    while (rv == 0 && pool->thread_count < thread_count)
        rv = start_worker(pool);
    if (rv != 0)
        pool->wanted_count = pool->thread_count;
    pthread_cond_broadcast(&pool->wake);
    LIST_FOR_EACH (item, &pool->workers) {
        if (LIST_ITEM(item, struct worker, link)->ended) {
            list_remove(item);
            list_push_back(&ended, item);
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    LIST_FOR_EACH (item, &ended)
        join_worker(LIST_ITEM(item, struct worker, link));
    return rv;
}

void worker_pool_release(struct worker_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    LIST_FOR_EACH (item, &pool->workers)
        join_worker(LIST_ITEM(item, struct worker, link));
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
