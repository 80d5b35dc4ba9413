/*
 * Carrying out the core's actions, one after the other. Term and vote, and a truncation, are jobs
 * of the quorum's worker: everything behind them waits. Appends go to the page cache; a sync in
 * flight covers what was appended before it began, and the next one all that came meanwhile.
 */
#include "raft/quorum_node_internal.h"

#include "common/base/mutation.h"
#include "common/protocol/record_batch_fields.h"
#include "common/storage/log_truncate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* What is small enough to be copied, so that many go to the file in one call, and how much of it.
 */
enum { SMALL_BYTES = 16 << 10, RUN_BYTES = 256 << 10 };

/* Index 1 is a file of its own: a blank node learns the voters before it has a log. */
static int write_bootstrap(const struct quorum_node *node)
{
    struct quorum_checkpoint_header header = {
        .timestamp_ms = node->job.wall_ms,
        .last_contained_ms = node->job.wall_ms,
        .with_kraft_version = true,
        .voters = node->job.voters,
    };
    struct quorum_checkpoint_writer *writer;
    int rv = quorum_checkpoint_create(node->disk, node->directory, QUORUM_CHECKPOINT_BOOTSTRAP,
                                      &header, &writer);
    return rv == 0 ? quorum_checkpoint_finish(writer) : rv;
}

static void job_run(struct work *work)
{
    struct quorum_job *job = CONTAINER_OF(work, struct quorum_job, work);
    struct quorum_node *node = CONTAINER_OF(job, struct quorum_node, job);
    if (job->kind == QUORUM_JOB_STATE) {
        char *path = mem_printf("%s/" QUORUM_STATE_FILE, node->directory);
        job->rv = quorum_state_store(node->disk, path, &job->state);
        free(path);
    } else if (job->kind == QUORUM_JOB_BOOTSTRAP) {
        job->rv = write_bootstrap(node);
    } else if (job->kind == QUORUM_JOB_INSTALL) {
        /* A crash in between leaves a log that ends below the checkpoint, which is emptied then. */
        job->rv = quorum_mark_write(node->disk, node->directory, 0);
        if (job->rv == 0)
            job->rv = log_truncate_fully(node->log, job->offset, job->offset, job->wall_ms);
        if (job->rv == 0)
            job->rv = quorum_mark_write(node->disk, node->directory, job->offset);
    } else if (job->kind == QUORUM_JOB_TRUNCATE) {
        /* A log that ends below its recovery point would count as damaged. */
        job->rv = job->offset < job->mark
                      ? quorum_mark_write(node->disk, node->directory, job->offset)
                      : 0;
        if (job->rv == 0)
            job->rv = log_truncate_to(node->log, job->offset, job->wall_ms);
    } else if (node->log) {
        int64_t end = log_end_offset(node->log);
        job->rv = log_close(node->log, job->clean);
        if (job->rv == 0 && job->clean)
            job->rv = quorum_mark_write(node->disk, node->directory, end);
    }
}

static void job_done(struct work *work)
{
    struct quorum_job *job = CONTAINER_OF(work, struct quorum_job, work);
    struct quorum_node *node = CONTAINER_OF(job, struct quorum_node, job);
    job->in_flight = false;
    job->done = true;
    if (job->kind == QUORUM_JOB_CLOSE) {
        node->log = NULL;
        node->phase = QUORUM_STOPPED;
        node->stopped(node->stopped_ctx);
        return;
    }
    static const char *const what[] = {
        [QUORUM_JOB_STATE] = QUORUM_STATE_FILE,
        [QUORUM_JOB_BOOTSTRAP] = "the bootstrap checkpoint",
        [QUORUM_JOB_TRUNCATE] = "the metadata log",
        [QUORUM_JOB_INSTALL] = "the metadata log",
    };
    if (job->rv != 0)
        node_fail(node, "cannot write %s in %s: %s", what[job->kind], node->directory,
                  strerror(-job->rv));
    node_schedule(node);
    node_close_if_idle(node);
}

void job_init(struct quorum_node *node)
{
    node->job.work = (struct work){.run = job_run, .done = job_done, .loop = node->loop};
}

