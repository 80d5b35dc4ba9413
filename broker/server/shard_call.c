#include "broker/server/shard_call.h"

#include "common/base/check.h"

#include <stddef.h>

static void call_run(struct task *task)
{
    struct shard_call *call = CONTAINER_OF(task, struct shard_call, task);
    call->run(call);
}

static void call_done(struct task *task)
{
    struct shard_call *call = CONTAINER_OF(task, struct shard_call, task);
    call->done(call);
}

void shard_call_send(struct shard_call *call, struct loop *from, struct loop *to,
                     void (*run)(struct shard_call *), void (*done)(struct shard_call *))
{
    call->from = from;
    call->to = to;
    call->run = run;
    call->done = done;
    if (from == to) {
        run(call);
        return;
    }
    call->task.run = call_run;
    loop_post(to, &call->task);
}

void shard_call_again(struct shard_call *call)
{
    call->task.run = call_run;
}

void shard_call_answer(struct shard_call *call)
{
    if (call->from == call->to) {
        call->done(call);
        return;
    }
    call->task.run = call_done;
    loop_post(call->from, &call->task);
}
