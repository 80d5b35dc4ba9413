#include "broker/handlers/alter_request.h"

#include "broker/handlers/alter_checks.h"

int32_t alter_request_undecided(const struct alter_request *alter, const void *elements,
                                size_t size_bytes, void *ret_elements)
{
    int32_t count = 0;
    for (int32_t i = 0; i < alter->count; i++)
        if (!alter->resources[i].decided)
            memcpy((char *)ret_elements + (size_t)count++ * size_bytes,
                   (const char *)elements + (size_t)i * size_bytes, size_bytes);
    return count;
}

void alter_request_decided(struct alter_request *alter, int8_t type, struct str name, int16_t error,
                           struct str message)
{
    for (int32_t i = 0; i < alter->count; i++) {
        int32_t at = (alter->next + i) % alter->count;
        struct alter_resource *resource = &alter->resources[at];
        if (resource->decided || resource->type != type || !str_eq(resource->name, name))
            continue;
        resource->decided = true;
        resource->error = (enum kafka_error)error;
        resource->message = message;
        alter->next = at + 1;
        return;
    }
}

static void reply(struct controller_call *call)
{
    struct alter_request *alter = call->ctx;
    /* Of all of them, or of what a controller of another mind has left out. */
    int16_t error =
        call->error == KAFKA_ERROR_NONE ? KAFKA_ERROR_UNKNOWN_SERVER_ERROR : call->error;
    struct str message = controller_call_message(call);
    if (call->error == KAFKA_ERROR_NONE)
        alter->take(alter, call->response);
    for (int32_t i = 0; i < alter->count; i++) {
        struct alter_resource *resource = &alter->resources[i];
        if (resource->decided)
            continue;
        resource->decided = true;
        resource->error = (enum kafka_error)error;
        resource->message = message;
    }
    alter->respond(alter);
}

static bool all_decided(const struct alter_request *alter)
{
    for (int32_t i = 0; i < alter->count; i++)
        if (!alter->resources[i].decided)
            return false;
    return true;
}

void alter_request_start(const struct alter_request *asked)
{
    struct request *request = asked->request;
    struct alter_request *alter = ARENA_NEW(&request->arena, struct alter_request);
    *alter = *asked;
    alter_checks(request, alter->resources, alter->count, alter->incremental, alter->validate_only);
    if (all_decided(alter)) {
        alter->respond(alter);
        return;
    }
    struct controller_call *call = controller_call_new(request);
    call->body = alter->undecided(alter);
    call->ctx = alter;
    call->decide = alter->decide;
    call->reply = reply;
    controller_call_start(call);
}
