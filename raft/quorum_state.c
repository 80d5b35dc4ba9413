#include "raft/quorum_state.h"

#include "common/base/buf.h"
#include "raft/quorum_map.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#define FILE_MAX_BYTES ((size_t)1 << 20)

static bool get_int(const json_t *object, const char *key, int64_t min, int64_t max,
                    int64_t *ret_value)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < min ||
        json_integer_value(value) > max)
        return false;
    *ret_value = json_integer_value(value);
    return true;
}

static bool get_voters(const json_t *object, struct quorum_state *state)
{
    const json_t *voters = json_object_get(object, "currentVoters"), *voter;
    if (!voters || json_is_null(voters))
        return true;
    if (!json_is_array(voters) || json_array_size(voters) > QUORUM_SERVERS_MAX)
        return false;
    size_t i;
    json_array_foreach(voters, i, voter)
    {
        int64_t id;
        if (!get_int(voter, "voterId", 0, INT32_MAX, &id))
            return false;
        state->current_voters[state->current_voter_count++] = (int32_t)id;
    }
    return true;
}

static const char *parse_object(const json_t *object, struct quorum_state *state)
{
    int64_t version, leader, epoch, voted;
    if (!get_int(object, "data_version", 0, INT16_MAX, &version))
        return "data_version";
    if (version > 1)
        return "data_version (of a later Kafka)";
    if (!get_int(object, "leaderId", -1, INT32_MAX, &leader))
        return "leaderId";
    /* The highest epoch is kept free, so that a term always has a next one. */
    if (!get_int(object, "leaderEpoch", -1, INT32_MAX - 1, &epoch))
        return "leaderEpoch";
    if (!get_int(object, "votedId", -1, INT32_MAX, &voted))
        return "votedId";
    state->data_version = (int16_t)version;
    state->leader_id = (int32_t)leader;
    state->leader_epoch = (int32_t)epoch;
    state->voted_id = (int32_t)voted;
    if (version == 0)
        return get_voters(object, state) ? NULL : "currentVoters";
    const char *directory = json_string_value(json_object_get(object, "votedDirectoryId"));
    if (!directory || uuid_parse(str_of(directory), &state->voted_directory_id) != 0)
        return "votedDirectoryId";
    return NULL;
}

int quorum_state_parse(const char *text, size_t len, struct quorum_state *ret_state,
                       const char **ret_what)
{
    struct quorum_state state = QUORUM_STATE_INIT;
    json_error_t error;
    json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    const char *what = json_is_object(object) ? parse_object(object, &state) : "JSON object";
    json_decref(object);
    if (what) {
        *ret_what = what;
        return -EBADMSG;
    }
    *ret_state = state;
    return 0;
}

int quorum_state_load(struct disk *disk, const char *path, struct quorum_state *ret_state,
                      const char **ret_what)
{
    char *text;
    size_t len;
    int rv = disk_read_file(disk, path, FILE_MAX_BYTES, &text, &len);
    if (rv != 0)
        return rv;
    rv = quorum_state_parse(text, len, ret_state, ret_what);
    free(text);
    return rv;
}

int quorum_state_store(struct disk *disk, const char *path, const struct quorum_state *state)
{
    char directory[UUID_TEXT_LEN + 1];
    uuid_format(state->voted_directory_id, directory);
    struct bytebuf text;
    bytebuf_init(&text);
    bytebuf_printf(&text,
                   "{\"leaderId\":%d,\"leaderEpoch\":%d,\"votedId\":%d,\"votedDirectoryId\":\"%s\","
                   "\"data_version\":1}",
                   state->leader_id, state->leader_epoch, state->voted_id, directory);
    int rv = disk_replace_file(disk, path, text.data, text.len);
    bytebuf_release(&text);
    return rv;
}

/* The raft id that holds our vote; 0: nobody. */
static uint64_t vote_of(const struct quorum_state *state, int32_t self_id,
                        struct uuid self_directory, const struct quorum_voters *voters,
                        quorum_guards_off guards_off)
{
    bool leader_is_vote = quorum_guard_on(guards_off, QUORUM_W16_LEADER_IS_VOTE);
    if (state->voted_id < 0)
        return state->leader_id >= 0 && leader_is_vote ? quorum_raft_id(self_directory) : 0;
    if (!uuid_is_zero(state->voted_directory_id))
        return quorum_raft_id(state->voted_directory_id);
    const struct quorum_server *server = voters && state->voted_id != self_id
                                             ? quorum_voters_find_node(voters, state->voted_id)
                                             : NULL;
    return server ? server->raft_id : quorum_raft_id(self_directory);
}

void quorum_state_import(const struct quorum_state *state, int32_t last_epoch, int32_t self_id,
                         struct uuid self_directory, const struct quorum_voters *voters,
                         quorum_guards_off guards_off, uint64_t *ret_term,
                         uint64_t *ret_voted_raft_id)
{
    int32_t epoch = state ? state->leader_epoch : -1;
    if (last_epoch > epoch) {
        /* No file tells how we voted in that epoch; the bootstrap's epoch 0 had no election. */
        *ret_term = quorum_term_of(last_epoch);
        *ret_voted_raft_id = last_epoch > 0 ? quorum_raft_id(self_directory) : 0;
        return;
    }
    *ret_term = quorum_term_of(epoch);
    *ret_voted_raft_id =
        state && epoch >= 0 ? vote_of(state, self_id, self_directory, voters, guards_off) : 0;
}
