#include "raft/formation_collect.h"

#include "common/base/check.h"

#include <string.h>

void formation_collect_init(struct formation_collect *collect, int count)
{
    CHECK(count > 0 && count <= FORMATION_LISTED_MAX);
    *collect = (struct formation_collect){.count = count};
}

void formation_collect_release(struct formation_collect *collect)
{
    for (int i = 0; i < collect->count; i++)
        quorum_voters_unref(collect->answers[i]);
    collect->count = 0;
}

bool formation_collect_add(struct formation_collect *collect, int at, const char *cluster_id,
                           const struct formation_message *message, const char **ret_why)
{
    CHECK(at >= 0 && at < collect->count);
    const char *why = NULL;
    if (message->cluster_id[0] == '\0')
        why = "its directories are empty: format them for this cluster";
    else if (strcmp(message->cluster_id, cluster_id) != 0)
        why = "it belongs to another cluster";
    else if (!message->self || message->self->count != 1 || message->node_id < 0 ||
             uuid_is_zero(message->directory_id))
        why = "it does not say who it is";
    if (why) {
        *ret_why = why;
        return false;
    }
    quorum_voters_unref(collect->answers[at]);
    collect->answers[at] = quorum_voters_copy(message->self);
    return true;
}

static void add_server(struct quorum_voters *voters, const struct quorum_server *from)
{
    if (quorum_voters_add(voters, from->node_id, from->directory_id, QUORUM_VOTER) != 0)
        return;
    for (int i = 0; i < from->listener_count; i++)
        quorum_voters_add_listener(voters, str_of(from->listeners[i].name),
                                   str_of(from->listeners[i].host), from->listeners[i].port);
}

struct quorum_voters *formation_collect_voters(const struct formation_collect *collect)
{
    const struct quorum_server *sorted[FORMATION_LISTED_MAX];
    for (int i = 0; i < collect->count; i++) {
        if (!collect->answers[i])
            return NULL;
        int at = i;
        for (; at > 0 && sorted[at - 1]->node_id > collect->answers[i]->servers[0].node_id; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = &collect->answers[i]->servers[0];
    }
    struct quorum_voters *voters = quorum_voters_new();
    for (int i = 0; i < collect->count; i++)
        add_server(voters, sorted[i]);
    bool distinct = voters->count == collect->count;
    for (int i = 1; i < voters->count; i++)
        distinct = distinct && voters->servers[i].node_id != voters->servers[i - 1].node_id;
    if (distinct)
        return voters;
    quorum_voters_unref(voters);
    return NULL;
}
