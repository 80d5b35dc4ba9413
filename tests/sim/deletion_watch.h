/*
 * deletion_watch: what has to hold where records and topics are deleted, beside replica_watch.h.
 *
 * Topics that churn have *lives*: one topic id each. With its life all that is known of a topic
 * ends: what was committed may go, and nothing of it may be seen again. In a life no log has a
 * batch that was not sent in it, from the moment it is opened. Once faults have ended nothing is
 * left of earlier lives on any disk but what was set aside (-stray).
 *
 * Where a log starts: no higher than somebody asked for, and never lower while it is open. When
 * DeleteRecords is answered, all that are in sync start at the low watermark or above, and that has
 * reached what was asked for. From then on nobody leads with a log that starts lower. This *start*
 * is promised as long as all who may be elected have it in memory: it is written down only from
 * time to time, as in Apache Kafka.
 */
#ifndef KRAFTD_SIM_DELETION_WATCH_H
#define KRAFTD_SIM_DELETION_WATCH_H

#include "tests/sim/replica_watch.h"

/* For replica_watch.c: the newest image has another topic of that name, or none (zero). */
void deletion_watch_topic(struct watched_partition *p, struct uuid topic_id);
/* For replica_watch.c: the log is open; `opened`: since this event. */
void deletion_watch_start(struct watched_partition *p, int at, int64_t start, bool opened);
/* For replica_watch.c: somebody may be elected now who could not before, or is gone. */
void deletion_watch_promise(struct watched_partition *p);

/* What clients do. A request, */
struct deletion {
    int64_t offset;
    int life, changes;
};
struct deletion watched_partition_deletes(struct watched_partition *p, int64_t offset);
/* and its answer, without an error. */
void watched_partition_deleted(struct watched_partition *p, const struct deletion *deletion,
                               int64_t low_watermark);

/* For whoever looks into a failure. */
void deletion_watch_log(const struct watched_partition *p);
/* NULL, or what is left on some disk that has to go, of deleted topics or of moves between log
 * directories; in *ret_node its number, from 1. */
const char *deletion_watch_leftovers(const struct replica_watch *w, int *ret_node);

#endif
