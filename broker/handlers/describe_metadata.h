/*
 * What Metadata, DescribeCluster and DescribeTopicPartitions have in common: turning the image into
 * answers for one listener. On the request's loop; results live in the request's arena.
 */
#ifndef KRAFTD_BROKER_HANDLERS_DESCRIBE_METADATA_H
#define KRAFTD_BROKER_HANDLERS_DESCRIBE_METADATA_H

#include "broker/server/request.h"
#include "metadata/image.h"

/* Not asked for (KIP-430). */
#define AUTHORIZED_OPERATIONS_UNKNOWN INT32_MIN
/* Without an authorizer everybody may do everything that a resource of the kind knows. */
#define AUTHORIZED_OPERATIONS_TOPIC   3576
#define AUTHORIZED_OPERATIONS_CLUSTER 8096

struct partition_description {
    enum kafka_error error;
    int32_t leader_id; /* -1 when it cannot be reached through the listener */
    int32_t *replicas, *isr, *elr, *last_known_elr, *offline;
    int32_t replica_count, isr_count, elr_count, last_known_elr_count, offline_count;
};

/* NULL when the broker is fenced or has no such listener. */
const struct endpoint_image *describe_endpoint(const struct request *request,
                                               const struct broker_image *broker);
void describe_partition(struct request *request, const struct partition_image *partition,
                        struct partition_description *ret);
/* The brokers that a Produce or Fetch names as leaders in place of this one, each once, so that a
 * client that never heard of them need not ask (KIP-951). */
struct leader_node {
    int32_t id, port;
    struct str host, rack;
};
struct leader_nodes {
    struct leader_node *nodes;
    int32_t count;
};
/* Adds nothing where the client's listener does not reach the leader; -1: there is none. */
void describe_leader_node(struct request *request, int32_t leader_id, struct leader_nodes *nodes);
/* The same as an array in the answer. */
#define DESCRIBE_NODE_ENDPOINTS(request, response, type, found)                                    \
    if ((found)->count > 0)                                                                        \
        (response)->node_endpoints = MESSAGE_ARRAY(&(request)->arena, type, (found)->count);       \
    for (; (response)->node_endpoints_count < (found)->count;                                      \
         (response)->node_endpoints_count++) {                                                     \
        const struct leader_node *node_ = &(found)->nodes[(response)->node_endpoints_count];       \
        (response)->node_endpoints[(response)->node_endpoints_count] = (struct type){              \
            .node_id = node_->id, .host = node_->host, .port = node_->port, .rack = node_->rack};  \
    }
/* Any broker that lives, for clients that ask for "the controller": all admin requests are
 * forwarded. */
int32_t describe_controller_id(const struct request *request);

#endif
