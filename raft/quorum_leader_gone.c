/*
 * A leader whose process is gone. libraft waits out a whole election timeout, twice that at worst,
 * as silence alone may mean a slow network. A port that refuses connections says more: the leader
 * is forgotten, so that votes of others are given, and the election timer is brought forward.
 *
 * Not to the present: a heartbeat that is still on its way puts the timer back, and the voters take
 * turns, a heartbeat apart in the order of the set, so that they do not split the votes. Pre-vote
 * and vote are as ever; a leader that lives after all is only asked for a vote that its followers
 * do not give.
 *
 * Touches public fields of struct raft; quorum_core_new asserts the version they were read for.
 */
#include "raft/quorum_core_internal.h"

/* How many voters come before this one. */
static int turn_of(const struct quorum_core *core, uint64_t gone)
{
    const struct quorum_voters *voters = quorum_core_voters(core);
    int turn = 0;
    for (int i = 0; voters && i < voters->count; i++) {
        const struct quorum_server *server = &voters->servers[i];
        if (server->raft_id == core->self.raft_id)
            return turn;
        turn += server->role == QUORUM_VOTER && server->raft_id != gone;
    }
    return turn;
}

void quorum_core_leader_gone(struct quorum_core *core, uint64_t raft_id, int64_t now_ms)
{
    struct raft *raft = &core->raft;
    core->now_ms = MAX(core->now_ms, now_ms);
    if (!core->started || core->failed || raft_state(raft) != RAFT_FOLLOWER || raft_id == 0 ||
        raft->follower_state.current_leader.id != raft_id)
        return;
    raft->follower_state.current_leader.id = 0;
    int64_t wait_ms = (int64_t)core->config.heartbeat_ms * (turn_of(core, raft_id) + 1) +
                      (int64_t)core->config.heartbeat_ms / 4;
    int64_t fires_ms = core->now_ms + wait_ms;
    int64_t begins_ms = fires_ms - (int64_t)raft->follower_state.randomized_election_timeout;
    if (begins_ms < (int64_t)raft->election_timer_start)
        raft->election_timer_start = (raft_time)MAX(begins_ms, 0);
}