void job_submit(struct quorum_node *node, enum quorum_job_kind kind)
{
    CHECK(!node->job.in_flight);
    node->job.kind = kind;
    node->job.in_flight = true;
    node->job.done = false;
    node->job.wall_ms = env_wall_ms(node->env);
    work_submit(&node->job.work, WORK_QUORUM);
}

/* The job of the action at hand has ended. */
bool job_was_done(struct quorum_node *node)
{
    bool done = node->job.done;
    node->job.done = false;
    return done;
}

/* False: the action waits. */
static bool store_state(struct quorum_node *node, const struct quorum_action *action)
{
    if (job_was_done(node) || MUTATED(node->disk, VOTE_NOT_DURABLE))
        return true;
    if (node->job.in_flight)
        return false;
    node->job.state = QUORUM_STATE_INIT;
    node->job.state.leader_epoch = quorum_epoch_of(action->state.term);
    uint64_t vote = action->state.voted.raft_id;
    const struct quorum_voters *voters = quorum_core_voters(node->core);
    if (vote == quorum_core_raft_id(node->core) && quorum_voters_is_sole(voters, vote)) {
        /* It leads with that vote. Kafka would go on in the epoch of a mere vote for itself, and
         * write over what this node had not synced; an epoch that it led is over. */
        node->job.state.leader_id = node->config.node_id;
    } else if (vote) {
        node->job.state.voted_id = action->state.voted.node_id;
        node->job.state.voted_directory_id = action->state.voted.directory_id;
    }
    job_submit(node, QUORUM_JOB_STATE);
    return false;
}

static bool truncate_log(struct quorum_node *node, const struct quorum_action *action)
{
    if (job_was_done(node)) {
        node->mark = MIN(node->mark, node->job.offset);
        if (node->voters_offset >= node->job.offset)
            node->voters_offset = INT64_MAX;
        return true;
    }
    /* Nobody else may touch the log meanwhile, nor write a mark that it does not reach then. */
    if (node->job.in_flight || node->flushing || log_busy(node->log))
        return false;
    node->job.offset = quorum_offset_of(action->index);
    node->job.mark = node->mark;
    job_submit(node, QUORUM_JOB_TRUNCATE);
    return false;
}

static bool append_bootstrap(struct quorum_node *node, const struct quorum_action *action)
{
    if (job_was_done(node)) {
        node->written_id = action->append.write_id;
        return true;
    }
    if (node->job.in_flight)
        return false;
    node->job.voters = action->append.batch.voters;
    job_submit(node, QUORUM_JOB_BOOTSTRAP);
    return false;
}

/* The next action is the batch behind `end` of the same epoch, and small. */
static bool goes_along(const struct quorum_action *next, uint64_t end, uint64_t term)
{
    if (!next || next->type != QUORUM_APPEND_BATCH)
        return false;
    const struct quorum_batch *batch = &next->append.batch;
    return batch->bytes.buf && !batch->voters && batch->base == end + 1 && batch->term == term &&
           batch->bytes.len <= SMALL_BYTES;
}

/* Small batches that follow go to the file in the same call. Where there are such, all of them
 * stand in `run` afterwards, and *in_out_end is the end of the last. */
static void take_along(struct quorum_node *node, const struct quorum_batch *batch,
                       struct bytebuf *run, uint64_t *in_out_end)
{
    const struct quorum_action *next;
    if (batch->voters || batch->bytes.len > SMALL_BYTES)
        return;
    while ((next = quorum_core_peek(node->core)) != NULL &&
           goes_along(next, *in_out_end, batch->term) && run->len < RUN_BYTES) {
        struct quorum_action taken;
        CHECK(quorum_core_take(node->core, &taken));
        if (run->len == 0)
            bytebuf_append(run, batch->bytes.buf->data + batch->bytes.offset, batch->bytes.len);
        const struct quorum_bytes *bytes = &taken.append.batch.bytes;
        bytebuf_append(run, bytes->buf->data + bytes->offset, bytes->len);
        *in_out_end = quorum_batch_end(&taken.append.batch);
        node->written_id = taken.append.write_id;
        quorum_action_release(&taken);
    }
}

