/*
 * The small files of a log directory and of a partition. All block on the disk: workers, or start
 * and stop. -ENOENT; -EBADMSG: malformed; -ENOTSUP: a version that is not ours.
 *
 *   partition.metadata     "version: 0\ntopic_id: <22 characters>", no newline at the end
 *   .kafka_cleanshutdown   {"version":0,"brokerEpoch":N}, no newline; there only after a clean stop
 */
#ifndef KRAFTD_STORAGE_SMALL_FILES_H
#define KRAFTD_STORAGE_SMALL_FILES_H

#include "common/base/disk.h"
#include "common/base/uuid.h"

#define FILE_PARTITION_METADATA "partition.metadata"
#define FILE_CLEAN_SHUTDOWN     ".kafka_cleanshutdown"
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

#endif
