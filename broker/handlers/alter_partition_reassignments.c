/* AlterPartitionReassignments: moves replicas, or gives a move up (KIP-455); decided by the
 * controller. */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

CONTROLLER_DECIDE(alter_partition_reassignments)

void handle_alter_partition_reassignments(struct request *request)
{
    controller_call_simple(request, decide_alter_partition_reassignments);
}
