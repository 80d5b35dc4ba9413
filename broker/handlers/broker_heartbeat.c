/* BrokerHeartbeat: a broker lives, wants to be unfenced, or to stop (KIP-631). */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

CONTROLLER_DECIDE(broker_heartbeat)

void handle_broker_heartbeat(struct request *request)
{
    controller_call_simple(request, decide_broker_heartbeat);
}
