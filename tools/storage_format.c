/* kafka-storage format: what is written into which directory, and what is said of it. */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/storage/meta_properties.h"
#include "metadata/controller/controller.h"
#include "metadata/feature.h"
#include "raft/format.h"
#include "tools/storage_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct formatting {
    const struct args *args;
    struct server_config config;
    struct disk *disk;
    struct arena arena;
    const char *cluster_id;
    const struct metadata_version *version;
    struct feature_choice *choices;
    size_t choices_count;
    int16_t kraft_level;
    struct quorum_voters *voters; /* NULL: none are named */
    struct metadata_records records;
    struct format_dir *dirs;
    size_t dirs_count, metadata_dir, blank_count;
};

static bool bad(struct failure *failure, const char *sentence)
{
    return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", sentence);
}

/* --feature metadata.version=N is another way to name the release. */
static bool read_metadata_level(struct formatting *f, int32_t level, struct failure *failure)
{
    const struct metadata_version *version = metadata_version_find((int16_t)level);
    if (version == NULL)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "No feature:metadata.version with feature level %d", level);
    if (args_has(f->args, "release-version"))
        return bad(failure, "Use --release-version instead of --feature metadata.version=X to "
                            "avoid ambiguity.");
    f->version = version;
    return true;
}

static bool read_feature(struct formatting *f, const char *text, struct failure *failure)
{
    struct str name, number;
    int32_t level;
    if (!storage_split_feature(text, &name, &number))
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Can't parse feature=level string %s: equals sign not found.", text);
    if (str_to_i32(number, &level) != 0 || level < INT16_MIN || level > INT16_MAX)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Can't parse feature=level string %s: unable to parse %.*s as a short.",
                           text, STR_FMT(number));
    const struct feature *feature = feature_find(name);
    if (feature != NULL && feature->levels == NULL)
        return read_metadata_level(f, level, failure);
    if (feature == NULL) {
        char known[256] = "";
        size_t len = 0;
        for (size_t i = 0; i < feature_table_size; i++)
            if (feature_table[i].levels != NULL)
                len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "",
                                        feature_table[i].name);
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Unsupported feature: %.*s. Supported features are: %s", STR_FMT(name),
                           known);
    }
    if (level < feature->min_level || level > feature->max_level)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "No feature:%s with feature level %d", feature->name, level);
    f->choices[f->choices_count++] = (struct feature_choice){name, (int16_t)level};
    return true;
}

static bool read_features(struct formatting *f, struct failure *failure)
{
    const char *text;
    size_t count = 0;
    while (args_value_at(f->args, "feature", count) != NULL)
        count++;
    f->choices = ARENA_ARRAY(&f->arena, struct feature_choice, count + 1);
    for (size_t i = 0; (text = args_value_at(f->args, "feature", i)) != NULL; i++)
        if (!read_feature(f, text, failure))
            return false;
    for (size_t i = 0; i < f->choices_count; i++) {
        struct feature_choice *choice = &f->choices[i];
        int16_t needs = feature_find(choice->name)->levels[choice->level].needs_metadata_version;
        if (needs > f->version->level)
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                               "%.*s could not be set to %d because it depends on "
                               "metadata.version level %d",
                               STR_FMT(choice->name), choice->level, needs);
    }
    return true;
}

/* Whether the quorum keeps its voters in the log (KIP-853). */
static bool read_kraft_level(struct formatting *f, bool dynamic, struct failure *failure)
{
    f->kraft_level = dynamic;
    for (size_t i = 0; i < f->choices_count; i++)
        if (str_eq_z(f->choices[i].name, FEATURE_KRAFT_VERSION))
            f->kraft_level = f->choices[i].level;
    if (f->kraft_level == 0 && dynamic)
        return bad(failure,
                   "Cannot set kraft.version to 0 if controller.quorum.voters is empty and one of "
                   "the flags --standalone, --initial-controllers, or --no-initial-controllers is "
                   "used. For dynamic controllers support, try removing the --feature flag for "
                   "kraft.version.");
    if (f->kraft_level == 1 && !dynamic)
        return bad(failure,
                   "Cannot set kraft.version to 1 unless controller.quorum.voters is empty and one "
                   "of the flags --standalone, --initial-controllers, or --no-initial-controllers "
                   "is used. For dynamic controllers support, try using one of --standalone, "
                   "--initial-controllers, or --no-initial-controllers and removing "
                   "controller.quorum.voters.");
    return true;
}

