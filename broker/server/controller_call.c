#include "broker/server/controller_call.h"

#include "broker/server/controller_channel.h"
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
    /* Whoever sent the envelope looks for the controller again. */
    if (call->error == KAFKA_ERROR_NOT_CONTROLLER && call->request != NULL &&
        call->request->envelope != NULL)
        request_fail_envelope(call->request, call->error);
    else
        call->reply(call);
}

void controller_call_start(struct controller_call *call)
{
    struct env *env = node_env(call->shard->node);
    list_init(&call->link);
    call->offset = -1;
    call->due_ms =
        env_now_ms(env) + (call->timeout_ms > 0 ? call->timeout_ms : CONTROLLER_CALL_TIMEOUT_MS);
    shard_call_send(&call->call, call->shard->loop, env->loops[0], call_run, call_done);
}

void controller_call_finish(struct controller_call *call, enum kafka_error error)
{
    call->error = error;
    if (error == KAFKA_ERROR_NOT_CONTROLLER && !call->here_only &&
        controller_channel_take(node_controller_channel(call->shard->node), call))
        return;
    shard_call_answer(&call->call);
}

struct controller_call *controller_call_new(struct request *request)
{
    struct controller_call *call = ARENA_NEW(&request->arena, struct controller_call);
    const struct message_desc *desc = request->api->response;
    call->shard = request->shard;
    call->arena = &request->arena;
    call->api = request->api;
    call->version = request->header.request_api_version;
    call->request = request;
    call->here_only = (request->listener->api_mask & API_ON_CONTROLLER) != 0;
    call->body = request->body;
    call->response = arena_calloc(&request->arena, 1, desc->body->size_bytes);
    message_init(desc, call->response);
    call->ctx = request;
    return call;
}

int16_t *controller_call_error_field(const struct message_desc *desc, void *message)
{
    for (int i = 0; i < desc->body->field_count; i++) {
        const struct field_desc *field = &desc->body->fields[i];
        if (field->type == FIELD_INT16 && strcmp(field->name, "ErrorCode") == 0)
            return (int16_t *)(void *)((char *)message + field->offset);
    }
    return NULL;
}

struct str controller_call_message(struct controller_call *call)
{
    if (call->error != KAFKA_ERROR_NOT_CONTROLLER)
        return STR_NULL;
    int32_t leader = metadata_loop_leader_id(node_metadata_loop(call->shard->node));
    return leader < 0 ? STR("No controller appears to be active.")
                      : arena_printf(call->arena, "The active controller appears to be node %d.",
                                     (int)leader);
}

static void set_message(const struct message_desc *desc, void *message, struct str text)
{
    for (int i = 0; i < desc->body->field_count; i++) {
        const struct field_desc *field = &desc->body->fields[i];
        if (field->type == FIELD_STRING && strcmp(field->name, "ErrorMessage") == 0)
            memcpy((char *)message + field->offset, &text, sizeof(text));
    }
}

static void reply_simple(struct controller_call *call)
{
    if (call->error != KAFKA_ERROR_NONE) {
        message_init(call->api->response, call->response);
        *controller_call_error_field(call->api->response, call->response) = (int16_t)call->error;
        set_message(call->api->response, call->response, controller_call_message(call));
    }
    request_respond(call->request, call->response);
}

void controller_call_simple(struct request *request, controller_decide_fn decide)
{
    struct controller_call *call = controller_call_new(request);
    call->decide = decide;
    call->reply = reply_simple;
    controller_call_start(call);
}
