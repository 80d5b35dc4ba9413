/*
 * A blocking connection for tools: connects, sends frames, receives frames, each within a time.
 * Plain sockets and no env. One thread at a time.
 */
#ifndef KRAFTD_NET_BLOCKING_CLIENT_H
#define KRAFTD_NET_BLOCKING_CLIENT_H

#include "common/base/buf.h"
#include "common/base/stream.h"

struct blocking_client;

/* Tries all addresses of the host. -ENOENT (unknown host), -EHOSTUNREACH (no name server answers),
 * -ETIMEDOUT, -ECONNREFUSED ... */
int blocking_client_connect(const struct endpoint *endpoint, int timeout_ms,
                            struct blocking_client **ret_client);
void blocking_client_free(struct blocking_client *client);
/* A whole frame, length first. -ETIMEDOUT, -ECONNRESET, -EPIPE. After an error only free. */
int blocking_client_send(struct blocking_client *client, const void *frame, size_t len,
                         int timeout_ms);
/* The next frame without its length, as a buf with one reference. -ETIMEDOUT, -ECONNRESET (also at
 * the peer's orderly end), -EPROTO (negative length), -EMSGSIZE (above max_bytes), -ENOMEM. After
 * an error only free. */
int blocking_client_receive(struct blocking_client *client, int32_t max_bytes, int timeout_ms,
                            struct buf **ret_frame);
/* The descriptor, to wait until an answer begins to arrive; nothing is read ahead of frames. */
int blocking_client_fd(const struct blocking_client *client);
/* The address it is connected to. */
const struct endpoint *blocking_client_peer(const struct blocking_client *client);

#endif
