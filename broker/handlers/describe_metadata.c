#include "broker/handlers/describe_metadata.h"

#include "broker/server/node.h"
#include "broker/server/shard.h"

const struct endpoint_image *describe_endpoint(const struct request *request,
                                               const struct broker_image *broker)
{
    if (broker == NULL || broker->fenced)
        return NULL;
    return broker_image_endpoint(broker, request->listener->name);
}

static int32_t *copy_ids(struct arena *arena, struct node_list list, int32_t *ret_count)
{
    int32_t *ids = ARENA_ARRAY(arena, int32_t, list.count);
    if (list.count > 0)
        memcpy(ids, list.ids, (size_t)list.count * sizeof(*ids));
    *ret_count = list.count;
    return ids;
}

void describe_partition(struct request *request, const struct partition_image *partition,
                        struct partition_description *ret)
{
    struct arena *arena = &request->arena;
    const struct cluster_image *cluster = &request->shard->image->cluster;
    *ret = (struct partition_description){.leader_id = -1};
    struct node_list replicas = partition_replicas(partition);
    ret->replicas = copy_ids(arena, replicas, &ret->replica_count);
    ret->isr = copy_ids(arena, partition_isr(partition), &ret->isr_count);
    ret->elr = copy_ids(arena, partition_elr(partition), &ret->elr_count);
    ret->last_known_elr =
        copy_ids(arena, partition_last_known_elr(partition), &ret->last_known_elr_count);
    ret->offline = ARENA_ARRAY(arena, int32_t, replicas.count);
    for (int32_t i = 0; i < replicas.count; i++) {
        const struct broker_image *broker = cluster_image_broker(cluster, replicas.ids[i]);
        if (broker == NULL || broker->fenced ||
            !broker_image_has_directory(broker, partition_directories(partition)[i]))
            ret->offline[ret->offline_count++] = replicas.ids[i];
    }
    const struct broker_image *leader = cluster_image_broker(cluster, partition->leader);
    if (leader == NULL || leader->fenced)
        ret->error = KAFKA_ERROR_LEADER_NOT_AVAILABLE;
    else if (describe_endpoint(request, leader) == NULL)
        ret->error = KAFKA_ERROR_LISTENER_NOT_FOUND;
    else
        ret->leader_id = partition->leader;
}

void describe_leader_node(struct request *request, int32_t leader_id, struct leader_nodes *nodes)
{
    const struct cluster_image *cluster = &request->shard->image->cluster;
    const struct broker_image *broker = cluster_image_broker(cluster, leader_id);
    const struct endpoint_image *endpoint = describe_endpoint(request, broker);
    if (endpoint == NULL)
        return;
    for (int32_t i = 0; i < nodes->count; i++)
        if (nodes->nodes[i].id == leader_id)
            return;
    if (nodes->nodes == NULL)
        nodes->nodes = ARENA_ARRAY(&request->arena, struct leader_node, cluster->brokers.count);
    nodes->nodes[nodes->count++] = (struct leader_node){
        .id = leader_id,
        .port = endpoint->port,
        .host = arena_str(&request->arena, endpoint->host),
        .rack = arena_str(&request->arena, broker->rack),
    };
}

int32_t describe_controller_id(const struct request *request)
{
    struct pmap_iter iter;
    const struct broker_image *broker;
    int32_t self = node_id(request->shard->node), any = -1;
    pmap_iter_first(&iter, request->shard->image->cluster.brokers);
    while ((broker = pmap_iter_next(&iter)) != NULL) {
        if (broker->fenced)
            continue;
        if (broker->id == self)
            return self;
        if (any < 0)
            any = broker->id;
    }
    return any;
}
