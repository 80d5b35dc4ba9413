/* AssignReplicasToDirs: a broker's replicas lie in these directories (KIP-858); decided by the
 * controller. */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

CONTROLLER_DECIDE(assign_replicas_to_dirs)

void handle_assign_replicas_to_dirs(struct request *request)
{
    controller_call_simple(request, decide_assign_replicas_to_dirs);
}
