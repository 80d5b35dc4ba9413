/* kafka-features: which features a cluster has finalized, at which levels, and changes of them. */
#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/update_features.h"
#include "tools/bootstrap.h"
#include "tools/storage_internal.h"

#include <stdlib.h>

enum { BOOTSTRAP = 1 };
enum upgrade_type { UPGRADE = 1, SAFE_DOWNGRADE = 2, UNSAFE_DOWNGRADE = 3 };

static const struct args_option globals[] = {
    {"bootstrap-server", 0, true, false, BOOTSTRAP, "Brokers to begin with, HOST:PORT,..."},
    {"bootstrap-controller", 0, true, false, BOOTSTRAP, "Controllers to begin with, HOST:PORT,..."},
    {"command-config", 0, true, false, 0, "A file of client properties."},
    {NULL},
};
#define FEATURE_OPTION(help)                                                                       \
    {                                                                                              \
        "feature", 0, true, false, 0, help " May be repeated."                                     \
    }
#define LEVEL_OPTIONS                                                                              \
    {"metadata", 0, true, false, 0, "Deprecated: a metadata.version, such as 4.4-IV2."},           \
        {"release-version", 0, true, false, 0, "All features as in this release, such as 4.4."},   \
        FEATURE_OPTION("NAME=LEVEL."),                                                             \
    {                                                                                              \
        "dry-run", 0, false, false, 0, "Only say whether it can be done."                          \
    }
#define UNSAFE_OPTION                                                                              \
    {                                                                                              \
        "unsafe", 0, false, false, 0, "Even where that loses metadata."                            \
    }

static const struct args_option describe_options[] = {
    {"node-id", 0, true, false, 0, "What this node supports.", true},
    {NULL},
};
static const struct args_option upgrade_options[] = {LEVEL_OPTIONS, {NULL}};
static const struct args_option downgrade_options[] = {LEVEL_OPTIONS, UNSAFE_OPTION, {NULL}};
static const struct args_option disable_options[] = {
    FEATURE_OPTION("NAME."),
    UNSAFE_OPTION,
    {"dry-run", 0, false, false, 0, "Only say whether it can be done."},
    {NULL},
};
static const struct args_option mapping_options[] = {
    {"release-version", 0, true, false, 0, "A release or metadata.version, such as 4.4."},
    {NULL},
};
static const struct args_option dependencies_options[] = {
    {"feature", 0, true, true, 0, "NAME=LEVEL. May be repeated."},
    {NULL},
};

static const struct args_command commands[] = {
    {"describe", "Show the features of a cluster.", describe_options},
    {"upgrade", "Raise the levels of features.", upgrade_options},
    {"downgrade", "Lower the levels of features.", downgrade_options},
    {"disable", "Turn features off.", disable_options},
    {"version-mapping", "Show the feature levels of a release.", mapping_options},
    {"feature-dependencies", "Show what a feature level needs.", dependencies_options},
    {NULL},
};

/* --- describe --------------------------------------------------------------------------------- */

/* "4.4-IV2", "2", "UNKNOWN 99" */
static struct str level_text(struct str feature, int16_t level, struct arena *arena)
{
    const struct metadata_version *version = metadata_version_find(level);
    if (!str_eq_z(feature, FEATURE_METADATA_VERSION))
        return arena_printf(arena, "%d", level);
    return version ? str_of(version->name) : arena_printf(arena, "UNKNOWN %d", level);
}

static int by_name(const void *a, const void *b)
{
    const struct api_versions_response_supported_feature_key *x = a, *y = b;
    return str_cmp(x->name, y->name);
}

static int16_t finalized_level(const struct api_versions_response *versions, struct str feature)
{
    for (int32_t i = 0; i < versions->finalized_features_count; i++) {
        if (str_eq(versions->finalized_features[i].name, feature))
            return versions->finalized_features[i].max_version_level;
    }
    return 0;
}

static void show_feature(const struct args *args, const struct api_versions_response *versions,
                         const struct api_versions_response_supported_feature_key *feature,
                         json_t *list, struct arena *arena)
{
    int16_t level = finalized_level(versions, feature->name);
    struct str min = level_text(feature->name, feature->min_version, arena);
    struct str max = level_text(feature->name, feature->max_version, arena);
    struct str finalized = level_text(feature->name, level, arena);
    int64_t epoch = versions->finalized_features_epoch;
    if (args->json) {
        json_array_append_new(
            list, json_pack("{s:o,s:o,s:o,s:o,s:o}", "feature", tool_json_str(feature->name),
                            "supportedMinVersion", tool_json_str(min), "supportedMaxVersion",
                            tool_json_str(max), "finalizedVersionLevel", tool_json_str(finalized),
                            "epoch", epoch < 0 ? json_null() : json_integer(epoch)));
        return;
    }
    printf("Feature: %-40.*s  SupportedMinVersion: %-15.*s  SupportedMaxVersion: %-15.*s  "
           "FinalizedVersionLevel: %-15.*s  Epoch: ",
           STR_FMT(feature->name), STR_FMT(min), STR_FMT(max), STR_FMT(finalized));
    if (epoch < 0)
        puts("-");
    else
        printf("%lld\n", (long long)epoch);
}

