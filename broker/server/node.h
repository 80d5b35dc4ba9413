/*
 * A node: everything of one process, in one struct, on one env. The same node runs in production
 * (libuv) and, many at a time, in the simulation.
 *
 * Life: node_new reads nothing; node_start locks and loads the log directories, forms or joins the
 * cluster and begins to serve, then calls started (0, or why not: the reason was logged); node_stop
 * ends it in order: stop listening, finish what was received, close partitions cleanly, stop the
 * quorum. All on loop 0; node_free when no loop runs any more.
 */
#ifndef KRAFTD_BROKER_SERVER_NODE_H
#define KRAFTD_BROKER_SERVER_NODE_H

#include "common/base/env.h"
#include "common/base/str.h"
#include "common/base/uuid.h"

struct broker_metrics;
struct controller_channel;
struct directory_assignments;
struct image;
struct isr_changes;
struct log_manager;
struct metadata_loop;
struct node;
struct quorum_membership;
struct server_config;
struct shard;
struct throttles;

/* config outlives the node. */
struct node *node_new(struct env *env, const struct server_config *config);
void node_start(struct node *node, void (*started)(void *ctx, int status), void *ctx);
void node_stop(struct node *node, void (*stopped)(void *ctx), void *ctx);
void node_free(struct node *node);

/* `fatal` is called on loop 0 when the node cannot go on (the metadata log failed): stop it. */
void node_on_fatal(struct node *node, void (*fatal)(void *ctx), void *ctx);
void node_fatal(struct node *node);
/* After its end: its formation could never elect and was given up, or its damaged metadata log was
 * set aside; a node that is started on these disks now begins anew. */
bool node_wants_restart(const struct node *node);
/* Loop 0: another controller is the active one, or none. */
void node_controller_changed(struct node *node);
/* Loop 0: an image is on its way to all shards. */
void node_image_published(struct node *node);

/* Any loop. */
bool node_is_ready(const struct node *node); /* serves, and all partitions are open */
struct broker_metrics *node_metrics(const struct node *node);
struct log_manager *node_log_manager(const struct node *node);
/* A shard begins to open a partition, or is rid of one. */
void node_partition_opening(struct node *node);
void node_partition_gone(struct node *node);
/* A shard, once: it knows which partitions of the start are its own. */
void node_shard_took_up(struct node *node);
int32_t node_id(const struct node *node);
const struct server_config *node_config(const struct node *node);
struct env *node_env(const struct node *node);
/* Its 22 characters; empty until the cluster is formed, then constant. */
struct str node_cluster_id(const struct node *node);
/* The level of kraft.version: 1 once the voters are in the log. */
int16_t node_kraft_version(const struct node *node);
/* The port that a listener got; 0 when it has none. Loop 0. */
uint16_t node_listener_port(const struct node *node, struct str listener);
/* The ids of the log directories that are online; ret_ids has room for all. Loop 0. */
int32_t node_directory_ids(const struct node *node, struct uuid *ret_ids);
/* Those of directories that take no new replicas (KIP-1066), in the same way. */
int32_t node_cordoned_ids(const struct node *node, struct uuid *ret_ids);
/* The broker epoch of the last clean shutdown; -1 when it was none (KIP-966). */
int64_t node_previous_broker_epoch(const struct node *node);
/* Kafka's number (enum broker_state of broker_lifecycle.h). Loop 0. */
int node_broker_state(const struct node *node);
/* By which the controller tells this process from one that ran before. Any thread. */
struct uuid node_incarnation_id(const struct node *node);
/* By loop 0's shard, once: the metadata knows this incarnation, so clients are served. */
void node_is_registered(struct node *node);
/* Of this incarnation's registration; -1 until it is registered. */
int64_t node_broker_epoch(const struct node *node);
/* The controller was not heard for more than the time between heartbeats. */
bool node_out_of_touch(const struct node *node);
struct metadata_loop *node_metadata_loop(const struct node *node);
/* Loop 0. */
struct broker_watch *node_broker_watch(const struct node *node);
struct controller_channel *node_controller_channel(const struct node *node);
struct isr_changes *node_isr_changes(const struct node *node);
struct throttles *node_throttles(struct node *node);
/* The dynamic configuration of brokers has changed: what the node as a whole has of it. Loop 0. */
void node_configs_changed(struct node *node, const struct image *image);
struct directory_assignments *node_directory_assignments(const struct node *node);
/* NULL where this node is no controller, and at the end. Loop 0. */
struct quorum_membership *node_membership(const struct node *node);
struct shard *node_shard(const struct node *node, int index);

#endif
