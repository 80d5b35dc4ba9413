/*
 * Telling the controller in which log directories this broker's replicas lie, where the metadata
 * says otherwise or nothing (AssignReplicasToDirs, KIP-858): many in one request, one at a time,
 * again until it is taken. The controller elects by it when a directory fails.
 *
 * directory_assignments_add on any loop; all else is on loop 0.
 */
#ifndef KRAFTD_BROKER_SERVER_DIRECTORY_ASSIGNMENTS_H
#define KRAFTD_BROKER_SERVER_DIRECTORY_ASSIGNMENTS_H

#include "common/base/uuid.h"

struct directory_assignments;
struct node;
struct partition;

struct directory_assignments *directory_assignments_new(struct node *node);
/* After stop, when no call is under way and no loop runs. NULL is fine. */
void directory_assignments_free(struct directory_assignments *assignments);

void directory_assignments_add(struct directory_assignments *assignments, const struct partition *p,
                               struct uuid directory);
/* Nothing more is sent. */
void directory_assignments_stop(struct directory_assignments *assignments);

#endif
