#include "broker/replica/partition_move.h"

#include "broker/replica/follower_state.h"
#include "broker/replica/partition_internal.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/storage/log_copy.h"
#include "common/storage/log_epochs.h"
#include "common/storage/log_flush.h"
#include "common/storage/log_retention.h"
#include "common/storage/log_truncate.h"

#include <errno.h>
#include <stdlib.h>

enum {
    COPY_BYTES = 512 << 10,     /* in one turn of the loop */
    FLUSH_BYTES = 64 << 20,     /* unsynced, then the copy waits for the disk */
    LAST_FLUSH_BYTES = 1 << 20, /* of the one that the partition waits for */
    THROTTLE_MS = 100,
    RETRY_MS = 1000, /* no room, no descriptors, a damaged batch */
    BUSY_MS = 10,    /* an earlier copy is on its way out */
};

enum move_state {
    MOVE_OPENING,
    MOVE_WAITING,
    MOVE_COPYING,
    MOVE_CUTTING,
    MOVE_FLUSHING,
    MOVE_REPLACING,
    MOVE_ENDING,
};

struct partition_move {
    struct partition *p;
    enum move_state state;
    size_t dir;
    struct log *log;       /* the future log; NULL while OPENING */
    struct uuid directory; /* id of its directory; zero: it has none */
    struct list queued;    /* of partition_moves.waiting */
    bool has_place;
    bool caught_up;             /* once: the controller is told */
    bool ending, remove, clean; /* and how */
    int next_dir;               /* to move to when this one is over; -1 */
    bool warned;
    bool working, warming, warm;
    struct work work;
    int status;
    struct log_opened opened;
    struct log_wanted wanted;
    struct {
        bool restart;
        int64_t end;
    } cut;
    struct shard_call warm_call;
    struct timer timer;
    struct list waits; /* of move_wait.link */
};

static void end(struct partition_move *move, bool remove);
static void step(struct partition_move *move);

void partition_moves_init(struct partition_moves *moves, int places,
                          struct replication_quota *quota)
{
    moves->places = places;
    moves->quota = quota;
    list_init(&moves->waiting);
}

static void answer(struct partition_move *move, enum kafka_error error)
{
    struct list *node;
    while ((node = list_pop_front(&move->waits)) != NULL) {
        struct move_wait *wait = LIST_ITEM(node, struct move_wait, link);
        wait->done(wait, error);
    }
}

/* On the loop's next turn. */
static void go_on(struct partition_move *move)
{
    timer_start_in_ms(&move->timer, 0);
}

static void submit(struct partition_move *move, void (*run)(struct work *),
                   void (*done)(struct work *), enum work_class kind)
{
    CHECK(!move->working);
    move->working = true;
    move->work = (struct work){.run = run, .done = done, .loop = move->p->host->loop};
    work_submit(&move->work, kind);
}

/* --- places ---------------------------------------------------------------------------------- */

static void take_place(struct partition_move *move)
{
    struct partition_moves *moves = move->p->host->moves;
    if (moves->places == 0) {
        move->state = MOVE_WAITING;
        list_push_back(&moves->waiting, &move->queued);
        return;
    }
    moves->places--;
    move->has_place = true;
    move->state = MOVE_COPYING;
    go_on(move);
}

static void leave_place(struct partition_move *move)
{
    struct partition_moves *moves = move->p->host->moves;
    list_remove(&move->queued);
    if (!move->has_place)
        return;
    move->has_place = false;
    moves->places++;
    struct list *node = list_pop_front(&moves->waiting);
    if (node != NULL)
        take_place(LIST_ITEM(node, struct partition_move, queued));
}

/* --- the end --------------------------------------------------------------------------------- */

static void over(struct partition_move *move)
{
    struct partition *p = move->p;
    struct list waits;
    int next = p->state == PARTITION_ONLINE ? move->next_dir : -1;
    leave_place(move);
    timer_stop(&move->timer);
    list_init(&waits);
    struct list *node;
    while ((node = list_pop_front(&move->waits)) != NULL)
        list_push_back(&waits, node);
    p->move = NULL;
    free(move);
    while ((node = list_pop_front(&waits)) != NULL) {
        struct move_wait *wait = LIST_ITEM(node, struct move_wait, link);
        if (next >= 0)
            partition_move_to(p, (size_t)next, wait);
        else
            wait->done(wait, KAFKA_ERROR_REPLICA_NOT_AVAILABLE);
    }
    if (p->state == PARTITION_CLOSING)
        partition_close_step(p);
    else if (p->state == PARTITION_ONLINE)
        partition_settle(p);
}

