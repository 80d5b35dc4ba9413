#include "tests/sim/cluster_world.h"

#include "broker/server/node_internal.h"
#include "common/base/disk.h"
#include "raft/quorum_node_internal.h"
#include "tests/sim/sim_net.h"

int64_t cluster_draw(struct cluster_world *w, int64_t low, int64_t high)
{
    return sim_random_range(sim_random_of(w->sim), low, high);
}

static void later(struct cluster_world *w, int64_t low_ms, int64_t high_ms, void (*run)(void *ctx))
{
    sim_at(w->sim, sim_now_us(w->sim) + cluster_draw(w, low_ms, high_ms) * SIM_MS, run, w);
}

static void strike(void *ctx);

static void heal(void *ctx)
{
    struct cluster_world *w = ctx;
    if (w->ended)
        return;
    sim_net_heal(w->sim);
    later(w, 1000, 8000, strike);
}

/* Some nodes do not hear the others, or are not heard, or both. */
static void split(struct cluster_world *w)
{
    int64_t side = cluster_draw(w, 1, (1 << w->count) - 2), ways = cluster_draw(w, 1, 3);
    w->partitions++;
    sim_log(w->sim, "nemesis", "splits the cluster, side %d, ways %d", (int)side, (int)ways);
    for (int i = 0; i < w->count; i++) {
        for (int j = 0; j < w->count; j++) {
            if ((side >> i & 1) == 0 || (side >> j & 1) != 0)
                continue;
            sim_net_cut(w->members[i].app.node, w->members[j].app.node, ways & 1);
            sim_net_cut(w->members[j].app.node, w->members[i].app.node, ways & 2);
        }
    }
    later(w, 500, 6000, heal);
}

void cluster_revive(void *ctx)
{
    struct cluster_world *w = ctx;
    for (int i = 0; i < w->count; i++)
        if (!sim_node_is_up(w->members[i].app.node))
            sim_node_start(w->members[i].app.node);
    if (!w->ended)
        later(w, 1000, 8000, strike);
}

static void cut_all_power(void *ctx)
{
    struct cluster_world *w = ctx;
    if (w->ended)
        return;
    sim_log(w->sim, "nemesis", "cuts the power of all");
    for (int i = 0; i < w->count; i++) {
        sim_node_power_cut(w->members[i].app.node);
        sim_disk_set_faults(sim_node_disk(w->members[i].app.node), "/",
                            &(struct sim_disk_faults){.latency_us = 20, .fsync_latency_us = 500});
    }
    later(w, 0, 1000, cluster_revive);
}

/* The power goes while all disks take their time: much is on its way to them then. */
static void begin_outage(struct cluster_world *w)
{
    w->outages++;
    for (int i = 0; i < w->count; i++)
        sim_disk_set_faults(
            sim_node_disk(w->members[i].app.node), "/",
            &(struct sim_disk_faults){.latency_us = 20,
                                      .fsync_latency_us = cluster_draw(w, 1, 200) * SIM_MS});
    later(w, 100, 1500, cut_all_power);
}

/* --- Leaders that are killed one after the other --- */

/* That leads, and says so; -1. */
static int leader_of(const struct watched_partition *p)
{
    return p->leader >= 0 && p->of[p->leader].log && p->of[p->leader].led_epoch == p->leader_epoch
               ? p->leader
               : -1;
}

/* The next one in sync behind the leader and `but`, who would be elected; -1. */
static int follower_of(const struct watched_partition *p, int but)
{
    for (int i = 0; i < REPLICA_WATCH_NODES && p->preferred[i] >= 0; i++) {
        int at = p->preferred[i];
        if (at != p->leader && at != but && p->isr >> at & 1)
            return at;
    }
    return -1;
}

static void kill_second(void *ctx)
{
    struct cluster_world *w = ctx;
    int leader = leader_of(w->hunt.partition);
    if (w->ended)
        return;
    if (leader >= 0 && leader != w->hunt.first) {
        sim_log(w->sim, "nemesis", "kills %s, which leads now", w->members[leader].name);
        sim_node_kill(w->members[leader].app.node);
    }
    later(w, 0, 1500, cluster_revive);
}

static void wait_for_second(void *ctx)
{
    struct cluster_world *w = ctx;
    int leader = leader_of(w->hunt.partition);
    if (w->ended)
        return;
    if (leader >= 0 && leader != w->hunt.first)
        later(w, 0, cluster_draw(w, 0, 1) ? 20 : 800, kill_second);
    else if (sim_now_us(w->sim) > w->hunt.until_us)
        later(w, 0, 1000, cluster_revive);
    else
        later(w, 1, 4, wait_for_second);
}

static void kill_first(void *ctx)
{
    struct cluster_world *w = ctx;
    struct cluster_hunt *h = &w->hunt;
    if (w->ended)
        return;
    int64_t now_us = sim_now_us(w->sim);
    sim_net_heal(w->sim);
    if (h->idle >= 0 && sim_node_is_up(w->members[h->idle].app.node))
        sim_node_freeze(w->members[h->idle].app.node, now_us + cluster_draw(w, 200, 2000) * SIM_MS);
    sim_log(w->sim, "nemesis", "kills %s, which leads", w->members[h->first].name);
    sim_node_kill(w->members[h->first].app.node);
    h->until_us = now_us + 3 * SIM_SECOND;
    later(w, 1, 4, wait_for_second);
}

