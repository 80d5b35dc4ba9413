#include "raft/quorum_replace.h"

#include "common/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct quorum_peer_view *peer_of(const struct quorum_replace_view *view,
                                              uint64_t raft_id)
{
    for (size_t i = 0; i < view->peer_count; i++) {
        if (view->peers[i].id.raft_id == raft_id)
            return &view->peers[i];
    }
    return NULL;
}

static bool is_connected(const struct quorum_replace_view *view, uint64_t raft_id)
{
    const struct quorum_peer_view *peer = peer_of(view, raft_id);
    return raft_id == view->self || (peer && peer->connected);
}

/* Nobody has heard of it for an election timeout. */
static bool is_gone(const struct quorum_replace_view *view, uint64_t raft_id)
{
    const struct quorum_peer_view *peer = peer_of(view, raft_id);
    if (is_connected(view, raft_id) || view->now_ms - view->leading_ms < view->gone_ms)
        return false;
    return !peer || peer->gone_ms == INT64_MIN || view->now_ms - peer->gone_ms >= view->gone_ms;
}

/* Another member of that node id. */
static const struct quorum_server *other_of(const struct quorum_replace_view *view, int32_t node_id,
                                            uint64_t raft_id)
{
    for (int i = 0; i < view->voters->count; i++) {
        const struct quorum_server *server = &view->voters->servers[i];
        if (server->node_id == node_id && server->raft_id != raft_id)
            return server;
    }
    return NULL;
}

static struct quorum_server *copied(struct quorum_voters *voters, uint64_t raft_id)
{
    for (int i = 0; i < voters->count; i++) {
        if (voters->servers[i].raft_id == raft_id)
            return &voters->servers[i];
    }
    return NULL;
}

static void take_listeners(struct quorum_voters *voters, const struct quorum_voters *self)
{
    const struct quorum_server *from = &self->servers[0];
    for (int i = 0; i < from->listener_count; i++)
        quorum_voters_add_listener(voters, str_of(from->listeners[i].name),
                                   str_of(from->listeners[i].host), from->listeners[i].port);
}

static bool change(struct quorum_replace_step *step, struct quorum_voters *voters)
{
    step->kind = QUORUM_REPLACE_CHANGE;
    step->voters = voters;
    return true;
}

static bool remove_server(const struct quorum_replace_view *view,
                          const struct quorum_server *server, struct quorum_replace_step *step)
{
    char directory[UUID_TEXT_LEN + 1];
    uuid_format(server->directory_id, directory);
    struct quorum_voters *next = quorum_voters_copy(view->voters);
    snprintf(step->text, sizeof(step->text),
             "node %" PRId32 " has another disk now: removing the %s with directory %s",
             server->node_id, server->role == QUORUM_VOTER ? "voter" : "standby", directory);
    quorum_voters_remove(next, server->raft_id);
    return change(step, next);
}

static bool promote(const struct quorum_replace_view *view, const struct quorum_server *server,
                    struct quorum_replace_step *step)
{
    struct quorum_voters *next = quorum_voters_copy(view->voters);
    copied(next, server->raft_id)->role = QUORUM_VOTER;
    snprintf(step->text, sizeof(step->text), "node %" PRId32 " has caught up: making it a voter",
             server->node_id);
    return change(step, next);
}

static bool step_standby(const struct quorum_replace_view *view, const struct quorum_server *server,
                         struct quorum_replace_step *step)
{
    const struct quorum_server *other = other_of(view, server->node_id, server->raft_id);
    if (!is_connected(view, server->raft_id)) {
        /* The disk was replaced once more. */
        for (size_t i = 0; i < view->peer_count && is_gone(view, server->raft_id); i++) {
            const struct quorum_peer_view *peer = &view->peers[i];
            if (peer->connected && peer->id.node_id == server->node_id)
                return remove_server(view, server, step);
        }
        return false;
    }
    if (!view->caught_up(view->ctx, server->raft_id)) {
        step->kind = QUORUM_REPLACE_CATCH_UP;
        step->raft_id = server->raft_id;
        return true;
    }
    if (!other)
        return promote(view, server, step);
    return other->raft_id != view->self && is_gone(view, other->raft_id) &&
           remove_server(view, other, step);
}