static bool describe(const struct args *args, struct client_op *op, struct failure *failure)
{
    int32_t node = args_number(args, "node-id", CLIENT_ANY_NODE);
    struct peer *peer;
    if (args_has(args, "node-id") && node < 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Invalid negative --node-id: %d",
                           node);
    if (!client_peer(op, node, &peer, failure))
        return false;
    const struct api_versions_response *versions = peer_versions(peer);
    int32_t count = versions->supported_features_count;
    struct api_versions_response_supported_feature_key *features =
        ARENA_ARRAY(op->arena, struct api_versions_response_supported_feature_key, count + 1);
    for (int32_t i = 0; i < count; i++)
        features[i] = versions->supported_features[i];
    if (count > 1)
        qsort(features, (size_t)count, sizeof(*features), by_name);
    json_t *list = json_array();
    for (int32_t i = 0; i < count; i++)
        show_feature(args, versions, &features[i], list, op->arena);
    if (args->json)
        tool_print_json(json_pack("{s:O}", "features", list));
    json_decref(list);
    return true;
}

/* --- changes ---------------------------------------------------------------------------------- */

struct change {
    struct str name;
    int16_t level;
};

struct changes {
    const char *command; /* "upgrade", "downgrade", "disable" */
    enum upgrade_type type;
    bool dry;
    struct change items[64];
    int32_t count;
};

static bool add_change(struct changes *changes, struct str name, int16_t level,
                       struct failure *failure)
{
    if (name.len == 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Provided feature can not be empty.");
    for (int32_t i = 0; i < changes->count; i++) {
        if (str_eq(changes->items[i].name, name))
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                               "Feature %.*s was specified more than once.", STR_FMT(name));
    }
    if (changes->count == ARRAY_LEN(changes->items))
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "These are too many features");
    changes->items[changes->count++] = (struct change){name, level};
    return true;
}

static bool add_release(struct changes *changes, const char *release, struct failure *failure)
{
    const struct metadata_version *version;
    if (!storage_find_release(release, &version, failure))
        return false;
    for (size_t i = 0; i < feature_table_size; i++) {
        const struct feature *feature = &feature_table[i];
        int16_t level = feature->levels == NULL ? version->level
                                                : feature_default_level(feature, version->level);
        /* Nothing is raised to nothing. */
        if (changes->type == UPGRADE && level == 0)
            continue;
        if (!add_change(changes, str_of(feature->name), level, failure))
            return false;
    }
    return true;
}

static bool add_features(struct changes *changes, const struct args *args, struct failure *failure)
{
    const char *text;
    bool disable = strcmp(changes->command, "disable") == 0;
    for (size_t i = 0; (text = args_value_at(args, "feature", i)) != NULL; i++) {
        struct str name = str_of(text), level;
        int32_t number = 0;
        if (!disable && !storage_split_feature(text, &name, &level))
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                               "Can't parse feature=level string %s: equals sign not found.", text);
        if (!disable &&
            (str_to_i32(level, &number) != 0 || number < INT16_MIN || number > INT16_MAX))
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                               "Can't parse feature=level string %s: unable to parse %.*s as a "
                               "short.",
                               text, STR_FMT(level));
        if (!add_change(changes, name, (int16_t)number, failure))
            return false;
    }
    return true;
}

static int by_change(const void *a, const void *b)
{
    return str_cmp(((const struct change *)a)->name, ((const struct change *)b)->name);
}

static bool read_changes(struct changes *changes, const struct args *args, struct failure *failure)
{
    const char *metadata = args_value(args, "metadata");
    const char *release = args_value(args, "release-version");
    if (metadata != NULL)
        fprintf(args->json ? stderr : stdout,
                " `metadata` flag is deprecated and may be removed in a future release.\n");
    if (release != NULL && (metadata != NULL || args_has(args, "feature")))
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Can not specify `release-version` with other feature flags.");
    if (release != NULL && !add_release(changes, release, failure))
        return false;
    if (metadata != NULL) {
        const struct metadata_version *version;
        if (!storage_find_release(metadata, &version, failure) ||
            !add_change(changes, STR(FEATURE_METADATA_VERSION), version->level, failure))
            return false;
    }
    if (!add_features(changes, args, failure))
        return false;
    if (changes->count == 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "You must specify at least one feature to %s", changes->command);
    qsort(changes->items, (size_t)changes->count, sizeof(*changes->items), by_change);
    return true;
}

