/*
 * checker: what clients were told, and whether the node stands by it. It lives outside of all
 * processes; clients report every batch that they send, every acknowledgement and every batch that
 * they read back.
 *
 * What must hold, for each partition:
 *   - a batch that is read is one that was sent, byte for byte (its checksum says so)
 *   - each is there once, at one offset, acknowledged and read alike; nothing overlaps, no gap
 *   - those of one producer are in the order of their sequences
 *   - acknowledged or read once, it stays: for ever where the topic flushes every message,
 *     else until the power is cut, which may take the end of the log, but nothing out of it
 *   - producer ids and epochs are given out once
 *
 * `power_cuts` is how often the power had been cut when the connection began on which something
 * was learned. Callable from any process: memory is never theirs.
 */
#ifndef KRAFTD_SIM_CHECKER_H
#define KRAFTD_SIM_CHECKER_H

#include "common/base/map.h"
#include "common/base/str.h"
#include "tests/sim/sim.h"

#include <stdbool.h>
#include <stdint.h>

struct checker_partition;

/* A batch that was sent; may be sent again as it is. */
struct sent_batch {
    struct checker_partition *partition;
    uint32_t crc;
    int32_t count;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int64_t offset;          /* -1: not known to be in the log */
    int power_cuts;          /* when it was last seen there */
    int64_t placed_at;       /* the checker's clock when it was first seen there */
    struct sent_batch *next; /* of the same place in the table */
};

struct checker_partition {
    struct checker *checker;
    char name[64];
    bool durable;            /* acknowledged means synced */
    bool may_delete;         /* retention: the start moves by itself */
    int64_t start;           /* highest log start offset that was asked for or seen */
    struct sent_batch **log; /* by offset */
    size_t count, capacity;
};

struct checker {
    struct sim *sim;
    int64_t clock;
    struct map batches;      /* of all partitions, by crc: sent_batch lists */
    struct map producer_ids; /* (id, epoch) given out */
    int64_t sent, acknowledged, read, lost_to_power;
};

void checker_init(struct checker *c, struct sim *sim);
void checker_release(struct checker *c);
void checker_partition_init(struct checker_partition *p, struct checker *c, const char *name,
                            bool durable, bool may_delete);
void checker_partition_release(struct checker_partition *p);

/* Lives as long as the checker. */
struct sent_batch *checker_sent(struct checker_partition *p, uint32_t crc, int32_t count,
                                int64_t producer_id, int16_t producer_epoch, int32_t base_sequence);
void checker_acknowledged(struct sent_batch *batch, int64_t offset, int power_cuts);
void checker_producer_id(struct checker *c, int64_t producer_id, int16_t producer_epoch);
/* Whole batches as they came from a fetch at `offset`; returns the offset behind them. */
int64_t checker_read(struct checker_partition *p, int64_t offset, struct bytes records,
                     int power_cuts);

/* A reading from the start to the end: take the clock before asking for the offsets, read all of
 * [start, end), then say so. */
int64_t checker_clock(const struct checker *c);
void checker_read_all(struct checker_partition *p, int64_t clock, int64_t start, int64_t end,
                      int power_cuts);

#endif
