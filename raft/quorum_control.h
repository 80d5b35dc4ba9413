/*
 * Control batches of the metadata log and of its checkpoints, as Kafka writes them:
 *
 *   log         LeaderChange                               the first batch of every epoch
 *               KRaftVersion, Voters                       the voters, when the log has none yet
 *               Voters                                     a change of them
 *   checkpoint  SnapshotHeader [, KRaftVersion, Voters]    the first batch
 *               SnapshotFooter                             the last batch
 *
 * Kafka also writes LeaderChange, KRaftVersion and Voters as one batch. A batch with Voters is a
 * configuration change whatever stands beside it.
 *
 * VotersRecord names voters only. Our standbys ride in its tagged field 10001, which Kafka skips:
 * bytes, a VotersRecord (version 0) of the standbys.
 *
 * Batches are appended to a bytebuf. Decoding bounds everything by its input: -EBADMSG when a batch
 * is damaged or says what no quorum can mean. No state; one loop for what holds voters.
 */
#ifndef KRAFTD_RAFT_QUORUM_CONTROL_H
#define KRAFTD_RAFT_QUORUM_CONTROL_H

#include "common/base/buf.h"
#include "common/protocol/record_batch.h"
#include "raft/quorum_message.h"

#define QUORUM_STANDBYS_TAG 10001

struct quorum_control_place {
    int64_t base_offset;
    int32_t epoch;
    int64_t timestamp_ms;
};

/* Bit i of granted: voters->servers[i] voted for the leader. */
void quorum_control_leader_change(const struct quorum_control_place *place, int32_t leader_id,
                                  const struct quorum_voters *voters, uint64_t granted,
                                  struct bytebuf *out);
/* One record, or two with the kraft.version before it. Returns how many. */
uint32_t quorum_control_voters(const struct quorum_control_place *place, bool with_kraft_version,
                               const struct quorum_voters *voters, struct bytebuf *out);
/* voters NULL: kraft.version 0, or formatted with --no-initial-controllers (with_kraft_version).
 * Returns the number of records. */
uint32_t quorum_control_header(const struct quorum_control_place *place, int64_t last_contained_ms,
                               bool with_kraft_version, const struct quorum_voters *voters,
                               struct bytebuf *out);
void quorum_control_footer(const struct quorum_control_place *place, struct bytebuf *out);

/* What a batch means to the quorum. */
struct quorum_control {
    enum quorum_batch_kind kind;  /* COMMAND: metadata, or control records of another matter */
    struct quorum_voters *voters; /* of a CHANGE: one reference; else NULL */
    int kraft_version;            /* -1: not said */
    bool header, footer;          /* of a checkpoint */
    int64_t last_contained_ms;    /* of a header */
};

/* The batch's checksum is known to be right. */
int quorum_control_parse(const struct record_batch *batch, struct quorum_control *ret_control);

/* The value of a VotersRecord; also the form in which voters travel outside of the log. */
void quorum_voters_encode(const struct quorum_voters *voters, struct bytebuf *out);
int quorum_voters_decode(struct bytes value, struct quorum_voters **ret_voters);

#endif
