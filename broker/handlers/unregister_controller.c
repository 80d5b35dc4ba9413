/* UnregisterController: forgets a controller that is gone for good (KIP-1220). */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

CONTROLLER_DECIDE(unregister_controller)

void handle_unregister_controller(struct request *request)
{
    controller_call_simple(request, decide_unregister_controller);
}
