/*
 * Whether the voters that are left can still elect, for people: without I/O, from the newest voters
 * and from who is connected. A voter counts as gone for good only where its node answers with
 * another disk; one that does not answer may come back.
 */
#ifndef KRAFTD_RAFT_QUORUM_OUTLOOK_H
#define KRAFTD_RAFT_QUORUM_OUTLOOK_H

#include "raft/quorum_peers.h"

enum quorum_outlook_kind {
    QUORUM_OUTLOOK_FAIR,    /* a majority is connected: an election will come to an end */
    QUORUM_OUTLOOK_MISSING, /* too few are connected */
    QUORUM_OUTLOOK_LOST,    /* the disks of a majority were replaced: nobody can lead again */
};

struct quorum_outlook_view {
    const struct quorum_voters *voters;
    uint64_t self; /* our raft id */
    const struct quorum_peer_view *peers;
    size_t peer_count;
    int64_t leaderless_ms;         /* for how long */
    int64_t end_offset, committed; /* of the metadata here */
    int32_t epoch;                 /* of its last batch */
};

/* A sentence for MISSING and LOST: who is gone, what is left, what to do. */
enum quorum_outlook_kind quorum_outlook(const struct quorum_outlook_view *view, char *ret_text,
                                        size_t size);

#endif
