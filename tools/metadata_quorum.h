/*
 * kafka-metadata-quorum in parts: metadata_quorum.c (describe, remove-controller) and
 * metadata_quorum_add.c (add-controller). One thread.
 */
#ifndef KRAFTD_TOOLS_METADATA_QUORUM_H
#define KRAFTD_TOOLS_METADATA_QUORUM_H

#include "common/protocol/messages/describe_quorum.h"
#include "tools/bootstrap.h"

/* What DescribeQuorum says; in the operation's arena. */
struct quorum {
    struct describe_quorum_response response;
    const struct describe_quorum_response_partition_data *partition;
    const struct describe_quorum_response_replica_state *leader; /* never NULL */
};

/* Waits for a leader as long as the operation lasts. */
bool metadata_quorum_ask(struct client_op *op, struct quorum *ret_quorum, struct failure *failure);

/* Makes the controller whose server.properties is --command-config a voter. */
bool metadata_quorum_add(const struct args *args, struct client_op *op, struct failure *failure);

#endif
