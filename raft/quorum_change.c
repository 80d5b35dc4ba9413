/*
 * Membership: one server per change, submitted alone, and only when the new set can carry it.
 *
 * W5  the leader has committed an entry of its own term, or a change of an older term could come
 *     back beside this one
 * W7  a majority of the new set's voters is alive (an append result within one election timeout)
 *     and has matched the change before, or a server that thinks it is no voter leaves us without
 *     leader. Before a voter is taken out, that change is the same set written once more, just now:
 *     who has stored it still has its disk, which an older result does not say
 * W9  nobody becomes a spare, and no voter is demoted: whoever holds data is removed
 */
#include "raft/quorum_core_internal.h"

#include <errno.h>

static int diff_servers(const struct quorum_voters *from, const struct quorum_voters *to)
{
    int differing = 0;
    for (int i = 0; i < to->count; i++) {
        const struct quorum_server *before = quorum_voters_find(from, to->servers[i].raft_id);
        if (!before || before->role != to->servers[i].role)
            differing++;
    }
    for (int i = 0; i < from->count; i++)
        differing += quorum_voters_find(to, from->servers[i].raft_id) == NULL;
    return differing;
}

/* Servers come in as standbys and leave by removal. */
static bool is_legal(struct quorum_core *core, const struct quorum_voters *from,
                     const struct quorum_voters *to)
{
    if (quorum_voters_count(to) == 0 || diff_servers(from, to) > 1)
        return false;
    bool steps = quorum_guard_on(core->config.guards_off, QUORUM_W9_NO_DEMOTION);
    for (int i = 0; steps && i < to->count; i++) {
        const struct quorum_server *before = quorum_voters_find(from, to->servers[i].raft_id);
        if (!before && to->servers[i].role == QUORUM_VOTER)
            return false;
        if (before && before->role == QUORUM_VOTER && to->servers[i].role != QUORUM_VOTER)
            return false;
    }
    return true;
}

static bool is_alive_and_caught_up(const struct quorum_core *core, uint64_t raft_id)
{
    if (raft_id == core->self.raft_id)
        return true;
    struct quorum_progress progress;
    if (quorum_core_progress(core, raft_id, &progress) != 0 || progress.heard_ms == INT64_MIN)
        return false;
    return core->now_ms - progress.heard_ms < (int64_t)core->config.election_timeout_ms &&
           progress.match_index >= quorum_core_change_index(core);
}

static bool has_live_majority(const struct quorum_core *core, const struct quorum_voters *voters)
{
    int alive = 0;
    for (int i = 0; i < voters->count; i++) {
        alive += voters->servers[i].role == QUORUM_VOTER &&
                 is_alive_and_caught_up(core, voters->servers[i].raft_id);
    }
    return alive > quorum_voters_count(voters) / 2;
}

/* Others are needed without the one that goes; alone the leader asks nobody. */
static bool needs_proof(const struct quorum_core *core, const struct quorum_voters *to)
{
    int before = quorum_voters_count(quorum_core_voters(core)), after = quorum_voters_count(to);
    return after < before && after > 1 &&
           (core->repeated.index != quorum_core_change_index(core) ||
            core->now_ms - core->repeated.at_ms >= (int64_t)core->config.election_timeout_ms);
}

/* A standby that votes next has to have the log. */
static bool promotes_laggard(const struct quorum_core *core, const struct quorum_voters *from,
                             const struct quorum_voters *to)
{
    for (int i = 0; i < to->count; i++) {
        const struct quorum_server *before = quorum_voters_find(from, to->servers[i].raft_id);
        if (before && before->role != to->servers[i].role &&
            !quorum_core_caught_up(core, to->servers[i].raft_id))
            return true;
    }
    return false;
}

static int change_allowed(struct quorum_core *core, const struct quorum_voters *voters)
{
    if (!core->started || core->failed || !quorum_core_is_leader(core) ||
        raft_transferee(&core->raft) != 0)
        return -EPERM;
    const struct quorum_voters *now = quorum_core_voters(core);
    if (!is_legal(core, now, voters))
        return -EINVAL;
    if (core->raft.configuration_uncommitted_index != 0 || core->raft.leader_state.promotee_id != 0)
        return -EAGAIN;
    if (quorum_core_term_of(core, raft_commit_index(&core->raft)) !=
            raft_current_term(&core->raft) &&
        guard(core, QUORUM_W5_CHANGE_AFTER_COMMIT))
        return -EAGAIN;
    if (!has_live_majority(core, voters) && guard(core, QUORUM_W7_CHANGE_MAJORITY))
        return -EAGAIN;
    return promotes_laggard(core, now, voters) ? -EAGAIN : 0;
}

