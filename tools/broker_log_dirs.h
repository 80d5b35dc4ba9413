/*
 * What brokers say of their log directories (DescribeLogDirs). Answers are in the arena. One
 * thread.
 */
#ifndef KRAFTD_TOOLS_BROKER_LOG_DIRS_H
#define KRAFTD_TOOLS_BROKER_LOG_DIRS_H

#include "common/protocol/messages/describe_log_dirs.h"
#include "tools/client.h"

/* The ids of the brokers there are, ascending. */
bool broker_log_dirs_brokers(struct client *client, struct arena *arena, int32_t **ret_ids,
                             size_t *ret_count, struct failure *failure);
/* All directories of one broker and what is in them. */
bool broker_log_dirs_ask(struct client *client, int32_t broker, struct arena *arena,
                         struct describe_log_dirs_response *ret_response, struct failure *failure);

#endif
