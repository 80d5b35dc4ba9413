#include "raft/quorum_node_internal.h"

#include "common/protocol/record_batch_fields.h"
#include "raft/quorum_serve.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void pump(struct task *task);
static void on_timer(struct timer *timer);

static void copy_follow(struct quorum_node *node)
{
    const struct quorum_follow_config *from = node->config.follow;
    if (!from)
        return;
    struct endpoint *bootstrap = mem_calloc(from->bootstrap_count, sizeof(*bootstrap));
    int32_t *ids = from->bootstrap_ids ? mem_calloc(from->bootstrap_count, sizeof(*ids)) : NULL;
    for (size_t i = 0; i < from->bootstrap_count; i++) {
        bootstrap[i] = from->bootstrap[i];
        if (ids)
            ids[i] = from->bootstrap_ids[i];
    }
    node->follow = *from;
    node->follow.cluster_id = mem_strdup(from->cluster_id);
    node->follow.bootstrap = bootstrap;
    node->follow.bootstrap_ids = ids;
    node->config.follow = &node->follow;
}

static void release_follow(struct quorum_node *node)
{
    free((void *)(uintptr_t)node->follow.cluster_id);
    free((void *)(uintptr_t)node->follow.bootstrap);
    free((void *)(uintptr_t)node->follow.bootstrap_ids);
}

struct quorum_node *quorum_node_new(struct loop *loop, const struct quorum_node_config *config,
                                    const struct quorum_handler *handler, void *ctx)
{
    struct quorum_node *node = mem_calloc(1, sizeof(*node));
    node->loop = loop;
    node->env = loop->env;
    node->disk = loop->env->disk;
    node->config = *config;
    node->directory = mem_strdup(config->directory);
    node->config.directory = node->directory;
    /* A copy: a worker counts references to it while it opens the log. */
    if (config->voters)
        node->config.voters = quorum_voters_copy(config->voters);
    copy_follow(node);
    /* The log's start is moved by checkpoints alone. */
    node->config.log.retention_bytes = -1;
    node->config.log.retention_ms = -1;
    node->handler = handler;
    node->ctx = ctx;
    node->pump.run = pump;
    node->epoch = node->leader_id = node->barrier_epoch = -1;
    node->new_mark = -1;
    timer_init(&node->timer, loop, on_timer);
    timer_init(&node->mark_timer, loop, mark_is_due);
    list_init(&node->proposals);
    list_init(&node->waits);
    node->served_epoch = node->served_leader = -1;
    node->served_high_watermark = -1;
    node->leaderless_ms = -1;
    job_init(node);
    return node;
}

void quorum_node_free(struct quorum_node *node)
{
    if (!node)
        return;
    CHECK(node->phase == QUORUM_NEW || node->phase == QUORUM_STOPPED);
    CHECK(list_empty(&node->proposals) && list_empty(&node->waits));
    quorum_replicas_release(&node->replicas);
    if (node->has_action)
        quorum_action_release(&node->action);
    quorum_core_free(node->core);
    observer_free(node->observer);
    observer_free(node->scout);
    install_free(node->install);
    release_follow(node);
    quorum_voters_unref(node->config.voters);
    free(node->kept.items);
    free(node->doomed.items);
    free(node->chunk);
    free(node->directory);
    free(node);
}

static void halt_observers(struct quorum_node *node)
{
    if (node->observer)
        observer_halt(node->observer);
    if (node->scout)
        observer_halt(node->scout);
}

void node_fail(struct quorum_node *node, const char *format, ...)
{
    if (node->failed || node->phase == QUORUM_STOPPED)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(node->failure, sizeof(node->failure), format, args);
    va_end(args);
    node->failed = true;
    node->active = false;
    timer_stop(&node->timer);
    timer_stop(&node->mark_timer);
    halt_observers(node);
    node_end_proposals(node, INT64_MAX, -ECANCELED);
    quorum_node_end_waits(node);
    if (node->phase != QUORUM_STOPPING)
        node->handler->failed(node->ctx, node->failure);
}

void node_schedule(struct quorum_node *node)
{
    if (node->pump_posted || node->phase != QUORUM_RUNNING)
        return;
    node->pump_posted = true;
    loop_post(node->loop, &node->pump);
}

static void arm_timer(struct quorum_node *node)
{
    int64_t deadline_ms = quorum_core_deadline_ms(node->core);
    if (deadline_ms == INT64_MAX)
        timer_stop(&node->timer);
    else
        timer_start_at_us(&node->timer, deadline_ms * 1000);
}

static void pump(struct task *task)
{
    struct quorum_node *node = CONTAINER_OF(task, struct quorum_node, pump);
    node->pump_posted = false;
    if (node->phase == QUORUM_STOPPING)
        node_close_if_idle(node);
    if (!node_alive(node))
        return;
    if (node->core)
        step_back_pump(node);
    if (node->observer) {
        observer_pump(node->observer);
        promote_go_on(node);
    } else {
        install_pump(node);
        run_actions(node);
        run_flush(node);
        /* What was just carried out may have been what an installation waits for. */
        install_pump(node);
    }
    give_out(node);
    serve_wake(node);
    if (node_alive(node) && node->core)
        arm_timer(node);
}

static void on_timer(struct timer *timer)
{
    struct quorum_node *node = CONTAINER_OF(timer, struct quorum_node, timer);
    if (!node_alive(node))
        return;
    quorum_core_tick(node->core, env_now_ms(node->env));
    node_schedule(node);
}

