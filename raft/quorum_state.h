/*
 * The file quorum-state: what a voter must not forget about elections. One line of JSON without a
 * newline, Kafka's own (QuorumStateData), replaced atomically:
 *
 *   data_version 0 (kraft.version 0)
 *     {"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"appliedOffset":0,
 *      "currentVoters":[{"voterId":1}],"data_version":0}
 *   data_version 1 (kraft.version 1)
 *     {"leaderId":1,"leaderEpoch":5,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA",
 *      "data_version":1}
 *
 * We write version 1, and a leader only where a sole voter elected itself. Reads and writes block:
 * on a worker.
 */
#ifndef KRAFTD_RAFT_QUORUM_STATE_H
#define KRAFTD_RAFT_QUORUM_STATE_H

#include "common/base/disk.h"
#include "common/base/uuid.h"
#include "raft/quorum_guard.h"
#include "raft/quorum_voters.h"

#define QUORUM_STATE_FILE "quorum-state"

struct quorum_state {
    int16_t data_version;
    int32_t leader_id, leader_epoch;
    int32_t voted_id;
    struct uuid voted_directory_id; /* zero: not known, or nobody */
    int32_t current_voters[QUORUM_SERVERS_MAX];
    int current_voter_count; /* version 0 only */
};

#define QUORUM_STATE_INIT                                                                          \
    ((struct quorum_state){.data_version = 1, .leader_id = -1, .leader_epoch = 0, .voted_id = -1})

/* -ENOENT: there is none; -EBADMSG: not a quorum-state, *ret_what names the field (a constant). */
int quorum_state_load(struct disk *disk, const char *path, struct quorum_state *ret_state,
                      const char **ret_what);
int quorum_state_parse(const char *text, size_t len, struct quorum_state *ret_state,
                       const char **ret_what);
/* Durable when it returns 0. */
int quorum_state_store(struct disk *disk, const char *path, const struct quorum_state *state);

/*
 * Term and vote to start with (W16): `last_epoch` is that of the log or the newest snapshot, -1
 * when both are empty. Kafka may name a leader without a vote, and name who was voted for by a node
 * id only: where it is not known whom we voted for, the vote counts as our own, so that no second
 * one is given in that epoch. `voters` (may be NULL) tells directories by node id. state NULL: no
 * file.
 */
void quorum_state_import(const struct quorum_state *state, int32_t last_epoch, int32_t self_id,
                         struct uuid self_directory, const struct quorum_voters *voters,
                         quorum_guards_off guards_off, uint64_t *ret_term,
                         uint64_t *ret_voted_raft_id);

#endif
