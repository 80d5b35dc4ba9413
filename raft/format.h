/*
 * Writing what makes blank directories those of a node: for `kafka-storage format` and for a
 * formation. In this order, each file durable before the next, so that a crash in between leaves
 * directories that are blank still (or, with a formation record, ones that are completed later):
 *
 *   the formation record, if there is one                      formation_record.h
 *   __cluster_metadata-0/00000000000000000000-0000000000.checkpoint   quorum_checkpoint.h
 *   meta.properties of each directory, the metadata directory's last
 *
 * Blocks on the disk. Errors come with a sentence.
 */
#ifndef KRAFTD_RAFT_FORMAT_H
#define KRAFTD_RAFT_FORMAT_H

#include "common/base/disk.h"
#include "common/base/str.h"
#include "raft/formation_record.h"

#define FORMAT_ERROR_LEN     512
#define FORMAT_METADATA_NAME "__cluster_metadata-0"

struct format_dir {
    const char *path;
    struct uuid directory_id;
    bool skip; /* has its meta.properties already, or is offline */
};

struct format_request {
    const char *cluster_id;
    int32_t node_id;
    int64_t now_ms; /* Unix time */
    const struct format_dir *dirs;
    size_t dir_count, metadata_dir; /* metadata_dir: place of the metadata directory in dirs */
    /* The bootstrap checkpoint. */
    bool without_checkpoint;
    bool with_kraft_version;            /* a dynamic quorum (KIP-853) */
    const struct quorum_voters *voters; /* NULL: none (a static quorum, --no-initial-controllers) */
    struct bytes records; /* batches of metadata records, offsets from 0 on; may be empty */
    const struct formation_record *formation; /* NULL: none */
};

int format_directories(struct disk *disk, const struct format_request *request,
                       char error[FORMAT_ERROR_LEN]);

#endif
