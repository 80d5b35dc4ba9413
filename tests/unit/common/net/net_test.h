/*
 * Shared by the network tests: an env that runs in the background and calls into its loops.
 */
#ifndef TEST_NET_TEST_H
#define TEST_NET_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/check.h"
#include "common/base/disk.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/net/uv_env.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct net_env {
    struct env *env;
    struct disk *disk;
    struct logger logger;
    pthread_t thread;
};

static inline void quiet_sink(struct logger *logger, enum log_level level, const char *module,
                              const char *message)
{
}

static inline void *net_env_main(void *arg)
{
    uv_env_run(arg);
    return NULL;
}

static inline void net_env_start(struct net_env *n, int loop_count)
{
    n->disk = disk_posix_new();
    n->logger = (struct logger){.level = LOG_INFO, .sink = quiet_sink};
    struct uv_env_options options = {
        .loop_count = loop_count, .disk = n->disk, .logger = &n->logger};
    assert_int_equal(uv_env_new(&options, &n->env), 0);
    assert_int_equal(pthread_create(&n->thread, NULL, net_env_main, n->env), 0);
}

static inline void net_env_stop(struct net_env *n)
{
    uv_env_stop(n->env);
    pthread_join(n->thread, NULL);
    uv_env_free(n->env);
    disk_posix_free(n->disk);
}

struct loop_call {
    struct task task;
    void (*call)(void *arg);
    void *arg;
    _Atomic bool done;
};

static inline void sleep_ms(int64_t ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&ts, NULL);
}

static inline void loop_call_run(struct task *task)
{
    struct loop_call *c = CONTAINER_OF(task, struct loop_call, task);
    c->call(c->arg);
    atomic_store(&c->done, true);
}

/* Runs call(arg) on the loop and waits until it has returned. */
static inline void on_loop(struct loop *loop, void (*call)(void *), void *arg)
{
    struct loop_call c = {.task.run = loop_call_run, .call = call, .arg = arg};
    loop_post(loop, &c.task);
    while (!atomic_load(&c.done))
        sleep_ms(1);
}

/* What must come may take so long: sanitizers, a machine that does much else. */
#define PATIENCE_MS 60000

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        for (int wait_i = 0; wait_i < PATIENCE_MS && !(condition); wait_i++)                       \
            sleep_ms(1);                                                                           \
        assert_true(condition);                                                                    \
    } while (0)

#endif
