/*
 * Inside of the simulated disk. sim_tree.c: inodes, names, unsynced changes and what becomes of
 * them. sim_disk_call.c: what can go wrong in a call. sim_disk.c: the calls of struct disk.
 * sim_disk_control.c: the rest of sim_disk.h. Everything here runs under the disk's mutex.
 */
#ifndef KRAFTD_SIM_DISK_INTERNAL_H
#define KRAFTD_SIM_DISK_INTERNAL_H

#include "common/base/list.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_pages.h"
#include "tests/sim/sim_random.h"

#include <limits.h>
#include <pthread.h>

struct sim_inode;
struct sim_volume;

struct sim_name {
    char *name;
    struct sim_inode *inode; /* counted */
};

struct sim_names { /* sorted */
    struct sim_name *items;
    size_t count, capacity;
};

/* A change of a file that is not on the platter yet. */
struct sim_change {
    int64_t position; /* data != NULL: a write there; else the new size */
    uint8_t *data;
    size_t len;
};

struct sim_inode {
    uint32_t references; /* names (both kinds), unsynced name changes, handles, a volume's root */
    uint32_t uses;       /* those that hold space: names in cache, handles */
    bool is_directory;
    struct sim_volume *volume;
    int64_t modified_ms;
    int64_t charged_bytes;
    struct sim_pages cache, platter;
    struct sim_change *changes;
    size_t change_count, change_capacity;
    bool *cold; /* by page; beyond the array: in the page cache */
    size_t cold_count;
    struct sim_names names, durable_names; /* of a directory */
    struct sim_file *locked_by;
};

/* add: from is NULL; removal: to is NULL; a rename has both. */
struct sim_name_change {
    struct sim_inode *from, *to; /* directories, counted */
    char *name_from, *name_to;
    struct sim_inode *inode; /* counted */
};

struct sim_volume {
    struct sim_disk *d;
    char *path; /* "" for the root */
    struct sim_inode *root;
    struct sim_name_change *changes; /* in order */
    size_t change_count, change_capacity;
    int64_t capacity_bytes, used_bytes;
    bool failed;
    struct sim_disk_faults faults;
};

struct sim_file {
    struct disk_file base;
    struct list link;
    struct sim_inode *inode; /* NULL once dead */
    struct sim_volume *volume;
    int flags;
    char *path;
};

struct sim_disk {
    struct disk base;
    pthread_mutex_t mutex;
    struct sim_random random;
    struct sim_disk_hooks hooks;
    struct sim_volume **volumes;
    size_t volume_count, volume_capacity;
    struct list files;
    int64_t counts[SIM_OP_COUNT + 1];
    bool crashed;
    int64_t crash_left, crash_after_calls;
    const char *crash_after; /* NULL, or part of the path whose rename sets crash_left */
    struct {
        enum sim_disk_op op;
        char *part;
        int64_t left;
        int error;
    } fail;
    bool journaled;
    int writeback, boots;
    int64_t clock_ms; /* without a wall_ms hook */
    char boot_id[40];
};

struct sim_inode *sim_inode_new(struct sim_volume *volume, bool is_directory);
struct sim_inode *sim_inode_ref(struct sim_inode *inode);
void sim_inode_unref(struct sim_inode *inode);
void sim_inode_use(struct sim_inode *inode);
void sim_inode_unuse(struct sim_inode *inode);
void sim_inode_recharge(struct sim_inode *inode);
void sim_inode_warm(struct sim_inode *inode, int64_t position, int64_t len);

struct sim_inode *sim_names_find(const struct sim_names *names, const char *name);
/* Replaces what stood under the name; NULL removes. */
void sim_names_set(struct sim_names *names, const char *name, struct sim_inode *inode);

struct sim_volume *sim_volume_new(struct sim_disk *d, const char *path);
void sim_volume_free(struct sim_volume *v);
void sim_volume_clear(struct sim_volume *v); /* an empty root, nothing unsynced */

/* "/a/b" without doubled or trailing slashes and dots; "" for the root. -EINVAL, -ENAMETOOLONG. */
int sim_path_normalize(const char *path, char ret_path[PATH_MAX]);
struct sim_volume *sim_path_volume(struct sim_disk *d, const char *normalized);
/* The inode at a normalized path, over the durable names when asked. */
int sim_path_find(struct sim_disk *d, const char *normalized, bool durable,
                  struct sim_inode **ret_inode);
/* The directory that holds the path's last name. -EINVAL for the root of a volume. */
int sim_path_parent(struct sim_disk *d, const char *normalized, struct sim_inode **ret_directory,
                    const char **ret_name);

/* A name changes in the cache, and unsynced until sim_tree_sync_names. */
void sim_tree_add(struct sim_inode *directory, const char *name, struct sim_inode *inode);
void sim_tree_remove(struct sim_inode *directory, const char *name);
void sim_tree_rename(struct sim_inode *from, const char *name_from, struct sim_inode *to,
                     const char *name_to);
void sim_tree_sync_names(struct sim_inode *directory);

void sim_file_write(struct sim_inode *inode, uint8_t *data, size_t len,
                    int64_t at); /* takes data */
void sim_file_resize(struct sim_inode *inode, int64_t size_bytes);
void sim_file_sync(struct sim_inode *inode);
void sim_volume_sync(struct sim_volume *v, bool part); /* part: what is up to chance */
/* fsync failed: an unknown part reached the platter, everything counts as clean. */
void sim_file_sync_lost(struct sim_inode *inode);
void sim_volume_power_cut(struct sim_volume *v, enum sim_disk_cut cut);

extern const struct disk_ops sim_disk_ops;
/* The handle dies: answers -EIO, holds nothing. */
void sim_file_die(struct sim_file *file);

#endif
