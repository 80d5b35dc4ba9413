/* kafka-cluster: the id of a cluster, its nodes, and brokers that will not come back. */
#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/describe_cluster.h"
#include "common/protocol/messages/unregister_broker.h"
#include "common/protocol/messages/unregister_controller.h"
#include "tools/args.h"
#include "tools/bootstrap.h"

#include <stdlib.h>

enum { BOOTSTRAP = 1 };
enum { ENDPOINTS_OF_BROKERS = 1, ENDPOINTS_OF_CONTROLLERS = 2 };

#define CONFIG_OPTIONS                                                                             \
    {"config", 0, true, false, 0, "Deprecated: --command-config."},                                \
    {                                                                                              \
        "command-config", 'c', true, false, 0, "A file of client properties."                      \
    }
#define BOOTSTRAP_OPTIONS                                                                          \
    {"bootstrap-server", 'b', true, true, BOOTSTRAP, "Brokers to begin with, HOST:PORT,..."},      \
    {                                                                                              \
        "bootstrap-controller", 'C', true, true, BOOTSTRAP,                                        \
            "Controllers to begin with, HOST:PORT,..."                                             \
    }

static const struct args_option id_options[] = {CONFIG_OPTIONS, BOOTSTRAP_OPTIONS, {NULL}};
static const struct args_option unregister_options[] = {
    CONFIG_OPTIONS,
    {"id", 'i', true, true, 0, "The broker to forget.", true},
    BOOTSTRAP_OPTIONS,
    {NULL},
};
static const struct args_option unregister_controller_options[] = {
    CONFIG_OPTIONS,
    {"id", 'i', true, true, 0, "The controller to forget.", true},
    BOOTSTRAP_OPTIONS,
    {NULL},
};
static const struct args_option list_options[] = {
    CONFIG_OPTIONS,
    {"include-fenced-brokers", 0, false, false, 0, "Brokers that are fenced too."},
    BOOTSTRAP_OPTIONS,
    {NULL},
};
static const struct args_command commands[] = {
    {"cluster-id", "Print the id of the cluster.", id_options},
    {"unregister", "Forget a broker that will not come back.", unregister_options},
    {"list-endpoints", "Print where the nodes of the cluster listen.", list_options},
    {"unregister-controller", "Forget a controller that will not come back.",
     unregister_controller_options, true},
    {NULL},
};

static bool describe(const struct args *args, struct client_op *op,
                     struct describe_cluster_response *ret_response, struct failure *failure)
{
    struct describe_cluster_request request;
    message_init(&describe_cluster_request_desc, &request);
    request.endpoint_type =
        args_has(args, "bootstrap-server") ? ENDPOINTS_OF_BROKERS : ENDPOINTS_OF_CONTROLLERS;
    request.include_fenced_brokers = args_has(args, "include-fenced-brokers");
    return client_ask(op, CLIENT_ANY_NODE, API_DESCRIBE_CLUSTER, &request, ret_response,
                      &ret_response->error_code, &ret_response->error_message, failure);
}

static bool cluster_id(const struct args *args, struct client_op *op, struct failure *failure)
{
    struct describe_cluster_response response;
    if (!describe(args, op, &response, failure))
        return false;
    if (args->json)
        tool_print_json(json_pack("{s:o}", "clusterId", tool_json_str(response.cluster_id)));
    else
        printf("Cluster ID: %.*s\n", STR_FMT(response.cluster_id));
    return true;
}

static int by_id(const void *a, const void *b)
{
    const struct describe_cluster_response_describe_cluster_broker *x = a, *y = b;
    return (x->broker_id > y->broker_id) - (x->broker_id < y->broker_id);
}

static json_t *json_of_nodes(const struct describe_cluster_response *response, bool brokers)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < response->brokers_count; i++) {
        const struct describe_cluster_response_describe_cluster_broker *b = &response->brokers[i];
        json_t *node = json_object();
        json_object_set_new(node, "id", json_integer(b->broker_id));
        json_object_set_new(node, "host", tool_json_str(b->host));
        json_object_set_new(node, "port", json_integer(b->port));
        json_object_set_new(node, "rack", tool_json_str(b->rack));
        if (brokers)
            json_object_set_new(node, "fenced", json_boolean(b->is_fenced));
        json_object_set_new(node, "endpointType", json_string(brokers ? "broker" : "controller"));
        json_array_append_new(list, node);
    }
    return list;
}

