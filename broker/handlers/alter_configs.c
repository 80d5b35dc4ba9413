/* AlterConfigs: replaces all that is set on a resource; checked here, decided by the controller. */
#include "broker/handlers/alter_request.h"
#include "broker/handlers/handlers.h"

CONTROLLER_DECIDE(alter_configs)

static const void *undecided(const struct alter_request *alter)
{
    const struct alter_configs_request *body = alter->request->body;
    struct alter_configs_request *rest =
        ARENA_NEW(&alter->request->arena, struct alter_configs_request);
    *rest = *body;
    rest->resources =
        MESSAGE_ARRAY(&alter->request->arena, alter_configs_request_alter_configs_resource,
                      body->resources_count);
    rest->resources_count =
        alter_request_undecided(alter, body->resources, sizeof(*rest->resources), rest->resources);
    return rest;
}

static void take(struct alter_request *alter, const void *response)
{
    const struct alter_configs_response *decided = response;
    for (int32_t i = 0; i < decided->responses_count; i++)
        alter_request_decided(alter, decided->responses[i].resource_type,
                              decided->responses[i].resource_name, decided->responses[i].error_code,
                              decided->responses[i].error_message);
}

static void respond(const struct alter_request *alter)
{
    struct alter_configs_response response;
    alter_resource_answer(alter->resources, alter->count, &alter->request->arena, &response);
    request_respond(alter->request, &response);
}

void handle_alter_configs(struct request *request)
{
    const struct alter_configs_request *body = request->body;
    const struct alter_request alter = {.request = request,
                                        .resources = alter_resource_read(body, &request->arena),
                                        .count = body->resources_count,
                                        .incremental = false,
                                        .validate_only = body->validate_only,
                                        .decide = decide_alter_configs,
                                        .undecided = undecided,
                                        .take = take,
                                        .respond = respond};
    alter_request_start(&alter);
}