static void append_batch(struct quorum_node *node, const struct quorum_action *action)
{
    const struct quorum_batch *batch = &action->append.batch;
    node->written_id = action->append.write_id;
    struct bytebuf own;
    bytebuf_init(&own);
    struct bytes bytes = BYTES_NULL;
    int64_t offset = quorum_offset_of(batch->base);
    int32_t epoch = quorum_epoch_of(batch->term);
    uint64_t end = quorum_batch_end(batch);
    if (batch->bytes.buf) {
        take_along(node, batch, &own, &end);
        bytes = own.len > 0 ? (struct bytes){own.data, (int32_t)own.len}
                            : (struct bytes){batch->bytes.buf->data + batch->bytes.offset,
                                             (int32_t)batch->bytes.len};
    } else {
        CHECK(batch->kind == QUORUM_BARRIER);
        struct quorum_control_place place = {offset, epoch, env_wall_ms(node->env)};
        quorum_control_leader_change(&place, node->config.node_id, action->append.voters,
                                     action->append.granted, &own);
        bytes = (struct bytes){own.data, (int32_t)own.len};
        node->barrier_offset = offset;
        node->barrier_epoch = epoch;
    }
    struct log_append_args args = {
        .batches = bytes,
        .origin = LOG_APPEND_RAFT,
        .leader_epoch = epoch,
        .now_ms = env_wall_ms(node->env),
    };
    struct log_append_info info;
    int rv = log_append(node->log, &args, &info);
    int64_t bytes_len = bytes.len;
    bytebuf_release(&own);
    if (rv != 0) {
        node_fail(node, "cannot write the metadata log in %s: %s", node->directory, strerror(-rv));
        return;
    }
    CHECK(info.first_offset == offset && info.last_offset == quorum_offset_of(end));
    /* A follower learns here that they stand in the log, and writes them into its checkpoints. */
    if (batch->voters)
        node->voters_offset = MIN(node->voters_offset, offset);
    node->bytes_since_mark += bytes_len;
    if (!timer_running(&node->mark_timer) && !node->mark_due)
        timer_start_in_ms(&node->mark_timer, QUORUM_MARK_MS);
}

/* A change of role, term or leader; proposals belong to one term. */
static void change_role(struct quorum_node *node, const struct quorum_action *action)
{
    int32_t epoch = quorum_epoch_of(action->role.term);
    bool leads = action->role.role == QUORUM_LEADER;
    int32_t leader = action->role.leader.raft_id ? action->role.leader.node_id : -1;
    bool same = leads && node->role == QUORUM_LEADER && epoch == node->epoch;
    bool known =
        node->epoch == epoch && node->leader_id == leader && node->role == action->role.role;
    node->role = action->role.role;
    node->epoch = epoch;
    node->leader_id = leader;
    if (same)
        return;
    node->active = false;
    node_end_proposals(node, INT64_MAX, -ECANCELED);
    if (!leads && !known && !node->failed)
        node->handler->on_follower(node->ctx, epoch, leader);
}

/* False: it waits for the disk. */
static bool carry_out(struct quorum_node *node, struct quorum_action *action)
{
    switch (action->type) {
    case QUORUM_STORE_STATE:
        return store_state(node, action);
    case QUORUM_TRUNCATE:
        return !node->install && truncate_log(node, action);
    case QUORUM_APPEND_BATCH:
        if (node->install)
            return false;
        if (action->append.batch.base == QUORUM_INDEX_BOOTSTRAP)
            return append_bootstrap(node, action);
        append_batch(node, action);
        return true;
    case QUORUM_SEND:
        if (node->config.transport)
            node->config.transport->send(node->config.transport->ctx, &action->message);
        return true;
    case QUORUM_ROLE:
        change_role(node, action);
        return true;
    case QUORUM_COMMIT:
        /* What is committed while a checkpoint comes is in it. A log that was taken up again
         * begins with what its checkpoint holds. */
        if (node->install)
            return true;
        node->high_watermark = MAX(node->high_watermark, quorum_offset_of(action->index) + 1);
        log_set_high_watermark(node->log, node->high_watermark);
        return true;
    case QUORUM_INSTALL_SNAPSHOT:
        install_begin(node, action);
        return true;
    case QUORUM_FAIL:
        node_fail(node, "the quorum stops: %s", action->reason);
        return true;
    }
    UNREACHABLE();
}

