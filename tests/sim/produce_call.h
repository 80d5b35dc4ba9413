/*
 * What all who write in the simulation ask of a broker: one batch for one partition, in any version
 * of Produce, and an id for a producer. The rules of session_call hold.
 */
#ifndef KRAFTD_SIM_PRODUCE_CALL_H
#define KRAFTD_SIM_PRODUCE_CALL_H

#include "common/base/str.h"
#include "common/base/uuid.h"
#include "common/protocol/messages/produce.h"
#include "tests/sim/session.h"

#include <stdbool.h>
#include <stdint.h>

struct produce_call {
    const char *topic;
    struct uuid topic_id;
    bool by_id; /* never by its name */
    int32_t partition;
    struct bytes records;
    int16_t acks;
    int32_t timeout_ms;  /* the request's */
    int32_t patience_ms; /* the session's */
};

int produce_call_send(struct session *session, struct env *env, const struct produce_call *call,
                      void (*done)(void *ctx, int status, const void *response), void *ctx);

/* What an answer says of the partition; NULL: it is not for what was asked. */
const struct produce_response_partition_produce_response *
produce_call_answer(const struct produce_response *response);

/* Asks for an id of an idempotent producer. False: it could not be sent. */
bool produce_call_id(struct session *session, int32_t patience_ms,
                     void (*done)(void *ctx, int status, const void *response), void *ctx);

#endif