bool quorum_core_wants_proof(struct quorum_core *core, const struct quorum_voters *voters,
                             int64_t now_ms)
{
    core->now_ms = MAX(core->now_ms, now_ms);
    return change_allowed(core, voters) == 0 && needs_proof(core, voters) &&
           guard(core, QUORUM_W7_CHANGE_MAJORITY);
}

int quorum_core_change(struct quorum_core *core, struct quorum_voters *voters, uint32_t count,
                       struct quorum_bytes bytes, int64_t now_ms, uint64_t *ret_base)
{
    CHECK(count > 0);
    if (quorum_core_wants_proof(core, voters, now_ms))
        return -EAGAIN;
    int rv = change_allowed(core, voters);
    if (rv != 0)
        return rv;
    bool repeats = diff_servers(quorum_core_voters(core), voters) == 0;
    struct quorum_batch batch = {
        .base = core->map.next,
        .count = count,
        .term = raft_current_term(&core->raft),
        .kind = QUORUM_CHANGE,
        .voters = voters,
        .bytes = bytes,
    };
    struct raft_buffer configuration;
    configuration_encode(voters, &configuration);
    rv = submit_batch(core, &batch, &configuration);
    raft_free(configuration.base);
    if (rv != 0)
        return rv;
    if (repeats)
        core->repeated = (struct quorum_repeated){batch.base, core->now_ms};
    *ret_base = batch.base;
    return 0;
}

int quorum_core_catch_up(struct quorum_core *core, uint64_t raft_id, int64_t now_ms)
{
    core->now_ms = MAX(core->now_ms, now_ms);
    if (!core->started || core->failed || !quorum_core_is_leader(core))
        return -EPERM;
    /* libraft asserts that it knows the server, and that nobody else is on the way. */
    const struct quorum_server *server = quorum_voters_find(quorum_core_voters(core), raft_id);
    if (!server || server->role != QUORUM_STANDBY)
        return -EINVAL;
    if (core->raft.leader_state.promotee_id != 0)
        return -EAGAIN;
    struct raft_event event = {.type = RAFT_CATCH_UP};
    event.catch_up.server_id = raft_id;
    step_or_fail(core, &event, NULL, 0);
    return 0;
}

bool quorum_core_caught_up(const struct quorum_core *core, uint64_t raft_id)
{
    int status = RAFT_CATCH_UP_NONE;
    return raft_catch_up(&core->raft, raft_id, &status) == 0 && status == RAFT_CATCH_UP_FINISHED;
}

/* Of the voters that are alive the one that has most of the log; 0: there is none. libraft takes
 * the last of the set where nobody has all of it, be it dead or not. */
static uint64_t choose_heir(const struct quorum_core *core)
{
    const struct quorum_voters *voters = quorum_core_voters(core);
    uint64_t heir = 0, most = 0;
    for (int i = 0; i < voters->count; i++) {
        uint64_t raft_id = voters->servers[i].raft_id;
        struct quorum_progress progress;
        if (voters->servers[i].role != QUORUM_VOTER || raft_id == core->self.raft_id ||
            !is_alive_and_caught_up(core, raft_id) ||
            quorum_core_progress(core, raft_id, &progress) != 0)
            continue;
        if (heir == 0 || progress.match_index > most) {
            heir = raft_id;
            most = progress.match_index;
        }
    }
    return heir;
}

int quorum_core_transfer(struct quorum_core *core, uint64_t raft_id, int64_t now_ms)
{
    core->now_ms = MAX(core->now_ms, now_ms);
    if (!core->started || core->failed || !quorum_core_is_leader(core))
        return -EPERM;
    struct raft_event event = {.type = RAFT_TRANSFER};
    event.transfer.server_id = raft_id ? raft_id : choose_heir(core);
    if (event.transfer.server_id == 0)
        return -EAGAIN;
    return errno_of_raft(step(core, &event, NULL, 0));
}
