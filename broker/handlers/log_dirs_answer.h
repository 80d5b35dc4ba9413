/*
 * What DescribeLogDirs says: for each directory of log.dirs its room and the size of each partition
 * in it. A directory that is offline, or whose file system cannot be asked, has an error instead.
 * Blocks on the disk: on a worker.
 */
#ifndef KRAFTD_BROKER_HANDLERS_LOG_DIRS_ANSWER_H
#define KRAFTD_BROKER_HANDLERS_LOG_DIRS_ANSWER_H

#include "common/base/arena.h"
#include "common/protocol/messages/describe_log_dirs.h"

struct disk;
struct log_manager;

struct log_dirs_question {
    struct disk *disk;
    struct log_manager *logs;
    const struct describe_log_dirs_request *body;
    const bool *cordoned; /* of each directory */
};

/* Fills in the results, in order of log.dirs, topics and partitions in order. All of it is in the
 * arena. */
void log_dirs_answer(const struct log_dirs_question *question, struct arena *arena,
                     struct describe_log_dirs_response *response);

#endif
