/*
 * One connection of a tool: connects, agrees on versions (ApiVersions), sends requests and receives
 * their answers, which come in the order of the requests. Blocking, with time-outs; one thread.
 *
 * Errors are negative errno: those of blocking_client.h, -EPROTO (the answer is not what was asked
 * for), -EBADMSG (malformed), -EPROTONOSUPPORT (no version in common), -EINVAL (the request says
 * something that the agreed version cannot carry). After any but the last two only peer_free.
 */
#ifndef KRAFTD_TOOLS_PEER_H
#define KRAFTD_TOOLS_PEER_H

#include "common/base/arena.h"
#include "common/base/stream.h"
#include "common/protocol/messages/api_versions.h"
#include "common/protocol/schema.h"

struct peer;

int peer_open(const struct endpoint *endpoint, struct str client_id, int timeout_ms,
              struct peer **ret_peer);
/* NULL is fine. */
void peer_free(struct peer *peer);

/* What the other side said; lives as long as the peer. */
const struct api_versions_response *peer_versions(const struct peer *peer);
/* The highest version that both sides know, at most `max` (INT16_MAX: any). */
int peer_version(const struct peer *peer, const struct api *api, int16_t max, int16_t *ret_version);

/* To wait until an answer begins to arrive. */
int peer_fd(const struct peer *peer);

/* A request now; its answer later. Any number may be on their way. */
int peer_send(struct peer *peer, const struct api *api, int16_t version, const void *request,
              int timeout_ms);
/* The answer to the oldest request, which was one to this api and version. All of it, the bytes
 * that strings point to included, is in the arena. */
int peer_receive(struct peer *peer, const struct api *api, int16_t version, int timeout_ms,
                 struct arena *arena, void *ret_response);

#endif
