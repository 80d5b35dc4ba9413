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

static struct alter_resource *next_undecided(struct alter_request *alter)
{
    while (alter->next < alter->count && alter->resources[alter->next].decided)
        alter->next++;
    return alter->next < alter->count ? &alter->resources[alter->next] : NULL;
}

void alter_request_decided(struct alter_request *alter, int16_t error, struct str message)
{
    struct alter_resource *resource = next_undecided(alter);
    if (resource == NULL)
        return;
    resource->decided = true;
    resource->error = (enum kafka_error)error;
    resource->message = message;
}

static void reply(struct controller_call *call)
{
    struct alter_request *alter = call->ctx;
    if (call->error == KAFKA_ERROR_NONE)
        alter->take(alter, call->response);
    /* All of them, or what a controller of another mind has left out. */
    int16_t error =
        call->error == KAFKA_ERROR_NONE ? KAFKA_ERROR_UNKNOWN_SERVER_ERROR : call->error;
    struct str message = controller_call_message(call);
    while (next_undecided(alter) != NULL)
        alter_request_decided(alter, error, message);
    alter->respond(alter);
}

void alter_request_start(const struct alter_request *asked)
{
    struct request *request = asked->request;
    struct alter_request *alter = ARENA_NEW(&request->arena, struct alter_request);
    *alter = *asked;
    alter_checks(request, alter->resources, alter->count, alter->incremental, alter->validate_only);
    if (next_undecided(alter) == NULL) {
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
