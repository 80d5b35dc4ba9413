#include "tests/unit/raft/cluster_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t cluster_random(struct cluster *c, uint64_t below)
{
    c->random = hash_u64(c->random + 0x9e3779b97f4a7c15u);
    return below ? c->random % below : 0;
}

void cluster_broken(struct cluster *c, const char *format, ...)
{
    if (cluster_ended(c))
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(c->result->broken, sizeof(c->result->broken), format, args);
    va_end(args);
    c->result->broken_ms = c->now_ms;
}

/* A binary heap: earliest first, equal times in order of pushing. */
static bool event_before(const struct event *a, const struct event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->sequence < b->sequence;
}

static void event_swap(struct event *a, struct event *b)
{
    struct event t = *a;
    *a = *b;
    *b = t;
}

void event_push(struct cluster *c, struct event *event)
{
    event->sequence = ++c->sequence;
    VEC_PUSH(c->events, c->event_count, c->event_capacity) = *event;
    for (size_t i = c->event_count - 1;
         i > 0 && event_before(&c->events[i], &c->events[(i - 1) / 2]); i = (i - 1) / 2)
        event_swap(&c->events[i], &c->events[(i - 1) / 2]);
}

bool event_pop(struct cluster *c, struct event *ret)
{
    if (c->event_count == 0)
        return false;
    *ret = c->events[0];
    c->events[0] = c->events[--c->event_count];
    for (size_t i = 0;;) {
        size_t child = 2 * i + 1;
        if (child >= c->event_count)
            return true;
        if (child + 1 < c->event_count && event_before(&c->events[child + 1], &c->events[child]))
            child++;
        if (!event_before(&c->events[child], &c->events[i]))
            return true;
        event_swap(&c->events[i], &c->events[child]);
        i = child;
    }
}

int64_t event_next_ms(const struct cluster *c)
{
    return c->event_count ? c->events[0].at_ms : INT64_MAX;
}

void event_release(struct event *event)
{
    if (event->type == DELIVER && event->message.type == QUORUM_APPEND) {
        for (size_t i = 0; i < event->message.append.batch_count; i++)
            quorum_voters_unref(event->message.append.batches[i].voters);
        free(event->message.append.batches);
    }
    if (event->type == DELIVER && event->message.type == QUORUM_INSTALL)
        quorum_voters_unref(event->message.install.voters);
    if (event->type == SNAPSHOT_DONE)
        quorum_voters_unref(event->snapshot.voters);
}
