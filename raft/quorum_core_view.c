#include "raft/quorum_core_view.h"

#include "raft/quorum_core_internal.h"

#include <errno.h>

uint64_t quorum_core_raft_id(const struct quorum_core *core)
{
    return core->self.raft_id;
}

uint64_t quorum_core_term(const struct quorum_core *core)
{
    return raft_current_term(&core->raft);
}

/* libraft's getters that change nothing are not all declared const. */
static struct raft *raft_of(const struct quorum_core *core)
{
    union {
        const struct raft *in;
        struct raft *out;
    } cast = {.in = &core->raft};
    return cast.out;
}

bool quorum_core_is_leader(const struct quorum_core *core)
{
    return core->started && raft_state(raft_of(core)) == RAFT_LEADER;
}

uint64_t quorum_core_leader(const struct quorum_core *core)
{
    raft_id id = 0;
    const char *address;
    raft_leader(raft_of(core), &id, &address);
    /* A follower that has come to a later term keeps the leader of the one before. */
    bool stale = raft_state(raft_of(core)) == RAFT_FOLLOWER &&
                 core->leader_term != raft_current_term(raft_of(core));
    return stale ? 0 : id;
}

uint64_t quorum_core_last_index(const struct quorum_core *core)
{
    return quorum_map_empty(&core->map) ? core->snapshot_index : quorum_map_last(&core->map);
}

uint64_t quorum_core_stored_index(const struct quorum_core *core)
{
    return core->raft.last_stored;
}

uint64_t quorum_core_commit_index(const struct quorum_core *core)
{
    return core->commit;
}

uint64_t quorum_core_snapshot_index(const struct quorum_core *core)
{
    return core->snapshot_index;
}

uint64_t quorum_core_first_index(const struct quorum_core *core)
{
    return core->map.first;
}

bool quorum_core_log_forgotten(const struct quorum_core *core)
{
    return core->log_forgotten;
}

uint64_t quorum_core_term_of(const struct quorum_core *core, uint64_t index)
{
    if (index > 0 && index == core->snapshot_index)
        return core->snapshot_term;
    return quorum_map_term(&core->map, index);
}

bool quorum_core_find_batch(const struct quorum_core *core, uint64_t index,
                            struct quorum_extent *ret_extent)
{
    return quorum_map_find(&core->map, index, ret_extent);
}

struct quorum_voters *quorum_core_voters(const struct quorum_core *core)
{
    return core->change_count ? core->changes[core->change_count - 1].voters : NULL;
}

struct quorum_voters *quorum_core_voters_at(const struct quorum_core *core, uint64_t index)
{
    for (size_t i = core->change_count; i-- > 0;) {
        if (core->changes[i].index <= index)
            return core->changes[i].voters;
    }
    return NULL;
}

bool quorum_core_was_member(const struct quorum_core *core, uint64_t raft_id)
{
    for (size_t i = 0; i < core->change_count; i++) {
        if (quorum_voters_find(core->changes[i].voters, raft_id))
            return true;
    }
    return false;
}

uint64_t quorum_core_change_index(const struct quorum_core *core)
{
    return core->change_count ? core->changes[core->change_count - 1].index : 0;
}

bool quorum_core_change_open(const struct quorum_core *core)
{
    return quorum_core_change_index(core) > core->changes_applied;
}

int quorum_core_progress(const struct quorum_core *core, uint64_t raft_id,
                         struct quorum_progress *ret_progress)
{
    raft_index match;
    int rv = raft_match_index(&core->raft, raft_id, &match);
    if (rv != 0)
        return rv == RAFT_NOTLEADER ? -EPERM : -ENOENT;
    struct quorum_progress progress = {
        .match_index = match, .heard_ms = INT64_MIN, .caught_up_ms = INT64_MIN};
    for (size_t i = 0; i < core->peer_count; i++) {
        if (core->peers[i].id.raft_id != raft_id)
            continue;
        progress.heard_ms = core->peers[i].heard_ms;
        progress.caught_up_ms = core->peers[i].caught_up_ms;
    }
    if (raft_id == core->self.raft_id)
        progress.heard_ms = progress.caught_up_ms = core->now_ms;
    *ret_progress = progress;
    return 0;
}

struct quorum_core_counters quorum_core_counters(const struct quorum_core *core)
{
    return core->counters;
}

int64_t quorum_core_leader_contact_ms(const struct quorum_core *core)
{
    return core->leader_contact_ms;
}
