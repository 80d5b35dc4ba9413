/*
 * Drives a formation (formation.h) over connections: asks and tells the listed end points, answers
 * who asks us, and leaves the disk to its owner. It lives as long as the node: a node that has a
 * cluster answers those that are blank.
 *
 * One loop. Callbacks run on it, also from inside of a call.
 */
#ifndef KRAFTD_RAFT_FORMATION_DRIVER_H
#define KRAFTD_RAFT_FORMATION_DRIVER_H

#include "common/base/stream.h"
#include "raft/formation.h"
#include "raft/quorum_wire.h"

struct formation_driver;

struct formation_driver_handler {
    /* Make it durable with all that belongs to it, then formation_driver_written. */
    void (*write)(void *ctx, const struct formation_record *record);
    /* Bound: the quorum may start. */
    void (*start)(void *ctx, const struct formation_record *record);
    /* Blank, and this cluster exists without us: make it durable that we belong to it, then
     * formation_driver_observing. */
    void (*observe)(void *ctx, const struct formation_record *record);
    /* The formation can never elect: give up all of it; the process starts anew. */
    void (*reset)(void *ctx);
    /* A log beyond entry 1, or a leader is known. */
    bool (*has_data)(void *ctx);
};

struct formation_driver_config {
    struct loop *loop;
    /* listed_hash, round_timeout_ms and retry_ms are set here. */
    struct formation_config formation;
    const struct endpoint *listed; /* formation.listed_count of them; copied */
    struct uuid directory_id;
    const struct formation_record *record; /* what the disk holds; NULL or without cluster: blank */
    /* The record's cluster is a static quorum: its voters have to be found first
     * (formation_collect.h); then they are written like a formation's. */
    bool collects;
    int request_timeout_ms, backoff_ms;
};

struct formation_driver *formation_driver_new(const struct formation_driver_config *config,
                                              const struct formation_driver_handler *handler,
                                              void *ctx);
void formation_driver_start(struct formation_driver *driver);
void formation_driver_written(struct formation_driver *driver);
void formation_driver_observing(struct formation_driver *driver,
                                const struct formation_record *record);
/* A node asks or tells. The answer's strings live until the next call. */
void formation_driver_receive(struct formation_driver *driver, const struct peer_formation *message,
                              struct peer_formation *ret_answer);
/* No callback after it but `stopped`, on a later turn. */
void formation_driver_stop(struct formation_driver *driver, void (*stopped)(void *ctx), void *ctx);
void formation_driver_free(struct formation_driver *driver); /* stopped; NULL is fine */

#endif
