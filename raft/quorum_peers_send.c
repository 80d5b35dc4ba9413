/*
 * What goes out. A message is encoded and given to its peer's link, or dropped: libraft sends again
 * what was not acknowledged. An append's batches are read from the log as it goes out, a part at a
 * time and never more than a link may have without an answer; parts end where batches end.
 */
#include "raft/quorum_peers_internal.h"

#include "common/protocol/record_batch.h"

#include <errno.h>
#include <stdlib.h>

/* A range of the log that was read. */
struct part {
    struct buf *buf;
    struct bytes batches;         /* whole ones */
    uint64_t end_index, end_term; /* of the last */
};

/* Whole batches from `index` on, none beyond end_index. -ERANGE: they are not there (any more). */
static int read_part(struct quorum_node *node, uint64_t index, uint64_t end_index, struct part *ret)
{
    struct log_read_result found;
    int rv = quorum_node_read_log(node, quorum_offset_of(index), quorum_offset_of(end_index) + 1,
                                  QUORUM_WIRE_APPEND_BYTES, &found);
    if (rv != 0)
        return rv;
    if (!found.file)
        return -ERANGE;
    struct buf *buf = buf_new((size_t)found.size_bytes);
    ssize_t got = disk_pread(found.file, buf->data, buf->size_bytes, found.position);
    disk_file_unref(found.file);
    struct part part = {.buf = buf, .end_index = index - 1};
    struct record_batches run = {buf->data, buf->data + MAX(got, 0)};
    struct record_batch batch;
    while (record_batches_next(&run, &batch) == 1) {
        uint64_t end = quorum_index_of(record_batch_next_offset(&batch.header)) - 1;
        if (quorum_index_of(batch.header.base_offset) != part.end_index + 1 || end > end_index)
            break;
        part.end_index = end;
        part.end_term = quorum_term_of(batch.header.partition_leader_epoch);
        part.batches =
            (struct bytes){buf->data, (int32_t)(batch.bytes.data + batch.bytes.len - buf->data)};
    }
    if (part.end_index < index) {
        buf_unref(buf);
        return -ERANGE;
    }
    *ret = part;
    return 0;
}

static int send_one(struct peer *peer, const struct quorum_message *message, struct bytes batches,
                    const struct quorum_voters *bootstrap)
{
    struct quorum_wire_header header;
    int rv = quorum_link_begin(peer->link, quorum_wire_key_of(message->type), &header);
    if (rv != 0)
        return rv;
    struct bytebuf frame;
    bytebuf_init(&frame);
    quorum_wire_encode(message, batches, bootstrap, &header, &frame);
    quorum_link_send(peer->link, &header, &frame, NULL, NULL);
    return 0;
}

static int send_append(struct peer *peer, const struct quorum_message *whole)
{
    struct quorum_node *node = peer->peers->node;
    struct quorum_message message = *whole;
    uint64_t end_index = whole->append.end_index;
    for (;;) {
        struct quorum_append *append = &message.append;
        const struct quorum_voters *bootstrap = NULL;
        struct part part = {.end_index = append->prev_index, .end_term = append->prev_term};
        uint64_t next = append->prev_index + 1;
        if (next == QUORUM_INDEX_BOOTSTRAP && end_index >= next) {
            bootstrap = quorum_core_voters_at(quorum_node_core(node), QUORUM_INDEX_BOOTSTRAP);
            if (!bootstrap)
                return -ERANGE;
            part.end_index = next++;
            part.end_term = QUORUM_TERM_BOOTSTRAP;
        }
        int rv = end_index >= next ? read_part(node, next, end_index, &part) : 0;
        if (rv == 0)
            rv = send_one(peer, &message, part.batches, bootstrap);
        buf_unref(part.buf);
        if (rv != 0 || part.end_index >= end_index)
            return rv;
        append->prev_index = append->echo = part.end_index;
        append->prev_term = part.end_term;
    }
}

void peers_send(void *ctx, const struct quorum_message *message)
{
    struct quorum_peers *peers = ctx;
    struct peer *peer = peers_find(peers, message->peer.raft_id);
    if (!peer || !peer->link || !peers->node)
        return;
    int rv = message->type == QUORUM_APPEND ? send_append(peer, message)
                                            : send_one(peer, message, BYTES_NULL, NULL);
    if (rv != 0)
        peer->dropped++;
}

/* A part of a checkpoint that was asked for. */
struct fetch {
    void (*fetched)(void *ctx, int status, int64_t size, struct bytes data, struct buf *frame);
    void *ctx;
};

static void fetch_answered(void *ctx, int status, struct buf *frame)
{
    struct fetch fetch = *(struct fetch *)ctx;
    free(ctx);
    struct peer_checkpoint_answer answer = {.data = BYTES_NULL};
    struct arena arena;
    arena_init(&arena, 0);
    if (status == 0)
        status = quorum_wire_read_answer((struct bytes){frame->data, (int32_t)frame->size_bytes},
                                         &peer_checkpoint_answer_desc, &arena, &answer);
    if (status == 0 && answer.error_code != 0)
        status = -ENOENT;
    fetch.fetched(fetch.ctx, status, answer.size, answer.data, frame);
    arena_release(&arena);
}

int peers_fetch(void *ctx, uint64_t raft_id, struct quorum_checkpoint_id id, int64_t position,
                void (*fetched)(void *fetch_ctx, int status, int64_t size, struct bytes data,
                                struct buf *frame),
                void *fetch_ctx)
{
    struct quorum_link *link = quorum_peers_link(ctx, raft_id);
    if (!link)
        return -ENOTCONN;
    struct peer_checkpoint message;
    message_init(&peer_checkpoint_desc, &message);
    message.end_offset = id.end_offset;
    message.epoch = id.epoch;
    message.position = position;
    message.max_bytes = QUORUM_WIRE_APPEND_BYTES;
    struct fetch *fetch = mem_alloc(sizeof(*fetch));
    *fetch = (struct fetch){fetched, fetch_ctx};
    int rv = quorum_link_ask(link, QUORUM_WIRE_CHECKPOINT, &message, fetch_answered, fetch);
    if (rv != 0)
        free(fetch);
    return rv;
}
