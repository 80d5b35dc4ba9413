/* ListPartitionReassignments (KIP-455); answered by the controller, which knows what is under way.
 */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

CONTROLLER_DECIDE(list_partition_reassignments)

void handle_list_partition_reassignments(struct request *request)
{
    controller_call_simple(request, decide_list_partition_reassignments);
}
