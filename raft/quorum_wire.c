#include "raft/quorum_wire.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/endian.h"
#include "common/protocol/messages/headers.h"
#include "common/protocol/record_batch.h"
#include "raft/quorum_control.h"

#include <errno.h>
#include <stdlib.h>

#define REQUEST_HEADER_VERSION  2
#define RESPONSE_HEADER_VERSION 1
#define LENGTH_BYTES            4
/* What decoding may take beside the frame: the messages are flat. */
#define DECODE_MAX_BYTES ((size_t)1 << 20)

const struct message_desc *quorum_wire_request_desc(int16_t key)
{
    switch (key) {
    case QUORUM_WIRE_HELLO:
        return &peer_hello_desc;
    case QUORUM_WIRE_PING:
        return &peer_ping_desc;
    case QUORUM_WIRE_APPEND:
        return &peer_append_desc;
    case QUORUM_WIRE_APPEND_RESULT:
        return &peer_append_result_desc;
    case QUORUM_WIRE_VOTE:
        return &peer_vote_desc;
    case QUORUM_WIRE_VOTE_RESULT:
        return &peer_vote_result_desc;
    case QUORUM_WIRE_INSTALL:
        return &peer_install_desc;
    case QUORUM_WIRE_TIMEOUT_NOW:
        return &peer_timeout_now_desc;
    case QUORUM_WIRE_FORMATION:
        return &peer_formation_desc;
    case QUORUM_WIRE_CHECKPOINT:
        return &peer_checkpoint_desc;
    default:
        return NULL;
    }
}

int quorum_wire_read_header(struct bytes *in_out_frame, struct quorum_wire_header *ret_header)
{
    struct request_header header;
    struct arena arena;
    arena_init(&arena, DECODE_MAX_BYTES);
    int rv =
        message_decode(&request_header_desc, REQUEST_HEADER_VERSION, in_out_frame, &arena, &header);
    arena_release(&arena);
    if (rv != 0)
        return rv;
    *ret_header = (struct quorum_wire_header){header.request_api_key, header.request_api_version,
                                              header.correlation_id};
    return 0;
}

static void finish_frame(struct bytebuf *out)
{
    CHECK(out->len - LENGTH_BYTES <= INT32_MAX);
    put_u32(out->data, (uint32_t)(out->len - LENGTH_BYTES));
}

void quorum_wire_request(const struct quorum_wire_header *h, const void *message,
                         struct bytebuf *out)
{
    CHECK(out->len == 0);
    struct request_header header;
    message_init(&request_header_desc, &header);
    header.request_api_key = h->key;
    header.request_api_version = h->version;
    header.correlation_id = h->correlation_id;
    header.client_id = STR_NULL;
    bytebuf_reserve(out, LENGTH_BYTES);
    out->len = LENGTH_BYTES;
    int rv = message_encode(&request_header_desc, REQUEST_HEADER_VERSION, &header, out);
    CHECK(rv == 0);
    rv = message_encode(quorum_wire_request_desc(h->key), h->version, message, out);
    CHECK(rv == 0);
    finish_frame(out);
}

void quorum_wire_answer(int32_t correlation_id, const struct message_desc *desc,
                        const void *message, struct bytebuf *out)
{
    CHECK(out->len == 0);
    struct response_header header;
    message_init(&response_header_desc, &header);
    header.correlation_id = correlation_id;
    bytebuf_reserve(out, LENGTH_BYTES);
    out->len = LENGTH_BYTES;
    int rv = message_encode(&response_header_desc, RESPONSE_HEADER_VERSION, &header, out);
    CHECK(rv == 0);
    rv = message_encode(desc, desc->max_version, message, out);
    CHECK(rv == 0);
    finish_frame(out);
}

int quorum_wire_read_answer(struct bytes frame, const struct message_desc *desc,
                            struct arena *arena, void *ret_message)
{
    struct response_header header;
    int rv = message_decode(&response_header_desc, RESPONSE_HEADER_VERSION, &frame, arena, &header);
    return rv == 0 ? message_decode(desc, desc->max_version, &frame, arena, ret_message) : rv;
}

