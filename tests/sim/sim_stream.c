#include "tests/sim/sim_net_internal.h"

#include "common/base/disk.h"
#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES      (256 * 1024) /* on the way and not read */
#define SEGMENT_BYTES     (64 * 1024)
#define GIVE_UP_US        (20 * SIM_SECOND) /* unanswered bytes end a connection */
#define FLUSH_LIMIT_US    (10 * SIM_SECOND)
#define RETRANSMISSION_US (200 * SIM_MS)

static void arrive(struct sim_event *event);
static void end_task(struct task *task);
static void flush_limit(struct sim_event *event);

struct sim_end *sim_end_new(struct sim_net *net, struct sim_node *home, struct sim_node *remote)
{
    struct sim_end *end = mem_calloc(1, sizeof(*end));
    end->net = net;
    end->home = home;
    end->remote = remote;
    end->owned = true;
    end->task.run = end_task;
    end->arrival.run = arrive;
    end->flush_limit.run = flush_limit;
    list_init(&end->on_the_way);
    list_init(&end->received);
    list_push_back(&net->ends, &end->link);
    return end;
}

static void drop_segments(struct list *segments)
{
    while (!list_empty(segments))
        free(LIST_ITEM(list_pop_front(segments), struct segment, link));
}

static void unref_chunk(struct out_chunk *chunk)
{
    buf_unref(chunk->buf);
    disk_file_unref(chunk->file);
}

void sim_end_forget_output(struct sim_end *end, bool unref)
{
    for (size_t i = end->chunk_first; unref && i < end->chunk_count; i++)
        unref_chunk(&end->chunks[i]);
    end->chunk_first = end->chunk_count = 0;
    end->base.queued_bytes = 0;
}

/* The output must have been forgotten or belong to a living process. */
void sim_end_drop(struct sim_end *end)
{
    struct sim *sim = end->net->sim;
    sim_end_forget_output(end, end->owned);
    drop_segments(&end->on_the_way);
    drop_segments(&end->received);
    sim_event_cancel(sim, &end->arrival);
    sim_event_cancel(sim, &end->flush_limit);
    if (end->peer)
        end->peer->peer = NULL;
    list_remove(&end->link);
    free(end->chunks);
    free(end);
}

/* The kernel keeps an end without owner only for what is still on its way. */
static bool drop_if_done(struct sim_end *end)
{
    if (end->owned || !list_empty(&end->on_the_way))
        return false;
    sim_end_drop(end);
    return true;
}

void sim_end_disown(struct sim_end *end)
{
    sim_event_cancel(end->net->sim, &end->flush_limit);
    sim_end_forget_output(end, true);
    end->owned = false;
    drop_segments(&end->received);
    end->received_bytes = 0;
    drop_if_done(end);
}

static bool was_reset(const struct sim_end *end)
{
    return end->ended && end->end_status != 0;
}

/* The task looks at what there is to say, one thing a turn. */
static void wake(struct sim_end *end)
{
    if (!end->owned || end->task_queued || end->accepting)
        return;
    if (!end->started && !end->closing)
        return;
    end->task_queued = true;
    loop_post(end->base.loop, &end->task);
}

/* --- On the way --- */

static void set_arrival(struct sim_end *end)
{
    if (list_empty(&end->on_the_way) || end->arrival.heap_index != 0)
        return;
    struct segment *first = LIST_ITEM(end->on_the_way.next, struct segment, link);
    sim_event_set(end->net->sim, &end->arrival, first->arrives_us);
}

static void send_segment(struct sim_end *end, struct segment *segment)
{
    struct sim_net *net = end->net;
    int64_t arrives = net->sim->now_us + sim_link_delay(net, end->home, end->remote) +
                      (int64_t)segment->len * SIM_SECOND / net->bandwidth;
    end->last_arrival_us = MAX(arrives, end->last_arrival_us + 1);
    segment->arrives_us = end->last_arrival_us;
    end->on_the_way_bytes += segment->len;
    list_push_back(&end->on_the_way, &segment->link);
    set_arrival(end);
}

static struct segment *segment_new(size_t len)
{
    struct sim_heap *outer = sim_heap_enter(NULL);
    struct segment *segment = mem_alloc(sizeof(*segment) + len);
    *segment = (struct segment){.len = len};
    list_init(&segment->link);
    sim_heap_enter(outer);
    return segment;
}

void sim_end_finish(struct sim_end *end, int status)
{
    if (end->finished || end->ended)
        return;
    struct segment *segment = segment_new(0);
    segment->end = true;
    segment->status = status;
    end->finished = true;
    send_segment(end, segment);
}

void sim_end_reset(struct sim_end *end, int status)
{
    struct sim_end *peer = end->peer;
    end->peer = NULL;
    if (peer)
        peer->peer = NULL;
    sim_end_forget_output(end, end->owned);
    drop_segments(&end->on_the_way);
    drop_segments(&end->received);
    end->on_the_way_bytes = end->received_bytes = 0;
    sim_event_cancel(end->net->sim, &end->arrival);
    if (!end->ended || end->end_status == 0)
        end->end_status = status;
    end->ended = true;
    if (!drop_if_done(end))
        wake(end);
}

