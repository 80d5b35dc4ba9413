/*
 * What can be asked of a quorum core; nothing here changes it. Included by quorum_core.h.
 */
#ifndef KRAFTD_RAFT_QUORUM_CORE_VIEW_H
#define KRAFTD_RAFT_QUORUM_CORE_VIEW_H

#include "raft/quorum_guard.h"
#include "raft/quorum_message.h"

struct quorum_core;

uint64_t quorum_core_raft_id(const struct quorum_core *core);
uint64_t quorum_core_term(const struct quorum_core *core);
bool quorum_core_is_leader(const struct quorum_core *core);
/* Raft id of the leader; 0 when unknown. */
uint64_t quorum_core_leader(const struct quorum_core *core);
/* Last index appended, stored durably, committed (and stored), and of the snapshot. */
uint64_t quorum_core_last_index(const struct quorum_core *core);
uint64_t quorum_core_stored_index(const struct quorum_core *core);
uint64_t quorum_core_commit_index(const struct quorum_core *core);
uint64_t quorum_core_snapshot_index(const struct quorum_core *core);
uint64_t quorum_core_first_index(const struct quorum_core *core);
/* At the start the log was found to be of no use beside the snapshot: the caller empties it. */
bool quorum_core_log_forgotten(const struct quorum_core *core);
/* Term of an entry, 0 when it is not known any more. */
uint64_t quorum_core_term_of(const struct quorum_core *core, uint64_t index);
bool quorum_core_find_batch(const struct quorum_core *core, uint64_t index,
                            struct quorum_extent *ret_extent);
/* The newest set in the log, committed or not; NULL on a blank node. Borrowed. */
struct quorum_voters *quorum_core_voters(const struct quorum_core *core);
/* The set in force at `index`, and where it stands in the log (0: bootstrap or snapshot). */
struct quorum_voters *quorum_core_voters_at(const struct quorum_core *core, uint64_t index);
/* It is, or was, in a set that is still known. */
bool quorum_core_was_member(const struct quorum_core *core, uint64_t raft_id);
/* Index of the newest change, and whether it is committed. */
uint64_t quorum_core_change_index(const struct quorum_core *core);
bool quorum_core_change_open(const struct quorum_core *core);

/* The last append of a leader; INT64_MIN: none. */
int64_t quorum_core_leader_contact_ms(const struct quorum_core *core);

/* How far a peer is, as seen by the leader. */
struct quorum_progress {
    uint64_t match_index;
    int64_t heard_ms;     /* INT64_MIN: not in this leadership */
    int64_t caught_up_ms; /* when it last had all there was; INT64_MIN: not in this leadership */
};
/* -EPERM: we do not lead; -ENOENT: it is not in the set. */
int quorum_core_progress(const struct quorum_core *core, uint64_t raft_id,
                         struct quorum_progress *ret_progress);

struct quorum_core_counters {
    uint64_t malformed;              /* messages dropped: they contradict themselves or the log */
    uint64_t guarded[QUORUM_GUARDS]; /* how often each guard made a difference */
};
struct quorum_core_counters quorum_core_counters(const struct quorum_core *core);

#endif
