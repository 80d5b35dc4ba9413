/*
 * Changes of the voters on a running node: as records of the metadata log, and by themselves, as
 * quorum_replace.h decides.
 */
#include "raft/quorum_node_internal.h"
#include "raft/quorum_peers_internal.h"
#include "raft/quorum_replace.h"

#define LOG_MODULE "quorum"

#include <errno.h>

static int submit(struct quorum_node *node, struct quorum_voters *voters)
{
    struct quorum_control_place place = {quorum_node_next_offset(node), node->epoch,
                                         env_wall_ms(node->env)};
    struct bytebuf batch;
    bytebuf_init(&batch);
    uint32_t count = quorum_control_voters(&place, false, voters, &batch);
    struct buf *buf = bytebuf_to_buf(&batch);
    uint64_t base;
    int rv = quorum_core_change(node->core, voters, count,
                                (struct quorum_bytes){buf, 0, buf->size_bytes},
                                env_now_ms(node->env), &base);
    buf_unref(buf);
    node_schedule(node);
    return rv;
}

int quorum_node_change(struct quorum_node *node, struct quorum_voters *voters)
{
    if (!node_alive(node) || !node->active)
        return -EPERM;
    if (node->voters_offset == INT64_MAX)
        return -EAGAIN;
    if (!quorum_core_wants_proof(node->core, voters, env_now_ms(node->env)))
        return submit(node, voters);
    int rv = submit(node, quorum_core_voters(node->core));
    return rv == 0 ? -EAGAIN : rv;
}

int quorum_node_catch_up(struct quorum_node *node, uint64_t raft_id)
{
    if (!node_alive(node) || !node->core)
        return -EPERM;
    int rv = quorum_core_catch_up(node->core, raft_id, env_now_ms(node->env));
    node_schedule(node);
    return rv;
}

int quorum_node_transfer(struct quorum_node *node)
{
    if (!node_alive(node) || !node->core || !quorum_core_is_leader(node->core))
        return -EPERM;
    int rv = quorum_core_transfer(node->core, 0, env_now_ms(node->env));
    node_schedule(node);
    return rv;
}

static bool caught_up(void *ctx, uint64_t raft_id)
{
    return quorum_core_caught_up(ctx, raft_id);
}

static bool was_member(void *ctx, uint64_t raft_id)
{
    return quorum_core_was_member(ctx, raft_id);
}

static void say(struct quorum_peers *peers, const char *text)
{
    uint64_t hash = str_hash(str_of(text));
    if (text[0] == '\0' || hash == peers->step_said)
        return;
    peers->step_said = hash;
    log_info(peers->env->logger, "%s", text);
}

static void decide(struct quorum_peers *peers, struct quorum_core *core)
{
    struct quorum_peer_view views[QUORUM_PEERS_MAX];
    size_t count = 0;
    while (count < QUORUM_PEERS_MAX && quorum_peers_at(peers, count, &views[count]))
        count++;
    struct quorum_replace_view view = {
        .voters = quorum_core_voters(core),
        .self = quorum_core_raft_id(core),
        .own = peers->config.self,
        .peers = views,
        .peer_count = count,
        .now_ms = env_now_ms(peers->env),
        .leading_ms = peers->leading_ms,
        .gone_ms = peers->config.election_timeout_ms,
        .caught_up = caught_up,
        .was_member = was_member,
        .ctx = core,
    };
    struct quorum_replace_step step;
    quorum_replace_next(&view, &step);
    if (step.kind == QUORUM_REPLACE_CATCH_UP)
        (void)quorum_node_catch_up(peers->node, step.raft_id);
    if (step.kind != QUORUM_REPLACE_CHANGE)
        return;
    /* -EAGAIN, too few are alive: the next tick asks again. */
    if (quorum_node_change(peers->node, step.voters) == 0)
        say(peers, step.text);
    quorum_voters_unref(step.voters);
}

void peers_step_members(struct quorum_peers *peers)
{
    struct quorum_node *node = peers->node;
    if (!node || !quorum_node_is_active(node) || quorum_core_change_open(node->core))
        return;
    if (peers->leading_epoch != quorum_node_epoch(node)) {
        peers->leading_epoch = quorum_node_epoch(node);
        peers->leading_ms = env_now_ms(peers->env);
    }
    decide(peers, node->core);
}
