/*
 * record_load: clients of a simulated cluster's data plane.
 *   writer  an idempotent producer with acks=all for each partition: a window of one or of up to
 *           five batches, whatever is not answered is sent again to whoever leads now
 *   reader  a consumer of each partition, from its beginning on: at the leader or, in the rack of a
 *           follower, where the leader sends it
 *   mover   moves replicas to other brokers and asks for preferred leaders, in half of the runs
 *   churner deletes a topic and makes it again under the same name, adds partitions to it, and
 *           deletes records of all topics; in every eighth seed
 *   shifter moves replicas between the two log directories of their brokers; in every eighth seed,
 *           beside a churner or without one
 * They find the leaders by Metadata of any broker. What they send and see goes to replica_watch.h.
 *
 * Processes that are never killed; the state is the world's.
 */
#ifndef KRAFTD_SIM_RECORD_LOAD_H
#define KRAFTD_SIM_RECORD_LOAD_H

#include "tests/sim/replica_watch.h"

#define RECORD_LOAD_TOPICS     4
#define RECORD_LOAD_PARTITIONS 7
#define RECORD_LOAD_NODES      8

struct session;

struct record_topic {
    const char *name;
    int32_t partitions, replicas, min_isr; /* partitions: at most, where it churns */
    bool synced;
    bool created;
    bool churns; /* it is the churner's */
};

struct record_partition {
    struct record_topic *topic;
    int32_t index;
    struct watched_partition *watched;
};

struct record_load {
    struct sim *sim;
    struct replica_watch *watch;
    struct sim_node *brokers[RECORD_LOAD_NODES];
    int32_t ids[RECORD_LOAD_NODES];
    int broker_count;
    struct record_topic topics[RECORD_LOAD_TOPICS];
    struct record_partition partitions[RECORD_LOAD_PARTITIONS];
    int partition_count, topic_count;
    bool moves;                                /* there is a mover */
    bool churns;                               /* there is a churner */
    bool shifts;                               /* there is a shifter */
    bool churner_rests;                        /* it has come to its end */
    bool quiet;                                /* nothing new: what was sent comes to its end */
    int unanswered[RECORD_LOAD_PARTITIONS];    /* batches */
    int64_t positions[RECORD_LOAD_PARTITIONS]; /* of the readers */
    int64_t sent, acknowledged, read, records_deleted;
};

/* The load of this seed deletes, too. */
bool record_load_has_churner(const struct sim *sim);
/* Its brokers have two log directories, and replicas are moved between them. *ret_speed: bytes a
 * second that they copy; 0: as many as they can. */
bool record_load_has_shifter(const struct sim *sim, int64_t *ret_speed);
/* The brokers and the watch's nodes are there; `synced` of 0 to 2 topics sync first. */
void record_load_init(struct record_load *load, struct sim_random *random);
void record_load_start(struct record_load *load);
/* What the load makes of a topic; `done` as in session_call. */
int record_topic_create(const struct record_load *load, const struct record_topic *t,
                        int32_t partitions, struct session *session,
                        void (*done)(void *ctx, int status, const void *response), void *ctx);
/* All that was sent is answered and read. */
bool record_load_at_rest(const struct record_load *load);

#endif
