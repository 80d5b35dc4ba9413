/*
 * A replica on its way to another log directory of this broker (AlterReplicaLogDirs, KIP-113,
 * KIP-858). Beside the partition's log a copy grows in the other directory, the future log; the
 * partition leads or follows on meanwhile.
 *
 *   OPENING -> WAITING -> COPYING <-> CUTTING, FLUSHING
 *                            |  has all: the controller is told of the new directory
 *                            |  has all, it is durable, and the metadata names the new directory:
 *                            v
 *                        REPLACING (partition AWAY) -> over
 *   any -> ENDING: cancelled, or a disk failed
 *
 * The copy is cut where the log was cut, by leader epochs as a follower is. What a start finds of a
 * copy is gone on with. As many moves copy at a time as the loop has places (num.replica.alter.
 * log.dirs.threads), no faster than replica.alter.log.dirs.io.max.bytes.per.second.
 *
 * Owner loop.
 */
#ifndef KRAFTD_BROKER_REPLICA_PARTITION_MOVE_H
#define KRAFTD_BROKER_REPLICA_PARTITION_MOVE_H

#include "broker/replica/partition.h"
#include "broker/replica/replication_quota.h"

/* What the moves of one loop share. */
struct partition_moves {
    int places;          /* that are free */
    struct list waiting; /* of partition_move.queued */
    struct replication_quota *quota;
};
void partition_moves_init(struct partition_moves *moves, int places,
                          struct replication_quota *quota);

struct move_wait {
    struct list link;
    void (*done)(struct move_wait *, enum kafka_error);
};

/* Moves the replica of a partition that is ONLINE or OFFLINE to the directory `dir` (number of the
 * log manager). A move to another one is given up; to where the log lies is to have none. Done when
 * the copy has begun, or the one before is gone: may be called from inside. */
void partition_move_to(struct partition *p, size_t dir, struct move_wait *wait);

/* Where the metadata is to say that the replica lies. */
struct uuid partition_wanted_directory(const struct partition *p);
/* A log directory has failed: the log in it, or the copy. */
void partition_dir_failed(struct partition *p, size_t dir, int status);

#endif
