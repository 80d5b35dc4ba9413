#include "broker/handlers/raft_voter.h"

#include "broker/server/metadata_loop.h"
#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "metadata/config/server_config.h"
#include "raft/quorum_node.h"

#include <errno.h>
#include <stdio.h>

/* "ReplicaKey(id=1, directoryId=...)": how Kafka writes a voter. */
static struct str key_text(struct arena *arena, int32_t id, struct uuid directory_id)
{
    char directory[UUID_TEXT_LEN + 1];
    uuid_format(directory_id, directory);
    return arena_printf(arena, "ReplicaKey(id=%d, directoryId=%s)", (int)id, directory);
}

static struct str own_key(const struct raft_voter *voter)
{
    return key_text(voter->call->arena, voter->id, voter->directory_id);
}

static const struct quorum_voters *voters_of(const struct raft_voter *voter)
{
    const struct quorum_node *quorum = metadata_loop_quorum(voter->ml);
    const struct quorum_core *core = quorum ? quorum_node_core(quorum) : NULL;
    return core ? quorum_core_voters(core) : NULL;
}

static struct str voters_text(const struct raft_voter *voter)
{
    struct arena *arena = voter->call->arena;
    const struct quorum_voters *voters = voters_of(voter);
    struct str text = STR_EMPTY;
    for (int i = 0; voters != NULL && i < voters->count; i++) {
        const struct quorum_server *server = &voters->servers[i];
        if (server->role == QUORUM_VOTER)
            text = arena_printf(arena, "%.*s%s%.*s", STR_FMT(text), text.len > 0 ? ", " : "",
                                STR_FMT(key_text(arena, server->node_id, server->directory_id)));
    }
    return arena_printf(arena, "[%.*s]", STR_FMT(text));
}

bool raft_voter_check_cluster(struct raft_voter *voter)
{
    struct str own = node_cluster_id(voter->call->shard->node);
    if (str_is_null(voter->cluster_id) || str_eq(voter->cluster_id, own))
        return true;
    voter->answer(voter, KAFKA_ERROR_INCONSISTENT_CLUSTER_ID,
                  arena_printf(voter->call->arena,
                               "The given id \"%.*s\" doesn't match the cluster id \"%.*s\"",
                               STR_FMT(voter->cluster_id), STR_FMT(own)));
    return false;
}

bool raft_voter_check_key(struct raft_voter *voter)
{
    if (voter->id >= 0 && !uuid_is_zero(voter->directory_id))
        return true;
    voter->answer(voter, KAFKA_ERROR_INVALID_REQUEST,
                  arena_printf(voter->call->arena, "%s voter request didn't include a valid voter",
                               voter->verb));
    return false;
}

bool raft_voter_check_listeners(struct raft_voter *voter)
{
    struct arena *arena = voter->call->arena;
    struct str wanted = node_config(voter->call->shard->node)->controller_listener_name;
    struct str text = STR_EMPTY;
    for (int32_t i = 0; i < voter->listeners_count; i++) {
        if (str_eq(voter->listeners[i].name, wanted))
            return true;
        text = arena_printf(arena, "%.*s%sListenerName(%.*s)=%.*s/<unresolved>:%d", STR_FMT(text),
                            text.len > 0 ? ", " : "", STR_FMT(voter->listeners[i].name),
                            STR_FMT(voter->listeners[i].host), (int)voter->listeners[i].port);
    }
    voter->answer(
        voter, KAFKA_ERROR_INVALID_REQUEST,
        arena_printf(arena,
                     "%s voter request didn't include the endpoint (Endpoints(endpoints={%.*s})) "
                     "for the default listener ListenerName(%.*s)",
                     voter->verb, STR_FMT(text), STR_FMT(wanted)));
    return false;
}

static struct str aborted(const struct raft_voter *voter, const char *sentence)
{
    bool adds = voter->change.kind == QUORUM_MEMBER_ADD;
    return arena_printf(voter->call->arena, "Aborted %s voter operation for %.*s since %s",
                        adds                                         ? "add"
                        : voter->change.kind == QUORUM_MEMBER_REMOVE ? "remove"
                                                                     : "update",
                        STR_FMT(own_key(voter)), sentence);
}

static void changed(struct quorum_member_change *change, int status, const char *sentence)
{
    struct raft_voter *voter = CONTAINER_OF(change, struct raft_voter, change);
    struct arena *arena = voter->call->arena;
    quorum_voters_unref(change->server);
    switch (status) {
    case 0:
        voter->answer(voter, KAFKA_ERROR_NONE, STR_NULL);
        break;
    case -EPERM:
        controller_call_finish(voter->call, KAFKA_ERROR_NOT_CONTROLLER);
        break;
    case -EEXIST:
        voter->answer(voter, KAFKA_ERROR_DUPLICATE_VOTER,
                      arena_printf(arena,
                                   "The voter id for %.*s is already part of the set of voters "
                                   "%.*s.",
                                   STR_FMT(own_key(voter)), STR_FMT(voters_text(voter))));
        break;
    case -ENOENT:
        voter->answer(voter, KAFKA_ERROR_VOTER_NOT_FOUND,
                      arena_printf(arena, "Cannot remove voter %.*s from the set of voters %.*s",
                                   STR_FMT(own_key(voter)), STR_FMT(voters_text(voter))));
        break;
    case -EBUSY:
    case -ETIMEDOUT:
        voter->answer(voter, KAFKA_ERROR_REQUEST_TIMED_OUT, aborted(voter, sentence));
        break;
    default:
        voter->answer(voter, KAFKA_ERROR_INVALID_REQUEST, aborted(voter, sentence));
    }
}

void raft_voter_start(struct raft_voter *voter, enum quorum_member_kind kind)
{
    struct quorum_voters *server = quorum_voters_new();
    int rv = quorum_voters_add(server, voter->id, voter->directory_id, QUORUM_VOTER);
    CHECK(rv == 0);
    for (int32_t i = 0; i < voter->listeners_count; i++)
        quorum_voters_add_listener(server, voter->listeners[i].name, voter->listeners[i].host,
                                   voter->listeners[i].port);
    voter->change.kind = kind;
    voter->change.server = server;
    voter->change.done = changed;
    struct quorum_membership *membership = node_membership(voter->call->shard->node);
    if (membership == NULL)
        changed(&voter->change, -EPERM, "this node stops");
    else
        quorum_membership_start(membership, &voter->change);
}