/* Copies from the output queue; false when a file does not have the bytes. */
static bool gather(struct sim_end *end, uint8_t *to, size_t len)
{
    while (len > 0) {
        struct out_chunk *chunk = &end->chunks[end->chunk_first];
        size_t part = MIN(len, chunk->len);
        if (chunk->buf)
            memcpy(to, chunk->buf->data + chunk->position, part);
        else if (disk_pread(chunk->file, to, part, chunk->position) != (ssize_t)part)
            return false;
        chunk->position += (int64_t)part;
        chunk->len -= part;
        to += part;
        len -= part;
        end->base.queued_bytes -= part;
        if (chunk->len == 0) {
            unref_chunk(chunk);
            end->chunk_first++;
        }
    }
    if (end->chunk_first == end->chunk_count)
        end->chunk_first = end->chunk_count = 0;
    return true;
}

/* How many bytes go out together. */
static size_t piece(struct sim_end *end)
{
    struct sim_random *random = &end->net->random;
    int64_t most = SEGMENT_BYTES;
    if (sim_random_chance(random, 50000))
        most = 40;
    else if (sim_random_chance(random, 100000))
        most = 1500;
    size_t used = end->on_the_way_bytes + (end->peer ? end->peer->received_bytes : 0);
    size_t room = used < WINDOW_BYTES ? WINDOW_BYTES - used : 0;
    size_t len = (size_t)sim_random_range(random, 1, most);
    return MIN(MIN(end->base.queued_bytes, room), len);
}

static void pump(struct sim_end *end)
{
    size_t len;
    while (!was_reset(end) && end->base.queued_bytes > 0 && (len = piece(end)) > 0) {
        struct segment *segment = segment_new(len);
        if (!gather(end, segment->data, len)) {
            free(segment);
            if (end->peer)
                sim_end_reset(end->peer, -ECONNRESET);
            sim_end_reset(end, -EIO);
            return;
        }
        send_segment(end, segment);
        end->sent = true;
    }
    if (end->finishing && end->base.queued_bytes == 0)
        sim_end_finish(end, 0);
    if (end->sent || end->finished)
        wake(end);
}

/* The link is cut or the other side has no power: TCP tries again for a while. */
static void stall(struct sim_end *end)
{
    struct sim *sim = end->net->sim;
    if (end->stalled_since_us == 0)
        end->stalled_since_us = sim->now_us;
    int64_t waited = sim->now_us - end->stalled_since_us;
    if (waited > GIVE_UP_US) {
        sim_end_reset(end, -ETIMEDOUT);
        return;
    }
    int64_t delay = RETRANSMISSION_US + MIN(waited, 5 * SIM_SECOND);
    sim_event_set(sim, &end->arrival, sim->now_us + delay);
}

static void deliver(struct sim_end *to, struct segment *segment)
{
    if (segment->end && segment->status != 0) {
        free(segment);
        sim_end_reset(to, -ECONNRESET);
        return;
    }
    if (segment->end) {
        to->ended = true;
        to->end_status = 0;
        free(segment);
    } else {
        to->received_bytes += segment->len;
        list_push_back(&to->received, &segment->link);
    }
    wake(to);
}

static void arrive(struct sim_event *event)
{
    struct sim_end *end = CONTAINER_OF(event, struct sim_end, arrival);
    if (sim_link_is_cut(end->home, end->remote) || end->remote->state == SIM_NODE_OFF) {
        stall(end);
        return;
    }
    end->stalled_since_us = 0;
    struct segment *segment = LIST_ITEM(list_pop_front(&end->on_the_way), struct segment, link);
    end->on_the_way_bytes -= segment->len;
    sim_trace(end->net->sim, "bytes", end->remote, (int64_t)segment->len, segment->end);
    if (!end->peer || (!end->peer->owned && !segment->end)) {
        /* Nobody there takes it: an answer to bytes is a reset. */
        bool bytes = !segment->end;
        free(segment);
        if (bytes)
            sim_end_reset(end, -ECONNRESET);
        else if (!drop_if_done(end))
            set_arrival(end);
        return;
    }
    deliver(end->peer, segment);
    if (drop_if_done(end))
        return;
    set_arrival(end);
    pump(end);
}

/* --- What the program sees --- */

static void read_some(struct sim_end *end)
{
    size_t room = 0;
    uint8_t *to = end->base.handler->read_room(end->base.owner, &room);
    CHECK(room > 0);
    size_t len = MIN(room, end->received_bytes);
    if (sim_random_chance(&end->net->random, 100000))
        len = (size_t)sim_random_range(&end->net->random, 1, (int64_t)len);
    for (size_t left = len; left > 0;) {
        struct segment *segment = LIST_ITEM(end->received.next, struct segment, link);
        size_t part = MIN(left, segment->len - segment->taken);
        memcpy(to, segment->data + segment->taken, part);
        segment->taken += part;
        to += part;
        left -= part;
        if (segment->taken == segment->len) {
            list_remove(&segment->link);
            free(segment);
        }
    }
    end->received_bytes -= len;
    if (end->peer)
        pump(end->peer);
    end->base.handler->on_read(end->base.owner, len);
}

