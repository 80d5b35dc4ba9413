/*
 * The small files of a log directory and of a partition. All block on the disk: workers, or start
 * and stop. -ENOENT; -EBADMSG: malformed; -ENOTSUP: a version that is not ours.
 *
 *   partition.metadata     "version: 0\ntopic_id: <22 characters>", no newline at the end
 *   .kafka_cleanshutdown   {"version":0,"brokerEpoch":N}, no newline; there only after a clean stop
 *   quorum-state           one line of JSON, no newline; version 0 of a static quorum, 1 of a
 *                          dynamic one (small_files.c)
 */
#ifndef KRAFTD_STORAGE_SMALL_FILES_H
#define KRAFTD_STORAGE_SMALL_FILES_H

#include "common/base/disk.h"
#include "common/base/uuid.h"

#define FILE_PARTITION_METADATA "partition.metadata"
#define FILE_CLEAN_SHUTDOWN     ".kafka_cleanshutdown"
#define FILE_QUORUM_STATE       "quorum-state"
#define FILE_LOCK               ".lock"

#define PARTITION_METADATA_BYTES 43 /* of one of version 0 */

/* `path` is that of the file. */
int partition_metadata_read(struct disk *disk, const char *path, struct uuid *ret_topic_id);
/* Writes a new file, without syncing it. */
int partition_metadata_write(struct disk *disk, const char *path, struct uuid topic_id);

int clean_shutdown_read(struct disk *disk, const char *path, int64_t *ret_broker_epoch);
/* Durable when it returns 0. */
int clean_shutdown_write(struct disk *disk, const char *path, int64_t broker_epoch);
/* The node runs: nothing is clean any more. Durable when it returns 0; a missing file is fine. */
int clean_shutdown_remove(struct disk *disk, const char *path);

#define QUORUM_STATE_MAX_VOTERS 64

struct quorum_state {
    int16_t data_version; /* 0 or 1 */
    int32_t leader_id;    /* -1: none */
    int32_t leader_epoch;
    int32_t voted_id;               /* -1: none */
    struct uuid voted_directory_id; /* version 1; zero when not known */
    int64_t applied_offset;         /* version 0 */
    int32_t voter_count;            /* version 0 */
    int32_t voters[QUORUM_STATE_MAX_VOTERS];
};

int quorum_state_read(struct disk *disk, const char *path, struct quorum_state *ret_state);
/* Durable when it returns 0. */
int quorum_state_write(struct disk *disk, const char *path, const struct quorum_state *state);

#endif
