#include "broker/server/controller_call.h"

#include "broker/server/metadata_loop.h"
#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "common/base/check.h"

static void call_run(struct shard_call *shard_call)
{
    struct controller_call *call = CONTAINER_OF(shard_call, struct controller_call, call);
    metadata_loop_decide(node_metadata_loop(call->shard->node), call);
}

static void call_done(struct shard_call *shard_call)
{
    struct controller_call *call = CONTAINER_OF(shard_call, struct controller_call, call);
    call->reply(call);
}

void controller_call_start(struct controller_call *call)
{
    list_init(&call->link);
    call->offset = -1;
    shard_call_send(&call->call, call->shard->loop, node_env(call->shard->node)->loops[0], call_run,
                    call_done);
}

struct controller_call *controller_call_new(struct request *request,
                                            const struct message_desc *response_desc)
{
    struct controller_call *call = ARENA_NEW(&request->arena, struct controller_call);
    call->shard = request->shard;
    call->arena = &request->arena;
    call->body = request->body;
    call->response = arena_calloc(&request->arena, 1, response_desc->body->size_bytes);
    message_init(response_desc, call->response);
    call->ctx = request;
    return call;
}
