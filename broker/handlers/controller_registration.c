/* ControllerRegistration: a controller says where it listens and what it supports (KIP-919). */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

CONTROLLER_DECIDE(controller_registration)

void handle_controller_registration(struct request *request)
{
    controller_call_simple(request, decide_controller_registration);
}