void run_actions(struct quorum_node *node)
{
    while (node_alive(node) && !install_reloads(node->install)) {
        if (!node->has_action)
            node->has_action = quorum_core_take(node->core, &node->action);
        if (!node->has_action)
            node->settled = true;
        if (!node->has_action || !carry_out(node, &node->action))
            return;
        node->has_action = false;
        quorum_action_release(&node->action);
    }
}

static void flush_run(struct work *work)
{
    struct quorum_node *node = CONTAINER_OF(work, struct quorum_node, flush_work);
    if (node->flush)
        log_flush_run(node->flush);
    if (node->new_mark >= 0)
        node->mark_rv = quorum_mark_write(node->disk, node->directory, node->new_mark);
}

static void flush_done(struct work *work)
{
    struct quorum_node *node = CONTAINER_OF(work, struct quorum_node, flush_work);
    bool synced = node->flush;
    int rv = synced ? log_flush_end(node->log, node->flush) : 0;
    node->flush = NULL;
    node->flushing = false;
    if (node->new_mark >= 0) {
        node->mark = node->new_mark;
        rv = rv != 0 ? rv : node->mark_rv;
    }
    if (rv != 0) {
        node_fail(node, "cannot sync the metadata log in %s: %s", node->directory, strerror(-rv));
    } else if (synced && !node->failed) {
        node->durable_id = node->flush_write_id;
        quorum_core_persisted(node->core, node->durable_id, env_now_ms(node->env));
    }
    node_schedule(node);
    node_close_if_idle(node);
}

/* The bootstrap entry is durable when it is written, the log is not concerned. */
static bool log_is_durable(const struct quorum_node *node)
{
    return log_durable_end_offset(node->log) == log_end_offset(node->log);
}

void mark_is_due(struct timer *timer)
{
    struct quorum_node *node = CONTAINER_OF(timer, struct quorum_node, mark_timer);
    node->mark_due = true;
    node_schedule(node);
}

/* What the syncs before this one made durable; -1: that need not be written now. */
static int64_t choose_mark(struct quorum_node *node)
{
    int64_t durable = log_durable_end_offset(node->log);
    if (!node->mark_due && node->bytes_since_mark < QUORUM_MARK_BYTES)
        return -1;
    node->bytes_since_mark = 0;
    node->mark_due = false;
    timer_stop(&node->mark_timer);
    if (durable < log_end_offset(node->log))
        timer_start_in_ms(&node->mark_timer, QUORUM_MARK_MS);
    return durable > node->mark ? durable : -1;
}

void run_flush(struct quorum_node *node)
{
    /* While the log is being cut nothing else may happen to it. */
    if (!node_alive(node) || node->flushing || node_log_is_taken(node))
        return;
    bool wanted = node->written_id != node->durable_id;
    node->new_mark = choose_mark(node);
    node->flush_write_id = node->written_id;
    if (wanted)
        node->flush = log_flush_begin(node->log, false, env_wall_ms(node->env));
    if (node->flush || (!wanted && node->new_mark >= 0)) {
        node->flushing = true;
        node->flush_work = (struct work){.run = flush_run, .done = flush_done, .loop = node->loop};
        work_submit(&node->flush_work, WORK_QUORUM);
        if (node->flush && MUTATED(node->disk, PERSISTED_BEFORE_FSYNC)) {
            quorum_core_persisted(node->core, node->flush_write_id, env_now_ms(node->env));
            node_schedule(node);
        }
    } else if (wanted && log_is_durable(node)) {
        node->new_mark = -1;
        node->durable_id = node->flush_write_id;
        quorum_core_persisted(node->core, node->durable_id, env_now_ms(node->env));
        node_schedule(node);
    } else if (wanted) {
        node_fail(node, "cannot sync the metadata log in %s", node->directory);
    }
}
