/*
 * The disks of a node at its start: whose they are, and, where they are blank, what a formation
 * needs of them. Blocks: on a worker, with the directories locked by the caller.
 *
 * Blank means no meta.properties in any directory, no partition, and no metadata log. Nothing is
 * ever formed over data. A directory of another node or another cluster is refused, and the
 * sentence names both sides.
 */
#ifndef KRAFTD_RAFT_FORMATION_DISK_H
#define KRAFTD_RAFT_FORMATION_DISK_H

#include "common/base/env.h"
#include "raft/format.h"

struct formation_dir {
    const char *path;
    int status; /* not 0: offline, it is not looked at */
    bool has_meta, has_partitions;
    struct meta_properties meta;
};

struct formation_disk_args {
    struct env *env;
    const struct formation_dir *dirs;
    size_t dir_count, metadata_dir;
    int32_t node_id;
    const struct quorum_voters *self; /* one server: our listeners */
    struct bytes records;             /* of the bootstrap checkpoint: feature levels, from 0 on */
};

struct formation_disk {
    char cluster_id[CLUSTER_ID_MAX + 1]; /* "": blank */
    struct uuid directory_id;            /* of the metadata directory; durable if settled */
    struct formation_record record;      /* what kraftd.formation holds; cluster_id "": nothing */
    bool formed_now;
    char error[FORMAT_ERROR_LEN];
};

/* Looks, changes nothing. -EBADMSG and others with a sentence. */
int formation_disk_look(const struct formation_disk_args *args, struct formation_disk *ret_disk);
/* After a look at a blank disk: makes its directory id durable, before any contact. */
int formation_disk_settle(const struct formation_disk_args *args, struct formation_disk *disk);
/* Makes a record durable with all that belongs to it: FORMATION_WRITE. */
int formation_disk_write(const struct formation_disk_args *args, struct formation_disk *disk,
                         const struct formation_record *record);
/* After a look at a blank disk: it belongs to this cluster, which does not know it yet
 * (FORMATION_OBSERVE): no voters, no log. */
int formation_disk_join(const struct formation_disk_args *args, struct formation_disk *disk,
                        const char *cluster_id);
/* The metadata log holds a batch (whole or not), or a checkpoint beyond the bootstrap one: known
 * before it is opened. */
int formation_disk_has_data(struct disk *disk, const char *log_path, bool *ret_has_data);
/* Before a record is written beside a log that there need not be yet: a disk with a record and
 * without any file of the log counts as one that lost it. */
int formation_disk_mark(struct disk *disk, const char *log_path);
/* Its newest whole checkpoint says that the voters stand in the log (kraft.version 1): it is of no
 * static quorum. */
int formation_disk_is_dynamic(struct disk *disk, const char *log_path, bool *ret_is_dynamic);
/* FORMATION_RESET: takes meta.properties out of all directories and record and metadata log out of
 * the metadata directory, which gets a new directory id. Cut short, the record is
 * there still, and the next start comes to the same end. -EEXIST: there is data, nothing was
 * touched. */
int formation_disk_reset(struct env *env, const char *const *paths, size_t count,
                         const char *metadata_path);
/* After a look at disks that are not blank: directories that are new get their meta.properties.
 * *ret_wrote: some did. */
int formation_disk_complete(const struct formation_disk_args *args, struct formation_disk *disk,
                            bool *ret_wrote);
/* All of it for a node that is listed alone: forms where it is blank, completes where it is not. */
int formation_disk_alone(const struct formation_disk_args *args, struct formation_disk *ret_disk,
                         bool *ret_wrote);
void formation_disk_release(struct formation_disk *disk);

#endif