static void finish_closing(struct sim_end *end)
{
    void (*closed)(void *owner) = end->closed;
    void *owner = end->closed_owner;
    sim_end_disown(end);
    if (closed)
        closed(owner);
}

static void tell(struct sim_end *end)
{
    if (end->sent && !end->ended) {
        end->sent = false;
        if (end->base.handler->on_sent)
            end->base.handler->on_sent(end->base.owner, end->base.queued_bytes);
    } else if (end->told) {
        return;
    } else if (was_reset(end) || (end->ended && end->received_bytes == 0 && !end->paused)) {
        end->told = true;
        end->base.handler->on_end(end->base.owner, end->end_status);
    } else if (end->received_bytes > 0 && !end->paused) {
        read_some(end);
    }
}

static bool has_more(const struct sim_end *end)
{
    if (end->closing)
        return end->finished || end->ended;
    if (end->sent && !end->ended)
        return true;
    if (end->told)
        return false;
    if (was_reset(end))
        return true;
    return !end->paused && (end->received_bytes > 0 || end->ended);
}

static void accept_end(struct sim_end *end)
{
    struct listener *listener = end->accepting;
    end->accepting = NULL;
    listener->pending--;
    if (!listener->closed) {
        listener->on_accept(listener->owner, &end->base);
        return;
    }
    sim_listener_drop_closed(listener);
    sim_end_finish(end, -ECONNRESET);
    sim_end_disown(end);
}

static void end_task(struct task *task)
{
    struct sim_end *end = CONTAINER_OF(task, struct sim_end, task);
    end->task_queued = false;
    if (end->accepting) {
        accept_end(end);
        return;
    }
    if (end->closing) {
        if (end->finished || end->ended)
            finish_closing(end);
        return;
    }
    /* The call may close the stream but not free it: that takes a turn of its own. */
    tell(end);
    if (has_more(end))
        wake(end);
}

/* --- What the program calls --- */

void sim_stream_start(struct stream *s, struct loop *loop, const struct stream_handler *handler,
                      void *owner)
{
    struct sim_end *end = sim_end_of(s);
    CHECK(!end->started && !end->closing);
    s->loop = loop;
    s->handler = handler;
    s->owner = owner;
    end->started = true;
    if (has_more(end))
        wake(end);
}

void sim_stream_read_pause(struct stream *s)
{
    sim_end_of(s)->paused = true;
}

void sim_stream_read_resume(struct stream *s)
{
    struct sim_end *end = sim_end_of(s);
    end->paused = false;
    if (has_more(end))
        wake(end);
}

void sim_stream_write(struct stream *s, struct out_chunk *chunks, int count)
{
    struct sim_end *end = sim_end_of(s);
    CHECK(!end->closing);
    struct sim_heap *outer = sim_heap_enter(NULL);
    bool dead = end->home->doomed || was_reset(end);
    for (int i = 0; i < count; i++) {
        if (dead || chunks[i].len == 0) {
            unref_chunk(&chunks[i]);
            continue;
        }
        VEC_PUSH(end->chunks, end->chunk_count, end->chunk_capacity) = chunks[i];
        end->base.queued_bytes += chunks[i].len;
    }
    pump(end);
    sim_heap_enter(outer);
}

static void flush_limit(struct sim_event *event)
{
    struct sim_end *end = CONTAINER_OF(event, struct sim_end, flush_limit);
    sim_end_forget_output(end, true);
    end->finishing = false;
    sim_end_finish(end, -ECONNRESET);
    wake(end);
}

void sim_stream_close(struct stream *s, bool flush, void (*closed)(void *owner), void *owner)
{
    struct sim_end *end = sim_end_of(s);
    CHECK(!end->closing);
    struct sim_heap *outer = sim_heap_enter(NULL);
    end->closing = true;
    end->closed = closed;
    end->closed_owner = owner;
    if (!flush)
        sim_end_forget_output(end, true);
    if (end->home->doomed) {
        sim_heap_enter(outer);
        return;
    }
    /* Unread input makes it a reset, as in Linux. */
    if (end->base.queued_bytes == 0)
        sim_end_finish(end, end->received_bytes > 0 ? -ECONNRESET : 0);
    if (!end->started) {
        sim_end_disown(end);
    } else if (end->finished || end->ended) {
        wake(end);
    } else {
        end->finishing = true;
        end->flush_limit.node = end->home;
        sim_event_set(end->net->sim, &end->flush_limit, end->net->sim->now_us + FLUSH_LIMIT_US);
    }
    sim_heap_enter(outer);
}