static bool standalone_voters(struct formatting *f, struct failure *failure)
{
    const struct server_listener *listener = f->config.controller_listener;
    struct uuid directory;
    if (listener == NULL)
        return bad(failure, "You can only use --standalone on a controller.");
    if (!storage_random_uuid(&directory, failure))
        return false;
    f->voters = quorum_voters_new();
    CHECK(quorum_voters_add(f->voters, f->config.node_id, directory, QUORUM_VOTER) == 0);
    quorum_voters_add_listener(f->voters, listener->name, str_of(listener->advertised.host),
                               listener->advertised.port);
    return true;
}

static bool read_quorum(struct formatting *f, struct failure *failure)
{
    const char *initial = args_value(f->args, "initial-controllers");
    bool standalone = args_has(f->args, "standalone");
    bool static_voters = f->config.voters_count > 0;
    if (static_voters && (initial != NULL || standalone))
        return bad(failure,
                   "You cannot specify controller.quorum.voters and format the node with "
                   "--initial-controllers or --standalone. If you want to use dynamic quorum, "
                   "please remove controller.quorum.voters and specify "
                   "controller.quorum.bootstrap.servers instead.");
    if (initial != NULL &&
        !storage_parse_voters(initial, f->config.controller_listener_name, &f->voters, failure))
        return false;
    if (standalone && !standalone_voters(f, failure))
        return false;
    if (f->config.is_controller && !static_voters && f->voters == NULL &&
        !args_has(f->args, "no-initial-controllers"))
        return bad(failure,
                   "Because controller.quorum.voters is not set on this controller, you must "
                   "specify one of the following: --standalone, --initial-controllers, or "
                   "--no-initial-controllers.");
    return read_kraft_level(f, !static_voters, failure);
}

static bool read_records(struct formatting *f, struct failure *failure)
{
    const char *text;
    controller_bootstrap_records(f->version->level, f->choices, f->choices_count, &f->arena,
                                 &f->records);
    for (size_t i = 0; (text = args_value_at(f->args, "add-scram", i)) != NULL; i++) {
        if (f->version->level < METADATA_VERSION_SCRAM)
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                               "SCRAM is only supported in metadata.version %s or later.",
                               metadata_version_find(METADATA_VERSION_SCRAM)->name);
        if (!storage_add_scram(text, &f->arena, &f->records, failure))
            return false;
    }
    return true;
}

/* What a directory says of itself already. */
static bool check_formatted(struct formatting *f, const char *path,
                            const struct meta_properties *meta, struct failure *failure)
{
    if (strcmp(meta->cluster_id, f->cluster_id) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Invalid cluster.id in: %s/" META_PROPERTIES_FILE
                           ". Expected %s, but read %s",
                           path, f->cluster_id, meta->cluster_id);
    if (meta->node_id != f->config.node_id)
        return failure_set(
            failure, KAFKA_ERROR_INVALID_REQUEST,
            "Stored node id %d doesn't match previous node id %d in %s/" META_PROPERTIES_FILE
            ". If you moved your data, make sure your configured node id matches. "
            "If you intend to create a new node, you should remove all data in "
            "your data directories.",
            meta->node_id, f->config.node_id, path);
    return true;
}

