/*
 * Salted passwords of RFC 5802: what kafka-storage and kafka-configs make of a password, so that
 * none is ever written or sent. One thread; results are in the caller's arena.
 */
#ifndef KRAFTD_TOOLS_SCRAM_H
#define KRAFTD_TOOLS_SCRAM_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "tools/failure.h"

#include <openssl/evp.h>

enum { SCRAM_MIN_ITERATIONS = 4096, SCRAM_MAX_ITERATIONS = 16384 };

struct scram_mechanism {
    const char *name, *constant; /* as in configurations, and as in Kafka's messages */
    int8_t number;               /* in requests and records */
    const EVP_MD *(*digest)(void);
};

/* NULL: there is none. */
const struct scram_mechanism *scram_find(struct str name);
const struct scram_mechanism *scram_of_number(int8_t number);

bool scram_new_salt(struct arena *arena, struct bytes *ret_salt, struct failure *failure);
struct bytes scram_salted(const struct scram_mechanism *mechanism, struct str password,
                          struct bytes salt, int32_t iterations, struct arena *arena);

#endif
