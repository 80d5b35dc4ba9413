/* DescribeCluster: the brokers, for the listener that the client came through (KIP-700, KIP-919).
 */
#include "broker/handlers/describe_metadata.h"
#include "broker/handlers/handlers.h"
#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "common/protocol/messages/describe_cluster.h"

enum endpoint_type { ENDPOINT_BROKER = 1, ENDPOINT_CONTROLLER = 2 };

static void add_brokers(struct request *request, struct describe_cluster_response *response)
{
    const struct describe_cluster_request *body = request->body;
    struct pmap brokers = request->shard->image->cluster.brokers;
    response->brokers = MESSAGE_ARRAY(
        &request->arena, describe_cluster_response_describe_cluster_broker, (int32_t)brokers.count);
    struct pmap_iter iter;
    const struct broker_image *broker;
    pmap_iter_first(&iter, brokers);
    while ((broker = pmap_iter_next(&iter)) != NULL) {
        const struct endpoint_image *endpoint =
            broker_image_endpoint(broker, request->listener->name);
        if (endpoint == NULL || (broker->fenced && !body->include_fenced_brokers))
            continue;
        struct describe_cluster_response_describe_cluster_broker *out =
            &response->brokers[response->brokers_count++];
        out->broker_id = broker->id;
        out->host = arena_str(&request->arena, endpoint->host);
        out->port = endpoint->port;
        out->rack = arena_str(&request->arena, broker->rack);
        out->is_fenced = broker->fenced;
    }
}

static bool check_type(struct request *request, struct describe_cluster_response *response)
{
    const struct describe_cluster_request *body = request->body;
    if (body->endpoint_type == ENDPOINT_BROKER)
        return true;
    if (body->endpoint_type == ENDPOINT_CONTROLLER) {
        response->error_code = KAFKA_ERROR_MISMATCHED_ENDPOINT_TYPE;
        response->error_message = STR("The request was sent to an endpoint of type BROKER, but we "
                                      "wanted an endpoint of type CONTROLLER");
    } else {
        response->error_code = KAFKA_ERROR_UNSUPPORTED_ENDPOINT_TYPE;
        response->error_message =
            arena_printf(&request->arena, "Unsupported endpoint type %d", (int)body->endpoint_type);
    }
    return false;
}

void handle_describe_cluster(struct request *request)
{
    const struct describe_cluster_request *body = request->body;
    struct describe_cluster_response response;
    message_init(&describe_cluster_response_desc, &response);
    if (check_type(request, &response)) {
        add_brokers(request, &response);
        response.cluster_id = node_cluster_id(request->shard->node);
        response.controller_id = describe_controller_id(request);
        if (body->include_cluster_authorized_operations)
            response.cluster_authorized_operations = AUTHORIZED_OPERATIONS_CLUSTER;
    }
    request_respond(request, &response);
}
