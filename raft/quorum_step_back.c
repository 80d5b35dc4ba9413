/*
 * A voter that the quorum goes on without: it was removed, and hears no more than that, or not even
 * that, as nothing is sent to it any more. When it knows, or has known no leader for some election
 * timeouts, a scout asks the other controllers with Fetch, beside the core. Where one of them
 * answers as the leader, there is a majority that does not need this node: an observer takes the
 * core's place, and the log tells it the rest. If it is a voter after all, the next message makes a
 * core again (quorum_promote.c).
 *
 * What this node voted stays as it is in quorum-state.
 */
#include "raft/quorum_node_internal.h"

#define LOG_MODULE "quorum"

#include <inttypes.h>

/* Election timeouts without a leader, before others are asked. */
#define PATIENCE 2

static void drop_scout(struct quorum_node *node)
{
    if (!node->scout)
        return;
    observer_halt(node->scout);
    if (observer_in_flight(node->scout))
        return;
    observer_free(node->scout);
    node->scout = NULL;
}

/* Nothing is on its way that belongs to the core, or to what it asked for. */
static bool is_idle(const struct quorum_node *node)
{
    return !node->job.in_flight && !node->flushing && !node->warm && !node->loading &&
           !node->load_work.run && !node->snapshot && !node->cleaning && !node->install &&
           !log_busy(node->log);
}

static void step_back(struct quorum_node *node)
{
    struct quorum_observer *observer = node->scout;
    node->epoch = MAX(node->epoch, quorum_epoch_of(quorum_core_term(node->core)));
    observer_take_over(observer);
    if (node->has_action)
        quorum_action_release(&node->action);
    node->has_action = false;
    node->job.done = false;
    timer_stop(&node->timer);
    timer_stop(&node->mark_timer);
    node->mark_due = false;
    quorum_core_free(node->core);
    node->core = NULL;
    node->written_id = node->durable_id = 0;
    node->role = QUORUM_FOLLOWER;
    node->observer = observer;
    node->scout = NULL;
    node->leaderless_ms = -1;
    observer_follow(observer);
}

/* It is known here already (the leader says so to whom it can reach). */
static bool was_removed(const struct quorum_node *node)
{
    const struct quorum_voters *voters = quorum_core_voters(node->core);
    return voters && !quorum_voters_find(voters, quorum_core_raft_id(node->core)) &&
           quorum_core_change_index(node->core) > QUORUM_INDEX_BOOTSTRAP &&
           !quorum_core_change_open(node->core);
}

void step_back_pump(struct quorum_node *node)
{
    int64_t now_ms = env_now_ms(node->env);
    if (!node->config.follow || !node_alive(node))
        return;
    bool removed = was_removed(node);
    if (node->role == QUORUM_LEADER || (node->leader_id >= 0 && !removed)) {
        node->leaderless_ms = -1;
        drop_scout(node);
        return;
    }
    if (node->leaderless_ms < 0)
        node->leaderless_ms = now_ms;
    if (!removed &&
        now_ms - node->leaderless_ms < PATIENCE * (int64_t)node->config.election_timeout_ms)
        return;
    if (!node->scout) {
        node->scout = observer_scout_new(node);
        observer_start(node->scout);
    } else if (observer_found(node->scout) && is_idle(node)) {
        log_info(node->env->logger,
                 "Node %" PRId32 " leads the quorum and does not talk to this one, which follows "
                 "it as an observer from now on",
                 observer_found_id(node->scout));
        step_back(node);
    }
}
