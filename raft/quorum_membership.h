/*
 * Changes of the voters that somebody asks for (KIP-853), on the leader: one at a time, in the
 * steps that libraft bears (quorum_core_change), over as many commits as it takes.
 *
 *   add      call the controller where it was said to listen, unless it has called itself, and
 *            name it a standby; standbys are brought up to date and made voters by
 *            quorum_replace.h. What does not become a voter in time is taken out again.
 *   remove   one change; a leader that is to go hands over first, and its successor removes it
 *   update   new listeners of a voter. Those of a voter that is connected are what it said itself:
 *            they are taken over without being asked for.
 *
 * Nobody is demoted: whoever holds data is removed. All state is of one leadership. One loop.
 */
#ifndef KRAFTD_RAFT_QUORUM_MEMBERSHIP_H
#define KRAFTD_RAFT_QUORUM_MEMBERSHIP_H

#include "raft/quorum_node.h"
#include "raft/quorum_peers.h"

struct quorum_membership;

enum quorum_member_kind { QUORUM_MEMBER_ADD, QUORUM_MEMBER_REMOVE, QUORUM_MEMBER_UPDATE };

/* Embedded by the asker; it must live until done. */
struct quorum_member_change {
    enum quorum_member_kind kind;
    /* One server with node id, directory id, and (but for REMOVE) listeners. The asker's. */
    struct quorum_voters *server;
    int64_t timeout_ms;
    bool early; /* done as soon as the last step is in the log */
    /* Once. 0; -EPERM: we do not lead (any more), the outcome is unknown; -EBUSY: another change
     * is under way; -EEXIST: it is a voter already; -ENOENT: it is none; -EINVAL: no voter would be
     * left; -ETIMEDOUT. The sentence says why, for people; NULL with 0. */
    void (*done)(struct quorum_member_change *change, int status, const char *sentence);
};

struct quorum_membership_config {
    struct quorum_node *node;
    struct quorum_peers *peers; /* NULL: nobody is ever connected */
    struct uuid directory_id;   /* ours */
};

struct quorum_membership *quorum_membership_new(struct loop *loop,
                                                const struct quorum_membership_config *config);
/* Ends what is under way with -EPERM. NULL is fine. */
void quorum_membership_free(struct quorum_membership *membership);
/* We lead from now on, or not any more. */
void quorum_membership_lead(struct quorum_membership *membership, bool leads);
/* done may come from inside. */
void quorum_membership_start(struct quorum_membership *membership,
                             struct quorum_member_change *change);

#endif
