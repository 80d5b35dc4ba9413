/*
 * DescribeCluster: the brokers, for the listener that the client came through (KIP-700); on a
 * controller listener the controllers that are registered (KIP-919).
 */
#include "broker/handlers/describe_metadata.h"
#include "broker/handlers/handlers.h"
#include "broker/server/metadata_loop.h"
#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "common/protocol/messages/describe_cluster.h"

typedef struct describe_cluster_response_describe_cluster_broker described;

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
        described *out = &response->brokers[response->brokers_count++];
        out->broker_id = broker->id;
        out->host = arena_str(&request->arena, endpoint->host);
        out->port = endpoint->port;
        out->rack = arena_str(&request->arena, broker->rack);
        out->is_fenced = broker->fenced;
    }
}

static void add_controllers(struct request *request, struct describe_cluster_response *response)
{
    struct pmap controllers = request->shard->image->cluster.controllers;
    int32_t active = metadata_loop_leader_id(node_metadata_loop(request->shard->node));
    response->brokers =
        MESSAGE_ARRAY(&request->arena, describe_cluster_response_describe_cluster_broker,
                      (int32_t)controllers.count);
    struct pmap_iter iter;
    const struct controller_image *controller;
    pmap_iter_first(&iter, controllers);
    while ((controller = pmap_iter_next(&iter)) != NULL) {
        const struct endpoint_image *endpoint =
            controller_image_endpoint(controller, request->listener->name);
        if (endpoint == NULL)
            continue;
        described *out = &response->brokers[response->brokers_count++];
        out->broker_id = controller->id;
        out->host = arena_str(&request->arena, endpoint->host);
        out->port = endpoint->port;
        out->rack = STR_NULL;
        /* Nobody is told of a controller that is not in the list. */
        if (controller->id == active)
            response->controller_id = active;
    }
}

static const char *type_name(enum endpoint_type type)
{
    return type == ENDPOINT_BROKER ? "BROKER" : "CONTROLLER";
}

/* Version 0 knows no types and has no errors of theirs. */
static bool check_type(struct request *request, enum endpoint_type own,
                       struct describe_cluster_response *response)
{
    const struct describe_cluster_request *body = request->body;
    struct arena *arena = &request->arena;
    bool is_v0 = request->header.request_api_version == 0;
    if (body->endpoint_type == (int8_t)own)
        return true;
    if (body->endpoint_type == ENDPOINT_BROKER || body->endpoint_type == ENDPOINT_CONTROLLER) {
        response->error_code =
            is_v0 ? KAFKA_ERROR_INVALID_REQUEST : KAFKA_ERROR_MISMATCHED_ENDPOINT_TYPE;
        response->error_message = arena_printf(
            arena,
            "The request was sent to an endpoint of type %s, but we wanted an endpoint of type %s",
            type_name(own), type_name(body->endpoint_type));
    } else {
        response->error_code = KAFKA_ERROR_UNSUPPORTED_ENDPOINT_TYPE;
        response->error_message =
            arena_printf(arena, "Unsupported endpoint type %d", (int)body->endpoint_type);
    }
    return false;
}

void handle_describe_cluster(struct request *request)
{
    const struct describe_cluster_request *body = request->body;
    struct describe_cluster_response response;
    enum endpoint_type own = (request->listener->api_mask & API_ON_CONTROLLER) != 0
                                 ? ENDPOINT_CONTROLLER
                                 : ENDPOINT_BROKER;
    message_init(&describe_cluster_response_desc, &response);
    if (check_type(request, own, &response)) {
        response.endpoint_type = own;
        response.cluster_id = node_cluster_id(request->shard->node);
        if (own == ENDPOINT_CONTROLLER) {
            add_controllers(request, &response);
        } else {
            add_brokers(request, &response);
            response.controller_id = describe_controller_id(request);
        }
        if (body->include_cluster_authorized_operations)
            response.cluster_authorized_operations = AUTHORIZED_OPERATIONS_CLUSTER;
    }
    request_respond(request, &response);
}
