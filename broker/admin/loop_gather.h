/*
 * Asks every loop of an env, from a thread that is none of them.
 */
#ifndef KRAFTD_BROKER_ADMIN_LOOP_GATHER_H
#define KRAFTD_BROKER_ADMIN_LOOP_GATHER_H

#include "common/base/buf.h"
#include "common/base/env.h"

/* Runs visit on each loop with a text of its own, all at the same time, and appends the texts in
 * order of the loops. -ETIMEDOUT when a loop did not come round in time: then the others' texts are
 * there, and that loop may still call visit later, so ctx has to live as long as the env. */
int loop_gather(struct env *env, void (*visit)(struct loop *, void *ctx, struct bytebuf *text),
                void *ctx, int timeout_ms, struct bytebuf *out);

#endif
