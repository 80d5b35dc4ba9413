/*
 * What the clients of a quorum that is measured share: blocking, one thread, and any failure that
 * is no part of the measurement ends the process with a line on the standard error.
 */
#ifndef KRAFTD_BENCH_CONTROLLERS_H
#define KRAFTD_BENCH_CONTROLLERS_H

#include "common/base/arena.h"
#include "common/net/blocking_client.h"

#define CONTROLLERS_MAX    16
#define REQUEST_TIMEOUT_MS 120000

struct controllers {
    struct endpoint items[CONTROLLERS_MAX];
    int count, hint; /* hint: whoever led last */
};

/* HOST:PORT,... of controller listeners. */
struct controllers controllers_parse(const char *text);
/* The next one is tried; false: all have been since the first. */
bool controllers_next(struct controllers *controllers);

/* Of the monotonic clock, which all processes share. */
int64_t now_us(void);
_Noreturn void fail(const char *what, int64_t code);
long number(const char *text);

/* NULL: nobody listens. */
struct blocking_client *connect_to(const struct endpoint *endpoint);
/* In the newest version that we know. */
int send_request(struct blocking_client *client, int16_t key, const void *request);
/* The answer to the oldest request; what it points to lies in *ret_frame, which is the caller's. */
int receive_response(struct blocking_client *client, int16_t key, struct arena *arena,
                     void *ret_response, struct buf **ret_frame);

#endif
