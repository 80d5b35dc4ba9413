/*
 * log_watch: what stands in a log on a simulated disk, batch by batch, from outside of all
 * processes: read behind the disk's back (sim_disk_peek), so that looking changes nothing.
 *
 * Belongs to the world. Whatever has no business in a log fails the simulation.
 */
#ifndef KRAFTD_SIM_LOG_WATCH_H
#define KRAFTD_SIM_LOG_WATCH_H

#include "common/base/map.h"
#include "tests/sim/sim_env.h"

struct log;

/* The log.dirs of the nodes; most have the first one only. */
#define WATCHED_DIRS 2
extern const char *const watched_dirs[WATCHED_DIRS];

struct watched_batch {
    int64_t base, end; /* offsets [base, end) */
    int32_t epoch;
    uint32_t crc;
    uint64_t hash;                  /* of all its bytes */
    int64_t segment, next_position; /* where it stands, on the disk of who has it */
    int64_t producer_id;
    int32_t sequence;
    int16_t producer_epoch;
};

/* The batches of one log on the disk of one node; starts from zero but for the node. */
struct watched_log {
    struct sim *sim;
    struct sim_node *node;
    char path[64];
    struct watched_batch *batches;
    size_t count, capacity;
};

void watched_log_release(struct watched_log *l);
/* Brings the list in line with an open log; `found` is called for every batch that is new. Where
 * nothing is known of it yet it begins with that segment. */
void watched_log_follow(struct watched_log *l, const struct log *log, size_t first,
                        void (*found)(void *ctx, const struct watched_batch *b), void *ctx);
/* Likewise, of the log that took the place of the one before, in another directory, with all that
 * this one had from its start on. */
void watched_log_moved(struct watched_log *l, const struct log *log, size_t first,
                       void (*found)(void *ctx, const struct watched_batch *b), void *ctx);
/* Nobody has it open and the disk may have lost something: keeps what still stands there; or in the
 * other directory, where that is more: a move may have come to its end in the moment before. */
void watched_log_verify(struct watched_log *l, int64_t start);

bool watched_batch_same(const struct watched_batch *a, const struct watched_batch *b);
/* The batch that ends behind that offset and begins at or before it; NULL: there is none. */
struct watched_batch *watched_batch_find(struct watched_batch *batches, size_t count,
                                         int64_t offset);

/* One epoch has one leader, so an offset and an epoch name one batch, on all disks, for ever. The
 * map is of (offset, epoch) and owns its values. */
void watched_batch_note(struct map *seen, const struct watched_log *l,
                        const struct watched_batch *b);
const struct watched_batch *watched_batch_seen(const struct map *seen, int64_t base, int32_t epoch);

#endif
