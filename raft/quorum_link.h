/*
 * An outgoing connection to one end point of the quorum, kept up: it connects, says hello, and
 * connects again after a back-off when it breaks. The host name is resolved anew each time.
 * Requests go out in order; each is answered or the connection breaks.
 *
 * One loop; callbacks run there, never from inside a call on the link, but for `answered`, which
 * quorum_link_close may bring with -ECANCELED before it returns to the loop. The link frees itself
 * after quorum_link_close.
 */
#ifndef KRAFTD_RAFT_QUORUM_LINK_H
#define KRAFTD_RAFT_QUORUM_LINK_H

#include "common/base/stream.h"
#include "raft/quorum_wire.h"

/* Bytes and requests that may be without an answer: a peer that does not read costs no more. */
#define QUORUM_LINK_BYTES_MAX     ((size_t)16 << 20)
#define QUORUM_LINK_IN_FLIGHT_MAX 256

struct quorum_link;

struct quorum_link_handler {
    /* Fills in who we are and whom we expect; what it points to lives until it returns to the
     * link. NULL: no hello is said, only FORMATION can be asked. */
    void (*hello)(void *owner, struct peer_hello *hello);
    /* Connected, and the hello was accepted (answer NULL where none was said). */
    void (*ready)(void *owner, const struct peer_hello_answer *answer);
    /* An attempt failed or the connection broke (a negative errno; -EAGAIN: the peer is starting),
     * or the peer refused the hello (-EPERM and its sentence). The next attempt is on its way. */
    void (*down)(void *owner, int status, struct str refusal);
};

struct quorum_link_options {
    struct loop *loop;
    struct endpoint endpoint;
    int request_timeout_ms;
    int64_t backoff_min_ms, backoff_max_ms;
    const struct quorum_link_handler *handler;
    void *owner;
};

struct quorum_link *quorum_link_new(const struct quorum_link_options *options);
/* No callback but `answered` after it; `closed` (may be NULL) is the last word, on a later turn. */
void quorum_link_close(struct quorum_link *link, void (*closed)(void *owner), void *owner);

bool quorum_link_is_ready(const struct quorum_link *link);
const struct endpoint *quorum_link_endpoint(const struct quorum_link *link);
/* When something was sent last; INT64_MIN: never on this connection. */
int64_t quorum_link_sent_ms(const struct quorum_link *link);

/* 0: the answer, a frame without its length, borrowed; else why there is none. */
typedef void (*quorum_link_answered)(void *ctx, int status, struct buf *frame);

/* Room for one more request? 0 and the header to encode it with; -ENOTCONN, -EBUSY. */
int quorum_link_begin(struct quorum_link *link, int16_t key, struct quorum_wire_header *ret_header);
/* Sends what was encoded with that header, at once after begin, and empties `frame`. `answered` may
 * be NULL. */
void quorum_link_send(struct quorum_link *link, const struct quorum_wire_header *header,
                      struct bytebuf *frame, quorum_link_answered answered, void *ctx);
/* Both for a message of the schema. */
int quorum_link_ask(struct quorum_link *link, int16_t key, const void *message,
                    quorum_link_answered answered, void *ctx);

#endif
