/*
 * For tests of one partition in a simulated process: a host with a disk and nobody around it. What
 * a test wants to hear of, or to say, it sets itself afterwards.
 */
#ifndef KRAFTD_TEST_LONE_HOST_H
#define KRAFTD_TEST_LONE_HOST_H

#include "broker/replica/replica_host.h"
#include "common/storage/file_cache.h"
#include "common/storage/log_truncate.h"
#include "tests/sim/sim_env.h"

#include <stdio.h>

struct lone_host {
    struct sim *sim;
    struct env *env;
    struct file_cache files;
    int lives; /* of the replica: each has a log of its own */
};

static inline int lone_host_open_log(void *owner, struct file_cache *files,
                                     const struct log_wanted *wanted, struct log_opened *ret_opened,
                                     struct log_opened *ret_copy)
{
    const struct lone_host *lone = owner;
    char path[32];
    snprintf(path, sizeof(path), "/topic-0.%d", lone->lives);
    struct log_open_args args = {.disk = lone->env->disk,
                                 .files = files,
                                 .path = path,
                                 .config = &wanted->config,
                                 .create = true};
    return log_open(&args, &ret_opened->log, NULL);
}

static inline int lone_host_close_log(void *owner, struct log *log, bool clean, bool remove)
{
    return log_close(log, clean);
}

static inline int lone_host_cut_log(void *owner, struct log *log, bool restart, int64_t end)
{
    const struct lone_host *lone = owner;
    int64_t now_ms = env_wall_ms(lone->env);
    return restart ? log_truncate_fully(log, end, -1, now_ms) : log_truncate_to(log, end, now_ms);
}

static inline void lone_host_opened(void *owner, struct partition *p, int status)
{
    const struct lone_host *lone = owner;
    if (status != 0)
        sim_fail(lone->sim, "the log is not opened: %d", status);
}

static inline void lone_host_nothing(struct replica_host *host, struct partition *p)
{
}

static inline void lone_host_tell_directory(struct replica_host *host, struct partition *p,
                                            struct uuid directory)
{
}

static inline void lone_host_init(struct lone_host *lone, struct sim *sim, struct env *env,
                                  int32_t node_id, struct replica_host *ret_host)
{
    *lone = (struct lone_host){.sim = sim, .env = env};
    file_cache_init(&lone->files, 16);
    *ret_host = (struct replica_host){.env = env,
                                      .loop = env->loops[0],
                                      .node_id = node_id,
                                      .files = &lone->files,
                                      .owner = lone,
                                      .open_log = lone_host_open_log,
                                      .close_log = lone_host_close_log,
                                      .cut_log = lone_host_cut_log,
                                      .opened = lone_host_opened,
                                      .follow = lone_host_nothing,
                                      .unfollow = lone_host_nothing,
                                      .tell_directory = lone_host_tell_directory};
}

#endif
