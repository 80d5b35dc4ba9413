/* Envelope: a client's request that a broker forwards to the active controller (KIP-590). It is
 * handled as if the client had sent it to the controller listener itself. */
#include "broker/server/envelope.h"

#include "broker/handlers/handlers.h"

void handle_envelope(struct request *request)
{
    const struct envelope_request *body = request->body;
    struct str principal, host;
    enum kafka_error error;
    if (envelope_read(body, &request->arena, &principal, &host, &error) != 0) {
        struct envelope_response response;
        message_init(&envelope_response_desc, &response);
        response.error_code = (int16_t)error;
        request_respond(request, &response);
        return;
    }
    request_receive_enveloped(request, body->request_data, principal, host);
}
