#include "raft/quorum_install.h"

#include "raft/quorum_checkpoint_receive.h"
#include "raft/quorum_node_internal.h"

#define LOG_MODULE "quorum"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* Between two rounds over all who might have it, and how long without a byte is long enough. */
#define RETRY_MS   200
#define GIVE_UP_MS 3000
/* A checkpoint that is larger is none. */
#define SIZE_MAX_BYTES ((int64_t)64 << 30)

enum install_state {
    INSTALL_PAUSED,    /* until the timer */
    INSTALL_ASKING,    /* a peer is to send the next piece */
    INSTALL_WRITING,   /* a worker writes it */
    INSTALL_WHOLE,     /* it is on the disk; the log is to be emptied as soon as it is free */
    INSTALL_EMPTYING,  /* by the node's job */
    INSTALL_LOST,      /* nobody has it; the log is to be taken up as soon as it is free */
    INSTALL_RELOADING, /* by a worker */
};

struct quorum_installation {
    struct quorum_node *node;
    enum install_state state;
    struct quorum_checkpoint_id id;
    uint64_t leader, source; /* who asked for it; whom we ask: raft ids */
    int source_at;           /* place of the next source among the voters; -1: the leader */
    struct timer timer;
    int64_t progress_ms;
    struct quorum_checkpoint_receiver *receiver;
    struct quorum_checkpoint_info info;
    int64_t position, size;
    struct buf *frame; /* holds the piece */
    struct bytes piece;
    struct work work;
    int rv;
    struct quorum_opening *opening;
};

static void ask(struct quorum_installation *in);

static bool stopped(const struct quorum_installation *in)
{
    return !node_alive(in->node);
}

static void pause_for(struct quorum_installation *in, int64_t ms)
{
    in->state = INSTALL_PAUSED;
    timer_start_in_ms(&in->timer, ms);
}

/* The next who might have it: the leader that asked for it, then the voters one after the other.
 * False: that was all of them. */
static bool next_source(struct quorum_installation *in)
{
    const struct quorum_voters *voters = quorum_core_voters(in->node->core);
    if (in->source_at < 0) {
        in->source_at = 0;
        in->source = in->leader;
        return true;
    }
    while (voters && in->source_at < voters->count) {
        in->source = voters->servers[in->source_at++].raft_id;
        if (in->source != in->leader && in->source != quorum_core_raft_id(in->node->core))
            return true;
    }
    in->source_at = -1;
    return false;
}

/* That source has failed; what came from it goes, another one's bytes may differ. */
static void try_next(struct quorum_installation *in)
{
    struct quorum_node *node = in->node;
    in->position = in->size = 0;
    if (next_source(in)) {
        pause_for(in, 0);
    } else if (env_now_ms(node->env) - in->progress_ms < GIVE_UP_MS) {
        pause_for(in, RETRY_MS);
    } else {
        log_warn(node->env->logger,
                 "No voter has the checkpoint at offset %" PRId64
                 " any more that its leader asked to be installed: going on with the own log",
                 in->id.end_offset);
        in->state = INSTALL_LOST;
        node_schedule(node);
    }
}

static void write_run(struct work *work)
{
    struct quorum_installation *in = CONTAINER_OF(work, struct quorum_installation, work);
    struct quorum_node *node = in->node;
    if (in->position == 0) {
        quorum_checkpoint_receiver_abort(in->receiver);
        in->receiver = NULL;
        in->rv = quorum_checkpoint_receive(node->disk, node->directory, in->id, &in->receiver);
        if (in->rv != 0)
            return;
    }
    in->rv = quorum_checkpoint_receiver_put(in->receiver, in->piece.data, (size_t)in->piece.len);
    if (in->rv == 0 && in->position + in->piece.len == in->size) {
        in->rv = quorum_checkpoint_receiver_finish(in->receiver, &in->info);
        in->receiver = NULL;
    }
}

static void write_done(struct work *work)
{
    struct quorum_installation *in = CONTAINER_OF(work, struct quorum_installation, work);
    struct quorum_node *node = in->node;
    buf_unref(in->frame);
    in->frame = NULL;
    in->state = INSTALL_PAUSED;
    if (stopped(in)) {
        node_close_if_idle(node);
        return;
    }
    if (in->rv == -EBADMSG) {
        log_warn(node->env->logger, "The checkpoint at offset %" PRId64 " came damaged",
                 in->id.end_offset);
        try_next(in);
        return;
    }
    if (in->rv != 0) {
        node_fail(node, "cannot write the checkpoint at offset %" PRId64 " in %s: %s",
                  in->id.end_offset, node->directory, strerror(-in->rv));
        return;
    }
    in->position += in->piece.len;
    in->progress_ms = env_now_ms(node->env);
    if (in->position < in->size) {
        ask(in);
        return;
    }
    in->state = INSTALL_WHOLE;
    node_schedule(node);
}

/* A piece, or why there is none. */
static void fetched(void *ctx, int status, int64_t size, struct bytes data, struct buf *frame)
{
    struct quorum_installation *in = ctx;
    struct quorum_node *node = in->node;
    in->state = INSTALL_PAUSED;
    if (stopped(in)) {
        node_close_if_idle(node);
        return;
    }
    bool sane = status == 0 && size > 0 && size <= SIZE_MAX_BYTES && data.len > 0 &&
                in->position + data.len <= size && (in->position == 0 || size == in->size);
    if (!sane) {
        try_next(in);
        return;
    }
    in->size = size;
    in->piece = data;
    in->frame = buf_ref(frame);
    in->state = INSTALL_WRITING;
    in->work = (struct work){.run = write_run, .done = write_done, .loop = node->loop};
    work_submit(&in->work, WORK_DISK);
}

