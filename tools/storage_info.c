/* kafka-storage info: how the directories of a node are formatted, and what is wrong with them. */
#include "common/base/mem.h"
#include "common/storage/meta_properties.h"
#include "tools/storage_internal.h"

#include <errno.h>
#include <stdlib.h>

struct info {
    struct disk *disk;
    char **problems;
    size_t problems_count, problems_capacity;
    char **found;
    size_t found_count, found_capacity;
    bool has_meta;
    struct meta_properties meta; /* of the first directory that has it */
};

static void problem(struct info *info, char *text)
{
    VEC_PUSH(info->problems, info->problems_count, info->problems_capacity) = text;
}

static void compare_meta(struct info *info, const struct meta_properties *meta)
{
    if (!info->has_meta)
        info->meta = *meta;
    else if (strcmp(info->meta.cluster_id, meta->cluster_id) != 0)
        problem(info, mem_strdup("Mismatched cluster IDs between storage directories."));
    else if (info->meta.node_id != meta->node_id)
        problem(info, mem_strdup("Mismatched node IDs between storage directories."));
    info->has_meta = true;
}

static const char *meta_problem(int error)
{
    return error == -ENOTSUP   ? "it was written by a broker that used ZooKeeper"
           : error == -EBADMSG ? "it is malformed"
                               : strerror(-error);
}

static void look_at(struct info *info, struct str dir)
{
    struct disk_stat stat;
    struct meta_properties meta;
    char *path = mem_printf("%.*s", STR_FMT(dir));
    char *meta_path = mem_printf("%s/" META_PROPERTIES_FILE, path);
    int rv = info->disk->ops->stat(info->disk, path, &stat);
    if (rv == -ENOENT) {
        problem(info, mem_printf("%s does not exist", path));
    } else if (rv != 0) {
        problem(info, mem_printf("%s cannot be read: %s", path, strerror(-rv)));
    } else if (!stat.is_directory) {
        problem(info, mem_printf("%s is not a directory", path));
    } else {
        VEC_PUSH(info->found, info->found_count, info->found_capacity) = mem_strdup(path);
        rv = meta_properties_read(info->disk, meta_path, &meta);
        if (rv == 0)
            compare_meta(info, &meta);
        else if (rv == -ENOENT)
            problem(info, mem_printf("%s is not formatted.", path));
        else
            problem(info, mem_printf("Error loading %s: %s", meta_path, meta_problem(rv)));
    }
    free(meta_path);
    free(path);
}

static void print_list(const char *title, char **items, size_t count)
{
    if (count == 0)
        return;
    printf("Found %s:\n", title);
    for (size_t i = 0; i < count; i++)
        printf("  %s\n", items[i]);
    putchar('\n');
}

static void directory_id(const struct meta_properties *meta, char id[UUID_TEXT_LEN + 1])
{
    id[0] = '\0';
    if (!uuid_is_zero(meta->directory_id))
        uuid_format(meta->directory_id, id);
}

static void print_info(const struct info *info)
{
    print_list(info->found_count == 1 ? "log directory" : "log directories", info->found,
               info->found_count);
    if (info->has_meta) {
        char id[UUID_TEXT_LEN + 1];
        directory_id(&info->meta, id);
        printf("Found metadata: {cluster.id=%s, %s%s%snode.id=%d, version=1}\n\n",
               info->meta.cluster_id, id[0] ? "directory.id=" : "", id, id[0] ? ", " : "",
               info->meta.node_id);
    }
    print_list(info->problems_count == 1 ? "problem" : "problems", info->problems,
               info->problems_count);
}

static json_t *json_of_list(char **items, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, tool_json_str(str_of(items[i])));
    return list;
}

static void print_info_json(const struct info *info)
{
    json_t *document = json_object();
    json_object_set_new(document, "directories", json_of_list(info->found, info->found_count));
    if (info->has_meta) {
        char id[UUID_TEXT_LEN + 1];
        directory_id(&info->meta, id);
        json_object_set_new(document, "metadata",
                            json_pack("{s:s,s:s,s:i,s:i}", "cluster.id", info->meta.cluster_id,
                                      "directory.id", id, "node.id", (int)info->meta.node_id,
                                      "version", 1));
    }
    json_object_set_new(document, "problems", json_of_list(info->problems, info->problems_count));
    tool_print_json(document);
}

static void free_list(char **items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(items[i]);
    free(items);
}

int storage_info(const struct args *args)
{
    struct server_config config;
    struct failure failure;
    struct info info = {0};
    const struct str *dirs;
    int code = 0;
    if (storage_read_config(args_value(args, "config"), false, &config, &failure)) {
        size_t count = storage_directories(&config, &dirs);
        info.disk = disk_posix_new();
        for (size_t i = 0; i < count; i++)
            look_at(&info, dirs[i]);
        if (args->json)
            print_info_json(&info);
        else
            print_info(&info);
        code = info.problems_count > 0;
        free_list(info.found, info.found_count);
        free_list(info.problems, info.problems_count);
        disk_posix_free(info.disk);
    } else {
        code = tool_fail(&(struct tool){.json = args->json}, &failure);
    }
    server_config_release(&config);
    return code;
}