static void end_run(struct work *work)
{
    struct partition_move *move = CONTAINER_OF(work, struct partition_move, work);
    struct replica_host *host = move->p->host;
    move->status = host->close_log(host->owner, move->log, move->clean, move->remove);
}

static void end_done(struct work *work)
{
    over(CONTAINER_OF(work, struct partition_move, work));
}

/* Once nothing of it is in flight. */
static void end_step(struct partition_move *move)
{
    if (move->working || move->warming)
        return;
    if (move->log == NULL) {
        over(move);
        return;
    }
    move->state = MOVE_ENDING;
    log_detach(move->log);
    submit(move, end_run, end_done, WORK_DISK);
}

static void end(struct partition_move *move, bool remove)
{
    if (move->ending) {
        move->remove |= remove;
        return;
    }
    move->ending = true;
    move->remove = remove;
    timer_stop(&move->timer);
    leave_place(move);
    end_step(move);
}

void partition_end_move(struct partition *p, bool clean, bool remove)
{
    struct partition_move *move = p->move;
    if (move == NULL || (move->state == MOVE_REPLACING && p->log_work_running))
        return;
    if (move->state == MOVE_REPLACING)
        move->state = MOVE_COPYING; /* it had not begun */
    if (!move->ending)
        move->clean = clean;
    end(move, remove);
}

