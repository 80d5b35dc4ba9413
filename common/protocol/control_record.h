/*
 * Control records: what brokers and controllers write between the records of clients, in batches
 * with the control bit. The key tells the type, the value is a message of its own schema behind an
 * int16 version; both versions are 0 in all that Kafka writes:
 *
 *   key    int16 version (0), int16 type
 *   value  ABORT, COMMIT    int16 version (0), int32 coordinatorEpoch     (EndTxnMarker)
 *          LEADER_CHANGE    LeaderChangeMessage     first batch of a quorum leader's epoch
 *          SNAPSHOT_HEADER  SnapshotHeaderRecord    first batch of a checkpoint
 *          SNAPSHOT_FOOTER  SnapshotFooterRecord    last batch of a checkpoint
 *          KRAFT_VERSION    KRaftVersionRecord      KIP-853: which format the quorum has
 *          KRAFT_VOTERS     VotersRecord            KIP-853: its voters
 *
 * Values other than the transaction markers are encoded by their schemas and pass through here as
 * bytes. Pure; any thread. Errors: -EBADMSG.
 */
#ifndef KRAFTD_PROTOCOL_CONTROL_RECORD_H
#define KRAFTD_PROTOCOL_CONTROL_RECORD_H

#include "common/base/str.h"

#include <stdint.h>

enum control_record_type {
    CONTROL_ABORT = 0,
    CONTROL_COMMIT = 1,
    CONTROL_LEADER_CHANGE = 2,
    CONTROL_SNAPSHOT_HEADER = 3,
    CONTROL_SNAPSHOT_FOOTER = 4,
    CONTROL_KRAFT_VERSION = 5,
    CONTROL_KRAFT_VOTERS = 6,
};

#define CONTROL_RECORD_KEY_SIZE   4
#define CONTROL_RECORD_VERSION    0
#define CONTROL_END_TXN_SIZE      6
#define CONTROL_RECORD_TYPE_COUNT 7

/* The type's name as Kafka's dump tool prints it, or NULL. */
const char *control_record_name(int type);
void control_record_key(enum control_record_type type, uint8_t ret_key[CONTROL_RECORD_KEY_SIZE]);
/* The type in a control record's key. A type of a later Kafka is not an error: the caller skips
 * what it does not know. */
int control_record_parse_key(struct bytes key, int *ret_type);

/* The value of a transaction marker. */
void control_end_txn_value(int32_t coordinator_epoch, uint8_t ret_value[CONTROL_END_TXN_SIZE]);
int control_end_txn_parse(struct bytes value, int32_t *ret_coordinator_epoch);

#endif
