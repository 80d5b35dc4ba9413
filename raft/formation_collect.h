/*
 * The voters of a static quorum (kraft.version 0), whose log does not name them: the configuration
 * knows node ids only, and a voter's raft id is its directory's. So every listed node is asked once
 * for its directory id; all of them come to the same set, which each makes durable before libraft
 * starts. The first leader then writes it into the log.
 *
 * Pure; of one owner.
 */
#ifndef KRAFTD_RAFT_FORMATION_COLLECT_H
#define KRAFTD_RAFT_FORMATION_COLLECT_H

#include "raft/formation.h"

struct formation_collect {
    int count;
    struct quorum_voters *answers[FORMATION_LISTED_MAX]; /* one server each; NULL: not yet */
};

void formation_collect_init(struct formation_collect *collect, int count);
void formation_collect_release(struct formation_collect *collect);
/* What the node at that place of the list said. A node that is not of this cluster, or says nothing
 * of itself, does not count; *ret_why is then a constant that says so. */
bool formation_collect_add(struct formation_collect *collect, int at, const char *cluster_id,
                           const struct formation_message *message, const char **ret_why);
/* NULL until all have answered, or when two have one node id; ascending by node id. */
struct quorum_voters *formation_collect_voters(const struct formation_collect *collect);

#endif
