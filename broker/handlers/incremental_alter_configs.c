/* IncrementalAlterConfigs: sets, deletes, appends to and subtracts from single keys (KIP-339);
 * checked here, decided by the controller. */
#include "broker/handlers/alter_request.h"
#include "broker/handlers/handlers.h"

CONTROLLER_DECIDE(incremental_alter_configs)

static const void *undecided(const struct alter_request *alter)
{
    const struct incremental_alter_configs_request *body = alter->request->body;
    struct incremental_alter_configs_request *rest =
        ARENA_NEW(&alter->request->arena, struct incremental_alter_configs_request);
    *rest = *body;
    rest->resources = MESSAGE_ARRAY(&alter->request->arena,
                                    incremental_alter_configs_request_alter_configs_resource,
                                    body->resources_count);
    rest->resources_count =
        alter_request_undecided(alter, body->resources, sizeof(*rest->resources), rest->resources);
    return rest;
}

static void take(struct alter_request *alter, const void *response)
{
    const struct incremental_alter_configs_response *decided = response;
    for (int32_t i = 0; i < decided->responses_count; i++)
        alter_request_decided(alter, decided->responses[i].resource_type,
                              decided->responses[i].resource_name, decided->responses[i].error_code,
                              decided->responses[i].error_message);
}

static void respond(const struct alter_request *alter)
{
    struct incremental_alter_configs_response response;
    alter_resource_answer_incremental(alter->resources, alter->count, &alter->request->arena,
                                      &response);
    request_respond(alter->request, &response);
}

void handle_incremental_alter_configs(struct request *request)
{
    const struct incremental_alter_configs_request *body = request->body;
    const struct alter_request alter = {.request = request,
                                        .resources =
                                            alter_resource_read_incremental(body, &request->arena),
                                        .count = body->resources_count,
                                        .incremental = true,
                                        .validate_only = body->validate_only,
                                        .decide = decide_incremental_alter_configs,
                                        .undecided = undecided,
                                        .take = take,
                                        .respond = respond};
    alter_request_start(&alter);
}
