/* Says so when no leader can be elected, as quorum_outlook.h judges. */
#include "raft/quorum_peers_internal.h"

#define LOG_MODULE "quorum"

/* An election takes one or two time-outs; a node that restarts some more. */
#define LOST_PATIENCE    3
#define MISSING_PATIENCE 8
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

void peers_say_outlook(struct quorum_peers *peers)
{
    const struct quorum_node *node = peers->node;
    int64_t now_ms = env_now_ms(peers->env);
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
