#include "tests/unit/raft/cluster_internal.h"

static void restart_later(struct cluster *c, struct server *server)
{
    struct event event = {.at_ms = c->now_ms + 20 + (int64_t)cluster_random(c, 1200),
                          .type = RESTART,
                          .slot = server->slot,
                          .life = server->life};
    event_push(c, &event);
}

/* Some of the others find that nobody listens at its port; true or not. */
static void port_refuses(struct cluster *c, const struct server *server)
{
    uint64_t gone = quorum_raft_id(server->disk.directory_id);
    for (int i = 0; i < c->options.servers; i++) {
        if (c->servers[i].core && &c->servers[i] != server && cluster_random(c, 2))
            quorum_core_leader_gone(c->servers[i].core, gone, c->now_ms);
    }
}

static void crash_one(struct cluster *c, struct server *server)
{
    if (!server->core)
        return;
    server_crash(c, server);
    restart_later(c, server);
    port_refuses(c, server);
}

static void cut_links(struct cluster *c)
{
    int n = c->options.servers, victim = (int)cluster_random(c, (uint64_t)n);
    for (int i = 0; i < n && cluster_random(c, 2); i++) {
        if (c->servers[i].leading)
            victim = i;
    }
    uint64_t how = cluster_random(c, 4);
    for (int i = 0; i < n; i++) {
        if (i == victim)
            continue;
        if (how == 0) { /* alone */
            c->cut[i][victim] = c->cut[victim][i] = true;
        } else if (how == 1) { /* hears nothing */
            c->cut[i][victim] = true;
        } else if (how == 2) { /* is not heard */
            c->cut[victim][i] = true;
        } else if (cluster_random(c, 2)) { /* some links */
            c->cut[i][victim] = true;
            c->cut[victim][i] = cluster_random(c, 2);
        }
    }
}

/* A wiped disk is survivable when all others are voters of the committed set. */
static bool may_wipe(struct cluster *c, const struct server *victim)
{
    int64_t leader_slot = -1;
    uint64_t best = 0;
    for (int i = 0; i < c->options.servers; i++) {
        if (c->servers[i].core && c->servers[i].leading &&
            quorum_core_term(c->servers[i].core) > best) {
            best = quorum_core_term(c->servers[i].core);
            leader_slot = i;
        }
    }
    if (leader_slot < 0)
        return false;
    struct quorum_core *leader = c->servers[leader_slot].core;
    if (quorum_core_change_open(leader) || c->committed_end > quorum_core_commit_index(leader))
        return false;
    struct quorum_voters *voters = quorum_core_voters(leader);
    int others = 0;
    for (int i = 0; i < c->options.servers; i++) {
        const struct server *s = &c->servers[i];
        others += s != victim && s->disk.snapshot.index + s->disk.log.count > 0 &&
                  quorum_voters_is_voter(voters, quorum_raft_id(s->disk.directory_id));
    }
    /* Others hold data and are voters; a majority of voters stays without the victim. */
    return others == c->options.servers - 1 && quorum_voters_count(voters) == c->options.servers;
}

static void wipe(struct cluster *c, struct server *server)
{
    if (!may_wipe(c, server))
        return;
    if (server->core)
        server_crash(c, server);
    struct uuid before = server->disk.directory_id;
    disk_release(&server->disk);
    server->disk.directory_id = c->options.wiped_keeps_id ? before : disk_new_directory(c);
    c->result->wipes++;
    restart_later(c, server);
}

void cluster_heal(struct cluster *c)
{
    memset(c->cut, 0, sizeof(c->cut));
    c->drop_percent = 0;
    c->delay_max_ms = 4;
}

void cluster_fault(struct cluster *c)
{
    struct server *victim = &c->servers[cluster_random(c, (uint64_t)c->options.servers)];
    switch (cluster_random(c, c->options.wipe ? 9 : 7)) {
    case 0:
        crash_one(c, victim);
        break;
    case 1: /* whoever leads */
        for (int i = 0; i < c->options.servers; i++) {
            if (c->servers[i].leading)
                crash_one(c, &c->servers[i]);
        }
        break;
    case 2: /* all of them */
        for (int i = 0; i < c->options.servers; i++)
            crash_one(c, &c->servers[i]);
        break;
    case 3:
        cut_links(c);
        break;
    case 4:
        c->drop_percent = (unsigned)cluster_random(c, 30);
        c->delay_max_ms = 1 + (unsigned)cluster_random(c, 60);
        break;
    case 5:
        cluster_heal(c);
        break;
    case 6:
        port_refuses(c, victim);
        break;
    default:
        wipe(c, victim);
    }
}

/* The newest set with one server changed; submits it. */
static void propose_change(struct cluster *c, struct server *leader, struct quorum_voters *voters)
{
    uint64_t base;
    bool repeat = quorum_core_wants_proof(leader->core, voters, c->now_ms);
    int rv = quorum_core_change(leader->core, repeat ? quorum_core_voters(leader->core) : voters, 1,
                                (struct quorum_bytes){0}, c->now_ms, &base);
    if (rv == 0)
        c->result->changes++;
    quorum_voters_unref(voters);
    server_run_actions(c, leader);
}

static bool reachable(const struct cluster *c, const struct server *a, const struct server *b)
{
    return a->core && b->core && !c->cut[a->slot][b->slot] && !c->cut[b->slot][a->slot];
}

static void set_role(struct quorum_voters *voters, uint64_t raft_id, enum quorum_server_role role)
{
    for (int i = 0; i < voters->count; i++) {
        if (voters->servers[i].raft_id == raft_id)
            voters->servers[i].role = role;
    }
}

/* Section 3 of the quorum's rules: add as standby, catch up, remove the old disk, promote. */
static void drive_server(struct cluster *c, struct server *leader, const struct server *other)
{
    struct quorum_voters *voters = quorum_core_voters(leader->core);
    uint64_t raft_id = quorum_raft_id(other->disk.directory_id);
    const struct quorum_server *known = quorum_voters_find(voters, raft_id);
    if (known && known->role == QUORUM_VOTER)
        return;
    if (!known) {
        struct quorum_voters *next = quorum_voters_copy(voters);
        int rv = quorum_voters_add(next, other->slot, other->disk.directory_id, QUORUM_STANDBY);
        CHECK(rv == 0);
        propose_change(c, leader, next);
        return;
    }
    if (!quorum_core_caught_up(leader->core, raft_id)) {
        quorum_core_catch_up(leader->core, raft_id, c->now_ms);
        server_run_actions(c, leader);
        return;
    }
    for (int i = 0; i < voters->count; i++) {
        const struct quorum_server *old = &voters->servers[i];
        if (old->node_id != other->slot || old->raft_id == raft_id)
            continue;
        struct quorum_voters *next = quorum_voters_copy(voters);
        quorum_voters_remove(next, old->raft_id);
        propose_change(c, leader, next);
        return;
    }
    struct quorum_voters *next = quorum_voters_copy(voters);
    set_role(next, raft_id, QUORUM_VOTER);
    propose_change(c, leader, next);
}

void cluster_drive_membership(struct cluster *c, struct server *leader)
{
    for (int i = 0; i < c->options.servers; i++) {
        const struct server *other = &c->servers[i];
        if (leader->core && leader->leading && other != leader && reachable(c, leader, other) &&
            !quorum_core_change_open(leader->core))
            drive_server(c, leader, other);
    }
}
