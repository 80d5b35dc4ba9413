/*
 * What differs between two trees: leaf by leaf, in the order of their paths. Folders that both
 * images share are not walked, so between two images of one chain the cost follows the change.
 *
 * Below /image what would say everything twice is left out unless it is where the walk begins:
 * topics/byId and provenance. Pure.
 */
#ifndef KRAFTD_METADATA_SHELL_DIFF_H
#define KRAFTD_METADATA_SHELL_DIFF_H

#include "metadata/shell/shell_node.h"

/* Either leaf is NULL where it is not there. The path lives during the call. */
typedef void (*shell_diff_fn)(void *ctx, struct str path, const struct shell_node *before,
                              const struct shell_node *after);

/* Either node may be NULL: all of the other's leaves are told. `path` is theirs from the root. */
void shell_diff(const struct shell_node *before, const struct shell_node *after, struct str path,
                shell_diff_fn report, void *ctx);

#endif
