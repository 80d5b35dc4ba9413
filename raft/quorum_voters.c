#include "raft/quorum_voters.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t load_u64(const uint8_t *b)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | b[i];
    return value;
}

uint64_t quorum_raft_id(struct uuid directory_id)
{
    uint64_t id = load_u64(directory_id.b) ^ load_u64(directory_id.b + 8);
    return id ? id : 1;
}

struct quorum_voters *quorum_voters_new(void)
{
    struct quorum_voters *voters = mem_calloc(1, sizeof(*voters));
    voters->references = 1;
    return voters;
}

struct quorum_voters *quorum_voters_ref(struct quorum_voters *voters)
{
    CHECK(voters->references > 0);
    voters->references++;
    return voters;
}

static struct quorum_server *find_mutable(struct quorum_voters *voters, uint64_t raft_id)
{
    CHECK(voters->references == 1);
    for (int i = 0; i < voters->count; i++) {
        if (voters->servers[i].raft_id == raft_id)
            return &voters->servers[i];
    }
    return NULL;
}

static void server_release(struct quorum_server *server)
{
    for (int i = 0; i < server->listener_count; i++) {
        free(server->listeners[i].name);
        free(server->listeners[i].host);
    }
    free(server->listeners);
}

void quorum_voters_unref(struct quorum_voters *voters)
{
    if (!voters)
        return;
    CHECK(voters->references > 0);
    if (--voters->references > 0)
        return;
    for (int i = 0; i < voters->count; i++)
        server_release(&voters->servers[i]);
    free(voters);
}

struct quorum_voters *quorum_voters_copy(const struct quorum_voters *voters)
{
    struct quorum_voters *copy = quorum_voters_new();
    for (int i = 0; i < voters->count; i++) {
        const struct quorum_server *from = &voters->servers[i];
        int rv = quorum_voters_add(copy, from->node_id, from->directory_id, from->role);
        CHECK(rv == 0);
        copy->servers[i].kraft_version_min = from->kraft_version_min;
        copy->servers[i].kraft_version_max = from->kraft_version_max;
        for (int k = 0; k < from->listener_count; k++)
            quorum_voters_add_listener(copy, str_of(from->listeners[k].name),
                                       str_of(from->listeners[k].host), from->listeners[k].port);
    }
    return copy;
}

int quorum_voters_add(struct quorum_voters *voters, int32_t node_id, struct uuid directory_id,
                      enum quorum_server_role role)
{
    CHECK(voters->references == 1);
    if (node_id < 0 || uuid_is_zero(directory_id))
        return -EINVAL;
    if (voters->count == QUORUM_SERVERS_MAX)
        return -E2BIG;
    uint64_t raft_id = quorum_raft_id(directory_id);
    if (quorum_voters_find(voters, raft_id))
        return -EEXIST;
    voters->servers[voters->count++] = (struct quorum_server){
        .node_id = node_id,
        .directory_id = directory_id,
        .raft_id = raft_id,
        .role = role,
        .kraft_version_min = 0,
        .kraft_version_max = 1,
    };
    return 0;
}

static void add_listener(struct quorum_server *server, struct str name, struct str host,
                         uint16_t port)
{
    size_t count = (size_t)server->listener_count;
    server->listeners = mem_realloc(server->listeners, (count + 1) * sizeof(server->listeners[0]));
    server->listeners[count] = (struct quorum_listener){
        .name = mem_strndup(name.data, (size_t)name.len),
        .host = mem_strndup(host.data, (size_t)host.len),
        .port = port,
    };
    server->listener_count++;
}

void quorum_voters_add_listener(struct quorum_voters *voters, struct str name, struct str host,
                                uint16_t port)
{
    CHECK(voters->references == 1 && voters->count > 0);
    add_listener(&voters->servers[voters->count - 1], name, host, port);
}

bool quorum_voters_set_role(struct quorum_voters *voters, uint64_t raft_id,
                            enum quorum_server_role role)
{
    struct quorum_server *server = find_mutable(voters, raft_id);
    if (server)
        server->role = role;
    return server != NULL;
}

bool quorum_voters_set_listeners(struct quorum_voters *voters, uint64_t raft_id,
                                 const struct quorum_server *from)
{
    struct quorum_server *server = find_mutable(voters, raft_id);
    if (!server)
        return false;
    server_release(server);
    server->listeners = NULL;
    server->listener_count = 0;
    for (int i = 0; i < from->listener_count; i++)
        add_listener(server, str_of(from->listeners[i].name), str_of(from->listeners[i].host),
                     from->listeners[i].port);
    return true;
}

bool quorum_server_same_listeners(const struct quorum_server *a, const struct quorum_server *b)
{
    bool same = a->listener_count == b->listener_count;
    for (int i = 0; same && i < a->listener_count; i++)
        same = strcmp(a->listeners[i].name, b->listeners[i].name) == 0 &&
               strcmp(a->listeners[i].host, b->listeners[i].host) == 0 &&
               a->listeners[i].port == b->listeners[i].port;
    return same;
}

bool quorum_voters_remove(struct quorum_voters *voters, uint64_t raft_id)
{
    CHECK(voters->references == 1);
    for (int i = 0; i < voters->count; i++) {
        if (voters->servers[i].raft_id != raft_id)
            continue;
        server_release(&voters->servers[i]);
        memmove(&voters->servers[i], &voters->servers[i + 1],
                (size_t)(voters->count - i - 1) * sizeof(voters->servers[0]));
        voters->count--;
        return true;
    }
    return false;
}

const struct quorum_server *quorum_voters_find(const struct quorum_voters *voters, uint64_t raft_id)
{
    for (int i = 0; i < voters->count; i++) {
        if (voters->servers[i].raft_id == raft_id)
            return &voters->servers[i];
    }
    return NULL;
}

const struct quorum_server *quorum_voters_find_node(const struct quorum_voters *voters,
                                                    int32_t node_id)
{
    for (int i = 0; i < voters->count; i++) {
        if (voters->servers[i].node_id == node_id)
            return &voters->servers[i];
    }
    return NULL;
}

int quorum_voters_count(const struct quorum_voters *voters)
{
    int count = 0;
    for (int i = 0; i < voters->count; i++)
        count += voters->servers[i].role == QUORUM_VOTER;
    return count;
}

bool quorum_voters_is_voter(const struct quorum_voters *voters, uint64_t raft_id)
{
    const struct quorum_server *server = quorum_voters_find(voters, raft_id);
    return server && server->role == QUORUM_VOTER;
}

bool quorum_voters_is_sole(const struct quorum_voters *voters, uint64_t raft_id)
{
    return quorum_voters_is_voter(voters, raft_id) && quorum_voters_count(voters) == 1;
}

bool quorum_voters_same_servers(const struct quorum_voters *a, const struct quorum_voters *b)
{
    if (a->count != b->count)
        return false;
    for (int i = 0; i < a->count; i++) {
        const struct quorum_server *other = quorum_voters_find(b, a->servers[i].raft_id);
        if (!other || other->role != a->servers[i].role || other->node_id != a->servers[i].node_id)
            return false;
    }
    return true;
}
