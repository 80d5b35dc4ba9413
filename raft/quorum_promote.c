/*
 * An observer becomes a member of the quorum: the leader has added this disk to its voters, as a
 * standby first, and sends it messages. The observer is halted; when nothing of it is in flight, a
 * worker makes a core over the log as it is, and the core takes the observer's place. What was
 * given out stays given out: all of it was committed. Messages that come meanwhile are dropped, as
 * a network may drop them.
 */
#include "raft/quorum_node_internal.h"

#include <stdlib.h>

static void make_core_run(struct work *work)
{
    opening_reload(CONTAINER_OF(work, struct quorum_opening, work));
}

static void make_core_done(struct work *work)
{
    struct quorum_opening *o = CONTAINER_OF(work, struct quorum_opening, work);
    struct quorum_node *node = o->node;
    node->opening = NULL;
    node->promoting = false;
    o->log = NULL; /* the node's all the time */
    if (node_alive(node) && o->rv != 0) {
        node_fail(node, "%s", o->sentence);
    } else if (node_alive(node)) {
        node->core = o->core;
        o->core = NULL;
        node->mark = o->mark;
        free(node->kept.items);
        node->kept = o->kept;
        o->kept = (struct quorum_kept_list){0};
        observer_free(node->observer);
        node->observer = NULL;
        /* A checkpoint that had been fetched, and not been installed yet, took the log's place. */
        if (log_start_offset(node->log) > node->given_out) {
            node->voters_offset = o->voters_offset;
            give_checkpoint(node, node->kept.items[node->kept.count - 1].id);
        }
    }
    opening_free(o);
    node_schedule(node);
    node_close_if_idle(node);
}

static bool is_idle(const struct quorum_node *node)
{
    return !observer_in_flight(node->observer) && !node->opening && !node->job.in_flight &&
           !node->flushing && !node->warm && !node->loading && !node->load_work.run &&
           !node->snapshot && !node->cleaning && !log_busy(node->log);
}

void promote_go_on(struct quorum_node *node)
{
    if (!node->promoting || !node_alive(node) || node->opening ||
        !observer_may_halt(node->observer))
        return;
    observer_halt(node->observer);
    if (!is_idle(node))
        return;
    struct quorum_opening *o = opening_new(node);
    o->work = (struct work){.run = make_core_run, .done = make_core_done, .loop = node->loop};
    o->log = node->log;
    o->mark = node->mark;
    o->known_epoch = node->epoch;
    o->has_log_files = true;
    observer_hand_over(node->observer, o);
    node->opening = o;
    work_submit(&o->work, WORK_QUORUM);
}

void promote_if_asked(struct quorum_node *node, const struct quorum_message *message)
{
    /* A leader sends to members only; a candidate needs those that it takes for voters. */
    const struct quorum_voters *voters = observer_voters_at(node->observer, INT64_MAX);
    uint64_t self = quorum_raft_id(node->config.directory_id);
    bool wanted = message->type == QUORUM_APPEND || message->type == QUORUM_INSTALL ||
                  (message->type == QUORUM_VOTE && voters && quorum_voters_is_voter(voters, self));
    if (!wanted || node->promoting || node->config.follow->never_votes)
        return;
    node->promoting = true;
    node_schedule(node);
}