static void opened(struct work *work)
{
    struct quorum_opening *o = CONTAINER_OF(work, struct quorum_opening, work);
    struct quorum_node *node = o->node;
    node->opening = NULL;
    if (node->phase == QUORUM_STOPPING) {
        opening_free(o);
        node_close_if_idle(node);
        return;
    }
    node->phase = QUORUM_RUNNING;
    if (o->rv != 0) {
        node->damaged = o->rv == -EBADMSG;
        node_fail(node, "%s", o->sentence);
        opening_free(o);
        return;
    }
    node->core = o->core;
    node->log = o->log;
    node->kept = o->kept;
    node->mark = o->mark;
    node->voters_offset = o->voters_offset;
    o->core = NULL;
    o->log = NULL;
    o->kept = (struct quorum_kept_list){0};
    if (o->observes)
        node->observer = observer_new(node, o);
    node->handler->opened(node->ctx);
    give_start(node, o);
    opening_free(o);
    if (node->observer && node_alive(node))
        observer_start(node->observer);
    node_schedule(node);
}

struct quorum_opening *opening_new(struct quorum_node *node)
{
    struct quorum_opening *o = mem_calloc(1, sizeof(*o));
    o->node = node;
    o->env = node->env;
    o->config = &node->config;
    o->voters_offset = INT64_MAX;
    o->known_epoch = -1;
    o->wall_ms = env_wall_ms(node->env);
    env_random(node->env, &o->seed, sizeof(o->seed));
    bytebuf_init(&o->bootstrap);
    return o;
}

void quorum_node_start(struct quorum_node *node)
{
    CHECK(node->phase == QUORUM_NEW);
    struct quorum_opening *o = opening_new(node);
    o->work = (struct work){.run = opening_run, .done = opened, .loop = node->loop};
    node->opening = o;
    node->phase = QUORUM_OPENING;
    work_submit(&o->work, WORK_DISK);
}

/* A worker holds on to something of the node. */
bool node_in_flight(const struct quorum_node *node)
{
    return node->opening || node->job.in_flight || node->flushing || node->load_work.run ||
           node->warm || node->snapshot || node->cleaning || node->pump_posted ||
           (node->observer && observer_in_flight(node->observer)) ||
           (node->scout && observer_in_flight(node->scout)) || install_in_flight(node->install);
}

void node_close_if_idle(struct quorum_node *node)
{
    if (node->phase != QUORUM_STOPPING || node_in_flight(node))
        return;
    if (node->reader)
        quorum_checkpoint_close(node->reader);
    node->reader = NULL;
    node->job.kind = QUORUM_JOB_CLOSE;
    node->job.in_flight = true;
    node->job.clean = !node->failed;
    work_submit(&node->job.work, WORK_QUORUM);
}

void quorum_node_stop(struct quorum_node *node, void (*stopped)(void *ctx), void *ctx)
{
    CHECK(node->phase != QUORUM_STOPPING && node->phase != QUORUM_STOPPED);
    bool started = node->phase != QUORUM_NEW;
    node->stopped = stopped;
    node->stopped_ctx = ctx;
    node->active = false;
    node->phase = QUORUM_STOPPING;
    timer_stop(&node->timer);
    timer_stop(&node->mark_timer);
    node_end_proposals(node, INT64_MAX, -ECANCELED);
    halt_observers(node);
    quorum_node_end_waits(node);
    if (!started) {
        node->phase = QUORUM_STOPPED;
        stopped(ctx);
        return;
    }
    node_close_if_idle(node);
}

void node_end_proposals(struct quorum_node *node, int64_t up_to, int status)
{
    while (!list_empty(&node->proposals)) {
        struct quorum_proposal *proposal =
            LIST_ITEM(node->proposals.next, struct quorum_proposal, link);
        if (proposal->last_offset >= up_to)
            return;
        list_remove(&proposal->link);
        proposal->done(proposal, status);
    }
}

int quorum_node_propose(struct quorum_node *node, struct buf *batch,
                        struct quorum_proposal *proposal)
{
    struct record_batch parsed;
    int rv = record_batch_parse(batch->data, batch->size_bytes, &parsed);
    CHECK(rv == 0 && parsed.bytes.len == (int32_t)batch->size_bytes);
    uint32_t count = (uint32_t)parsed.header.last_offset_delta + 1;
    uint64_t base = 0;
    rv = node_alive(node) && node->active
             ? quorum_core_submit(node->core, count,
                                  (struct quorum_bytes){batch, 0, batch->size_bytes},
                                  env_now_ms(node->env), &base)
             : -EPERM;
    if (rv == 0) {
        /* The append that this queued has not been carried out yet. */
        int64_t offset = quorum_offset_of(base);
        record_batch_set_offsets(batch->data, offset, node->epoch);
        if (proposal) {
            proposal->first_offset = offset;
            proposal->last_offset = offset + count - 1;
            list_push_back(&node->proposals, &proposal->link);
        }
        node_schedule(node);
    }
    buf_unref(batch);
    return rv;
}

int64_t quorum_node_next_offset(const struct quorum_node *node)
{
    return node->core ? quorum_offset_of(quorum_core_last_index(node->core)) + 1
                      : log_end_offset(node->log);
}

void quorum_node_peer_gone(struct quorum_node *node, uint64_t raft_id)
{
    if (!node_alive(node) || node->observer)
        return;
    quorum_core_leader_gone(node->core, raft_id, env_now_ms(node->env));
    node_schedule(node);
}

void quorum_node_receive(struct quorum_node *node, const struct quorum_message *message)
{
    if (!node_alive(node))
        return;
    if (node->observer) {
        promote_if_asked(node, message);
        return;
    }
    quorum_core_receive(node->core, message, env_now_ms(node->env));
    node_schedule(node);
}
