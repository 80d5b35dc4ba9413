/* kafka-storage: format log directories, and what is to be known about that. */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "metadata/feature.h"
#include "tools/storage_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum { CONFIG_FILE_MAX_BYTES = 1 << 20, MODE = 1 };

static const struct args_option info_options[] = {
    {"config", 'c', true, true, 0, "The server.properties of the node."},
    {NULL},
};
static const struct args_option format_options[] = {
    {"config", 'c', true, true, 0, "The server.properties of the node."},
    {"cluster-id", 't', true, true, 0, "The id of the cluster; the same for all its nodes."},
    {"add-scram", 'S', true, false, 0,
     "Credentials to begin with, as SCRAM-SHA-256=[name=alice,password=secret]. May be repeated."},
    {"ignore-formatted", 'g', false, false, 0, "Pass over directories that are formatted already."},
    {"release-version", 'r', true, false, 0, "The release whose features the cluster begins with."},
    {"feature", 'f', true, false, 0, "Another level for one feature, NAME=LEVEL. May be repeated."},
    {"standalone", 's', false, false, MODE, "A controller that is the quorum's only voter."},
    {"no-initial-controllers", 'N', false, false, MODE,
     "A controller that joins a quorum which there is."},
    {"initial-controllers", 'I', true, false, MODE,
     "The voters to begin with: ID@HOST:PORT:DIRECTORY-ID,..."},
    {NULL},
};
static const struct args_option mapping_options[] = {
    {"release-version", 'r', true, false, 0, "A release or metadata.version, such as 4.4."},
    {NULL},
};
static const struct args_option dependencies_options[] = {
    {"feature", 'f', true, true, 0, "NAME=LEVEL. May be repeated."},
    {NULL},
};
static const struct args_option no_options[] = {{NULL}};

static const struct args_command commands[] = {
    {"info", "Show how the log directories of a node are formatted.", info_options},
    {"format", "Format the log directories of a node.", format_options},
    {"version-mapping", "Show the feature levels of a release.", mapping_options},
    {"feature-dependencies", "Show what a feature level needs.", dependencies_options},
    {"random-uuid", "Print an id for a new cluster.", no_options},
    {NULL},
};

static bool parse_config(struct server_config *config, struct str text, const char *path,
                         bool strict, struct failure *failure)
{
    char hostname[256] = "";
    gethostname(hostname, sizeof(hostname) - 1);
    struct server_config_options options = {
        .text = text,
        .source = str_of(path),
        .hostname = str_of(hostname),
        .strict = strict,
    };
    if (server_config_load(config, &options) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG, "%s", config->error);
    return true;
}

bool storage_read_config(const char *path, bool strict, struct server_config *config,
                         struct failure *failure)
{
    server_config_init(config);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG, "Cannot read %s: %s", path,
                           strerror(errno));
    char *text = mem_alloc(CONFIG_FILE_MAX_BYTES);
    size_t len = fread(text, 1, CONFIG_FILE_MAX_BYTES, file);
    bool ok;
    if (ferror(file))
        ok = failure_set(failure, KAFKA_ERROR_INVALID_CONFIG, "Cannot read %s: %s", path,
                         strerror(errno));
    else if (len == CONFIG_FILE_MAX_BYTES)
        ok = failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                         "%s is too large for a server.properties", path);
    else
        ok = parse_config(config, str_from(text, len), path, strict, failure);
    fclose(file);
    free(text);
    return ok;
}

static int compare_str(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

size_t storage_directories(struct server_config *config, const struct str **ret_dirs)
{
    size_t all = (size_t)config->log_dirs_count, count = 0;
    struct str *dirs = ARENA_ARRAY(&config->arena, struct str, all + 1);
    memcpy(dirs, config->log_dirs, all * sizeof(*dirs));
    dirs[all] = config->metadata_log_dir;
    qsort(dirs, all + 1, sizeof(*dirs), compare_str);
    for (size_t i = 0; i <= all; i++)
        if (count == 0 || !str_eq(dirs[count - 1], dirs[i]))
            dirs[count++] = dirs[i];
    *ret_dirs = dirs;
    return count;
}

bool storage_split_feature(const char *text, struct str *ret_name, struct str *ret_level)
{
    struct str rest = str_of(text);
    bool found = str_split(&rest, '=', ret_name);
    *ret_name = str_trim(*ret_name);
    *ret_level = found ? str_trim(rest) : STR_NULL;
    return found;
}

bool storage_find_release(const char *name, const struct metadata_version **ret_version,
                          struct failure *failure)
{
    *ret_version = name ? metadata_version_find_name(str_of(name))
                        : metadata_version_find(METADATA_VERSION_LATEST);
    if (*ret_version != NULL)
        return true;
    char known[512] = "";
    size_t len = 0;
    for (int16_t level = METADATA_VERSION_MIN; level <= METADATA_VERSION_LATEST; level++)
        len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "",
                                metadata_version_find(level)->name);
    CHECK(len < sizeof(known));
    return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                       "Unknown metadata.version '%s'. Supported metadata.version are: %s", name,
                       known);
}