/* One follower falls behind while the other, if any, has all; the latter stands still while the
 * former leads for a moment. What leaders of two epochs wrote on top of different ends has to come
 * together again (KIP-279). */
static void hunt(struct cluster_world *w)
{
    struct cluster_hunt *h = &w->hunt;
    int64_t at = cluster_draw(w, 0, w->replicas.partition_count - 1);
    h->partition = &w->replicas.partitions[at];
    h->first = leader_of(h->partition);
    if (h->first < 0) {
        later(w, 100, 1000, strike);
        return;
    }
    int slow = follower_of(h->partition, -1);
    /* With three voters nobody would be elected while one is dead and one stands still. */
    h->idle = slow >= 0 && w->count == CLUSTER_NODES_MAX ? follower_of(h->partition, slow) : -1;
    w->hunts++;
    sim_log(w->sim, "nemesis", "hunts the leaders of %s-%d, slow %d, idle %d", h->partition->topic,
            h->partition->index, slow + 1, h->idle + 1);
    if (slow >= 0) {
        sim_net_cut(w->members[h->first].app.node, w->members[slow].app.node, true);
        sim_net_cut(w->members[slow].app.node, w->members[h->first].app.node, true);
    }
    later(w, 0, 700, kill_first);
}

/* Whose disk may be wiped now: with all voters in the committed set, whole and heard of, one may
 * be lost. -1: nobody's. */
static int whose_disk(struct cluster_world *w)
{
    const struct quorum_node *leader = NULL;
    for (int i = 0; i < w->count; i++) {
        const struct quorum_node *quorum = quorum_watch_quorum(&w->watch, i);
        if (!quorum || w->members[i].nemesis.busy)
            return -1;
        if (quorum->core && quorum->active)
            leader = quorum;
    }
    if (!leader || quorum_core_change_open(leader->core))
        return -1;
    const struct quorum_voters *voters = quorum_core_voters(leader->core);
    for (int i = 0; i < w->voters; i++) {
        const struct node *node = node_app_node(w->members[i].app.node);
        uint64_t raft_id = quorum_raft_id(node->disk.metadata_directory_id);
        const struct quorum_server *server = quorum_voters_find(voters, raft_id);
        if (!server || server->role != QUORUM_VOTER)
            return -1;
    }
    if (quorum_voters_count(voters) != w->voters)
        return -1;
    return (int)cluster_draw(w, w->voters == 1 ? 1 : 0, w->count - 1);
}

/* Who the disk is outlives it: its log alone is gone. */
static void wipe_log(struct sim_disk *disk)
{
    static const char *const kept[] = {"/data/meta.properties", "/data/kraftd.formation"};
    char texts[ARRAY_LEN(kept)][8192];
    ssize_t lens[ARRAY_LEN(kept)];
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        lens[i] = sim_disk_peek(disk, kept[i], texts[i], sizeof(texts[i]), 0);
    sim_disk_wipe(disk, "/");
    (void)disk_make_path(sim_disk_base(disk), "/data");
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (lens[i] >= 0)
            (void)disk_replace_file(sim_disk_base(disk), kept[i], texts[i], (size_t)lens[i]);
}

static void wipe(struct cluster_world *w)
{
    int at = w->operators.out < 0 ? whose_disk(w) : -1;
    if (at < 0 || !replica_watch_may_wipe(&w->replicas, at)) {
        later(w, 100, 1000, strike);
        return;
    }
    w->wipes++;
    sim_log(w->sim, "nemesis", "wipes the disk of %s", w->members[at].name);
    replica_watch_wiped(&w->replicas, at);
    sim_node_power_cut(w->members[at].app.node);
    struct sim_disk *disk = sim_node_disk(w->members[at].app.node);
    int64_t dice = cluster_draw(w, 0, 3);
    if (w->records.shifts && dice > 0)
        sim_disk_wipe(disk, watched_dirs[1]);
    /* Of two disks the one without the metadata, or both. */
    if (dice == 0)
        wipe_log(disk);
    else if (!w->records.shifts || dice > 1)
        sim_disk_wipe(disk, "/");
    later(w, 0, 3000, cluster_revive);
}

/* Who changes the voters does so while all of them are there; or at any time, also while a lost
 * disk is to be replaced, and the leader has to refuse what would be too much. */
bool cluster_may_remove(void *ctx)
{
    struct cluster_world *w = ctx;
    return w->voters > 1 && (w->bold || whose_disk(w) >= 0);
}

bool cluster_directory_of(void *ctx, int voter, struct uuid *ret_id)
{
    struct cluster_world *w = ctx;
    struct sim_node *node = w->members[voter].app.node;
    const struct node *program = sim_node_is_up(node) ? node_app_node(node) : NULL;
    if (!program || uuid_is_zero(program->disk.metadata_directory_id))
        return false;
    *ret_id = program->disk.metadata_directory_id;
    return true;
}

static void strike(void *ctx)
{
    struct cluster_world *w = ctx;
    if (w->ended)
        return;
    int64_t dice = cluster_draw(w, 0, 11);
    if (dice < 5)
        split(w);
    else if (dice < 7 && w->blackouts)
        begin_outage(w);
    else if (dice < 10)
        hunt(w);
    else
        wipe(w);
}

void cluster_faults_begin(struct cluster_world *w)
{
    w->blackouts = cluster_draw(w, 0, 1) == 0;
    later(w, 500, 8000, strike);
}
