#include "broker/server/quorum_gauges.h"

#include "common/base/check.h"
#include "raft/quorum_node.h"

#define WINDOW_US ((int64_t)30 * 1000000)

void quorum_gauges_committed(struct quorum_gauges *q, int64_t latency_ms)
{
    q->now.commits++;
    q->now.commit_sum_ms += latency_ms;
    q->now.commit_max_ms = MAX(q->now.commit_max_ms, latency_ms);
}

static void turn_windows(struct quorum_gauges *q, int64_t now_us, int64_t end_offset)
{
    bool first = q->now.start_us == 0;
    if (!first && now_us - q->now.start_us < WINDOW_US)
        return;
    q->before = q->now;
    q->now = (struct quorum_window){.start_us = now_us, .start_offset = end_offset};
    if (first) /* commits may have come before the first look */
        q->before.start_us = now_us, q->before.start_offset = end_offset;
}

/* core NULL: the node follows from outside. */
static enum raft_state state_of(const struct quorum_core *core, int32_t leader)
{
    if (core != NULL && quorum_core_is_leader(core))
        return RAFT_STATE_LEADER;
    if (leader < 0)
        return RAFT_STATE_UNATTACHED;
    return core != NULL ? RAFT_STATE_FOLLOWER : RAFT_STATE_OBSERVER;
}

void quorum_gauges_refresh(struct quorum_gauges *q, const struct quorum_node *quorum,
                           int64_t now_us, struct gauges *to)
{
    if (quorum == NULL || !quorum_node_is_open(quorum))
        return;
    const struct quorum_core *core = quorum_node_core(quorum);
    int64_t end = quorum_node_log_end(quorum);
    turn_windows(q, now_us, end);
    int32_t leader = quorum_node_leader_id(quorum);
    gauge_set(to, GAUGE_RAFT_STATE, 0, state_of(core, leader));
    gauge_set(to, GAUGE_RAFT_EPOCH, 0, quorum_node_epoch(quorum));
    gauge_set(to, GAUGE_RAFT_LEADER, 0, leader);
    gauge_set(to, GAUGE_RAFT_HIGH_WATERMARK, 0, quorum_node_high_watermark(quorum));
    gauge_set(to, GAUGE_RAFT_LOG_END_OFFSET, 0, end);
    gauge_set(to, GAUGE_RAFT_LOG_END_EPOCH, 0, quorum_node_log_end_epoch(quorum));
    const struct quorum_voters *voters = quorum_node_voters(quorum);
    gauge_set(to, GAUGE_RAFT_VOTERS, 0, voters == NULL ? 0 : quorum_voters_count(voters));
    int64_t span_us = now_us - q->before.start_us;
    gauge_set(to, GAUGE_RAFT_APPEND_RATE, 0,
              span_us <= 0 ? 0 : (end - q->before.start_offset) * 1000 * 1000000 / span_us);
    int64_t commits = q->before.commits + q->now.commits;
    int64_t sum_ms = q->before.commit_sum_ms + q->now.commit_sum_ms;
    gauge_set(to, GAUGE_RAFT_COMMIT_AVG, 0, commits == 0 ? 0 : sum_ms * 1000 / commits);
    gauge_set(to, GAUGE_RAFT_COMMIT_MAX, 0, MAX(q->before.commit_max_ms, q->now.commit_max_ms));
}
