/*
 * What the leader of a partition knows of its followers, and what follows from it: the high
 * watermark and changes of the in-sync replicas (KIP-497, KIP-841, KIP-903, KIP-966). Sans-I/O:
 * time, ends and the metadata's view of brokers come with each call.
 *
 * The in-sync replicas that are committed stand in the role. While a change is proposed to the
 * controller the *maximal* ones count: the committed ones and all that are proposed, as either may
 * hold already. So a high watermark is never above what a member of any possible ISR has.
 *
 *   nobody proposes -> proposed -> accepted: the role has the new ISR
 *                               -> dropped: the controller did nothing and never will
 *                               -> open: only newer metadata can tell (leader_state_update)
 *
 * Invariants: one proposal at a time; the leader is in every ISR that it proposes; a follower that
 * is fenced, shuts down or fetched in another life than the metadata knows is never proposed.
 */
#ifndef KRAFTD_BROKER_REPLICA_LEADER_STATE_H
#define KRAFTD_BROKER_REPLICA_LEADER_STATE_H

#include "broker/replica/partition_role.h"
#include "common/protocol/kafka_error.h"

/* What a follower's fetch says. */
struct replica_fetch {
    int32_t id;
    int64_t broker_epoch; /* -1: it did not say */
    int64_t offset;       /* its end */
    int64_t log_start_offset;
};

struct follower_progress {
    int32_t id;
    int64_t broker_epoch;       /* that it last fetched with; -1 */
    int64_t end_offset;         /* -1: not known in this epoch */
    int64_t log_start_offset;   /* likewise */
    int64_t fetched_ms;         /* its last fetch, */
    int64_t fetched_leader_end; /* and where the leader's log ended then */
    int64_t caught_up_ms;       /* the last time it is known to have had all; INT64_MIN: never */
};

struct isr_member {
    int32_t id;
    int64_t broker_epoch; /* -1: not known */
};

/* What the controller is asked to make of the ISR; a value with a list of its own. */
struct isr_proposal {
    int32_t leader_epoch, partition_epoch; /* what it is based on */
    int8_t recovery_state;
    struct isr_member *members; /* malloc'd */
    int32_t member_count;
};

struct leader_state {
    int32_t node_id;
    const struct partition_role *role; /* the partition's, with the committed ISR */
    int64_t start_offset;              /* where the log ended when this epoch began */
    struct follower_progress *followers;
    int32_t follower_count;
    bool proposing;
    struct isr_proposal proposal; /* while proposing */
};

/* What a decision looks at beside the state itself. */
struct leader_view {
    int64_t now_ms;
    int64_t lag_max_ms;
    int64_t end_offset;     /* of the leader's log */
    int64_t own_offset;     /* the leader's own part of the high watermark */
    int64_t high_watermark; /* as it is */
    int32_t min_isr;        /* min.insync.replicas */
    int64_t broker_epoch;   /* of this broker's own registration */
    /* The epoch that a broker is registered with, or -1; live: not fenced, not shutting down. */
    int64_t (*epoch_of)(void *ctx, int32_t id, bool *ret_live);
    void *ctx;
};

enum isr_verdict {
    ISR_AGAIN,   /* send the same once more */
    ISR_DROPPED, /* the state is as before the proposal */
    ISR_OPEN,    /* wait for the metadata */
};

void leader_state_init(struct leader_state *leader, int32_t node_id,
                       const struct partition_role *role);
void leader_state_release(struct leader_state *leader);

/* A new epoch begins, in which nothing is known of the followers. */
void leader_state_begin(struct leader_state *leader, int64_t end_offset, int64_t now_ms);
/* The role changed within the epoch: followers come and go, an open proposal is settled. */
void leader_state_update(struct leader_state *leader, int64_t now_ms);

/* NULL where it is not assigned. */
const struct follower_progress *leader_state_follower(const struct leader_state *leader,
                                                      int32_t id);
/* Whether that is a fetch of a replica, in the life of its broker that the metadata knows; whoever
 * says a replica's id without knowing its epoch is none. UNKNOWN_LEADER_EPOCH: not one of the
 * replicas, or our metadata is behind; NOT_LEADER_OR_FOLLOWER: of an earlier life, or of none. */
enum kafka_error leader_state_check(const struct leader_state *leader,
                                    const struct leader_view *view,
                                    const struct replica_fetch *fetch);
/* It fetched at an offset that agrees with this log; checked before. */
void leader_state_fetched(struct leader_state *leader, const struct leader_view *view,
                          const struct replica_fetch *fetch);

/* The log grew from `end`: who had all of it before had caught up until now. */
void leader_state_appended(struct leader_state *leader, int64_t end, int64_t now_ms);

/* min.insync.replicas, as far as there are replicas. */
int32_t leader_state_min_isr(const struct leader_state *leader, int32_t min_isr);
/* How many replicas any ISR that may hold now has at most. */
int32_t leader_state_maximal_isr_count(const struct leader_state *leader);
/* Where the high watermark may be now; never below view->high_watermark. */
int64_t leader_state_high_watermark(const struct leader_state *leader,
                                    const struct leader_view *view);

/*
 * Looks for a change of the ISR. True: it is proposed from now on (leader->proposal). Followers
 * that have caught up join at once; with `shrink` those leave that lag for too long.
 */
bool leader_state_propose(struct leader_state *leader, const struct leader_view *view, bool shrink);
/* The proposal became the committed ISR: the caller has set the role. */
void leader_state_accepted(struct leader_state *leader, int64_t now_ms);
enum isr_verdict leader_state_refused(struct leader_state *leader, enum kafka_error error);

#endif
