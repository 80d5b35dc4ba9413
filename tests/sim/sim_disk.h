/*
 * sim_disk: a file system in memory behind struct disk, for tests of what survives.
 *
 * Each file has what programs read (the page cache) and what the platter holds; fsync moves the one
 * to the other. Each directory likewise: a name made, renamed or removed is durable once fsync_dir
 * was called on the directory; fsync of a file says nothing about its name. A rename is atomic.
 *
 * Process death (sim_disk_kill): page cache stays, open files and locks are gone.
 * Power cut (sim_disk_power_cut): writes, truncations and name changes that were not synced are
 * kept, dropped or (writes) torn: of each file a prefix up to any byte, or each page or sector by
 * itself with as many of its writes as one likes; what was never written reads as zeros.
 * Failed fsync: as on Linux, the pages are then clean: they still read back, the next fsync
 * succeeds and a power cut brings the old bytes back.
 *
 * Memory: pages of 4 KiB shared between cache and platter, copied on write. Several volumes (log
 * dirs on disks of their own) fail and fill up separately. All choices come from the seed.
 *
 * Threads: any (one mutex); hooks run inside it and must not call back into the disk.
 * Handles that outlive kill, power cut or crash answer -EIO to everything; their owner still drops
 * them.
 */
#ifndef KRAFTD_SIM_DISK_H
#define KRAFTD_SIM_DISK_H

#include "common/base/disk.h"

struct sim_disk;

enum sim_disk_op {
    SIM_OPEN,
    SIM_PREAD,
    SIM_PWRITE,
    SIM_FSYNC,
    SIM_TRUNCATE,
    SIM_PREALLOCATE,
    SIM_STAT,
    SIM_RENAME,
    SIM_UNLINK,
    SIM_MKDIR,
    SIM_RMDIR,
    SIM_FSYNC_DIR,
    SIM_SYNC_ALL,
    SIM_LIST,
    SIM_USAGE,
    SIM_LOCK,
    SIM_OP_COUNT,
    SIM_ANY = SIM_OP_COUNT, /* in sim_disk_fail_at and sim_disk_count */
};

const char *sim_disk_op_name(enum sim_disk_op op);

/* One finished call, as hooks see it. */
struct sim_disk_call {
    int64_t number; /* 1 for the first call of this disk */
    enum sim_disk_op op;
    const char *path, *path_to; /* path_to: of a rename, else NULL */
    int64_t position, len;
    int64_t result; /* 0, bytes, or negative errno */
};

struct sim_disk_hooks {
    void *ctx;
    /* Around each call: the disk allocates for itself, not for who calls it. */
    void *(*enter)(void *ctx);
    void (*leave)(void *ctx, void *entered);
    void (*call)(void *ctx, const struct sim_disk_call *call);
    void (*crashed)(void *ctx);             /* the call that sim_disk_crash_at named was reached */
    void (*latency)(void *ctx, int64_t us); /* what the call took; virtual time is the env's */
    int64_t (*wall_ms)(void *ctx);          /* for modified_ms */
};

/* Random faults of one volume, in calls per million. */
struct sim_disk_faults {
    int32_t read_error, write_error, fsync_error; /* -EIO; a write leaves a random prefix */
    int32_t name_error;                           /* open for creation, rename, unlink, mkdir */
    int64_t latency_us, fsync_latency_us;         /* mean of the calls' random latency */
};

/* An empty root directory on one volume without limits. */
struct sim_disk *sim_disk_new(uint64_t seed);
/* Every handle must have been dropped before. NULL is fine. */
void sim_disk_free(struct sim_disk *d);
struct disk *sim_disk_base(struct sim_disk *d);
void sim_disk_set_hooks(struct sim_disk *d, const struct sim_disk_hooks *hooks);
/* Makes `path` (durably) the top of a volume of its own. Every later call that names a volume takes
 * any path on it. */
void sim_disk_mount(struct sim_disk *d, const char *path);
/* Replaces the disk of that volume by an empty one. Its handles die. */
void sim_disk_wipe(struct sim_disk *d, const char *path);

/* Deaths. Both also revive a crashed disk and forget sim_disk_crash_at. */
enum sim_disk_cut { SIM_CUT_RANDOM, SIM_CUT_DROP_ALL, SIM_CUT_KEEP_ALL };
void sim_disk_kill(struct sim_disk *d);
void sim_disk_power_cut(struct sim_disk *d, enum sim_disk_cut cut);
/* After a death of an owner whose memory is gone as a whole: frees the dead handles too. Returns
 * how many there were. */
size_t sim_disk_reclaim_handles(struct sim_disk *d);

/* Faults. */
void sim_disk_set_faults(struct sim_disk *d, const char *path, const struct sim_disk_faults *f);
/* All calls on the volume fail with -EIO until it is switched back. */
void sim_disk_set_failed(struct sim_disk *d, const char *path, bool failed);
/* Writes beyond it fail with -ENOSPC; 0: no limit. */
void sim_disk_set_capacity(struct sim_disk *d, const char *path, int64_t bytes);
/* The nth call from now (1: the next) of `op` whose path contains `part` (NULL: any) fails with
 * `error` once; a write then leaves a random prefix. One such order at a time; error 0 forgets it.
 */
void sim_disk_fail_at(struct sim_disk *d, enum sim_disk_op op, const char *part, int64_t nth,
                      int error);
/* The machine stops inside the nth call from now (1: the next): that call has no, some or all of
 * its effect and returns -EIO, and so do all others until kill or power cut. 0 forgets it. Loop
 * over n until sim_disk_crashed() stays false to crash at every call. */
void sim_disk_crash_at(struct sim_disk *d, int64_t nth);
/* The same, counted from the next rename of a path that contains `part`, a constant. */
void sim_disk_crash_after_rename(struct sim_disk *d, const char *part, int64_t nth);
bool sim_disk_crashed(const struct sim_disk *d);
/* The kernel writes back by itself once a file has that many unsynced writes; 0 (as at first): only
 * what is synced reaches the platter. */
void sim_disk_set_writeback(struct sim_disk *d, int writes);
/* A power cut keeps changes of names in order, as most file systems do; else sometimes. */
void sim_disk_set_journaled(struct sim_disk *d);

/* What was done. Calls since the start (close, size, cached and cache_id are no calls). */
int64_t sim_disk_count(const struct sim_disk *d, enum sim_disk_op op);

/* Looking and meddling behind everyone's back; no call is counted and no fault strikes. */
/* Bytes of the file that a power cut which drops all would leave; -ENOENT when its name would be
 * gone. Fresh memory, the caller frees. */
int sim_disk_read_durable(struct sim_disk *d, const char *path, uint8_t **ret_data,
                          size_t *ret_len);
/* What a program would read: bytes from the page cache, fewer at the end; -ENOENT. */
ssize_t sim_disk_peek(struct sim_disk *d, const char *path, void *ret_data, size_t len,
                      int64_t position);
/* Inverts `len` bytes of a file, in cache and on the platter. -ENOENT, -EINVAL beyond the end. */
int sim_disk_corrupt(struct sim_disk *d, const char *path, int64_t position, int64_t len);
/* Copies a tree from the real file system in (durable), or out to it. Negative errno. */
int sim_disk_import(struct sim_disk *d, const char *real_path, const char *path);
int sim_disk_export(struct sim_disk *d, const char *path, const char *real_path);

#endif
