/*
 * The admin port (kraftd.admin.listener): HTTP for people and monitors, and ZooKeeper's four
 * letters on the same port.
 *
 *   GET /healthz   200 or 503: does the process work at all (restart it if not)
 *   GET /readyz    200 or 503: does it serve clients
 *   GET /metrics   Prometheus text
 *   GET /ruok      imok
 *   ruok           (no HTTP, just these bytes) imok, or the connection closes when not healthy
 *
 * Runs in a thread of its own with libmicrohttpd; the handlers are called there and may block for a
 * bounded time (loop_gather.h asks the loops). The other calls: one thread.
 */
#ifndef KRAFTD_BROKER_ADMIN_ADMIN_HTTP_H
#define KRAFTD_BROKER_ADMIN_ADMIN_HTTP_H

#include "common/base/buf.h"
#include "common/base/stream.h"

struct admin_http;

struct admin_http_handlers {
    /* The body of the answer goes into text (may stay empty). */
    bool (*is_healthy)(void *ctx, struct bytebuf *text);
    bool (*is_ready)(void *ctx, struct bytebuf *text);
    void (*metrics)(void *ctx, struct bytebuf *text);
    void *ctx;
};

/* Binds and begins to serve. -EADDRINUSE, -EACCES, -ENOENT (unknown host), -ENOMEM ... */
int admin_http_start(const struct endpoint *endpoint, const struct admin_http_handlers *handlers,
                     struct admin_http **ret_http);
uint16_t admin_http_port(const struct admin_http *http);
/* Waits for the handler that runs, then closes everything. NULL is fine. */
void admin_http_stop(struct admin_http *http);

#endif
