/*
 * A question from one loop to another and its answer: how state that belongs to a loop is used from
 * elsewhere, without locks. The call is embedded in the asker's struct, which must live until
 * `done`.
 *
 *   shard_call_send(call, from, to, run, done)   on `from`
 *       run(call)                                on `to`; answers at once or later
 *           shard_call_answer(call)              on `to`, once
 *       done(call)                               on `from`
 *
 * Between send and done the struct belongs to `to`. Where both loops are the same, run is called
 * from inside send, and done from inside answer: a request on its own loop costs no queue.
 */
#ifndef KRAFTD_BROKER_SERVER_SHARD_CALL_H
#define KRAFTD_BROKER_SERVER_SHARD_CALL_H

#include "common/base/env.h"

struct shard_call {
    struct task task;
    struct loop *from, *to;
    void (*run)(struct shard_call *);
    void (*done)(struct shard_call *);
};

void shard_call_send(struct shard_call *call, struct loop *from, struct loop *to,
                     void (*run)(struct shard_call *), void (*done)(struct shard_call *));
void shard_call_answer(struct shard_call *call);
/* Makes call->task one that runs `run` again: for whoever keeps the call and posts it later. */
void shard_call_again(struct shard_call *call);

#endif
