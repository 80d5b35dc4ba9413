/* AllocateProducerIds: a block of producer ids for a broker (KIP-730). */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

CONTROLLER_DECIDE(allocate_producer_ids)

void handle_allocate_producer_ids(struct request *request)
{
    controller_call_simple(request, decide_allocate_producer_ids);
}
