#include "raft/quorum_membership.h"

#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LOG_MODULE "quorum"

enum {
    STEP_MS = 20,
    UNDO_MS = 10000, /* to take out what did not become a voter */
    SENTENCE_MAX = 512,
};

struct quorum_membership {
    struct loop *loop;
    struct quorum_membership_config config;
    bool leads;
    struct timer timer;
    struct quorum_member_change *change; /* under way; NULL: none */
    int64_t due_ms;
    bool submitted; /* a step of it went into the log */
    bool undoing;
    int status; /* how it ends, once undone */
    char sentence[SENTENCE_MAX];
};

static int64_t now_of(const struct quorum_membership *m)
{
    return env_now_ms(m->loop->env);
}

static const struct quorum_core *core_of(const struct quorum_membership *m)
{
    return quorum_node_core(m->config.node);
}

static const struct quorum_server *target_of(const struct quorum_member_change *change)
{
    return &change->server->servers[0];
}

static bool is_active(const struct quorum_membership *m)
{
    return m->leads && core_of(m) && quorum_node_is_active(m->config.node);
}

static bool is_connected(const struct quorum_membership *m, uint64_t raft_id)
{
    struct quorum_peer_view view;
    return m->config.peers && quorum_peers_find(m->config.peers, raft_id, &view) && view.connected;
}

/* --- ending ------------------------------------------------------------------------------- */

static void say_done(const struct quorum_membership *m)
{
    struct logger *logger = m->loop->env->logger;
    const struct quorum_server *target = target_of(m->change);
    char directory[UUID_TEXT_LEN + 1];
    uuid_format(target->directory_id, directory);
    if (m->change->kind == QUORUM_MEMBER_ADD)
        log_info(logger, "Added node %d with directory id %s to the voters", (int)target->node_id,
                 directory);
    else if (m->change->kind == QUORUM_MEMBER_REMOVE)
        log_info(logger, "Removed node %d with directory id %s from the voters",
                 (int)target->node_id, directory);
    else
        log_info(logger, "Voter %d has the listeners that it was said to have", target->node_id);
}

static void end_change(struct quorum_membership *m, int status)
{
    struct quorum_member_change *change = m->change;
    if (status == 0)
        say_done(m);
    m->change = NULL;
    timer_stop(&m->timer);
    if (m->config.peers)
        quorum_peers_call(m->config.peers, NULL);
    change->done(change, status, status == 0 ? NULL : m->sentence);
}

__attribute__((format(printf, 3, 4))) static void fail(struct quorum_membership *m, int status,
                                                       const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(m->sentence, sizeof(m->sentence), format, args);
    va_end(args);
    m->undoing = m->change->kind == QUORUM_MEMBER_ADD && m->submitted && status != -EPERM;
    m->status = status;
    m->due_ms = now_of(m) + UNDO_MS;
    if (!m->undoing)
        end_change(m, status);
}

/* --- steps -------------------------------------------------------------------------------- */

/* Submits the set, which it takes over; when not now (-EAGAIN), the next step tries again. True
 * when it is in the log. */
static bool submit(struct quorum_membership *m, struct quorum_voters *voters)
{
    int rv = quorum_node_change(m->config.node, voters);
    quorum_voters_unref(voters);
    if (rv != 0 && rv != -EAGAIN && !m->undoing)
        fail(m, rv == -EPERM ? -EPERM : -EINVAL, "the quorum refused it: %s", strerror(-rv));
    m->submitted = m->submitted || rv == 0;
    return rv == 0;
}

static bool submit_without(struct quorum_membership *m, const struct quorum_voters *voters,
                           uint64_t raft_id)
{
    struct quorum_voters *next = quorum_voters_copy(voters);
    quorum_voters_remove(next, raft_id);
    return submit(m, next);
}

static void submit_standby(struct quorum_membership *m, const struct quorum_voters *voters)
{
    const struct quorum_server *target = target_of(m->change);
    struct quorum_voters *next = quorum_voters_copy(voters);
    int rv = quorum_voters_add(next, target->node_id, target->directory_id, QUORUM_STANDBY);
    if (rv != 0) {
        quorum_voters_unref(next);
        fail(m, -EINVAL, "the set of voters is full");
        return;
    }
    quorum_voters_set_listeners(next, target->raft_id, target);
    submit(m, next);
}

/* The member whose node id the newcomer has. */
static const struct quorum_server *twin_of(const struct quorum_voters *voters,
                                           const struct quorum_server *target)
{
    for (int i = 0; i < voters->count; i++)
        if (voters->servers[i].node_id == target->node_id &&
            voters->servers[i].raft_id != target->raft_id)
            return &voters->servers[i];
    return NULL;
}

static void step_add(struct quorum_membership *m, const struct quorum_voters *voters)
{
    const struct quorum_server *target = target_of(m->change);
    const struct quorum_server *server = quorum_voters_find(voters, target->raft_id);
    if (server && server->role == QUORUM_VOTER)
        end_change(m, 0);
    else if (!server && twin_of(voters, target))
        fail(m, -EEXIST,
             "a voter with its node id is there: a disk that was wiped is replaced by "
             "itself once the old one is gone");
    else if (!server && m->submitted)
        fail(m, -ETIMEDOUT, "somebody removed it meanwhile");
    else if (!server && is_connected(m, target->raft_id))
        submit_standby(m, voters);
    else if (server && m->change->early)
        end_change(m, 0);
}

