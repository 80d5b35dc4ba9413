#include "broker/server/node_quorum.h"

#include "broker/server/metadata_loop.h"
#include "broker/server/node_internal.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "metadata/config/server_config.h"
#include "raft/quorum_peers.h"

#include <stdlib.h>

/* A tenth of the default election timeout, as in Kafka's fetches. */
#define HEARTBEAT_MS 100

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

static struct log_config log_config_of(const struct node *node)
{
    struct log_config log = LOG_CONFIG_DEFAULT;
    log.segment_bytes = (int32_t)integer(node, CONFIG_BROKER_METADATA_LOG_SEGMENT_BYTES);
    log.segment_ms = integer(node, CONFIG_BROKER_METADATA_LOG_SEGMENT_MS);
    log.max_message_bytes = INT32_MAX;
    return log;
}

void node_quorum_start(struct node *node, void (*started)(void *ctx, int status), void *ctx)
{
    const struct server_config *config = node->config;
    struct quorum_voters *self = node_disk_self(config, node->disk.metadata_directory_id);
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
        .voters = config->is_alone ? self : NULL,
        .transport = quorum_peers_transport(node->peers),
    };
    metadata_loop_start(node->metadata, &quorum, started, ctx);
    quorum_peers_bind(node->peers, metadata_loop_quorum(node->metadata));
    quorum_peers_start(node->peers);
    quorum_voters_unref(self);
}

static void peers_stopped(void *ctx)
{
    struct node *node = ctx;
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

struct quorum_peers *node_peers(const struct node *node)
{
    return node->peers;
}
