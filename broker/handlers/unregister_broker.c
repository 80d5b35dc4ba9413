/* UnregisterBroker: forgets a broker that is gone for good (KIP-631). */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

CONTROLLER_DECIDE(unregister_broker)

void handle_unregister_broker(struct request *request)
{
    controller_call_simple(request, decide_unregister_broker);
}