bool storage_random_uuid(struct uuid *ret_uuid, struct failure *failure)
{
    uint8_t random[16];
    do {
        if (getrandom(random, sizeof(random), 0) != sizeof(random))
            return failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                               "There is no randomness: %s", strerror(errno));
    } while (!uuid_from_random(random, ret_uuid));
    return true;
}

static bool random_uuid(const struct args *args, struct failure *failure)
{
    struct uuid uuid;
    char text[UUID_TEXT_LEN + 1];
    if (!storage_random_uuid(&uuid, failure))
        return false;
    uuid_format(uuid, text);
    if (args->json)
        tool_print_json(json_pack("{s:s}", "uuid", text));
    else
        puts(text);
    return true;
}

bool storage_version_mapping(const struct args *args, struct failure *failure)
{
    /* In Kafka's order. */
    static const char *const features[] = {
        FEATURE_KRAFT_VERSION, FEATURE_TRANSACTION_VERSION,
        FEATURE_GROUP_VERSION, FEATURE_ELIGIBLE_LEADER_REPLICAS,
        FEATURE_SHARE_VERSION, FEATURE_STREAMS_VERSION,
    };
    const struct metadata_version *version;
    const char *name = args_value(args, "release-version");
    if (!storage_find_release(name, &version, failure))
        return false;
    json_t *levels = json_object();
    json_object_set_new(levels, FEATURE_METADATA_VERSION, json_integer(version->level));
    if (!args->json)
        printf(FEATURE_METADATA_VERSION "=%d (%s)\n", version->level, name ? name : version->name);
    for (size_t i = 0; i < ARRAY_LEN(features); i++) {
        int16_t level = feature_default_level(feature_find(str_of(features[i])), version->level);
        json_object_set_new(levels, features[i], json_integer(level));
        if (!args->json)
            printf("%s=%d\n", features[i], level);
    }
    if (args->json)
        tool_print_json(json_pack("{s:s,s:O}", "release", version->name, "features", levels));
    json_decref(levels);
    return true;
}

static bool show_dependencies(const char *text, json_t *list, struct failure *failure)
{
    struct str name, number;
    int32_t level;
    if (!storage_split_feature(text, &name, &number))
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Invalid feature format: %s. Expected format: 'feature=version' (e.g. "
                           "'group.version=1')",
                           text);
    if (str_to_i32(number, &level) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Invalid version format: %.*s for feature %.*s", STR_FMT(number),
                           STR_FMT(name));
    const struct feature *feature = feature_find(name);
    if (feature == NULL)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Unknown feature: %.*s",
                           STR_FMT(name));
    bool known = level >= feature->min_level && level <= feature->max_level;
    if (!known && str_eq_z(name, "metadata.version"))
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Unknown metadata.version %d",
                           level);
    if (!known)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Feature level %d is not supported for feature %s", level,
                           feature->name);
    int16_t needs = feature->levels ? feature->levels[level].needs_metadata_version : 0;
    const struct metadata_version *version = metadata_version_find(needs);
    if (list != NULL) {
        json_t *needed = json_object();
        if (needs != 0)
            json_object_set_new(needed, FEATURE_METADATA_VERSION, json_integer(needs));
        json_array_append_new(list, json_pack("{s:s,s:i,s:o}", "feature", feature->name, "level",
                                              (int)level, "requires", needed));
        return true;
    }
    printf("%s=%d", feature->name, level);
    if (feature->levels == NULL)
        printf(" (%s)", metadata_version_find((int16_t)level)->name);
    if (version == NULL)
        puts(" has no dependencies.");
    else
        printf(" requires:\n    " FEATURE_METADATA_VERSION "=%d (%s)\n", needs, version->name);
    return true;
}

bool storage_feature_dependencies(const struct args *args, struct failure *failure)
{
    json_t *list = args->json ? json_array() : NULL;
    const char *text;
    bool ok = true;
    for (size_t i = 0; ok && (text = args_value_at(args, "feature", i)) != NULL; i++)
        ok = show_dependencies(text, list, failure);
    if (list != NULL && ok)
        tool_print_json(json_pack("{s:O}", "features", list));
    json_decref(list);
    return ok;
}

static int run(const struct args *args)
{
    static const struct {
        const char *command;
        bool (*run)(const struct args *, struct failure *);
    } runs[] = {
        {"format", storage_format},
        {"version-mapping", storage_version_mapping},
        {"feature-dependencies", storage_feature_dependencies},
        {"random-uuid", random_uuid},
    };
    struct failure failure;
    if (strcmp(args->command->name, "info") == 0)
        return storage_info(args);
    for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
        if (strcmp(args->command->name, runs[i].command) != 0 || runs[i].run(args, &failure))
            continue;
        return tool_fail(&(struct tool){.json = args->json}, &failure);
    }
    return 0;
}

int storage_main(int argc, char **argv)
{
    struct args args;
    int code = 0;
    switch (args_parse(&args, "kafka-storage", "Formats the log directories of a node.", commands,
                       argc, argv)) {
    case TOOL_GO_ON:
        code = run(&args);
        break;
    case TOOL_REFUSED:
        code = 1;
        break;
    case TOOL_DONE:
        break;
    }
    args_release(&args);
    return code;
}