static void step_remove(struct quorum_membership *m, const struct quorum_voters *voters)
{
    const struct quorum_server *target = target_of(m->change);
    const struct quorum_server *server = quorum_voters_find(voters, target->raft_id);
    if ((!server || server->node_id != target->node_id) && !m->submitted) {
        fail(m, -ENOENT, "it is no voter");
    } else if (!server) {
        end_change(m, 0);
    } else if (server->role == QUORUM_VOTER && quorum_voters_count(voters) == 1) {
        fail(m, -EINVAL, "it is the only voter: add another one first");
    } else if (uuid_eq(target->directory_id, m->config.directory_id)) {
        /* Whoever leads next removes us; the asker is told to ask there. */
        int rv = quorum_node_transfer(m->config.node);
        if (rv == -EPERM)
            fail(m, -EPERM, "leadership is on its way to another node");
        else if (rv != 0 && rv != -EAGAIN)
            fail(m, -ETIMEDOUT, "it leads, and no other voter can: %s", strerror(-rv));
    } else {
        bool done = submit_without(m, voters, target->raft_id) && m->change && m->change->early;
        if (done)
            end_change(m, 0);
    }
}

static void step_update(struct quorum_membership *m, const struct quorum_voters *voters)
{
    const struct quorum_server *target = target_of(m->change);
    const struct quorum_server *server = quorum_voters_find(voters, target->raft_id);
    if (!server || server->node_id != target->node_id) {
        fail(m, -ENOENT, "it is no voter");
    } else if (m->submitted || quorum_server_same_listeners(server, target)) {
        end_change(m, 0);
    } else {
        struct quorum_voters *next = quorum_voters_copy(voters);
        quorum_voters_set_listeners(next, target->raft_id, target);
        submit(m, next);
    }
}

static void step_undo(struct quorum_membership *m, const struct quorum_voters *voters)
{
    const struct quorum_server *server = quorum_voters_find(voters, target_of(m->change)->raft_id);
    if (server && server->role == QUORUM_VOTER)
        end_change(m, 0); /* it has made it after all */
    else if (server && now_of(m) < m->due_ms)
        submit_without(m, voters, server->raft_id);
    else
        end_change(m, m->status);
}

static const char *why_late(const struct quorum_membership *m, const struct quorum_voters *voters)
{
    uint64_t raft_id = target_of(m->change)->raft_id;
    if (m->change->kind == QUORUM_MEMBER_ADD && !is_connected(m, raft_id))
        return "its controller is not connected: it does not answer where it was said to listen, "
               "or "
               "not as this node with this directory, and it has not called itself: start it, and "
               "see that its listener can be reached";
    if (m->change->kind == QUORUM_MEMBER_ADD && quorum_voters_find(voters, raft_id) &&
        !quorum_core_caught_up(core_of(m), raft_id))
        return "it is lagging behind";
    if (m->change->kind == QUORUM_MEMBER_REMOVE)
        return "without it there would be no majority: too few of the voters that stay have shown "
               "just now that they are alive and have the log";
    return "too few of the voters are alive and up to date";
}

static void step(struct quorum_membership *m)
{
    if (!is_active(m)) {
        fail(m, -EPERM, "this node does not lead any more");
        return;
    }
    if (quorum_core_change_open(core_of(m)) && now_of(m) < m->due_ms)
        return;
    const struct quorum_voters *voters = quorum_core_voters(core_of(m));
    if (m->undoing)
        step_undo(m, voters);
    else if (now_of(m) >= m->due_ms)
        fail(m, -ETIMEDOUT, "%s", why_late(m, voters));
    else if (m->change->kind == QUORUM_MEMBER_ADD)
        step_add(m, voters);
    else if (m->change->kind == QUORUM_MEMBER_REMOVE)
        step_remove(m, voters);
    else
        step_update(m, voters);
}

static void go_on(struct quorum_membership *m)
{
    step(m);
    if (m->change)
        timer_start_in_ms(&m->timer, STEP_MS);
}

static void on_timer(struct timer *timer)
{
    go_on(CONTAINER_OF(timer, struct quorum_membership, timer));
}

/* --- life --------------------------------------------------------------------------------- */

struct quorum_membership *quorum_membership_new(struct loop *loop,
                                                const struct quorum_membership_config *config)
{
    struct quorum_membership *m = mem_calloc(1, sizeof(*m));
    m->loop = loop;
    m->config = *config;
    timer_init(&m->timer, loop, on_timer);
    return m;
}

void quorum_membership_free(struct quorum_membership *m)
{
    if (!m)
        return;
    if (m->change)
        fail(m, -EPERM, "this node stops");
    free(m);
}

void quorum_membership_lead(struct quorum_membership *m, bool leads)
{
    m->leads = leads;
    if (!leads && m->change)
        fail(m, -EPERM, "this node does not lead any more");
}

void quorum_membership_start(struct quorum_membership *m, struct quorum_member_change *change)
{
    if (m->change) {
        change->done(change, -EBUSY, "another change of the voters is under way");
        return;
    }
    if (!is_active(m)) {
        change->done(change, -EPERM, "this node does not lead");
        return;
    }
    m->change = change;
    m->submitted = m->undoing = false;
    m->due_ms = now_of(m) + change->timeout_ms;
    if (change->kind == QUORUM_MEMBER_ADD && m->config.peers)
        quorum_peers_call(m->config.peers, target_of(change));
    if (change->kind == QUORUM_MEMBER_ADD &&
        quorum_voters_is_voter(quorum_core_voters(core_of(m)), target_of(change)->raft_id))
        fail(m, -EEXIST, "it is a voter already");
    else
        go_on(m);
}
