/*
 * Envelope (KIP-590): how a broker hands a client's request to the active controller.
 *
 *   RequestData        header and body as the client would send them, without length
 *   RequestPrincipal   int16 version, DefaultPrincipalData of that version
 *   ClientHostAddress  4 or 16 bytes
 *
 * Strings point into what they were made from, or into the arena. No state; any thread.
 */
#ifndef KRAFTD_BROKER_SERVER_ENVELOPE_H
#define KRAFTD_BROKER_SERVER_ENVELOPE_H

#include "broker/server/request.h"
#include "common/protocol/messages/envelope.h"

/* What Kafka forwards; nothing else may come in an envelope. */
bool envelope_may_hold(int16_t api_key);

/* A client's request with this body, which may be another than it sent. 0, or message_encode's
 * error; the message lives in the arena. */
int envelope_make(const struct request *request, const void *body, struct arena *arena,
                  struct envelope_request *ret_envelope);

/* Whose request it is: "User:alice" and the address as text. -EINVAL: no principal, or none that
 * can be read (*ret_error says which error that is). */
int envelope_read(const struct envelope_request *envelope, struct arena *arena,
                  struct str *ret_principal, struct str *ret_host, enum kafka_error *ret_error);

#endif