static void disk_failed(struct partition_move *move, int status)
{
    struct replica_host *host = move->p->host;
    if (move->ending)
        return; /* a worker may have the log already */
    if (move->log != NULL)
        host->log_failed(host->owner, move->log, status);
    answer(move, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    end(move, false);
}

/* Whether a worker's step is to be followed by another one. */
static bool is_back(struct partition_move *move)
{
    move->working = false;
    if (move->log != NULL)
        log_attach(move->log, move->p->host->files);
    if (move->ending) {
        end_step(move);
        return false;
    }
    if (move->status != 0) {
        disk_failed(move, move->status);
        return false;
    }
    return true;
}

/* --- copying --------------------------------------------------------------------------------- */

static struct follower_log log_of(const struct log *log)
{
    return (struct follower_log){.start_offset = log_start_offset(log),
                                 .end_offset = log_end_offset(log),
                                 .durable_end = log_durable_end_offset(log),
                                 .high_watermark = log_high_watermark(log)};
}

/* True: the copy has to be cut first to agree with the log. */
static bool has_parted(struct partition_move *move)
{
    const struct log *log = move->p->log;
    if (MUTATED(move->p->host->env->disk, COPY_NOT_CUT))
        return false;
    struct follower_log copy = log_of(move->log);
    int32_t epoch = log_latest_epoch(move->log);
    struct log_epoch_end end = {.epoch = epoch, .end_offset = log_end_offset(log)};
    if (epoch >= 0 && copy.end_offset > copy.start_offset)
        end = log_end_offset_for_epoch(log, epoch);
    switch (follower_copy_cut(&copy, epoch, log_start_offset(log), end,
                              log_end_offset_for_epoch(move->log, end.epoch), &move->cut.end)) {
    case FOLLOWER_START_AT:
        move->cut.restart = true;
        return true;
    case FOLLOWER_TRUNCATE:
        move->cut.restart = false;
        return true;
    default:
        return false;
    }
}

static void cut_run(struct work *work)
{
    struct partition_move *move = CONTAINER_OF(work, struct partition_move, work);
    struct replica_host *host = move->p->host;
    move->status = host->cut_log(host->owner, move->log, move->cut.restart, move->cut.end);
}

static void worked(struct work *work)
{
    struct partition_move *move = CONTAINER_OF(work, struct partition_move, work);
    if (!is_back(move))
        return;
    move->state = MOVE_COPYING;
    go_on(move);
}

static void flush_run(struct work *work)
{
    struct partition_move *move = CONTAINER_OF(work, struct partition_move, work);
    move->status = log_flush_now(move->log, true, env_wall_ms(move->p->host->env));
}

static void start_work(struct partition_move *move, enum move_state state,
                       void (*run)(struct work *), enum work_class kind)
{
    move->state = state;
    log_detach(move->log);
    submit(move, run, worked, kind);
}

static void warm_again(struct shard_call *call)
{
    struct partition_move *move = CONTAINER_OF(call, struct partition_move, warm_call);
    move->warming = false;
    move->warm = true; /* a second attempt goes ahead */
    if (move->ending)
        end_step(move);
    else
        step(move);
}

static void not_now(struct partition_move *move, int rv)
{
    if (!move->warned)
        move->p->host->move_stuck(move->p->host->owner, move->p->log, rv);
    move->warned = true;
    timer_start_in_ms(&move->timer, RETRY_MS);
}

/* One portion. */
static void copy(struct partition_move *move)
{
    struct partition *p = move->p;
    int64_t bytes, offset = MAX(log_end_offset(move->log), log_start_offset(p->log));
    bool reading;
    move->warm_call =
        (struct shard_call){.from = p->host->loop, .to = p->host->loop, .run = warm_again};
    move->warming = !move->warm && !partition_warm(p, offset, COPY_BYTES, &move->warm_call);
    move->warm = false;
    if (move->warming)
        return;
    int rv = log_copy(p->log, move->log, COPY_BYTES, env_wall_ms(p->host->env), &bytes, &reading);
    replication_quota_note(p->host->moves->quota, env_now_ms(p->host->env), bytes);
    if (rv != 0 && !reading && log_failed(move->log)) {
        disk_failed(move, rv);
        return;
    }
    if (rv != 0) {
        not_now(move, rv);
        return;
    }
    move->warned = false;
    if (log_unflushed_bytes(move->log) >= FLUSH_BYTES)
        start_work(move, MOVE_FLUSHING, flush_run, WORK_FLUSH);
    else
        go_on(move);
}

static void take_bounds(struct partition_move *move)
{
    const struct log *log = move->p->log;
    log_set_high_watermark(move->log, log_high_watermark(log));
    if (log_start_offset(log) > log_start_offset(move->log))
        (void)log_increment_start_offset(move->log, log_start_offset(log));
}

static bool is_assigned(const struct partition_move *move)
{
    const struct partition *p = move->p;
    return uuid_is_zero(move->directory) || !p->host->names_directories(p->host) ||
           uuid_eq(p->role.directory, move->directory);
}

/* --- the copy becomes the log ---------------------------------------------------------------- */

static void replace_run(struct work *work)
{
    struct partition *p = CONTAINER_OF(work, struct partition, log_work);
    struct replica_host *host = p->host;
    p->log_work_status = host->replace_log(host->owner, p->log, p->move->log);
}

static void replaced(struct partition *p)
{
    struct partition_move *move = p->move;
    int status = p->log_work_status;
    if (status == 0) {
        p->log = move->log;
        p->dir = move->dir;
        p->log_directory = move->directory;
        move->log = NULL;
    }
    if (p->state == PARTITION_CLOSING) {
        move->state = MOVE_COPYING;
        partition_close_step(p);
        return;
    }
    if (p->led_epoch >= 0 && status == 0)
        log_assign_epoch(p->log, p->led_epoch);
    if (status == 0) {
        over(move);
    } else {
        /* The node knows of the disk. */
        move->state = MOVE_COPYING;
        end(move, false);
    }
    partition_back(p, 0);
}

static void replace(struct partition_move *move)
{
    move->state = MOVE_REPLACING;
    timer_stop(&move->timer);
    log_detach(move->log);
    partition_send_away(move->p, replace_run, replaced);
}

/* The copy has all there is. */
static void has_all(struct partition_move *move)
{
    struct partition *p = move->p;
    take_bounds(move);
    if (!move->caught_up) {
        move->caught_up = true;
        partition_tell_directory(p);
    }
    if (!is_assigned(move))
        return; /* the metadata goes on with it: partition_kick_move */
    if (log_unflushed_bytes(move->log) > LAST_FLUSH_BYTES) {
        start_work(move, MOVE_FLUSHING, flush_run, WORK_FLUSH);
    } else {
        replace(move);
    }
}

static void step(struct partition_move *move)
{
    struct partition *p = move->p;
    if (move->state != MOVE_COPYING || p->state != PARTITION_ONLINE || move->working ||
        move->warming)
        return;
    log_set_config(move->log, &p->config);
    if (has_parted(move)) {
        start_work(move, MOVE_CUTTING, cut_run, WORK_DISK);
    } else if (log_end_offset(move->log) == log_end_offset(p->log)) {
        has_all(move);
    } else if (replication_quota_exceeded(p->host->moves->quota, env_now_ms(p->host->env))) {
        timer_start_in_ms(&move->timer, THROTTLE_MS);
    } else {
        copy(move);
    }
}

/* --- the beginning --------------------------------------------------------------------------- */

static void open_run(struct work *work)
{
    struct partition_move *move = CONTAINER_OF(work, struct partition_move, work);
    struct replica_host *host = move->p->host;
    move->status =
        host->open_future(host->owner, host->files, &move->wanted, move->dir, &move->opened);
}

static void open_done(struct work *work)
{
    struct partition_move *move = CONTAINER_OF(work, struct partition_move, work);
    move->working = false;
    if (move->status == 0) {
        move->log = move->opened.log;
        move->directory = move->opened.directory;
    }
    if (move->ending) {
        end_step(move);
    } else if (move->status == -EBUSY) {
        timer_start_in_ms(&move->timer, BUSY_MS);
    } else if (move->status != 0) {
        answer(move, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
        end(move, false);
    } else {
        answer(move, KAFKA_ERROR_NONE);
        take_place(move);
    }
}

static void open_copy(struct partition_move *move)
{
    struct partition *p = move->p;
    move->wanted = (struct log_wanted){.topic = p->topic,
                                       .topic_id = p->topic_id,
                                       .index = p->index,
                                       .leader_epoch = -1,
                                       .config = p->config};
    submit(move, open_run, open_done, WORK_DISK);
}

static void on_timer(struct timer *timer)
{
    struct partition_move *move = CONTAINER_OF(timer, struct partition_move, timer);
    if (move->state == MOVE_OPENING)
        open_copy(move);
    else
        step(move);
}

static struct partition_move *move_new(struct partition *p, size_t dir)
{
    struct partition_move *move = mem_calloc(1, sizeof(*move));
    move->p = p;
    move->dir = dir;
    move->next_dir = -1;
    list_init(&move->queued);
    list_init(&move->waits);
    timer_init(&move->timer, p->host->loop, on_timer);
    p->move = move;
    return move;
}

void partition_move_to(struct partition *p, size_t dir, struct move_wait *wait)
{
    struct partition_move *move = p->move;
    CHECK(p->state == PARTITION_ONLINE || p->state == PARTITION_OFFLINE);
    if (p->state == PARTITION_OFFLINE) {
        wait->done(wait, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
        return;
    }
    if (move != NULL && (move->ending || move->dir != dir)) {
        move->next_dir = (int)dir;
        list_push_back(&move->waits, &wait->link);
        end(move, true);
        return;
    }
    if (p->dir == dir || (move != NULL && move->state != MOVE_OPENING)) {
        wait->done(wait, KAFKA_ERROR_NONE);
        return;
    }
    if (move == NULL) {
        move = move_new(p, dir);
        open_copy(move);
    }
    list_push_back(&move->waits, &wait->link);
}

void partition_resume_move(struct partition *p, const struct log_opened *opened)
{
    struct partition_move *move = move_new(p, opened->dir);
    move->log = opened->log;
    move->directory = opened->directory;
    /* A copy beside its log is of no use. */
    if (opened->dir == p->dir)
        end(move, true);
    else
        take_place(move);
}

void partition_kick_move(struct partition *p)
{
    if (p->move != NULL && p->move->state == MOVE_COPYING && !timer_running(&p->move->timer) &&
        !p->move->ending)
        go_on(p->move);
}

struct uuid partition_wanted_directory(const struct partition *p)
{
    const struct partition_move *move = p->move;
    return move != NULL && move->caught_up && !move->ending ? move->directory : p->log_directory;
}

void partition_dir_failed(struct partition *p, size_t dir, int status)
{
    if (p->state == PARTITION_AWAY) {
        p->failed_dir = (int)dir; /* a worker has the log */
        p->failed_status = status;
    } else if (p->log != NULL && p->dir == dir)
        partition_fail(p, status);
    else if (p->move != NULL && p->move->dir == dir && p->move->state != MOVE_REPLACING)
        disk_failed(p->move, status);
}