static void ask(struct quorum_installation *in)
{
    const struct quorum_transport *transport = in->node->config.transport;
    in->state = INSTALL_ASKING;
    int rv = transport && transport->fetch
                 ? transport->fetch(transport->ctx, in->source, in->id, in->position, fetched, in)
                 : -ENOTCONN;
    if (rv != 0)
        try_next(in);
}

static void on_timer(struct timer *timer)
{
    struct quorum_installation *in = CONTAINER_OF(timer, struct quorum_installation, timer);
    if (in->state != INSTALL_PAUSED || stopped(in))
        return;
    if (in->source_at < 0)
        next_source(in);
    ask(in);
}

void install_begin(struct quorum_node *node, const struct quorum_action *action)
{
    CHECK(!node->install);
    struct quorum_installation *in = mem_calloc(1, sizeof(*in));
    in->node = node;
    in->id = (struct quorum_checkpoint_id){quorum_offset_of(action->install.index) + 1,
                                           quorum_epoch_of(action->install.term)};
    in->leader = action->install.from.raft_id;
    in->source_at = -1;
    in->progress_ms = env_now_ms(node->env);
    timer_init(&in->timer, node->loop, on_timer);
    node->install = in;
    log_info(node->env->logger,
             "Too far behind node %" PRId32 ": fetching its checkpoint at offset %" PRId64,
             action->install.from.node_id, in->id.end_offset);
    next_source(in);
    ask(in);
}

static void end_install(struct quorum_installation *in)
{
    in->node->install = NULL;
    install_free(in);
}

/* Nobody else may touch the log and the list of checkpoints meanwhile. */
static bool log_is_free(const struct quorum_node *node)
{
    return !node->job.in_flight && !node->job.done && !node->loading && !node->load_work.run &&
           !node->warm && !node->flush && !node->cleaning && !node->snapshot &&
           !log_busy(node->log);
}

static void installed(struct quorum_installation *in)
{
    struct quorum_node *node = in->node;
    struct quorum_kept kept = {in->id, in->info.size_bytes, in->info.last_contained_ms};
    log_info(node->env->logger,
             "Took over the checkpoint end_offset=%" PRId64 " epoch=%" PRId32 " bytes=%" PRId64,
             kept.id.end_offset, kept.id.epoch, kept.size_bytes);
    node->mark = kept.id.end_offset;
    node->voters_offset = in->info.voters ? 0 : INT64_MAX;
    node->durable_id = node->written_id;
    keep_only(node, &kept);
    end_install(in);
    give_checkpoint(node, kept.id);
    if (node_alive(node))
        quorum_core_snapshot_installed(node->core, env_now_ms(node->env));
    node_schedule(node);
}

static void reload_run(struct work *work)
{
    opening_reload(CONTAINER_OF(work, struct quorum_opening, work));
}

static void reload_done(struct work *work)
{
    struct quorum_opening *o = CONTAINER_OF(work, struct quorum_opening, work);
    struct quorum_node *node = o->node;
    struct quorum_installation *in = node->install;
    o->log = NULL; /* the node's all the time */
    in->opening = NULL;
    end_install(in);
    if (o->rv != 0 && !node->failed)
        node_fail(node, "%s", o->sentence);
    if (node_alive(node)) {
        if (node->has_action)
            quorum_action_release(&node->action);
        node->has_action = false;
        quorum_core_free(node->core);
        node->core = o->core;
        o->core = NULL;
        node->written_id = node->durable_id = 0;
        node->mark = o->mark;
        free(node->kept.items);
        node->kept = o->kept;
        o->kept = (struct quorum_kept_list){0};
    }
    opening_free(o);
    node_schedule(node);
    node_close_if_idle(node);
}

/* libraft begins again with what the disk holds. What was given out stays given out: the commit
 * index never goes back. */
static void reload(struct quorum_installation *in)
{
    struct quorum_node *node = in->node;
    in->state = INSTALL_RELOADING;
    in->opening = opening_new(node);
    in->opening->log = node->log;
    in->opening->mark = node->mark;
    in->opening->has_log_files = true;
    in->opening->work = (struct work){.run = reload_run, .done = reload_done, .loop = node->loop};
    work_submit(&in->opening->work, WORK_QUORUM);
}

void install_pump(struct quorum_node *node)
{
    struct quorum_installation *in = node->install;
    if (!in)
        return;
    if (in->state == INSTALL_WHOLE && log_is_free(node)) {
        in->state = INSTALL_EMPTYING;
        node->job.offset = in->id.end_offset;
        job_submit(node, QUORUM_JOB_INSTALL);
    } else if (in->state == INSTALL_EMPTYING && !node->job.in_flight && job_was_done(node)) {
        installed(in);
    } else if (in->state == INSTALL_LOST && log_is_free(node)) {
        reload(in);
    }
}

bool install_in_flight(const struct quorum_installation *in)
{
    return in && (in->state == INSTALL_ASKING || in->state == INSTALL_WRITING ||
                  in->state == INSTALL_RELOADING);
}

bool install_reloads(const struct quorum_installation *in)
{
    return in && in->state == INSTALL_RELOADING;
}

void install_free(struct quorum_installation *in)
{
    if (!in)
        return;
    CHECK(!install_in_flight(in) || in->state == INSTALL_RELOADING);
    timer_stop(&in->timer);
    quorum_checkpoint_receiver_abort(in->receiver);
    quorum_voters_unref(in->info.voters);
    free(in);
}
