/*
 * A set of voters: who replicates the metadata log and who of them votes. It is what a VotersRecord
 * says (KIP-853), plus standbys, which Kafka's record cannot name: servers that receive the log but
 * do not vote yet.
 *
 * A voter is (node id, directory id). Its raft id derives from the directory id alone, so that a
 * wiped disk is a new server to libraft (guard W11): big-endian high half XOR low half of the
 * directory id; 0, which libraft cannot have, becomes 1. This derivation is part of the formats: it
 * never changes.
 *
 * Immutable once built and shared by reference counting; the count is not atomic: one loop. Copies
 * for other threads are made with quorum_voters_copy.
 */
#ifndef KRAFTD_RAFT_QUORUM_VOTERS_H
#define KRAFTD_RAFT_QUORUM_VOTERS_H

#include "common/base/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Servers in one set: a bit mask of who granted a vote has one bit for each. */
#define QUORUM_SERVERS_MAX 64

enum quorum_server_role { QUORUM_STANDBY, QUORUM_VOTER };

struct quorum_listener {
    char *name; /* of the listener, e.g. CONTROLLER */
    char *host;
    uint16_t port;
};

struct quorum_server {
    int32_t node_id;
    struct uuid directory_id;
    uint64_t raft_id;
    enum quorum_server_role role;
    int16_t kraft_version_min, kraft_version_max;
    struct quorum_listener *listeners;
    int listener_count;
};

struct quorum_voters {
    uint32_t references;
    int count;
    struct quorum_server servers[QUORUM_SERVERS_MAX];
};

uint64_t quorum_raft_id(struct uuid directory_id);

/* An empty set with one reference, to be filled with quorum_voters_add before it is shared. */
struct quorum_voters *quorum_voters_new(void);
struct quorum_voters *quorum_voters_ref(struct quorum_voters *voters);
void quorum_voters_unref(struct quorum_voters *voters); /* NULL is fine */
struct quorum_voters *quorum_voters_copy(const struct quorum_voters *voters);

/* Adds a server without listeners. -EEXIST: its directory (or raft id) is there; -E2BIG: the set is
 * full; -EINVAL: no directory id or a negative node id. */
int quorum_voters_add(struct quorum_voters *voters, int32_t node_id, struct uuid directory_id,
                      enum quorum_server_role role);
/* Adds a listener to the server added last. */
void quorum_voters_add_listener(struct quorum_voters *voters, struct str name, struct str host,
                                uint16_t port);
/* Another role; the listeners of the one server of `from`. False when it is not there. */
bool quorum_voters_set_role(struct quorum_voters *voters, uint64_t raft_id,
                            enum quorum_server_role role);
bool quorum_voters_set_listeners(struct quorum_voters *voters, uint64_t raft_id,
                                 const struct quorum_server *from);
bool quorum_server_same_listeners(const struct quorum_server *a, const struct quorum_server *b);
/* False when it was not there. */
bool quorum_voters_remove(struct quorum_voters *voters, uint64_t raft_id);

/* NULL when it is not there. */
const struct quorum_server *quorum_voters_find(const struct quorum_voters *voters,
                                               uint64_t raft_id);
const struct quorum_server *quorum_voters_find_node(const struct quorum_voters *voters,
                                                    int32_t node_id);
int quorum_voters_count(const struct quorum_voters *voters); /* of role QUORUM_VOTER */
bool quorum_voters_is_voter(const struct quorum_voters *voters, uint64_t raft_id);
/* raft_id is the one voter of the set. */
bool quorum_voters_is_sole(const struct quorum_voters *voters, uint64_t raft_id);
/* Same servers in the same roles, whatever their listeners. */
bool quorum_voters_same_servers(const struct quorum_voters *a, const struct quorum_voters *b);

#endif
