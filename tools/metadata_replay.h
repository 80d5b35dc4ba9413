/*
 * The cluster as the metadata log describes it at one offset: a snapshot and what follows it,
 * applied up to there, and on as more is committed. One thread.
 */
#ifndef KRAFTD_TOOLS_METADATA_REPLAY_H
#define KRAFTD_TOOLS_METADATA_REPLAY_H

#include "metadata/shell/shell_node.h"
#include "tools/metadata_source.h"

#define METADATA_REPLAY_NEWEST INT64_MAX

struct metadata_replay;

/*
 * All that was committed with `offset` and before; the newest there is where that is
 * METADATA_REPLAY_NEWEST. A batch is committed as one, so the one that holds the offset counts
 * whole. The source outlives it; several may share one.
 */
bool metadata_replay_new(struct metadata_source *source, int64_t offset,
                         struct metadata_replay **ret_replay, struct failure *failure);
/* NULL is fine. */
void metadata_replay_free(struct metadata_replay *replay);

/* What it shows; until the next call that applies something. */
const struct shell_view *metadata_replay_view(const struct metadata_replay *replay);
/* The offset behind the last one that was applied. */
int64_t metadata_replay_next_offset(const struct metadata_replay *replay);

/* Applies all that there is by now; from the newest snapshot on where the log has moved past what
 * was applied. */
bool metadata_replay_catch_up(struct metadata_replay *replay, struct failure *failure);

/*
 * Applies the next batch, waiting up to wait_ms for it. *ret_applied: whether one came. The image
 * before it can still be read where it was held: begin and end with hold and release.
 */
bool metadata_replay_step(struct metadata_replay *replay, int wait_ms, bool *ret_applied,
                          struct failure *failure);
/* A view that stays readable until it is released or held anew. */
const struct shell_view *metadata_replay_hold(struct metadata_replay *replay);
void metadata_replay_release(struct metadata_replay *replay);

#endif
