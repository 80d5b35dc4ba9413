/* kafka-broker-api-versions: which versions of which requests each broker takes. */
#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "tools/client.h"
#include "tools/tool.h"

static const struct option_spec specs[] = {
    {"bootstrap-server", OPTION_VALUE, "server(s) to use for bootstrapping",
     "Required: the brokers to connect to first, as host:port,..."},
    {"command-config", OPTION_VALUE, "command config property file",
     "A file of properties for the connection."},
    TOOL_COMMON_OPTIONS,
};

typedef const struct api_versions_response_api_version their_api;

static their_api *find_theirs(const struct api_versions_response *versions, int16_t key)
{
    for (int32_t i = 0; i < versions->api_keys_count; i++)
        if (versions->api_keys[i].api_key == key)
            return &versions->api_keys[i];
    return NULL;
}

/* -1: none, and *ret_why says who is behind. */
static int usable_version(const struct api *api, their_api *theirs, const char **ret_why)
{
    if (theirs->max_version < api->request->min_version) {
        *ret_why = "node too old";
        return -1;
    }
    if (theirs->min_version > api->request->max_version) {
        *ret_why = "node too new";
        return -1;
    }
    return MIN(theirs->max_version, api->request->max_version);
}

/* One line without its end. */
static void print_api(const struct api *api, their_api *theirs, int16_t key)
{
    printf("\t%s(%d): ", api ? api->name : "UNKNOWN", key);
    if (theirs == NULL) {
        fputs("UNSUPPORTED", stdout);
        return;
    }
    printf("%d", theirs->min_version);
    if (theirs->max_version != theirs->min_version)
        printf(" to %d", theirs->max_version);
    if (api == NULL)
        return;
    const char *why = "";
    int usable = usable_version(api, theirs, &why);
    if (usable < 0)
        printf(" [unusable: %s]", why);
    else
        printf(" [usable: %d]", usable);
}

static json_t *json_of_api(const struct api *api, their_api *theirs, int16_t key)
{
    const char *why = "";
    int usable = api && theirs ? usable_version(api, theirs, &why) : -1;
    json_t *object = json_object();
    json_object_set_new(object, "key", json_integer(key));
    json_object_set_new(object, "name", api ? json_string(api->name) : json_null());
    json_object_set_new(object, "min", theirs ? json_integer(theirs->min_version) : json_null());
    json_object_set_new(object, "max", theirs ? json_integer(theirs->max_version) : json_null());
    json_object_set_new(object, "usable", usable >= 0 ? json_integer(usable) : json_null());
    return object;
}

/* All that the broker names or that a client could ask for, by key. Prints, or adds to `list`. */
static void show_apis(const struct api_versions_response *versions, json_t *list)
{
    int last = api_table_size - 1;
    const char *separator = "\n";
    for (int32_t i = 0; i < versions->api_keys_count; i++)
        last = MAX(last, versions->api_keys[i].api_key);
    for (int key = 0; key <= last; key++) {
        const struct api *api = api_find((int16_t)key);
        their_api *theirs = find_theirs(versions, (int16_t)key);
        if (theirs == NULL && (api == NULL || !(api->listeners & API_ON_BROKER)))
            continue;
        if (list != NULL) {
            json_array_append_new(list, json_of_api(api, theirs, (int16_t)key));
            continue;
        }
        fputs(separator, stdout);
        print_api(api, theirs, (int16_t)key);
        separator = ",\n";
    }
}

static void print_node(const struct client_node *node, const struct peer *peer,
                       const struct failure *failure)
{
    printf("%s:%d (id: %d rack: %.*s isFenced: false) -> ", node->endpoint.host,
           node->endpoint.port, node->id,
           STR_FMT(str_is_null(node->rack) ? STR("null") : node->rack));
    if (peer == NULL) {
        printf("ERROR: %s\n", failure->text);
        return;
    }
    putchar('(');
    show_apis(peer_versions(peer), NULL);
    puts("\n)");
}

static json_t *json_of_node(const struct client_node *node, const struct peer *peer,
                            const struct failure *failure)
{
    json_t *object = peer ? json_object() : tool_json_of_failure(failure);
    json_object_set_new(object, "id", json_integer(node->id));
    json_object_set_new(object, "host", tool_json_str(str_of(node->endpoint.host)));
    json_object_set_new(object, "port", json_integer(node->endpoint.port));
    json_object_set_new(object, "rack", tool_json_str(node->rack));
    if (peer != NULL) {
        json_t *apis = json_array();
        show_apis(peer_versions(peer), apis);
        json_object_set_new(object, "apis", apis);
    }
    return object;
}

static bool show_nodes(const struct tool *tool, struct client *client, struct arena *arena,
                       struct failure *failure)
{
    struct client_op op;
    struct client_node *nodes;
    size_t count;
    client_op_begin(&op, client, "listNodes", arena);
    if (!client_nodes(&op, &nodes, &count, failure))
        return false;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        struct peer *peer = NULL;
        struct failure problem = {0};
        client_op_begin(&op, client, "apiVersions", arena);
        (void)client_peer(&op, nodes[i].id, &peer, &problem);
        if (tool->json)
            json_array_append_new(list, json_of_node(&nodes[i], peer, &problem));
        else
            print_node(&nodes[i], peer, &problem);
    }
    json_t *document = json_object();
    json_object_set_new(document, "brokers", list);
    if (tool->json)
        tool_print_json(document);
    else
        json_decref(document);
    return true;
}

static int run(struct tool *tool)
{
    struct client *client = NULL;
    struct client_config config;
    struct failure failure;
    struct arena arena;
    const char *bootstrap, *config_path;
    if (!tool_require(tool, "bootstrap-server"))
        return 1;
    if (options_value(&tool->options, "bootstrap-server", &bootstrap) != 0 ||
        options_value(&tool->options, "command-config", &config_path) != 0)
        return tool_fail_options(tool);
    arena_init(&arena, 0);
    client_config_init(&config, "admin-1");
    config.is_admin = false;
    config.failed_to_create = NULL;
    int code = 0;
    if (!client_config_read(&config, config_path, &failure) ||
        !client_new(bootstrap, CLIENT_OF_BROKERS, &config, &client, &failure) ||
        !show_nodes(tool, client, &arena, &failure))
        code = tool_fail(tool, &failure);
    client_free(client);
    client_config_release(&config);
    arena_release(&arena);
    return code;
}

int broker_api_versions_main(int argc, char **argv)
{
    struct tool tool;
    return tool_main(&tool, "Shows which versions of Kafka's requests each broker takes.", specs, 0,
                     argc, argv, run);
}
