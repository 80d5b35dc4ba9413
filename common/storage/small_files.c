/*
 * quorum-state, keys in this order:
 *   version 0: {"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"appliedOffset":0,
 *               "currentVoters":[{"voterId":1}],"data_version":0}
 *   version 1: {"leaderId":1,"leaderEpoch":5,"votedId":-1,
 *               "votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}
 */
#include "common/storage/small_files.h"

#include "common/base/mem.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { SMALL_MAX_BYTES = 64 << 10 };

int partition_metadata_read(struct disk *disk, const char *path, struct uuid *ret_topic_id)
{
    char *text;
    size_t len;
    int rv = disk_read_file(disk, path, SMALL_MAX_BYTES, &text, &len);
    if (rv != 0)
        return rv;
    struct str rest = str_from(text, len), line;
    struct uuid id = UUID_ZERO;
    bool have_version = false, have_id = false;
    while (rv == 0 && rest.len > 0) {
        str_split(&rest, '\n', &line);
        struct str key, value = line;
        if (!str_split(&value, ':', &key))
            rv = -EBADMSG;
        else if (str_eq_z(str_trim(key), "version"))
            have_version = str_eq_z(str_trim(value), "0");
        else if (str_eq_z(str_trim(key), "topic_id"))
            have_id = uuid_parse(str_trim(value), &id) == 0;
        else
            rv = -EBADMSG;
    }
    if (rv == 0 && !(have_version && have_id && !uuid_is_zero(id)))
        rv = -EBADMSG;
    free(text);
    if (rv == 0)
        *ret_topic_id = id;
    return rv;
}

int partition_metadata_write(struct disk *disk, const char *path, struct uuid topic_id)
{
    char id[UUID_TEXT_LEN + 1], text[64];
    uuid_format(topic_id, id);
    int len = snprintf(text, sizeof(text), "version: 0\ntopic_id: %s", id);
    struct disk_file *file;
    int rv = disk_open(disk, path, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &file);
    if (rv != 0)
        return rv;
    rv = disk_pwrite(file, text, (size_t)len, 0);
    disk_file_unref(file);
    return rv;
}

static int read_json(struct disk *disk, const char *path, json_t **ret_json)
{
    char *text;
    size_t len;
    int rv = disk_read_file(disk, path, SMALL_MAX_BYTES, &text, &len);
    if (rv != 0)
        return rv;
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    if (!json_is_object(json)) {
        json_decref(json);
        return -EBADMSG;
    }
    *ret_json = json;
    return 0;
}

/* Takes the reference to json. */
static int write_json(struct disk *disk, const char *path, json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (text == NULL)
        return -ENOMEM;
    int rv = disk_replace_file(disk, path, text, strlen(text));
    free(text);
    return rv;
}

static bool json_int(const json_t *object, const char *key, int64_t min, int64_t max,
                     int64_t *ret_value)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        return false;
    int64_t n = json_integer_value(value);
    if (n < min || n > max)
        return false;
    *ret_value = n;
    return true;
}

int clean_shutdown_read(struct disk *disk, const char *path, int64_t *ret_broker_epoch)
{
    json_t *json;
    int rv = read_json(disk, path, &json);
    if (rv != 0)
        return rv;
    int64_t version, epoch = -1;
    if (!json_int(json, "version", 0, 0, &version) ||
        !json_int(json, "brokerEpoch", INT64_MIN, INT64_MAX, &epoch))
        rv = -EBADMSG;
    json_decref(json);
    if (rv == 0)
        *ret_broker_epoch = epoch;
    return rv;
}

int clean_shutdown_write(struct disk *disk, const char *path, int64_t broker_epoch)
{
    return write_json(
        disk, path, json_pack("{s:i, s:I}", "version", 0, "brokerEpoch", (json_int_t)broker_epoch));
}

int clean_shutdown_remove(struct disk *disk, const char *path)
{
    int rv = disk->ops->unlink(disk, path);
    if (rv == -ENOENT)
        return 0;
    return rv != 0 ? rv : disk_sync_parent(disk, path);
}

static bool parse_voters(const json_t *voters, struct quorum_state *state)
{
    if (!json_is_array(voters) || json_array_size(voters) > QUORUM_STATE_MAX_VOTERS)
        return false;
    size_t i;
    json_t *voter;
    json_array_foreach(voters, i, voter)
    {
        int64_t id;
        if (!json_int(voter, "voterId", 0, INT32_MAX, &id))
            return false;
        state->voters[state->voter_count++] = (int32_t)id;
    }
    return true;
}

static bool parse_quorum_state(const json_t *json, struct quorum_state *state)
{
    int64_t version, leader_id, leader_epoch, voted_id;
    if (!json_int(json, "data_version", 0, 1, &version) ||
        !json_int(json, "leaderId", -1, INT32_MAX, &leader_id) ||
        !json_int(json, "leaderEpoch", -1, INT32_MAX, &leader_epoch) ||
        !json_int(json, "votedId", -1, INT32_MAX, &voted_id))
        return false;
    state->data_version = (int16_t)version;
    state->leader_id = (int32_t)leader_id;
    state->leader_epoch = (int32_t)leader_epoch;
    state->voted_id = (int32_t)voted_id;
    if (version == 0) {
        if (!json_int(json, "appliedOffset", INT64_MIN, INT64_MAX, &state->applied_offset))
            state->applied_offset = 0;
        const json_t *voters = json_object_get(json, "currentVoters");
        return json_is_null(voters) || parse_voters(voters, state);
    }
    const char *directory = json_string_value(json_object_get(json, "votedDirectoryId"));
    return directory != NULL && uuid_parse(str_of(directory), &state->voted_directory_id) == 0;
}

int quorum_state_read(struct disk *disk, const char *path, struct quorum_state *ret_state)
{
    json_t *json;
    int rv = read_json(disk, path, &json);
    if (rv != 0)
        return rv;
    struct quorum_state state = {0};
    if (parse_quorum_state(json, &state))
        *ret_state = state;
    else
        rv = -EBADMSG;
    json_decref(json);
    return rv;
}

static json_t *voters_json(const struct quorum_state *state)
{
    json_t *voters = json_array();
    for (int32_t i = 0; i < state->voter_count; i++)
        json_array_append_new(voters, json_pack("{s:i}", "voterId", state->voters[i]));
    return voters;
}

int quorum_state_write(struct disk *disk, const char *path, const struct quorum_state *state)
{
    json_t *json;
    if (state->data_version == 0) {
        json = json_pack("{s:s, s:i, s:i, s:i, s:I, s:o, s:i}", "clusterId", "", "leaderId",
                         state->leader_id, "leaderEpoch", state->leader_epoch, "votedId",
                         state->voted_id, "appliedOffset", (json_int_t)state->applied_offset,
                         "currentVoters", voters_json(state), "data_version", 0);
    } else {
        char directory[UUID_TEXT_LEN + 1];
        uuid_format(state->voted_directory_id, directory);
        json = json_pack("{s:i, s:i, s:i, s:s, s:i}", "leaderId", state->leader_id, "leaderEpoch",
                         state->leader_epoch, "votedId", state->voted_id, "votedDirectoryId",
                         directory, "data_version", 1);
    }
    return write_json(disk, path, json);
}
