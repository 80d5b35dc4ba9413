/*
 * Why something that a tool asked for did not work: the error as a client of Kafka knows it, and
 * the sentence that is shown. Functions that fill it return false; it is untouched on success.
 */
#ifndef KRAFTD_TOOLS_FAILURE_H
#define KRAFTD_TOOLS_FAILURE_H

#include "common/protocol/kafka_error.h"

struct failure {
    enum kafka_error error;
    char text[1024];
};

/* Always returns false, so that it can be returned. */
__attribute__((format(printf, 3, 4))) bool
failure_set(struct failure *failure, enum kafka_error error, const char *format, ...);
/* An error that a broker sent, with its own words or, where it has none, Kafka's for the code. */
bool failure_set_error(struct failure *failure, int16_t code, struct str message);

#endif
