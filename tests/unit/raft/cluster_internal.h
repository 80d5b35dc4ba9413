/*
 * The cluster's parts: cluster.c drives events and actions, cluster_events.c keeps them in
 * order, cluster_disk.c holds what survives, cluster_faults.c breaks things and changes membership.
 */
#ifndef KRAFTD_TESTS_RAFT_CLUSTER_INTERNAL_H
#define KRAFTD_TESTS_RAFT_CLUSTER_INTERNAL_H

#include "common/base/check.h"
#include "common/base/mem.h"
#include "tests/unit/raft/cluster.h"

#define SERVERS_MAX 5

struct entry_batch {
    struct quorum_batch batch;
    uint64_t payload; /* stands for the bytes */
};

struct batches {
    struct entry_batch *items;
    size_t count, capacity;
};

struct snapshot {
    uint64_t index, term, hash;
    struct quorum_voters *voters;
};

/* What a power cut leaves, and what the page cache holds beside it. */
struct disk_image {
    struct uuid directory_id;
    uint64_t term, vote;
    uint64_t lazy_term, lazy_vote; /* not durable yet (mutation) */
    struct snapshot snapshot;
    struct batches log, durable;
};

struct server {
    int slot;
    struct disk_image disk;
    struct quorum_core *core;  /* NULL: down */
    unsigned life;             /* events of an earlier life are ignored */
    unsigned log_life;         /* likewise for syncs of a log that was replaced */
    uint64_t written, syncing; /* write ids; syncing 0: no sync in flight */
    struct batches sync_image;
    uint64_t applied, hash;
    bool snapshotting;
    bool leading;
    int64_t next_driver_ms;
};

enum event_type { DELIVER, SYNC_DONE, RESTART, SNAPSHOT_DONE, INSTALL_DONE, FAULT, CLIENT, HEAL };

struct event {
    int64_t at_ms;
    uint64_t sequence;
    enum event_type type;
    int slot;
    unsigned life, log_life;
    struct quorum_message message; /* DELIVER: with batches of its own */
    struct uuid to;
    struct snapshot snapshot;
};

struct committed {
    uint64_t count, term, payload, hash;
};

struct cluster {
    struct cluster_options options;
    struct cluster_result *result;
    uint64_t random;
    int64_t now_ms;
    struct server servers[SERVERS_MAX];
    bool cut[SERVERS_MAX][SERVERS_MAX]; /* cut[a][b]: nothing goes from a to b */
    int64_t last_arrival[SERVERS_MAX][SERVERS_MAX];
    unsigned drop_percent, crash_per_mille, delay_max_ms;
    bool faulty;
    struct event *events; /* a heap */
    size_t event_count, event_capacity;
    uint64_t sequence, payloads;
    struct committed *committed; /* by base index */
    size_t committed_capacity;
    uint64_t committed_end;
    uint64_t leaders[1 << 14]; /* by term: who led */
    struct snapshot *snapshots;
    size_t snapshot_count, snapshot_capacity;
};

uint64_t cluster_random(struct cluster *c, uint64_t below);
__attribute__((format(printf, 2, 3))) void cluster_broken(struct cluster *c, const char *format,
                                                          ...);
static inline bool cluster_ended(const struct cluster *c)
{
    return c->result->broken[0] != '\0';
}

void event_push(struct cluster *c, struct event *event);
bool event_pop(struct cluster *c, struct event *ret);
int64_t event_next_ms(const struct cluster *c);
void event_release(struct event *event);

void batches_push(struct batches *b, const struct entry_batch *batch);
void batches_truncate(struct batches *b, uint64_t index);
void batches_drop_prefix(struct batches *b, uint64_t first);
void batches_copy(struct batches *to, const struct batches *from);
void batches_clear(struct batches *b);
void batches_release(struct batches *b);
const struct entry_batch *batches_at(const struct batches *b, uint64_t base);
void disk_format_voter(struct disk_image *disk, struct quorum_voters *voters);
void disk_power_cut(struct cluster *c, struct disk_image *disk);
void disk_release(struct disk_image *disk);
struct uuid disk_new_directory(struct cluster *c);

void server_start(struct cluster *c, struct server *server);
void server_crash(struct cluster *c, struct server *server);
void server_run_actions(struct cluster *c, struct server *server);
struct server *cluster_server_of(struct cluster *c, struct uuid directory_id);

void cluster_fault(struct cluster *c);
void cluster_heal(struct cluster *c);
void cluster_drive_membership(struct cluster *c, struct server *server);

#endif