/* A copied directory: the metadata could not tell them apart. */
static bool check_directory_ids(const struct formatting *f, struct failure *failure)
{
    for (size_t i = 0; i < f->dirs_count; i++) {
        for (size_t j = 0; j < i; j++) {
            char id[UUID_TEXT_LEN + 1];
            if (uuid_is_zero(f->dirs[i].directory_id) ||
                !uuid_eq(f->dirs[i].directory_id, f->dirs[j].directory_id))
                continue;
            uuid_format(f->dirs[i].directory_id, id);
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                               "Duplicate directory ID %s found. It was the ID of %s, but also of "
                               "%s",
                               id, f->dirs[j].path, f->dirs[i].path);
        }
    }
    return true;
}

static bool read_directory(struct formatting *f, struct str name, struct failure *failure)
{
    struct format_dir *dir = &f->dirs[f->dirs_count];
    struct meta_properties meta;
    dir->path = arena_str_z(&f->arena, name);
    char *path = mem_printf("%s/" META_PROPERTIES_FILE, dir->path);
    int rv = meta_properties_read(f->disk, path, &meta);
    free(path);
    if (str_eq(name, f->config.metadata_log_dir))
        f->metadata_dir = f->dirs_count;
    f->dirs_count++;
    dir->skip = rv == 0;
    if (rv == 0) {
        dir->directory_id = meta.directory_id;
        return check_formatted(f, dir->path, &meta, failure);
    }
    if (rv != -ENOENT)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "I/O error trying to read log directory %s.\n"
                           "%s",
                           dir->path,
                           rv == -ENOTDIR   ? "It is no directory."
                           : rv == -EBADMSG ? "Its " META_PROPERTIES_FILE " is malformed."
                           : rv == -ENOTSUP ? "Its " META_PROPERTIES_FILE
                                              " is of a broker that used ZooKeeper."
                                            : "Its " META_PROPERTIES_FILE " cannot be read.");
    f->blank_count++;
    return storage_random_uuid(&dir->directory_id, failure);
}

static bool read_directories(struct formatting *f, struct failure *failure)
{
    const struct str *names;
    size_t count = storage_directories(&f->config, &names);
    f->dirs = ARENA_ARRAY(&f->arena, struct format_dir, count);
    for (size_t i = 0; i < count; i++)
        if (!read_directory(f, names[i], failure))
            return false;
    for (size_t i = 0; i < count; i++)
        if (f->dirs[i].skip && !args_has(f->args, "ignore-formatted"))
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                               "Log directory %s is already formatted. Use --ignore-formatted to "
                               "ignore this directory and format the others.",
                               f->dirs[i].path);
    if (!check_directory_ids(f, failure))
        return false;
    const struct quorum_server *self =
        f->voters ? quorum_voters_find_node(f->voters, f->config.node_id) : NULL;
    if (self != NULL && !f->dirs[f->metadata_dir].skip)
        f->dirs[f->metadata_dir].directory_id = self->directory_id;
    return true;
}

static const char *directory_kind(const struct formatting *f, size_t at)
{
    if (at != f->metadata_dir)
        return "data directory";
    if (f->voters == NULL)
        return "metadata directory";
    return quorum_voters_find_node(f->voters, f->config.node_id)
               ? "dynamic metadata voter directory"
               : "dynamic metadata directory";
}

/* As Kafka shows a record; what a password could be guessed from is not shown. */
static void print_records(const struct formatting *f)
{
    fputs("Bootstrap metadata: BootstrapMetadata(records=[", stdout);
    for (size_t i = 0; i < f->records.count; i++) {
        const struct metadata_record *record = &f->records.items[i];
        printf("%sApiMessageAndVersion(", i ? ", " : "");
        if (record->key == METADATA_FEATURE_LEVEL_RECORD) {
            const struct feature_level_record *level = record->data;
            printf("FeatureLevelRecord(name='%.*s', featureLevel=%d)", STR_FMT(level->name),
                   level->feature_level);
        } else {
            const struct user_scram_credential_record *scram = record->data;
            printf("UserScramCredentialRecord(name='%.*s', mechanism=%d, salt=[hidden], "
                   "storedKey=[hidden], serverKey=[hidden], iterations=%d)",
                   STR_FMT(scram->name), scram->mechanism, scram->iterations);
        }
        printf(" at version %d)", record->version);
    }
    printf("], metadataVersionLevel=%d, source=format command)\n", f->version->level);
}

