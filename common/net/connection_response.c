/*
 * Slots: requests in their order, from arrival until the answer has gone out.
 */
#include "common/net/connection_internal.h"

#include "common/base/check.h"
#include "common/base/disk.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

static struct slot *slot_of(struct request_slot *base)
{
    return CONTAINER_OF(base, struct slot, base);
}

bool connection_within_limits(const struct connection *c, size_t more_bytes)
{
    const struct connection_limits *limits = &c->group->limits;
    return c->in_flight == 0 || (c->in_flight < limits->in_flight_max &&
                                 c->buffered_bytes + more_bytes <= limits->buffered_max_bytes);
}

struct slot *slot_new(struct connection *c, size_t request_bytes)
{
    struct slot *slot = mem_calloc(1, sizeof(*slot));
    slot->base.connection = c;
    slot->base.received_us = env_now_us(c->group->loop->env);
    slot->base.request_bytes = request_bytes;
    list_push_back(&c->slots, &slot->link);
    c->in_flight++;
    c->buffered_bytes += request_bytes;
    if (c->next_out == NULL)
        c->next_out = slot;
    return slot;
}

static void drop_chunks(struct out_chunk *chunks, int count)
{
    for (int i = 0; i < count; i++) {
        buf_unref(chunks[i].buf);
        disk_file_unref(chunks[i].file);
    }
}

static void slot_done(struct connection *c, struct slot *slot, bool sent)
{
    list_remove(&slot->link);
    c->in_flight--;
    c->buffered_bytes -= slot->memory_bytes;
    if (slot->chunks != NULL) {
        drop_chunks(slot->chunks, slot->chunk_count);
        free(slot->chunks);
    }
    if (sent)
        stat_add(&c->group->stats.response_total, 1);
    if (c->group->handler->on_done != NULL)
        c->group->handler->on_done(c, &slot->base, sent);
    free(slot);
}

void slots_sent(struct connection *c, size_t queued_bytes)
{
    uint64_t sent_bytes = c->written_bytes - queued_bytes;
    while (!list_empty(&c->slots)) {
        struct slot *slot = LIST_ITEM(c->slots.next, struct slot, link);
        if (slot->state != SLOT_SENDING || slot->end_offset > sent_bytes)
            break;
        slot_done(c, slot, true);
    }
    if ((c->blocked & BLOCK_LIMIT) && connection_within_limits(c, 0))
        connection_block(c, 0, BLOCK_LIMIT);
}

void slots_drop(struct connection *c)
{
    struct list *node = c->slots.next;
    while (node != &c->slots) {
        struct slot *slot = LIST_ITEM(node, struct slot, link);
        node = node->next;
        if (slot->state == SLOT_WAITING)
            continue;
        slot_done(c, slot, slot->state == SLOT_SENDING && c->flushing);
        node = c->slots.next; /* the handler may have answered others */
    }
}

static struct slot *next_of(struct connection *c, struct slot *slot)
{
    return slot->link.next == &c->slots ? NULL : LIST_ITEM(slot->link.next, struct slot, link);
}

static void write_slot(struct connection *c, struct slot *slot, struct out_chunk *chunks, int count)
{
    slot->base.written_us =
        slot->state == SLOT_READY ? env_now_us(c->group->loop->env) : slot->base.responded_us;
    slot->state = SLOT_SENDING;
    c->written_bytes += slot->base.response_bytes;
    slot->end_offset = c->written_bytes;
    c->next_out = next_of(c, slot);
    stat_add(&c->group->stats.out_bytes_total, (int64_t)slot->base.response_bytes);
    if (count > 0)
        stream_write(c->stream, chunks, count);
}

/* Gives the stream all answers whose turn has come. */
static void write_ready(struct connection *c)
{
    while (c->next_out != NULL && c->next_out->state == SLOT_READY) {
        struct slot *slot = c->next_out;
        write_slot(c, slot, slot->chunks, slot->chunk_count);
        free(slot->chunks);
        slot->chunks = NULL;
    }
    if (c->next_out != NULL && c->next_out->state == SLOT_FAILED) {
        connection_disconnect(c, true, c->next_out->fail_reason);
        return;
    }
    slots_end_if_answered(c);
    /* An answer of no bytes has gone out as soon as those before it have. */
    if (!c->disconnected)
        slots_sent(c, c->stream->queued_bytes);
}

void slots_end_if_answered(struct connection *c)
{
    if (!c->disconnected && (c->blocked & BLOCK_ENDING) && c->next_out == NULL)
        connection_disconnect(c, true, c->end_reason);
}

/* The request is over: its bytes are no longer held. False when the connection is gone. */
static bool answer_begins(struct connection *c, struct slot *slot)
{
    CHECK(slot->state == SLOT_WAITING);
    slot->base.responded_us = env_now_us(c->group->loop->env);
    c->buffered_bytes -= slot->base.request_bytes;
    group_unhold(c->group, slot->base.request_bytes);
    return !c->disconnected;
}

static void answered_in_vain(struct connection *c, struct slot *slot)
{
    slot->state = SLOT_READY;
    if (c->stream != NULL)
        return; /* stream_closed is still to come and completes it */
    slot_done(c, slot, false);
    connection_maybe_free(c);
}

void connection_respond(struct request_slot *base, struct out_chunk *chunks, int count)
{
    struct slot *slot = slot_of(base);
    struct connection *c = base->connection;
    if (!answer_begins(c, slot)) {
        drop_chunks(chunks, count);
        answered_in_vain(c, slot);
        return;
    }
    for (int i = 0; i < count; i++) {
        base->response_bytes += chunks[i].len;
        if (chunks[i].buf != NULL)
            slot->memory_bytes += chunks[i].len;
    }
    c->buffered_bytes += slot->memory_bytes;
    if (slot == c->next_out) {
        write_slot(c, slot, chunks, count);
    } else {
        slot->chunks = mem_alloc((size_t)MAX(count, 1) * sizeof(*chunks));
        if (count > 0)
            memcpy(slot->chunks, chunks, (size_t)count * sizeof(*chunks));
        slot->chunk_count = count;
        slot->state = SLOT_READY;
    }
    write_ready(c);
}

void connection_fail(struct request_slot *base, const char *reason)
{
    struct slot *slot = slot_of(base);
    struct connection *c = base->connection;
    if (!answer_begins(c, slot)) {
        answered_in_vain(c, slot);
        return;
    }
    slot->fail_reason = reason;
    slot->state = SLOT_FAILED;
    connection_drain(c, reason);
    if (!c->disconnected)
        write_ready(c);
}
