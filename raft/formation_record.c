#include "raft/formation_record.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_MAX_BYTES ((size_t)1 << 20)
#define VERSION        1

void formation_record_release(struct formation_record *record)
{
    quorum_voters_unref(record->voters);
    *record = (struct formation_record){0};
}

void formation_record_copy(struct formation_record *to, const struct formation_record *from)
{
    *to = *from;
    if (from->voters)
        to->voters = quorum_voters_copy(from->voters);
}

static char *path_of(const char *directory)
{
    return mem_printf("%s/" FORMATION_FILE, directory);
}

static bool get_uuid(const json_t *object, struct uuid *ret_id)
{
    const char *text = json_string_value(json_object_get(object, "directory.id"));
    return text && uuid_parse(str_of(text), ret_id) == 0 && !uuid_is_zero(*ret_id);
}

static bool parse_endpoint(const json_t *json, struct quorum_voters *voters)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    const char *host = json_string_value(json_object_get(json, "host"));
    const json_t *port = json_object_get(json, "port");
    if (!name || !host || !json_is_integer(port) || json_integer_value(port) < 0 ||
        json_integer_value(port) > UINT16_MAX)
        return false;
    quorum_voters_add_listener(voters, str_of(name), str_of(host),
                               (uint16_t)json_integer_value(port));
    return true;
}

static bool parse_voters(const json_t *json, struct quorum_voters *voters)
{
    size_t i, k;
    const json_t *voter, *endpoint;
    json_array_foreach(json, i, voter)
    {
        const json_t *id = json_object_get(voter, "node.id");
        struct uuid directory_id;
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > INT32_MAX || !get_uuid(voter, &directory_id) ||
            quorum_voters_find_node(voters, (int32_t)json_integer_value(id)) ||
            quorum_voters_add(voters, (int32_t)json_integer_value(id), directory_id,
                              QUORUM_VOTER) != 0)
            return false;
        json_array_foreach(json_object_get(voter, "endpoints"), k, endpoint)
        {
            if (!parse_endpoint(endpoint, voters))
                return false;
        }
    }
    return voters->count > 0;
}

static bool parse(const json_t *json, struct formation_record *record)
{
    const json_t *version = json_object_get(json, "version");
    const json_t *cluster_id = json_object_get(json, "cluster.id");
    if (!json_is_integer(version) || json_integer_value(version) != VERSION ||
        !get_uuid(json, &record->directory_id))
        return false;
    if (!cluster_id)
        return true;
    const char *text = json_string_value(cluster_id);
    if (!text || !text[0] || strlen(text) > CLUSTER_ID_MAX)
        return false;
    snprintf(record->cluster_id, sizeof(record->cluster_id), "%s", text);
    record->voters = quorum_voters_new();
    return parse_voters(json_object_get(json, "voters"), record->voters);
}

int formation_record_load(struct disk *disk, const char *directory,
                          struct formation_record *ret_record)
{
    char *path = path_of(directory), *text;
    size_t len;
    int rv = disk_read_file(disk, path, FILE_MAX_BYTES, &text, &len);
    free(path);
    if (rv != 0)
        return rv;
    json_error_t error;
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    struct formation_record record = {0};
    bool good = json_is_object(json) && parse(json, &record);
    json_decref(json);
    free(text);
    if (!good) {
        formation_record_release(&record);
        return -EBADMSG;
    }
    *ret_record = record;
    return 0;
}

static json_t *voter_json(const struct quorum_server *server)
{
    char directory[UUID_TEXT_LEN + 1];
    uuid_format(server->directory_id, directory);
    json_t *endpoints = json_array();
    for (int i = 0; i < server->listener_count; i++) {
        const struct quorum_listener *listener = &server->listeners[i];
        json_array_append_new(endpoints,
                              json_pack("{s:s, s:s, s:i}", "name", listener->name, "host",
                                        listener->host, "port", (int)listener->port));
    }
    return json_pack("{s:i, s:s, s:o}", "node.id", (int)server->node_id, "directory.id", directory,
                     "endpoints", endpoints);
}

int formation_record_put(struct disk *disk, const char *directory,
                         const struct formation_record *record)
{
    char id[UUID_TEXT_LEN + 1];
    uuid_format(record->directory_id, id);
    json_t *json = json_pack("{s:i, s:s}", "version", VERSION, "directory.id", id);
    if (record->cluster_id[0]) {
        json_t *voters = json_array();
        for (int i = 0; i < record->voters->count; i++)
            json_array_append_new(voters, voter_json(&record->voters->servers[i]));
        json_object_set_new(json, "cluster.id", json_string(record->cluster_id));
        json_object_set_new(json, "voters", voters);
    }
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(json);
    CHECK(text);
    char *path = path_of(directory);
    int rv = disk_put_file(disk, path, text, strlen(text));
    free(path);
    free(text);
    return rv;
}

int formation_record_store(struct disk *disk, const char *directory,
                           const struct formation_record *record)
{
    int rv = formation_record_put(disk, directory, record);
    return rv == 0 ? disk->ops->fsync_dir(disk, directory) : rv;
}

int formation_record_remove(struct disk *disk, const char *directory)
{
    char *path = path_of(directory);
    int rv = disk->ops->unlink(disk, path);
    if (rv == 0)
        rv = disk_sync_parent(disk, path);
    free(path);
    return rv == -ENOENT ? 0 : rv;
}
