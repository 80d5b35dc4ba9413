/*
 * Kafka's error codes: what a client sees, never mixed with negative errno values. The codes, their
 * names and messages come from schema/errors.ksc. Everything here is constant; any thread.
 */
#ifndef KRAFTD_PROTOCOL_KAFKA_ERROR_H
#define KRAFTD_PROTOCOL_KAFKA_ERROR_H

#include "common/base/str.h"
#include "common/protocol/kafka_error_codes.h" /* generated: enum kafka_error */

#include <stdbool.h>
#include <stdint.h>

/* As Kafka does, a code that nobody knows reads as UNKNOWN_SERVER_ERROR. */
enum kafka_error kafka_error_of(int16_t code);
/* "TOPIC_ALREADY_EXISTS" */
const char *kafka_error_name(int16_t code);
/* Kafka's own text for the error; "NONE" for no error. */
const char *kafka_error_message(int16_t code);
bool kafka_error_retriable(int16_t code);
/* False when no error has this name. */
bool kafka_error_find(struct str name, enum kafka_error *ret_error);

#endif
