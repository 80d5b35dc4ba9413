/* Says so when no leader can be elected, as quorum_outlook.h judges. */
#include "raft/quorum_peers_internal.h"

#define LOG_MODULE "quorum"

#include <inttypes.h>

/* An election takes one or two time-outs; a node that restarts some more. */
#define LOST_PATIENCE    3
#define MISSING_PATIENCE 8
#define WHOSE_PATIENCE   5
#define REPEAT_MS        60000

static void say(struct quorum_peers *peers, const struct quorum_voters *voters, int64_t now_ms)
{
    const struct quorum_node *node = peers->node;
    struct quorum_peer_view views[QUORUM_PEERS_MAX];
    char text[1536];
    size_t count = 0;
    while (count < QUORUM_PEERS_MAX && quorum_peers_at(peers, count, &views[count]))
        count++;
    struct quorum_outlook_view view = {
        .voters = voters,
        .self = quorum_raft_id(peers->config.directory_id),
        .peers = views,
        .peer_count = count,
        .leaderless_ms = now_ms - peers->leaderless_ms,
        .end_offset = quorum_node_log_end(node),
        .committed = quorum_node_high_watermark(node),
        .epoch = quorum_node_log_end_epoch(node),
    };
    enum quorum_outlook_kind kind = quorum_outlook(&view, text, sizeof(text));
    bool news = kind != peers->outlook || now_ms - peers->outlook_ms >= REPEAT_MS;
    if (kind == QUORUM_OUTLOOK_FAIR || !news ||
        (kind == QUORUM_OUTLOOK_MISSING &&
         view.leaderless_ms < MISSING_PATIENCE * (int64_t)peers->config.election_timeout_ms))
        return;
    peers->outlook = kind;
    peers->outlook_ms = now_ms;
    if (kind == QUORUM_OUTLOOK_LOST)
        log_error(peers->env->logger, "%s", text);
    else
        log_warn(peers->env->logger, "%s", text);
}

/* This disk follows, and the vote of its node id belongs to another one: for a moment, while it is
 * replaced; for good, where this is the one that was. */
static void say_whose_vote(struct quorum_peers *peers, int64_t now_ms)
{
    const struct quorum_voters *voters = quorum_node_voters(peers->node);
    int32_t id = peers->config.node_id;
    const struct quorum_server *server = voters ? quorum_voters_find_node(voters, id) : NULL;
    char theirs[UUID_TEXT_LEN + 1], ours[UUID_TEXT_LEN + 1];
    if (!server || server->role != QUORUM_VOTER || peers->said_whose_vote ||
        uuid_eq(server->directory_id, peers->config.directory_id)) {
        peers->observes_ms = now_ms;
        return;
    }
    if (now_ms - peers->observes_ms < WHOSE_PATIENCE * (int64_t)peers->config.election_timeout_ms)
        return;
    peers->said_whose_vote = true;
    uuid_format(server->directory_id, theirs);
    uuid_format(peers->config.directory_id, ours);
    log_warn(peers->env->logger,
             "Node %" PRId32 " votes with directory %s; this one, %s, follows without a vote. An "
             "empty disk takes over when the other one is gone; one that was replaced does not "
             "come back: stop this node, and start it with the directory that votes, or empty",
             id, theirs, ours);
}

void peers_say_outlook(struct quorum_peers *peers)
{
    const struct quorum_node *node = peers->node;
    int64_t now_ms = env_now_ms(peers->env);
    if (node && quorum_node_is_open(node) && !quorum_node_core(node))
        say_whose_vote(peers, now_ms);
    else
        peers->observes_ms = now_ms;
    bool votes = node && quorum_node_is_open(node) && quorum_node_core(node);
    const struct quorum_voters *voters = votes ? quorum_node_voters(node) : NULL;
    if (!voters || quorum_node_leader_id(node) >= 0) {
        peers->leaderless_ms = now_ms;
        peers->outlook = QUORUM_OUTLOOK_FAIR;
        return;
    }
    if (now_ms - peers->leaderless_ms >= LOST_PATIENCE * (int64_t)peers->config.election_timeout_ms)
        say(peers, voters, now_ms);
}
