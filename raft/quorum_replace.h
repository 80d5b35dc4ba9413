/*
 * Who becomes a voter by itself: what the leader does about controllers whose disk was replaced,
 * that join by controller.quorum.auto.join.enable, or whose end points changed. A decision without
 * I/O: the set in force and who is connected go in, the next single step comes out, to be asked
 * again when it is done. The rules (guards W5 and W7 are the core's):
 *
 *   - A connected controller that is not in the set and has the node id of a voter, or wants to
 *     vote, comes in as a standby, and is brought up to date.
 *   - Once it is, a voter of the same node id whose connection is gone for an election timeout is
 *     removed; one that is still there, or that leads, is not.
 *   - Then it becomes a voter.
 *   - A standby that is gone, while another disk of its node id is connected, is removed.
 *   - A disk that was a member before and is not now comes back by itself only where it asks for a
 *     vote, and no other disk has its node id.
 *   - A member that says other listeners than the set has gets those.
 */
#ifndef KRAFTD_RAFT_QUORUM_REPLACE_H
#define KRAFTD_RAFT_QUORUM_REPLACE_H

#include "raft/quorum_peers.h"

struct quorum_replace_view {
    const struct quorum_voters *voters; /* the newest, committed */
    uint64_t self;                      /* the leader's raft id */
    const struct quorum_voters *own;    /* one server: the leader's listeners; NULL: as they are */
    const struct quorum_peer_view *peers;
    size_t peer_count;
    int64_t now_ms, leading_ms; /* leading_ms: since when we lead */
    int64_t gone_ms;            /* the election timeout */
    bool (*caught_up)(void *ctx, uint64_t raft_id);
    bool (*was_member)(void *ctx, uint64_t raft_id);
    void *ctx;
};

enum quorum_replace_kind {
    QUORUM_REPLACE_REST,     /* nothing is to be done now */
    QUORUM_REPLACE_CATCH_UP, /* raft_id */
    QUORUM_REPLACE_CHANGE,   /* to `voters`, one reference for the caller */
};

struct quorum_replace_step {
    enum quorum_replace_kind kind;
    uint64_t raft_id;
    struct quorum_voters *voters;
    char text[256]; /* why, for people; may be empty */
};

void quorum_replace_next(const struct quorum_replace_view *view, struct quorum_replace_step *ret);

#endif
