#include "raft/quorum_node_view.h"

#include "raft/quorum_node_internal.h"

#include <stdio.h>

const struct quorum_core *quorum_node_core(const struct quorum_node *node)
{
    return node->core;
}

struct quorum_voters *quorum_node_voters(const struct quorum_node *node)
{
    if (node->observer)
        return observer_voters_at(node->observer, INT64_MAX);
    return node->core ? quorum_core_voters(node->core) : NULL;
}

bool quorum_node_is_open(const struct quorum_node *node)
{
    return node->core || node->observer;
}

bool quorum_node_is_damaged(const struct quorum_node *node)
{
    return node->damaged;
}

bool quorum_node_is_active(const struct quorum_node *node)
{
    return node->active;
}

int32_t quorum_node_epoch(const struct quorum_node *node)
{
    return node->epoch;
}

int32_t quorum_node_leader_id(const struct quorum_node *node)
{
    return node->leader_id;
}

static bool endpoint_of(const struct quorum_voters *voters, int32_t node_id,
                        struct endpoint *ret_endpoint)
{
    const struct quorum_server *server =
        voters && node_id >= 0 ? quorum_voters_find_node(voters, node_id) : NULL;
    if (!server || server->listener_count == 0)
        return false;
    const struct quorum_listener *listener = &server->listeners[0];
    int len = snprintf(ret_endpoint->host, sizeof(ret_endpoint->host), "%s", listener->host);
    ret_endpoint->port = listener->port;
    return len < (int)sizeof(ret_endpoint->host);
}

bool quorum_node_leader(const struct quorum_node *node, struct quorum_leader *ret_leader)
{
    struct quorum_leader leader = {.id = node->leader_id, .epoch = node->epoch};
    if (node->observer) {
        if (!observer_leader_endpoint(node->observer, &leader.endpoint))
            return false;
        *ret_leader = leader;
        return true;
    }
    if (!node->core || !endpoint_of(quorum_core_voters(node->core), leader.id, &leader.endpoint))
        return false;
    *ret_leader = leader;
    return true;
}

int64_t quorum_node_log_start(const struct quorum_node *node)
{
    return log_start_offset(node->log);
}

int64_t quorum_node_log_end(const struct quorum_node *node)
{
    return log_end_offset(node->log);
}

int32_t quorum_node_log_end_epoch(const struct quorum_node *node)
{
    if (node->observer)
        return observer_last_epoch(node->observer);
    return quorum_epoch_of(quorum_core_term_of(node->core, quorum_core_last_index(node->core)));
}

int64_t quorum_node_high_watermark(const struct quorum_node *node)
{
    return node->high_watermark;
}

int64_t quorum_node_given_out(const struct quorum_node *node)
{
    return node->given_out;
}

int64_t quorum_node_bytes_since_snapshot(const struct quorum_node *node)
{
    return node->bytes_since_snapshot;
}

bool quorum_node_newest_snapshot(const struct quorum_node *node,
                                 struct quorum_checkpoint_id *ret_id)
{
    if (node->kept.count == 0 || node->kept.items[node->kept.count - 1].id.end_offset == 0)
        return false;
    *ret_id = node->kept.items[node->kept.count - 1].id;
    return true;
}

char *quorum_node_checkpoint_path(const struct quorum_node *node, struct quorum_checkpoint_id id)
{
    for (size_t i = 0; i < node->kept.count; i++) {
        if (node->kept.items[i].id.end_offset == id.end_offset &&
            node->kept.items[i].id.epoch == id.epoch)
            return quorum_checkpoint_path(node->directory, id, "");
    }
    return NULL;
}

int quorum_node_read_log(struct quorum_node *node, int64_t offset, int64_t end_offset,
                         int32_t max_bytes, struct log_read_result *ret)
{
    struct log_read_args args = {
        .offset = offset, .upper_offset = end_offset, .max_bytes = max_bytes, .min_one = true};
    return log_read(node->log, &args, ret);
}

int quorum_node_read(struct quorum_node *node, int64_t offset, int32_t max_bytes,
                     struct log_read_result *ret)
{
    return quorum_node_read_log(node, offset, node->high_watermark, max_bytes, ret);
}
