/*
 * kafka-metadata-quorum in parts: metadata_quorum.c (describe, remove-controller) and
 * metadata_quorum_add.c (add-controller). One thread.
 */
#ifndef KRAFTD_TOOLS_METADATA_QUORUM_H
#define KRAFTD_TOOLS_METADATA_QUORUM_H

#include "common/protocol/messages/describe_quorum.h"
#include "tools/bootstrap.h"

/* Makes the controller whose server.properties is --command-config a voter. */
bool metadata_quorum_add(const struct args *args, struct client_op *op, struct failure *failure);

#endif