int16_t quorum_wire_key_of(enum quorum_message_type type)
{
    switch (type) {
    case QUORUM_APPEND:
        return QUORUM_WIRE_APPEND;
    case QUORUM_APPEND_RESULT:
        return QUORUM_WIRE_APPEND_RESULT;
    case QUORUM_VOTE:
        return QUORUM_WIRE_VOTE;
    case QUORUM_VOTE_RESULT:
        return QUORUM_WIRE_VOTE_RESULT;
    case QUORUM_INSTALL:
        return QUORUM_WIRE_INSTALL;
    case QUORUM_TIMEOUT_NOW:
        return QUORUM_WIRE_TIMEOUT_NOW;
    }
    UNREACHABLE();
}

/* Room for any of the six bodies. */
union body {
    struct peer_append append;
    struct peer_append_result append_result;
    struct peer_vote vote;
    struct peer_vote_result vote_result;
    struct peer_install install;
    struct peer_timeout_now timeout_now;
};

static struct bytes encode_voters(const struct quorum_voters *voters, struct bytebuf *room)
{
    if (!voters)
        return BYTES_NULL;
    quorum_voters_encode(voters, room);
    return (struct bytes){room->data, (int32_t)room->len};
}

static void fill_append(const struct quorum_message *message, struct bytes batches,
                        const struct quorum_voters *bootstrap, struct bytebuf *voters,
                        struct peer_append *out)
{
    out->term = (int64_t)message->term;
    out->prev_index = (int64_t)message->append.prev_index;
    out->prev_term = (int64_t)message->append.prev_term;
    out->commit_index = (int64_t)message->append.commit_index;
    out->echo = (int64_t)message->append.echo;
    out->bootstrap_voters = encode_voters(bootstrap, voters);
    out->batches = batches.len > 0 ? batches : BYTES_NULL;
}

void quorum_wire_encode(const struct quorum_message *message, struct bytes batches,
                        const struct quorum_voters *bootstrap,
                        const struct quorum_wire_header *header, struct bytebuf *out)
{
    union body body;
    struct bytebuf voters;
    bytebuf_init(&voters);
    message_init(quorum_wire_request_desc(header->key), &body);
    int64_t term = (int64_t)message->term;
    switch (message->type) {
    case QUORUM_APPEND:
        fill_append(message, batches, bootstrap, &voters, &body.append);
        break;
    case QUORUM_APPEND_RESULT:
        body.append_result.term = term;
        body.append_result.rejected = (int64_t)message->append_result.rejected;
        body.append_result.last_index = (int64_t)message->append_result.last_index;
        break;
    case QUORUM_VOTE:
        body.vote.term = term;
        body.vote.last_index = (int64_t)message->vote.last_index;
        body.vote.last_term = (int64_t)message->vote.last_term;
        body.vote.disrupt_leader = message->vote.disrupt_leader;
        body.vote.pre_vote = message->vote.pre_vote;
        break;
    case QUORUM_VOTE_RESULT:
        body.vote_result.term = term;
        body.vote_result.granted = message->vote_result.granted;
        body.vote_result.pre_vote = message->vote_result.pre_vote;
        break;
    case QUORUM_INSTALL:
        body.install.term = term;
        body.install.last_index = (int64_t)message->install.last_index;
        body.install.last_term = (int64_t)message->install.last_term;
        body.install.voters = encode_voters(message->install.voters, &voters);
        break;
    case QUORUM_TIMEOUT_NOW:
        body.timeout_now.term = term;
        body.timeout_now.last_index = (int64_t)message->timeout_now.last_index;
        body.timeout_now.last_term = (int64_t)message->timeout_now.last_term;
        break;
    }
    quorum_wire_request(header, &body, out);
    bytebuf_release(&voters);
}

static void add_batch(struct quorum_append *append, size_t *capacity,
                      const struct quorum_batch *batch)
{
    VEC_PUSH(append->batches, append->batch_count, *capacity) = *batch;
}

