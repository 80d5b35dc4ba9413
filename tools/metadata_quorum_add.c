/* kafka-metadata-quorum add-controller: a controller's own configuration says who it is. */
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/add_raft_voter.h"
#include "common/storage/meta_properties.h"
#include "tools/metadata_quorum.h"

#include <stdlib.h>

enum { LISTENERS_MAX = 16 };

static bool list_has(struct str list, const char *word)
{
    struct str one;
    while (!str_is_null(list)) {
        str_split(&list, ',', &one);
        if (str_eq_z(str_trim(one), word))
            return true;
    }
    return false;
}

/* The directory id of the node's metadata directory. */
static bool read_directory_id(const struct properties *config, struct uuid *ret_id,
                              struct failure *failure)
{
    struct str dirs = properties_get(config, STR("log.dirs")), directory;
    struct str metadata = properties_get(config, STR("metadata.log.dir"));
    if (str_is_null(dirs))
        dirs = properties_get(config, STR("log.dir"));
    str_split(&dirs, ',', &directory);
    if (!str_is_null(metadata))
        directory = metadata;
    directory = str_trim(directory);
    if (directory.len <= 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                           "Neither metadata.log.dir nor log.dirs were found in the configuration "
                           "file. Is this a valid controller configuration file?");
    struct meta_properties meta;
    struct disk *disk = disk_posix_new();
    char *path = mem_printf("%.*s/" META_PROPERTIES_FILE, STR_FMT(directory));
    int rv = meta_properties_read(disk, path, &meta);
    free(path);
    disk_posix_free(disk);
    if (rv != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                           "Unable to read meta.properties from %.*s", STR_FMT(directory));
    if (uuid_is_zero(meta.directory_id))
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG, "No directory id found in %.*s",
                           STR_FMT(directory));
    *ret_id = meta.directory_id;
    return true;
}

/* Where the others reach it: the advertised listeners of the controller, else those it binds. */
static bool read_listeners(const struct properties *config, struct arena *arena,
                           struct add_raft_voter_request *request, struct failure *failure)
{
    struct str names = properties_get(config, STR("controller.listener.names"));
    struct str rest = properties_get(config, STR("advertised.listeners")), one;
    bool found = false;
    request->listeners = ARENA_ARRAY(arena, struct add_raft_voter_request_listener, LISTENERS_MAX);
    for (int round = 0; round < 2 && !found; round++) {
        if (round > 0)
            rest = properties_get(config, STR("listeners"));
        while (!str_is_null(rest) && request->listeners_count < LISTENERS_MAX) {
            struct endpoint endpoint;
            struct str name;
            str_split(&rest, ',', &one);
            one = str_trim(one);
            if (!str_split(&one, ':', &name) || !list_has(names, arena_str_z(arena, name)) ||
                !str_starts_with(one, STR("//")))
                continue;
            one = (struct str){one.data + 2, one.len - 2};
            if (endpoint_parse(one, -1, &endpoint) != 0 || endpoint.host[0] == '\0')
                return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                                   "The listener %.*s says no host that others can reach; name it "
                                   "in advertised.listeners",
                                   STR_FMT(name));
            struct add_raft_voter_request_listener *l =
                &request->listeners[request->listeners_count++];
            message_struct_init(&add_raft_voter_request_listener_struct, l, 1);
            l->name = name;
            l->host = arena_str(arena, str_of(endpoint.host));
            l->port = endpoint.port;
            found = true;
        }
    }
    return found || failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                                "controller.listener.names names no listener of the configuration "
                                "file. Is this a valid controller configuration file?");
}

static bool read_controller(const struct properties *config, struct arena *arena,
                            struct add_raft_voter_request *request, struct failure *failure)
{
    struct str id = properties_get(config, STR("node.id"));
    if (!list_has(properties_get(config, STR("process.roles")), "controller"))
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                           "process.roles did not contain 'controller' in configuration file. Is "
                           "this a valid controller configuration file?");
    if (str_is_null(id))
        id = properties_get(config, STR("broker.id"));
    if (str_is_null(id))
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                           "node.id not found in configuration file. Is this a valid controller "
                           "configuration file?");
    if (str_to_i32(str_trim(id), &request->voter_id) != 0 || request->voter_id < 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG, "node.id %.*s is no node id",
                           STR_FMT(id));
    return read_directory_id(config, &request->voter_directory_id, failure) &&
           read_listeners(config, arena, request, failure);
}

static void show(const struct args *args, const struct add_raft_voter_request *request, bool dry)
{
    char id[UUID_TEXT_LEN + 1];
    json_t *endpoints = json_array();
    uuid_format(request->voter_directory_id, id);
    for (int32_t i = 0; i < request->listeners_count; i++)
        json_array_append_new(endpoints,
                              json_sprintf("%.*s://%.*s:%d", STR_FMT(request->listeners[i].name),
                                           STR_FMT(request->listeners[i].host),
                                           request->listeners[i].port));
    if (args->json) {
        tool_print_json(json_pack("{s:i,s:s,s:O,s:b}", "added", (int)request->voter_id,
                                  "directoryId", id, "endpoints", endpoints, "dryRun", dry));
    } else {
        printf("%s controller %d with directory id %s and endpoints: ",
               dry ? "DRY RUN of adding" : "Added", request->voter_id, id);
        for (size_t i = 0; i < json_array_size(endpoints); i++)
            printf("%s%s", i ? ", " : "", json_string_value(json_array_get(endpoints, i)));
        putchar('\n');
    }
    json_decref(endpoints);
}

bool metadata_quorum_add(const struct args *args, struct client_op *op, struct failure *failure)
{
    struct add_raft_voter_request request;
    struct add_raft_voter_response response;
    struct properties config;
    const char *path = args_value(args, "command-config");
    bool dry = args_has(args, "dry-run"), ok;
    if (path == NULL)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "You must supply the configuration file of the controller you are "
                           "adding when using add-controller.");
    message_init(&add_raft_voter_request_desc, &request);
    request.cluster_id = STR_NULL;
    properties_init(&config);
    ok = client_config_read_file(&config, path, failure) &&
         read_controller(&config, op->arena, &request, failure);
    while (ok && !dry) {
        request.timeout_ms = client_time_left(op, INT32_MAX);
        ok = client_call(op, CLIENT_CONTROLLER, API_ADD_RAFT_VOTER, &request, &response, failure);
        if (!ok || response.error_code == 0)
            break;
        ok = client_retry(op, response.error_code, response.error_message, failure);
    }
    if (ok)
        show(args, &request, dry);
    properties_release(&config);
    return ok;
}
