/*
 * What quorum nodes say to each other, as bytes on a connection to a controller listener:
 *
 *   request   int32 length | request header 2 (private API key, version, correlation id) | body
 *   answer    int32 length | response header 1 (correlation id) | body
 *
 * The bodies are the messages of common/protocol/schema/quorum_peer.ksc:
 *
 *   30000 HELLO        PeerHello        answered by PeerHelloAnswer; opens a connection
 *   30001 PING         PeerPing         answered by PeerAck; so that silence means something
 *   30002 to 30007     the six messages of quorum_message.h, answered by PeerAck at once
 *   30010 FORMATION    PeerFormation    answered by PeerFormation; needs no hello
 *   30011 CHECKPOINT   PeerCheckpoint   answered by PeerCheckpointAnswer
 *
 * These keys are never advertised and served on controller listeners only. A request's version is
 * the lower of what both ends said in the hello, which itself is always of version 0.
 *
 * Pure functions. Whatever a peer sent is checked: every batch's checksum, that batches are whole
 * and follow each other, that voters can be read. -EBADMSG: it is not so; -EPROTONOSUPPORT.
 */
#ifndef KRAFTD_RAFT_QUORUM_WIRE_H
#define KRAFTD_RAFT_QUORUM_WIRE_H

#include "common/base/arena.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/quorum_peer.h"
#include "raft/formation.h"
#include "raft/quorum_message.h"

enum quorum_wire_key {
    QUORUM_WIRE_HELLO = 30000,
    QUORUM_WIRE_PING = 30001,
    QUORUM_WIRE_APPEND = 30002,
    QUORUM_WIRE_APPEND_RESULT = 30003,
    QUORUM_WIRE_VOTE = 30004,
    QUORUM_WIRE_VOTE_RESULT = 30005,
    QUORUM_WIRE_INSTALL = 30006,
    QUORUM_WIRE_TIMEOUT_NOW = 30007,
    QUORUM_WIRE_FORMATION = 30010,
    QUORUM_WIRE_CHECKPOINT = 30011,
    QUORUM_WIRE_END = 30100,
};

#define QUORUM_WIRE_VERSION_MAX 0
/* Most bytes of batches in one append, but for a single batch that is larger. */
#define QUORUM_WIRE_APPEND_BYTES ((int32_t)1 << 20)

static inline bool quorum_wire_is_private(int16_t key)
{
    return key >= QUORUM_WIRE_HELLO && key < QUORUM_WIRE_END;
}

/* NULL for a key that is not served. */
const struct message_desc *quorum_wire_request_desc(int16_t key);

struct quorum_wire_header {
    int16_t key, version;
    int32_t correlation_id;
};
/* Takes the header off the front of a frame without its length; the body is left. */
int quorum_wire_read_header(struct bytes *in_out_frame, struct quorum_wire_header *ret_header);

/* Whole frames, length first; `out` is empty before. The message can be encoded: it is ours. */
void quorum_wire_request(const struct quorum_wire_header *header, const void *message,
                         struct bytebuf *out);
void quorum_wire_answer(int32_t correlation_id, const struct message_desc *desc,
                        const void *message, struct bytebuf *out);
/* Takes the header off an answer and decodes it; it points into `frame` and the arena. */
int quorum_wire_read_answer(struct bytes frame, const struct message_desc *desc,
                            struct arena *arena, void *ret_message);

/*
 * A message as a request body, on its way out. For an append: `batches` are the bytes of all
 * batches of (prev_index, end_index], but for the bootstrap entry at index 1, whose voters go
 * beside them.
 */
void quorum_wire_encode(const struct quorum_message *message, struct bytes batches,
                        const struct quorum_voters *bootstrap,
                        const struct quorum_wire_header *header, struct bytebuf *out);
int16_t quorum_wire_key_of(enum quorum_message_type type);

/* A received one; `body` lies in `frame`, to which the batches hold references. The peer is not
 * set. Release it after 0. */
int quorum_wire_decode(const struct quorum_wire_header *header, struct bytes body,
                       struct buf *frame, struct quorum_message *ret_message);
void quorum_wire_release(struct quorum_message *message);

/* Formation messages; message->voters and ->self of a decoded one are references of the caller's,
 * released with quorum_wire_release_formation. */
void quorum_wire_fill_formation(const struct formation_message *message, struct bytebuf *voters,
                                struct bytebuf *self, struct peer_formation *ret);
int quorum_wire_read_formation(const struct peer_formation *wire,
                               struct formation_message *ret_message);
void quorum_wire_release_formation(struct formation_message *message);

#endif