static void print_nodes(const struct describe_cluster_response *response, bool brokers)
{
    int width = 0;
    for (int32_t i = 0; i < response->brokers_count; i++)
        width = MAX(width, response->brokers[i].host.len);
    printf("%-10s %-*s %-10s %-10s ", "ID", width, "HOST", "PORT", "RACK");
    printf(brokers ? "%-10s %-15s\n" : "%.0s%-15s\n", "STATE", "ENDPOINT_TYPE");
    for (int32_t i = 0; i < response->brokers_count; i++) {
        const struct describe_cluster_response_describe_cluster_broker *b = &response->brokers[i];
        struct str rack = str_is_null(b->rack) ? STR("null") : b->rack;
        printf("%-10d %-*.*s %-10d %-10.*s ", b->broker_id, width, STR_FMT(b->host), b->port,
               STR_FMT(rack));
        printf(brokers ? "%-10s %-15s\n" : "%.0s%-15s\n", b->is_fenced ? "fenced" : "unfenced",
               brokers ? "broker" : "controller");
    }
}

static bool list_endpoints(const struct args *args, struct client_op *op, struct failure *failure)
{
    struct describe_cluster_response response;
    bool brokers = args_has(args, "bootstrap-server");
    if (!brokers && args_has(args, "include-fenced-brokers"))
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "The option --include-fenced-brokers is only supported with "
                           "--bootstrap-server option");
    if (!describe(args, op, &response, failure))
        return false;
    if (response.brokers_count > 1)
        qsort(response.brokers, (size_t)response.brokers_count, sizeof(*response.brokers), by_id);
    if (args->json)
        tool_print_json(json_pack("{s:o}", "nodes", json_of_nodes(&response, brokers)));
    else
        print_nodes(&response, brokers);
    return true;
}

static void print_unregistered(const struct args *args, const char *what, int32_t id)
{
    if (args->json)
        tool_print_json(json_pack("{s:i}", "unregistered", (int)id));
    else
        printf("%s %d is no longer registered.\n", what, id);
}

static bool unregister(const struct args *args, struct client_op *op, struct failure *failure)
{
    struct unregister_broker_request request;
    struct unregister_broker_response response;
    message_init(&unregister_broker_request_desc, &request);
    request.broker_id = args_number(args, "id", -1);
    if (!client_ask(op, CLIENT_CONTROLLER, API_UNREGISTER_BROKER, &request, &response,
                    &response.error_code, &response.error_message, failure))
        return false;
    print_unregistered(args, "Broker", request.broker_id);
    return true;
}

/* KIP-1312 */
static bool unregister_controller(const struct args *args, struct client_op *op,
                                  struct failure *failure)
{
    struct unregister_controller_request request;
    struct unregister_controller_response response;
    message_init(&unregister_controller_request_desc, &request);
    request.controller_id = args_number(args, "id", -1);
    if (!client_ask(op, CLIENT_CONTROLLER, API_UNREGISTER_CONTROLLER, &request, &response,
                    &response.error_code, &response.error_message, failure))
        return false;
    print_unregistered(args, "Controller", request.controller_id);
    return true;
}

static int run(const struct args *args)
{
    static const struct bootstrap_command runs[] = {
        {"cluster-id", "listNodes", cluster_id},
        {"unregister", "unregisterBroker", unregister},
        {"list-endpoints", "listNodes", list_endpoints},
        {"unregister-controller", "unregisterController", unregister_controller},
    };
    const char *config = args_value(args, "command-config");
    if (args_has(args, "config") && config != NULL) {
        struct failure failure;
        failure_set(&failure, KAFKA_ERROR_INVALID_REQUEST,
                    "--config and --command-config cannot be specified together.");
        return tool_fail(&(struct tool){.json = args->json}, &failure);
    }
    if (args_has(args, "config")) {
        fprintf(args->json ? stderr : stdout,
                "Option --config has been deprecated and will be removed in a future version. Use "
                "--command-config instead.\n");
        config = args_value(args, "config");
    }
    return bootstrap_run(args, config, runs, ARRAY_LEN(runs));
}

int cluster_main(int argc, char **argv)
{
    static const struct args_tool tool = {.name = "kafka-cluster",
                                          .purpose = "Tells about a cluster and its nodes.",
                                          .commands = commands};
    struct args args;
    enum tool_begin begin = args_parse_tool(&args, &tool, argc, argv);
    int code = begin == TOOL_GO_ON ? run(&args) : begin == TOOL_REFUSED;
    args_release(&args);
    return code;
}
