/*
 * What AddRaftVoter, RemoveRaftVoter and UpdateRaftVoter have in common (KIP-853): the checks of
 * the request, and the change of the voters on the leader. On the metadata loop.
 */
#ifndef KRAFTD_BROKER_HANDLERS_RAFT_VOTER_H
#define KRAFTD_BROKER_HANDLERS_RAFT_VOTER_H

#include "broker/server/controller_call.h"
#include "raft/quorum_membership.h"

/* One request; in its arena. */
struct raft_voter {
    struct controller_call *call;
    struct metadata_loop *ml;
    struct str cluster_id; /* null: any */
    int32_t id;
    struct uuid directory_id;
    const struct endpoint_listener {
        struct str name, host;
        uint16_t port;
    } * listeners;
    int32_t listeners_count;
    const char *verb; /* "Add": how Kafka's sentences begin */
    struct quorum_member_change change;
    /* Writes the answer, message null where it is good, and ends the call. */
    void (*answer)(struct raft_voter *, enum kafka_error error, struct str message);
};

/* True when the cluster id fits; else it was answered. */
bool raft_voter_check_cluster(struct raft_voter *voter);
bool raft_voter_check_key(struct raft_voter *voter);
/* The listener that controllers use must be there. */
bool raft_voter_check_listeners(struct raft_voter *voter);
/* Begins the change of this kind; answered when it is over. */
void raft_voter_start(struct raft_voter *voter, enum quorum_member_kind kind);

#endif
