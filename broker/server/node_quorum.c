#include "broker/server/node_quorum.h"

#include "broker/server/metadata_loop.h"
#include "broker/server/node_internal.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "metadata/config/server_config.h"
#include "raft/quorum_membership.h"
#include "raft/quorum_peers.h"

#include <stdlib.h>

/* A tenth of the default election timeout, as in Kafka's fetches. */
#define HEARTBEAT_MS 100
/* While another voter takes over. */
#define RESIGN_LOOK_MS 5

static int64_t integer(const struct node *node, enum config_id id)
{
    return server_config_integer(node->config, id);
}

/* Where controllers may be found as long as the log names no voters. */
static struct endpoint *contacts_of(const struct server_config *config, int *ret_count)
{
    int count = config->voters_count + config->bootstrap_servers_count;
    struct endpoint *contacts = mem_calloc((size_t)count + 1, sizeof(*contacts));
    for (int i = 0; i < config->voters_count; i++)
        contacts[i] = config->voters[i].endpoint;
    for (int i = 0; i < config->bootstrap_servers_count; i++)
        contacts[config->voters_count + i] = config->bootstrap_servers[i];
    *ret_count = config->is_alone ? 0 : count;
    return contacts;
}

static void make_peers(struct node *node, const struct quorum_voters *self)
{
    const struct server_config *config = node->config;
    int contact_count;
    struct endpoint *contacts = contacts_of(config, &contact_count);
    struct quorum_peers_config peers = {
        .loop = node->env->loops[0],
        .node_id = config->node_id,
        .directory_id = node->disk.metadata_directory_id,
        .cluster_id = node->disk.cluster_id,
        .listener = config->controller_listener_name,
        .self = self,
        .wants_to_vote =
            server_config_boolean(config, CONFIG_BROKER_CONTROLLER_QUORUM_AUTO_JOIN_ENABLE),
        .request_timeout_ms =
            (int)integer(node, CONFIG_BROKER_CONTROLLER_QUORUM_REQUEST_TIMEOUT_MS),
        .backoff_ms = (int)integer(node, CONFIG_BROKER_CONTROLLER_QUORUM_RETRY_BACKOFF_MS),
        .election_timeout_ms =
            (int)integer(node, CONFIG_BROKER_CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS),
        .contacts = contacts,
        .contact_count = contact_count,
    };
    node->peers = quorum_peers_new(&peers);
    free(contacts);
}

static void make_membership(struct node *node)
{
    struct quorum_membership_config membership = {
        .node = metadata_loop_quorum(node->metadata),
        .peers = node->peers,
        .directory_id = node->disk.metadata_directory_id,
    };
    node->membership = quorum_membership_new(node->env->loops[0], &membership);
}

static struct log_config log_config_of(const struct node *node)
{
    struct log_config log = LOG_CONFIG_DEFAULT;
    log.segment_bytes = (int32_t)integer(node, CONFIG_BROKER_METADATA_LOG_SEGMENT_BYTES);
    log.segment_ms = integer(node, CONFIG_BROKER_METADATA_LOG_SEGMENT_MS);
    log.max_message_bytes = INT32_MAX;
    return log;
}

/* Who is no voter follows the quorum from outside. Released with release_follow. */
static struct quorum_follow_config follow_of(const struct node *node)
{
    const struct server_config *config = node->config;
    int count = config->voters_count + config->bootstrap_servers_count;
    struct endpoint *bootstrap = mem_calloc((size_t)count + 1, sizeof(*bootstrap));
    int32_t *ids = mem_calloc((size_t)count + 1, sizeof(*ids));
    for (int i = 0; i < count; i++) {
        bool is_voter = i < config->voters_count;
        bootstrap[i] = is_voter ? config->voters[i].endpoint
                                : config->bootstrap_servers[i - config->voters_count];
        ids[i] = is_voter ? config->voters[i].node_id : -1;
    }
    return (struct quorum_follow_config){
        .cluster_id = node->disk.cluster_id,
        .bootstrap = bootstrap,
        .bootstrap_ids = ids,
        .bootstrap_count = (size_t)count,
        .fetch_timeout_ms = integer(node, CONFIG_BROKER_CONTROLLER_QUORUM_FETCH_TIMEOUT_MS),
        .retry_backoff_ms = integer(node, CONFIG_BROKER_CONTROLLER_QUORUM_RETRY_BACKOFF_MS),
        .fetch_max_bytes = (int32_t)integer(node, CONFIG_BROKER_CONTROLLER_QUORUM_FETCH_MAX_BYTES),
        .snapshot_max_bytes =
            (int32_t)integer(node, CONFIG_BROKER_CONTROLLER_QUORUM_FETCH_SNAPSHOT_MAX_BYTES),
        .never_votes = !config->is_controller,
    };
}

