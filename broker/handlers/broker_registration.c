/* BrokerRegistration: a broker process introduces itself (KIP-631). */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

CONTROLLER_DECIDE(broker_registration)

void handle_broker_registration(struct request *request)
{
    controller_call_simple(request, decide_broker_registration);
}
