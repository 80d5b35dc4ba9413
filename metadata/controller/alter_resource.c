#include "metadata/controller/alter_resource.h"

#include "common/protocol/codec.h"

static struct alter_change *init(struct alter_resource *resource, int8_t type, struct str name,
                                 int32_t change_count, struct arena *arena)
{
    *resource =
        (struct alter_resource){.type = type,
                                .name = name,
                                .changes = ARENA_ARRAY(arena, struct alter_change, change_count),
                                .change_count = change_count,
                                .message = STR_NULL};
    return resource->changes;
}

struct alter_resource *alter_resource_read(const struct alter_configs_request *request,
                                           struct arena *arena)
{
    struct alter_resource *all =
        ARENA_ARRAY(arena, struct alter_resource, request->resources_count);
    for (int32_t i = 0; i < request->resources_count; i++) {
        const struct alter_configs_request_alter_configs_resource *in = &request->resources[i];
        struct alter_change *changes =
            init(&all[i], in->resource_type, in->resource_name, in->configs_count, arena);
        for (int32_t k = 0; k < in->configs_count; k++)
            changes[k] =
                (struct alter_change){in->configs[k].name, in->configs[k].value, ALTER_SET};
    }
    return all;
}

struct alter_resource *
alter_resource_read_incremental(const struct incremental_alter_configs_request *request,
                                struct arena *arena)
{
    struct alter_resource *all =
        ARENA_ARRAY(arena, struct alter_resource, request->resources_count);
    for (int32_t i = 0; i < request->resources_count; i++) {
        const struct incremental_alter_configs_request_alter_configs_resource *in =
            &request->resources[i];
        struct alter_change *changes =
            init(&all[i], in->resource_type, in->resource_name, in->configs_count, arena);
        for (int32_t k = 0; k < in->configs_count; k++)
            changes[k] = (struct alter_change){in->configs[k].name, in->configs[k].value,
                                               in->configs[k].config_operation};
    }
    return all;
}

void alter_resource_answer(const struct alter_resource *resources, int32_t count,
                           struct arena *arena, struct alter_configs_response *ret_response)
{
    typedef struct alter_configs_response_alter_configs_resource_response answered;
    message_init(&alter_configs_response_desc, ret_response);
    ret_response->responses =
        MESSAGE_ARRAY(arena, alter_configs_response_alter_configs_resource_response, count);
    ret_response->responses_count = count;
    for (int32_t i = 0; i < count; i++)
        ret_response->responses[i] = (answered){.error_code = (int16_t)resources[i].error,
                                                .error_message = resources[i].message,
                                                .resource_type = resources[i].type,
                                                .resource_name = resources[i].name};
}

void alter_resource_answer_incremental(const struct alter_resource *resources, int32_t count,
                                       struct arena *arena,
                                       struct incremental_alter_configs_response *ret_response)
{
    typedef struct incremental_alter_configs_response_alter_configs_resource_response answered;
    message_init(&incremental_alter_configs_response_desc, ret_response);
    ret_response->responses = MESSAGE_ARRAY(
        arena, incremental_alter_configs_response_alter_configs_resource_response, count);
    ret_response->responses_count = count;
    for (int32_t i = 0; i < count; i++)
        ret_response->responses[i] = (answered){.error_code = (int16_t)resources[i].error,
                                                .error_message = resources[i].message,
                                                .resource_type = resources[i].type,
                                                .resource_name = resources[i].name};
}