static int read_batch(struct quorum_append *append, size_t *capacity,
                      const struct record_batch *parsed, struct buf *frame)
{
    const struct record_batch_header *header = &parsed->header;
    struct quorum_control control;
    if (!record_batch_crc_ok(parsed) || header->base_offset < 0 || header->last_offset_delta < 0 ||
        header->partition_leader_epoch < 0)
        return -EBADMSG;
    int rv = quorum_control_parse(parsed, &control);
    if (rv != 0)
        return -EBADMSG;
    struct quorum_batch batch = {
        .base = quorum_index_of(header->base_offset),
        .count = (uint32_t)header->last_offset_delta + 1,
        .term = quorum_term_of(header->partition_leader_epoch),
        .kind = control.kind,
        .voters = control.voters,
        .bytes = {buf_ref(frame), (size_t)(parsed->bytes.data - frame->data),
                  (size_t)parsed->bytes.len},
    };
    add_batch(append, capacity, &batch);
    return 0;
}

static int read_batches(const struct peer_append *in, struct buf *frame,
                        struct quorum_append *append)
{
    size_t capacity = 0;
    if (in->bootstrap_voters.len >= 0) {
        struct quorum_batch bootstrap = {.base = QUORUM_INDEX_BOOTSTRAP,
                                         .count = 1,
                                         .term = QUORUM_TERM_BOOTSTRAP,
                                         .kind = QUORUM_CHANGE};
        int rv = quorum_voters_decode(in->bootstrap_voters, &bootstrap.voters);
        if (rv != 0)
            return rv;
        add_batch(append, &capacity, &bootstrap);
    }
    if (in->batches.len <= 0)
        return 0;
    struct record_batches run = {in->batches.data, in->batches.data + in->batches.len};
    struct record_batch batch;
    int rv;
    while ((rv = record_batches_next(&run, &batch)) == 1) {
        rv = read_batch(append, &capacity, &batch, frame);
        if (rv != 0)
            return rv;
    }
    return rv == 0 && run.at == run.end ? 0 : -EBADMSG;
}

static bool is_index(int64_t value)
{
    return value >= 0;
}

static int take_append(const struct peer_append *in, struct buf *frame, struct quorum_message *out)
{
    struct quorum_append *append = &out->append;
    if (!is_index(in->prev_index) || !is_index(in->prev_term) || !is_index(in->commit_index) ||
        !is_index(in->echo))
        return -EBADMSG;
    append->prev_index = append->end_index = (uint64_t)in->prev_index;
    append->prev_term = (uint64_t)in->prev_term;
    append->commit_index = (uint64_t)in->commit_index;
    append->echo = (uint64_t)in->echo;
    int rv = read_batches(in, frame, append);
    if (rv == 0 && append->batch_count > 0)
        append->end_index = quorum_batch_end(&append->batches[append->batch_count - 1]);
    return rv;
}

static int take(const union body *in, struct buf *frame, struct quorum_message *out)
{
    switch (out->type) {
    case QUORUM_APPEND:
        out->term = (uint64_t)in->append.term;
        return take_append(&in->append, frame, out);
    case QUORUM_APPEND_RESULT:
        out->term = (uint64_t)in->append_result.term;
        out->append_result.rejected = (uint64_t)in->append_result.rejected;
        out->append_result.last_index = (uint64_t)in->append_result.last_index;
        return 0;
    case QUORUM_VOTE:
        out->term = (uint64_t)in->vote.term;
        out->vote.last_index = (uint64_t)in->vote.last_index;
        out->vote.last_term = (uint64_t)in->vote.last_term;
        out->vote.disrupt_leader = in->vote.disrupt_leader;
        out->vote.pre_vote = in->vote.pre_vote;
        return 0;
    case QUORUM_VOTE_RESULT:
        out->term = (uint64_t)in->vote_result.term;
        out->vote_result.granted = in->vote_result.granted;
        out->vote_result.pre_vote = in->vote_result.pre_vote;
        return 0;
    case QUORUM_INSTALL:
        out->term = (uint64_t)in->install.term;
        out->install.last_index = (uint64_t)in->install.last_index;
        out->install.last_term = (uint64_t)in->install.last_term;
        return quorum_voters_decode(in->install.voters, &out->install.voters);
    case QUORUM_TIMEOUT_NOW:
        out->term = (uint64_t)in->timeout_now.term;
        out->timeout_now.last_index = (uint64_t)in->timeout_now.last_index;
        out->timeout_now.last_term = (uint64_t)in->timeout_now.last_term;
        return 0;
    }
    UNREACHABLE();
}