/* Not in the set, and connected. */
static bool step_stranger(const struct quorum_replace_view *view,
                          const struct quorum_peer_view *peer, struct quorum_replace_step *step)
{
    const struct quorum_server *old = other_of(view, peer->id.node_id, peer->id.raft_id);
    bool asks = peer->wants_to_vote && !old;
    if (!peer->self || peer->self->servers[0].listener_count == 0 || (!old && !asks) ||
        (view->was_member(view->ctx, peer->id.raft_id) && !asks))
        return false;
    /* One at a time of a node id; and it is not known to be a replacement while the old one lives.
     */
    if (old &&
        (old->role != QUORUM_VOTER || old->raft_id == view->self || !is_gone(view, old->raft_id)))
        return false;
    struct quorum_voters *next = quorum_voters_copy(view->voters);
    if (quorum_voters_add(next, peer->id.node_id, peer->id.directory_id, QUORUM_STANDBY) != 0) {
        quorum_voters_unref(next);
        return false;
    }
    next->servers[next->count - 1].kraft_version_max = 1;
    take_listeners(next, peer->self);
    snprintf(step->text, sizeof(step->text),
             old ? "node %" PRId32 " has come with an empty disk: bringing it up to date before "
                   "its old disk is removed from the voters"
                 : "node %" PRId32 " joins the quorum: bringing it up to date",
             peer->id.node_id);
    return change(step, next);
}

static bool same_listeners(const struct quorum_server *a, const struct quorum_server *b)
{
    if (a->listener_count != b->listener_count)
        return false;
    for (int i = 0; i < a->listener_count; i++) {
        if (a->listeners[i].port != b->listeners[i].port ||
            strcmp(a->listeners[i].name, b->listeners[i].name) != 0 ||
            strcmp(a->listeners[i].host, b->listeners[i].host) != 0)
            return false;
    }
    return true;
}

/* The set again, with these listeners of one member. */
static bool step_listeners(const struct quorum_replace_view *view, const struct quorum_server *said,
                           const struct quorum_server *member, struct quorum_replace_step *step)
{
    if (said->listener_count == 0 || member->listener_count == 0 || same_listeners(said, member))
        return false;
    struct quorum_voters *next = quorum_voters_new();
    for (int i = 0; i < view->voters->count; i++) {
        const struct quorum_server *from = &view->voters->servers[i];
        const struct quorum_server *listeners = from->raft_id == member->raft_id ? said : from;
        quorum_voters_add(next, from->node_id, from->directory_id, from->role);
        next->servers[i].kraft_version_min = from->kraft_version_min;
        next->servers[i].kraft_version_max = from->kraft_version_max;
        for (int k = 0; k < listeners->listener_count; k++)
            quorum_voters_add_listener(next, str_of(listeners->listeners[k].name),
                                       str_of(listeners->listeners[k].host),
                                       listeners->listeners[k].port);
    }
    snprintf(step->text, sizeof(step->text), "node %" PRId32 " has new end points",
             member->node_id);
    return change(step, next);
}

void quorum_replace_next(const struct quorum_replace_view *view, struct quorum_replace_step *ret)
{
    *ret = (struct quorum_replace_step){.kind = QUORUM_REPLACE_REST};
    for (int i = 0; i < view->voters->count; i++) {
        const struct quorum_server *server = &view->voters->servers[i];
        if (server->role == QUORUM_STANDBY && step_standby(view, server, ret))
            return;
    }
    const struct quorum_server *leader = quorum_voters_find(view->voters, view->self);
    if (leader && view->own && step_listeners(view, &view->own->servers[0], leader, ret))
        return;
    for (size_t i = 0; i < view->peer_count; i++) {
        const struct quorum_peer_view *peer = &view->peers[i];
        const struct quorum_server *member = quorum_voters_find(view->voters, peer->id.raft_id);
        if (!peer->connected || peer->id.raft_id == 0 || peer->id.raft_id == view->self)
            continue;
        if (member ? peer->self && step_listeners(view, &peer->self->servers[0], member, ret)
                   : step_stranger(view, peer, ret))
            return;
    }
}