static void print_text(const struct formatting *f)
{
    if (f->blank_count == 0) {
        puts("All of the log directories are already formatted.");
        return;
    }
    print_records(f);
    /* In the order in which they are written: the metadata's last. */
    for (size_t n = 0; n <= f->dirs_count; n++) {
        size_t i = n < f->dirs_count ? n : f->metadata_dir;
        if (!f->dirs[i].skip && (i == n) == (i != f->metadata_dir))
            printf("Formatting %s %s with metadata.version %s.\n", directory_kind(f, i),
                   f->dirs[i].path, f->version->name);
    }
}

static void print_json(const struct formatting *f)
{
    json_t *list = json_array();
    for (size_t i = 0; i < f->dirs_count; i++) {
        char id[UUID_TEXT_LEN + 1];
        uuid_format(f->dirs[i].directory_id, id);
        json_array_append_new(list, json_pack("{s:o,s:s,s:s,s:b}", "path",
                                              tool_json_str(str_of(f->dirs[i].path)),
                                              "directory.id", id, "kind", directory_kind(f, i),
                                              "formatted", !f->dirs[i].skip));
    }
    tool_print_json(json_pack(
        "{s:o,s:i,s:s,s:o}", "cluster.id", tool_json_str(str_of(f->cluster_id)), "node.id",
        (int)f->config.node_id, "metadata.version", f->version->name, "directories", list));
}

static bool write_directories(struct formatting *f, struct failure *failure)
{
    struct timespec now;
    struct bytebuf records;
    char error[FORMAT_ERROR_LEN];
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    bytebuf_init(&records);
    CHECK(record_codec_encode_batch(f->records.items, f->records.count, 0, 0, now_ms, &records) ==
          0);
    struct format_request request = {
        .cluster_id = f->cluster_id,
        .node_id = f->config.node_id,
        .now_ms = now_ms,
        .dirs = f->dirs,
        .dir_count = f->dirs_count,
        .metadata_dir = f->metadata_dir,
        .without_checkpoint = f->dirs[f->metadata_dir].skip || !f->config.is_controller,
        .with_kraft_version = f->kraft_level > 0,
        .voters = f->voters,
        .records = {records.data, (int32_t)records.len},
    };
    int rv = format_directories(f->disk, &request, error);
    bytebuf_release(&records);
    return rv == 0 || bad(failure, error);
}

static bool run(struct formatting *f, struct failure *failure)
{
    const struct args *args = f->args;
    f->cluster_id = args_value(args, "cluster-id");
    if (f->cluster_id[0] == '\0' || strlen(f->cluster_id) > CLUSTER_ID_MAX)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "A cluster id has 1 to %d characters, such as what kafka-storage "
                           "random-uuid prints",
                           CLUSTER_ID_MAX);
    if (!storage_find_release(args_value(args, "release-version"), &f->version, failure) ||
        !read_features(f, failure) || !read_quorum(f, failure) || !read_records(f, failure) ||
        !read_directories(f, failure))
        return false;
    if (!args->json)
        print_text(f);
    if (f->blank_count > 0 && !write_directories(f, failure))
        return false;
    if (args->json)
        print_json(f);
    return true;
}

bool storage_format(const struct args *args, struct failure *failure)
{
    struct formatting f = {.args = args};
    f.disk = disk_posix_new();
    arena_init(&f.arena, 0);
    bool ok = storage_read_config(args_value(args, "config"), true, &f.config, failure) &&
              run(&f, failure);
    quorum_voters_unref(f.voters);
    arena_release(&f.arena);
    disk_posix_free(f.disk);
    server_config_release(&f.config);
    return ok;
}
