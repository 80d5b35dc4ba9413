/* BrokerHeartbeat: a broker lives, wants to be unfenced, or to stop (KIP-631). */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"
#include "broker/server/peer_requests.h"
#include "common/net/connection.h"

CONTROLLER_DECIDE(broker_heartbeat)

static void reply(struct controller_call *call)
{
    struct request *request = call->ctx;
    const struct broker_heartbeat_request *body = request->body;
    struct broker_heartbeat_response *response = call->response;
    if (call->error != KAFKA_ERROR_NONE) {
        message_init(&broker_heartbeat_response_desc, response);
        response->error_code = (int16_t)call->error;
    } else if (response->error_code == 0 && request->slot != NULL) {
        peer_connection_of_broker(request->shard, request->slot->connection, body->broker_id,
                                  body->broker_epoch);
    }
    request_respond(request, response);
}

void handle_broker_heartbeat(struct request *request)
{
    struct controller_call *call = controller_call_new(request);
    call->decide = decide_broker_heartbeat;
    call->reply = reply;
    controller_call_start(call);
}
