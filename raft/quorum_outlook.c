#include "raft/quorum_outlook.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
    char *at;
    size_t size, len;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text->at + text->len, text->size - text->len, format, args);
    va_end(args);
    text->len = MIN(text->len + (size_t)MAX(len, 0), text->size - 1);
}

static const struct quorum_peer_view *peer_of(const struct quorum_outlook_view *view,
                                              uint64_t raft_id)
{
    for (size_t i = 0; i < view->peer_count; i++) {
        if (view->peers[i].id.raft_id == raft_id)
            return &view->peers[i];
    }
    return NULL;
}

/* Its node is there with a disk that is no voter's. */
static const struct quorum_peer_view *successor_of(const struct quorum_outlook_view *view,
                                                   const struct quorum_server *server)
{
    for (size_t i = 0; i < view->peer_count; i++) {
        const struct quorum_peer_view *peer = &view->peers[i];
        if (peer->connected && peer->id.raft_id != 0 && peer->id.node_id == server->node_id &&
            !quorum_voters_find(view->voters, peer->id.raft_id))
            return peer;
    }
    return NULL;
}

static bool is_here(const struct quorum_outlook_view *view, const struct quorum_server *server)
{
    const struct quorum_peer_view *peer = peer_of(view, server->raft_id);
    return server->raft_id == view->self || (peer && peer->connected);
}

static const char *reason_of(const struct quorum_peer_view *peer)
{
    return peer && peer->last_status != 0 ? strerror(-peer->last_status) : "no connection";
}

static void name_missing(const struct quorum_outlook_view *view, struct text *text)
{
    const char *between = "";
    for (int i = 0; i < view->voters->count; i++) {
        const struct quorum_server *server = &view->voters->servers[i];
        if (server->role != QUORUM_VOTER || is_here(view, server))
            continue;
        put(text, "%snode %" PRId32, between, server->node_id);
        if (server->listener_count > 0)
            put(text, " at %s:%u", server->listeners[0].host, server->listeners[0].port);
        if (successor_of(view, server))
            put(text, " (it has another disk now)");
        else
            put(text, " (%s)", reason_of(peer_of(view, server->raft_id)));
        between = ", ";
    }
}

static void name_replaced(const struct quorum_outlook_view *view, struct text *text)
{
    const char *between = "";
    for (int i = 0; i < view->voters->count; i++) {
        const struct quorum_server *server = &view->voters->servers[i];
        const struct quorum_peer_view *now = successor_of(view, server);
        char before[UUID_TEXT_LEN + 1], after[UUID_TEXT_LEN + 1];
        if (server->role != QUORUM_VOTER || is_here(view, server) || !now)
            continue;
        uuid_format(server->directory_id, before);
        uuid_format(now->id.directory_id, after);
        put(text, "%snode %" PRId32 " has directory %s instead of %s", between, server->node_id,
            after, before);
        between = ", ";
    }
}

enum quorum_outlook_kind quorum_outlook(const struct quorum_outlook_view *view, char *ret_text,
                                        size_t size)
{
    struct text text = {ret_text, size, 0};
    int voters = quorum_voters_count(view->voters), here = 0, replaced = 0;
    for (int i = 0; i < view->voters->count; i++) {
        const struct quorum_server *server = &view->voters->servers[i];
        if (server->role != QUORUM_VOTER)
            continue;
        bool there = is_here(view, server);
        here += there;
        replaced += !there && successor_of(view, server);
    }
    int needed = voters / 2 + 1;
    if (here >= needed)
        return QUORUM_OUTLOOK_FAIR;
    if (voters - replaced < needed) {
        put(&text, "The disks of %d of the %d voters are lost (", replaced, voters);
        name_replaced(view, &text);
        put(&text,
            "), so nobody can be elected any more. What survives here is the metadata up to offset "
            "%" PRId64 " of epoch %" PRId32 ", committed up to %" PRId64
            "; what only the lost disks had is gone. Put one of the lost log directories back and "
            "start its node with it. If they are gone for good: stop all nodes, keep a copy of the "
            "log directories of this one, and begin a new cluster with empty ones; "
            "kafka-metadata-shell shows what the copy holds",
            view->end_offset, view->epoch, view->committed);
        return QUORUM_OUTLOOK_LOST;
    }
    put(&text,
        "No leader for %" PRId64 " s: %d of the %d voters are here and %d are needed. Missing: ",
        view->leaderless_ms / 1000, here, voters, needed);
    name_missing(view, &text);
    put(&text,
        ". Start them with the log directories they had. Nothing is lost as long as these are "
        "there; "
        "the metadata here ends at offset %" PRId64 " of epoch %" PRId32,
        view->end_offset, view->epoch);
    return QUORUM_OUTLOOK_MISSING;
}