int quorum_wire_decode(const struct quorum_wire_header *header, struct bytes body,
                       struct buf *frame, struct quorum_message *ret_message)
{
    if (header->key < QUORUM_WIRE_APPEND || header->key > QUORUM_WIRE_TIMEOUT_NOW)
        return -EPROTONOSUPPORT;
    struct quorum_message message = {
        .type = (enum quorum_message_type)(header->key - QUORUM_WIRE_APPEND + QUORUM_APPEND)};
    union body in;
    struct arena arena;
    arena_init(&arena, DECODE_MAX_BYTES);
    int rv =
        message_decode(quorum_wire_request_desc(header->key), header->version, &body, &arena, &in);
    if (rv == 0)
        rv = take(&in, frame, &message);
    arena_release(&arena);
    if (rv != 0)
        quorum_wire_release(&message);
    else
        *ret_message = message;
    return rv;
}

void quorum_wire_release(struct quorum_message *message)
{
    if (message->type == QUORUM_INSTALL) {
        quorum_voters_unref(message->install.voters);
        message->install.voters = NULL;
    } else if (message->type == QUORUM_APPEND) {
        for (size_t i = 0; i < message->append.batch_count; i++) {
            buf_unref(message->append.batches[i].bytes.buf);
            quorum_voters_unref(message->append.batches[i].voters);
        }
        free(message->append.batches);
        message->append.batches = NULL;
        message->append.batch_count = 0;
    }
}

void quorum_wire_fill_formation(const struct formation_message *message, struct bytebuf *voters,
                                struct bytebuf *self, struct peer_formation *out)
{
    message_init(&peer_formation_desc, out);
    out->ask = message->ask;
    out->nonce = (int64_t)message->nonce;
    out->node_id = message->node_id;
    out->directory_id = message->directory_id;
    out->listed_hash = (int64_t)message->listed_hash;
    out->has_data = message->has_data;
    out->cluster_id = str_of(message->cluster_id);
    out->voters = encode_voters(message->voters, voters);
    out->self = encode_voters(message->self, self);
}

static int read_voters(struct bytes value, const struct quorum_voters **ret_voters)
{
    struct quorum_voters *voters = NULL;
    int rv = value.len >= 0 ? quorum_voters_decode(value, &voters) : 0;
    *ret_voters = voters;
    return rv;
}

int quorum_wire_read_formation(const struct peer_formation *in, struct formation_message *out)
{
    if (in->cluster_id.len < 0 || in->cluster_id.len > CLUSTER_ID_MAX)
        return -EBADMSG;
    struct formation_message message = {
        .ask = in->ask,
        .nonce = (uint64_t)in->nonce,
        .node_id = in->node_id,
        .directory_id = in->directory_id,
        .listed_hash = (uint64_t)in->listed_hash,
        .has_data = in->has_data,
    };
    memcpy(message.cluster_id, in->cluster_id.data, (size_t)in->cluster_id.len);
    int rv = read_voters(in->voters, &message.voters);
    if (rv == 0)
        rv = read_voters(in->self, &message.self);
    if (rv != 0)
        quorum_wire_release_formation(&message);
    else
        *out = message;
    return rv;
}

static void drop_voters(const struct quorum_voters *voters)
{
    quorum_voters_unref((struct quorum_voters *)(uintptr_t)voters);
}

void quorum_wire_release_formation(struct formation_message *message)
{
    drop_voters(message->voters);
    drop_voters(message->self);
    message->voters = message->self = NULL;
}
