/*
 * Names inside a log directory, Kafka's own.
 *
 *   <base offset, 20 digits>.log .index .timeindex .txnindex    a segment
 *   <end offset, 20 digits>.snapshot                            producer state up to there
 *   <end offset, 20 digits>-<epoch, 10 digits>.checkpoint       a metadata snapshot
 *   ... .deleted       given up, unlinked later
 *   ... .cleaned       being written by the cleaner: worthless after a crash
 *   ... .swap          finished by the cleaner, to replace what it was made from
 *   leader-epoch-checkpoint, partition.metadata, quorum-state
 *
 * and of partition directories: <topic>-<partition>, and with .<32 hex digits>-delete, -future or
 * -stray behind it. Plain functions; any thread.
 */
#ifndef KRAFTD_STORAGE_LOG_NAMES_H
#define KRAFTD_STORAGE_LOG_NAMES_H

#include "common/base/str.h"
#include "common/base/uuid.h"

#include <limits.h>

#define LOG_FILE_NAME_MAX 63  /* of the names that log_file_name makes */
#define LOG_DIR_NAME_MAX  255 /* of a partition directory */

enum log_file_kind {
    LOG_FILE_LOG,
    LOG_FILE_INDEX,
    LOG_FILE_TIME_INDEX,
    LOG_FILE_TXN_INDEX,
    LOG_FILE_SNAPSHOT,
    LOG_FILE_CHECKPOINT,
    LOG_FILE_LEADER_EPOCHS,
    LOG_FILE_PARTITION_METADATA,
    LOG_FILE_QUORUM_STATE,
    LOG_FILE_OTHER,
};

enum log_file_state {
    LOG_FILE_LIVE,
    LOG_FILE_DELETED,
    LOG_FILE_CLEANED,
    LOG_FILE_SWAP,
    LOG_FILE_TEMPORARY, /* .tmp, .part: half of a replacement */
};

struct log_file_name {
    enum log_file_kind kind;
    enum log_file_state state;
    int64_t offset; /* -1 where the name has none */
    int32_t epoch;  /* of a metadata snapshot, else -1 */
};

/* Understands every name; what is not Kafka's is LOG_FILE_OTHER. */
struct log_file_name log_file_parse(const char *name);
/* "<directory>/<name>" of a segment's file or a producer snapshot. False when it does not fit. */
bool log_file_path(char path[PATH_MAX], const char *directory, enum log_file_kind kind,
                   int64_t offset, enum log_file_state state);

enum log_dir_kind {
    LOG_DIR_LIVE,
    LOG_DIR_DELETE,
    LOG_DIR_FUTURE,
    LOG_DIR_STRAY,
};

struct log_dir_name {
    struct str topic; /* points into the name */
    int32_t partition;
    enum log_dir_kind kind;
};

/* False when it is no partition directory. */
bool log_dir_name_parse(const char *name, struct log_dir_name *ret_name);
/* The topic is cut so that the name fits, as Kafka does. `unique` tells apart several of one name.
 */
void log_dir_name_format(char name[LOG_DIR_NAME_MAX + 1], struct str topic, int32_t partition,
                         enum log_dir_kind kind, struct uuid unique);
/* "__cluster_metadata-0" */
bool log_dir_name_is_metadata(const char *name);

#endif
