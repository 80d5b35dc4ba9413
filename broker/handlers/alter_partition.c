/* AlterPartition: a leader changes its ISR (KIP-497); decided by the controller. */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

CONTROLLER_DECIDE(alter_partition)

void handle_alter_partition(struct request *request)
{
    controller_call_simple(request, decide_alter_partition);
}
