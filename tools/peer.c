#include "tools/peer.h"

#include "common/base/mem.h"
#include "common/net/blocking_client.h"
#include "common/protocol/frame.h"
#include "common/protocol/kafka_error.h"

#include <errno.h>
#include <stdlib.h>

/* An answer larger than this is a mistake: Kafka's own limit of a frame from a broker is 2 GiB. */
enum { ANSWER_MAX_BYTES = 1 << 30 };

struct peer {
    struct blocking_client *socket;
    struct str client_id;
    int32_t sent, received; /* correlation ids count from 0 */
    struct arena arena;     /* of versions */
    struct api_versions_response versions;
};

int peer_send(struct peer *peer, const struct api *api, int16_t version, const void *request,
              int timeout_ms)
{
    struct bytebuf frame;
    bytebuf_init(&frame);
    int rv = frame_encode_request(api, version, peer->sent, peer->client_id, request, &frame, NULL);
    if (rv == 0) {
        rv = blocking_client_send(peer->socket, frame.data, frame.len, timeout_ms);
        peer->sent++;
    }
    bytebuf_release(&frame);
    return rv;
}

/* The next frame's body, in the arena, behind its header. */
static int receive_body(struct peer *peer, const struct api *api, int16_t version, int timeout_ms,
                        struct arena *arena, struct bytes *ret_body)
{
    struct buf *frame;
    int rv = blocking_client_receive(peer->socket, ANSWER_MAX_BYTES, timeout_ms, &frame);
    if (rv != 0)
        return rv;
    struct bytes body = {arena_try_calloc(arena, frame->size_bytes, 1), (int32_t)frame->size_bytes};
    if (body.data == NULL) {
        buf_unref(frame);
        return -ENOMEM;
    }
    memcpy((void *)(uintptr_t)body.data, frame->data, frame->size_bytes);
    buf_unref(frame);
    struct response_header header;
    rv = response_header_decode(api, version, &body, arena, &header);
    if (rv != 0)
        return rv;
    if (header.correlation_id != peer->received)
        return -EPROTO;
    peer->received++;
    *ret_body = body;
    return 0;
}

int peer_receive(struct peer *peer, const struct api *api, int16_t version, int timeout_ms,
                 struct arena *arena, void *ret_response)
{
    struct bytes body;
    int rv = receive_body(peer, api, version, timeout_ms, arena, &body);
    if (rv != 0)
        return rv;
    return message_decode(api->response, version, &body, arena, ret_response);
}

/*
 * Asks with our highest version. Who does not know it answers with version 0 and
 * UNSUPPORTED_VERSION, whatever was asked for; then its own highest is used, or 0 where it does not
 * say.
 */
static int agree(struct peer *peer, int timeout_ms)
{
    const struct api *api = api_find(API_API_VERSIONS);
    int16_t version = api->request->max_version;
    for (;;) {
        struct api_versions_request request;
        message_init(api->request, &request);
        request.client_software_name = STR("kraftd-tools");
        request.client_software_version = STR("4.4.0");
        int rv = peer_send(peer, api, version, &request, timeout_ms);
        if (rv != 0)
            return rv;
        struct bytes body;
        rv = receive_body(peer, api, version, timeout_ms, &peer->arena, &body);
        if (rv != 0)
            return rv;
        bool refused =
            body.len >= 2 && (body.data[0] << 8 | body.data[1]) == KAFKA_ERROR_UNSUPPORTED_VERSION;
        rv = message_decode(api->response, refused ? 0 : version, &body, &peer->arena,
                            &peer->versions);
        if (rv != 0)
            return rv;
        if (!refused)
            return peer->versions.error_code == 0 ? 0 : -EPROTO;
        int16_t theirs;
        if (peer_version(peer, api, (int16_t)(version - 1), &theirs) != 0)
            theirs = 0;
        if (theirs >= version)
            return -EPROTONOSUPPORT;
        version = theirs;
    }
}

int peer_open(const struct endpoint *endpoint, struct str client_id, int timeout_ms,
              struct peer **ret_peer)
{
    struct blocking_client *socket;
    int rv = blocking_client_connect(endpoint, timeout_ms, &socket);
    if (rv != 0)
        return rv;
    struct peer *peer = mem_calloc(1, sizeof(*peer));
    peer->socket = socket;
    peer->client_id = client_id;
    arena_init(&peer->arena, 0);
    rv = agree(peer, timeout_ms);
    if (rv != 0) {
        peer_free(peer);
        return rv;
    }
    *ret_peer = peer;
    return 0;
}

void peer_free(struct peer *peer)
{
    if (peer == NULL)
        return;
    blocking_client_free(peer->socket);
    arena_release(&peer->arena);
    free(peer);
}

int peer_fd(const struct peer *peer)
{
    return blocking_client_fd(peer->socket);
}

const struct api_versions_response *peer_versions(const struct peer *peer)
{
    return &peer->versions;
}

int peer_version(const struct peer *peer, const struct api *api, int16_t max, int16_t *ret_version)
{
    for (int32_t i = 0; i < peer->versions.api_keys_count; i++) {
        const struct api_versions_response_api_version *theirs = &peer->versions.api_keys[i];
        if (theirs->api_key != api->key)
            continue;
        int16_t highest = theirs->max_version;
        if (highest > api->request->max_version)
            highest = api->request->max_version;
        if (highest > max)
            highest = max;
        if (highest < theirs->min_version || highest < api->request->min_version)
            return -EPROTONOSUPPORT;
        *ret_version = highest;
        return 0;
    }
    return -EPROTONOSUPPORT;
}
