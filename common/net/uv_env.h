/*
 * The production env: libuv loops, one thread each, worker threads per work class, sockets and the
 * kernel's clocks. env.h and stream.h say what it promises; this header only makes and runs it.
 *
 * Life: uv_env_new, set up (listeners on loop 0 may be made now), uv_env_run in the thread that is
 * to be loop 0 (it returns after uv_env_stop), uv_env_free. Before uv_env_run everything belongs to
 * the calling thread, and so it does again after it returned. All streams and listeners are closed
 * before uv_env_free, which completes closes, work and posted tasks that are still on their way.
 */
#ifndef KRAFTD_NET_UV_ENV_H
#define KRAFTD_NET_UV_ENV_H

#include "common/base/env.h"
#include "common/base/stream.h"

struct uv_env_options {
    int loop_count;                      /* 0: one per core */
    int worker_counts[WORK_CLASS_COUNT]; /* 0: a default; the quorum always has one */
    int send_buffer_bytes;               /* of sockets; 0 or less: the kernel tunes it */
    int receive_buffer_bytes;
    struct disk *disk; /* both outlive the env */
    struct logger *logger;
};

/* Makes loops and worker threads; ignores SIGPIPE for the process (sendfile has no other way). */
int uv_env_new(const struct uv_env_options *options, struct env **ret_env);
/* Runs loop 0 here and the others on their threads, until uv_env_stop. */
void uv_env_run(struct env *env);
/* Any thread. */
void uv_env_stop(struct env *env);
void uv_env_free(struct env *env);

/* `caught` runs on loop 0 whenever the process gets this signal. Before uv_env_run. */
int uv_env_on_signal(struct env *env, int signal, void (*caught)(void *ctx, int signal), void *ctx);
/* CPU time of a loop's thread, to be compared with the time that passed; 0 while it does not run.
 * Any thread, while the env runs. */
int64_t uv_env_busy_us(struct env *env, int loop_index);

/* Raises the soft limit of open descriptors towards `wanted`, as far as the hard limit (or the
 * kernel's, for root) allows, and gives what holds now. */
int uv_env_raise_descriptor_limit(uint64_t wanted, uint64_t *ret_limit);

#endif