static bool send_changes(const struct changes *changes, struct client_op *op,
                         struct update_features_response *ret_response, struct failure *failure)
{
    struct update_features_request request;
    message_init(&update_features_request_desc, &request);
    request.feature_updates_count = changes->count;
    request.feature_updates =
        ARENA_ARRAY(op->arena, struct update_features_request_feature_update_key, changes->count);
    request.validate_only = changes->dry;
    message_struct_init(&update_features_request_feature_update_key_struct, request.feature_updates,
                        changes->count);
    for (int32_t i = 0; i < changes->count; i++) {
        request.feature_updates[i].feature = changes->items[i].name;
        request.feature_updates[i].max_version_level = changes->items[i].level;
        request.feature_updates[i].upgrade_type = (int8_t)changes->type;
    }
    do {
        request.timeout_ms = client_time_left(op, INT32_MAX);
        if (!client_call(op, CLIENT_CONTROLLER, API_UPDATE_FEATURES, &request, ret_response,
                         failure))
            return false;
        if (ret_response->error_code != KAFKA_ERROR_NOT_CONTROLLER)
            return true;
    } while (client_retry(op, ret_response->error_code, ret_response->error_message, failure));
    return false;
}

/* The error of one feature, or of all of them; NONE: it was done. */
static struct failure problem_of(const struct update_features_response *response, struct str name)
{
    struct failure problem = {0};
    if (response->error_code != 0)
        failure_set_error(&problem, response->error_code, response->error_message);
    for (int32_t i = 0; response->error_code == 0 && i < response->results_count; i++) {
        const struct update_features_response_updatable_feature_result *r = &response->results[i];
        if (str_eq(r->feature, name) && r->error_code != 0)
            failure_set_error(&problem, r->error_code, r->error_message);
    }
    return problem;
}

static void show_change(const struct changes *changes, const struct change *change,
                        const struct failure *problem)
{
    bool disable = strcmp(changes->command, "disable") == 0, failed = problem->error != 0;
    if (failed)
        printf("%s not %s %.*s", changes->dry ? "Can" : "Could", changes->command,
               STR_FMT(change->name));
    else
        printf("%.*s %s %sd", STR_FMT(change->name), changes->dry ? "can be" : "was",
               changes->command);
    if (!disable)
        printf(" to %d", change->level);
    printf(failed ? ". %s\n" : ".%.0s\n", problem->text);
}

/* With JSON the document says which failed; then only the exit code is left to be set. */
static bool change_features(const struct args *args, struct client_op *op, bool *ret_failed,
                            struct failure *failure)
{
    struct changes changes = {
        .command = args->command->name, .type = UPGRADE, .dry = args_has(args, "dry-run")};
    struct update_features_response response;
    int32_t failed = 0;
    if (strcmp(changes.command, "upgrade") != 0)
        changes.type = args_has(args, "unsafe") ? UNSAFE_DOWNGRADE : SAFE_DOWNGRADE;
    if (!read_changes(&changes, args, failure) || !send_changes(&changes, op, &response, failure))
        return false;
    json_t *list = json_array();
    for (int32_t i = 0; i < changes.count; i++) {
        const struct change *change = &changes.items[i];
        struct failure problem = problem_of(&response, change->name);
        failed += problem.error != 0;
        if (!args->json)
            show_change(&changes, change, &problem);
        json_array_append_new(
            list, json_pack("{s:o,s:i,s:o}", "feature", tool_json_str(change->name), "level",
                            (int)change->level, "error",
                            problem.error ? tool_json_str(str_of(problem.text)) : json_null()));
    }
    if (args->json)
        tool_print_json(json_pack("{s:O,s:b}", "features", list, "dryRun", changes.dry));
    json_decref(list);
    *ret_failed = failed > 0;
    return failed == 0 || args->json ||
           failure_set(failure, KAFKA_ERROR_FEATURE_UPDATE_FAILED,
                       "%d out of %d operation(s) failed.", failed, changes.count);
}

static bool run(const struct args *args, bool *ret_failed, struct failure *failure)
{
    struct bootstrap bootstrap;
    if (strcmp(args->command->name, "version-mapping") == 0)
        return storage_version_mapping(args, failure);
    if (strcmp(args->command->name, "feature-dependencies") == 0)
        return storage_feature_dependencies(args, failure);
    bool is_describe = strcmp(args->command->name, "describe") == 0;
    bool ok = bootstrap_open(&bootstrap, args, args_value(args, "command-config"), failure);
    if (ok) {
        struct client_op op;
        client_op_begin(&op, bootstrap.client, is_describe ? "describeFeatures" : "updateFeatures",
                        &bootstrap.arena);
        ok = is_describe ? describe(args, &op, failure)
                         : change_features(args, &op, ret_failed, failure);
    }
    bootstrap_close(&bootstrap);
    return ok;
}

int features_main(int argc, char **argv)
{
    static const struct args_tool tool = {.name = "kafka-features",
                                          .purpose = "Shows and changes the features of a cluster.",
                                          .globals = globals,
                                          .commands = commands,
                                          .brief = true};
    struct args args;
    struct failure failure;
    enum tool_begin begin = args_parse_tool(&args, &tool, argc, argv);
    bool failed = begin == TOOL_REFUSED;
    int code = failed;
    if (begin == TOOL_GO_ON && run(&args, &failed, &failure))
        code = failed;
    else if (begin == TOOL_GO_ON)
        code = tool_fail(&(struct tool){.json = args.json}, &failure);
    args_release(&args);
    return code;
}