static void release_follow(struct quorum_follow_config *follow)
{
    free((void *)(uintptr_t)follow->bootstrap);
    free((void *)(uintptr_t)follow->bootstrap_ids);
}

void node_quorum_start(struct node *node, void (*started)(void *ctx, int status), void *ctx)
{
    const struct server_config *config = node->config;
    struct quorum_voters *self = node_disk_self(config, node->disk.metadata_directory_id);
    struct quorum_follow_config follow = follow_of(node);
    if (config->is_controller)
        make_peers(node, self);
    struct quorum_node_config quorum = {
        .node_id = config->node_id,
        .directory_id = node->disk.metadata_directory_id,
        .directory = node->disk.metadata_path,
        .election_timeout_ms =
            (unsigned)integer(node, CONFIG_BROKER_CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS),
        .heartbeat_ms = HEARTBEAT_MS,
        .log = log_config_of(node),
        .retention_bytes = integer(node, CONFIG_BROKER_METADATA_MAX_RETENTION_BYTES),
        .retention_ms = integer(node, CONFIG_BROKER_METADATA_MAX_RETENTION_MS),
        .voters = config->is_alone ? self : node->disk.record.voters,
        .follow = config->is_alone ? NULL : &follow,
        .transport = node->peers ? quorum_peers_transport(node->peers) : NULL,
        .had_files = config->is_controller && !uuid_is_zero(node->disk.record.directory_id),
    };
    metadata_loop_start(node->metadata, &quorum, started, ctx);
    if (node->peers) {
        quorum_peers_bind(node->peers, metadata_loop_quorum(node->metadata));
        quorum_peers_start(node->peers);
        make_membership(node);
    }
    release_follow(&follow);
    quorum_voters_unref(self);
}

static bool leads(const struct node *node)
{
    const struct quorum_node *quorum = metadata_loop_quorum(node->metadata);
    const struct quorum_core *core = quorum ? quorum_node_core(quorum) : NULL;
    return core && quorum_core_is_leader(core);
}

static void look_for_heir(struct timer *timer)
{
    struct node *node = CONTAINER_OF(timer, struct node, resign_timer);
    if (leads(node) && env_now_ms(node->env) < node->resign_due_ms)
        timer_start_in_ms(&node->resign_timer, RESIGN_LOOK_MS);
    else
        node->resigned(node);
}

void node_quorum_leader_changed(struct node *node)
{
    if (node->membership)
        quorum_membership_lead(node->membership, metadata_loop_is_active(node->metadata) &&
                                                     node->state != NODE_STOPPING);
}

void node_quorum_resign(struct node *node, void (*done)(void *node))
{
    struct quorum_node *quorum = metadata_loop_quorum(node->metadata);
    if (node->membership)
        quorum_membership_lead(node->membership, false);
    if (!quorum || !node->peers || !leads(node) || quorum_node_transfer(quorum) != 0) {
        done(node);
        return;
    }
    node->resigned = done;
    node->resign_due_ms =
        env_now_ms(node->env) + integer(node, CONFIG_BROKER_CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS);
    timer_init(&node->resign_timer, node->env->loops[0], look_for_heir);
    timer_start_in_ms(&node->resign_timer, RESIGN_LOOK_MS);
}

static void peers_stopped(void *ctx)
{
    struct node *node = ctx;
    quorum_membership_free(node->membership);
    node->membership = NULL;
    quorum_peers_bind(node->peers, NULL);
    metadata_loop_stop(node->metadata, node->quorum_stopped, node->quorum_stopped_ctx);
}

void node_quorum_stop(struct node *node, void (*stopped)(void *ctx), void *ctx)
{
    node->quorum_stopped = stopped;
    node->quorum_stopped_ctx = ctx;
    if (node->peers)
        quorum_peers_stop(node->peers, peers_stopped, node);
    else
        metadata_loop_stop(node->metadata, stopped, ctx);
}

void node_quorum_free(struct node *node)
{
    quorum_peers_free(node->peers);
    node->peers = NULL;
}

struct quorum_membership *node_membership(const struct node *node)
{
    return node->membership;
}

struct quorum_peers *node_peers(const struct node *node)
{
    return node->peers;
}
