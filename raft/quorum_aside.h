/*
 * A voter whose metadata log is damaged has lost what it acknowledged: with what is left it must
 * not vote again (W11). Where the quorum goes on without it, it begins again as a new disk: its
 * files are kept beside as `__cluster_metadata-0.<id>-stray`, its directory gets a new id, and it
 * follows the quorum until the leader replaces the old voter by it (quorum_replace.h).
 *
 * Cut short anywhere, what is left of the log is damaged, gone or that of an observer, and
 * kraftd.formation says that this disk joined: the next start comes to the same end.
 */
#ifndef KRAFTD_RAFT_QUORUM_ASIDE_H
#define KRAFTD_RAFT_QUORUM_ASIDE_H

#include "common/base/env.h"

/* Blocks; nobody has the log open. metadata_path is the log directory that holds it. *ret_stray,
 * where the files are now, is fresh memory. */
int quorum_aside(struct env *env, const char *metadata_path, char **ret_stray);

#endif
