/* DescribeConfigs: what is configured, and where it comes from (KIP-133, KIP-226, KIP-524). */
#include "broker/handlers/handlers.h"
#include "broker/server/node.h"
#include "broker/server/request.h"
#include "broker/server/shard.h"
#include "common/base/logger.h"
#include "metadata/config_answer.h"
#include "metadata/image.h"
#include "metadata/topic_name.h"

typedef struct describe_configs_request_describe_configs_resource resource;
typedef struct describe_configs_response_describe_configs_result resource_result;

/* What one answer may take: each topic of a request gets some 40 entries, so that few bytes can ask
 * for very many. */
#define ANSWER_MAX_BYTES ((size_t)512 << 20)

/* One resource on its way. */
struct describe {
    struct request *request;
    struct config_answer_options options;
    const resource *in;
    resource_result *out;
};

static void refuse(struct describe *d, enum kafka_error error, struct str message)
{
    d->out->error_code = (int16_t)error;
    d->out->error_message = message;
}

static void refuse_request(struct describe *d, const char *message)
{
    refuse(d, KAFKA_ERROR_INVALID_REQUEST, str_of(message));
}

static void answer(struct describe *d, enum config_resource_type type)
{
    struct shard *shard = d->request->shard;
    config_answer(&shard->image->configs, node_config(shard->node), type, d->in->resource_name,
                  &d->options, &d->request->arena, d->out);
}

static void describe_topic(struct describe *d)
{
    struct arena *arena = &d->request->arena;
    struct str name = d->in->resource_name, fault = topic_name_fault(name, arena);
    if (!str_is_null(fault)) {
        refuse(d, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION, fault);
        return;
    }
    if (topics_image_find(&d->request->shard->image->topics, name) == NULL) {
        d->out->error_code = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        return;
    }
    answer(d, CONFIG_RESOURCE_TOPIC);
}

/* Whether the resource is this node; the error is set when it is not. */
static bool check_broker_id(struct describe *d, const char *expected)
{
    struct str name = d->in->resource_name;
    int32_t own_id = node_id(d->request->shard->node), id;
    if (str_to_i32(name, &id) != 0) {
        refuse(d, KAFKA_ERROR_INVALID_REQUEST,
               arena_printf(&d->request->arena, "Broker id must be an integer, but it is: %.*s",
                            STR_FMT(name)));
        return false;
    }
    if (id == own_id)
        return true;
    refuse(d, KAFKA_ERROR_INVALID_REQUEST,
           arena_printf(&d->request->arena, "Unexpected broker id, expected %d%s but received %.*s",
                        (int)own_id, expected, STR_FMT(name)));
    return false;
}

static void describe_broker(struct describe *d)
{
    if (d->in->resource_name.len <= 0 || check_broker_id(d, " or empty string,"))
        answer(d, CONFIG_RESOURCE_BROKER);
}

/* There is one logger, the root. */
static void describe_loggers(struct describe *d)
{
    static const struct str root = {"root", 4};
    const struct logger *logger = node_env(d->request->shard->node)->logger;
    if (d->in->resource_name.len <= 0) {
        refuse_request(d, "Broker id must not be empty");
        return;
    }
    if (!check_broker_id(d, ""))
        return;
    bool wanted = d->options.keys_count <= 0;
    for (int32_t i = 0; i < d->options.keys_count && !wanted; i++)
        wanted = str_eq(d->options.keys[i], root);
    if (!wanted || logger == NULL)
        return;
    d->out->configs = MESSAGE_ARRAY(&d->request->arena,
                                    describe_configs_response_describe_configs_resource_result, 1);
    d->out->configs_count = 1;
    d->out->configs[0].name = root;
    d->out->configs[0].value = str_of(log_level_name(logger_level(logger)));
    d->out->configs[0].config_source = CONFIG_LEVEL_LOGGER;
}

static void describe_client_metrics(struct describe *d)
{
    if (d->in->resource_name.len <= 0) {
        refuse_request(d, "Client metrics subscription name must not be empty");
        return;
    }
    answer(d, CONFIG_RESOURCE_CLIENT_METRICS);
}

static void describe_group(struct describe *d)
{
    if (d->in->resource_name.len <= 0) {
        refuse_request(d, "Group name must not be empty");
        return;
    }
    answer(d, CONFIG_RESOURCE_GROUP);
}

static void describe_one(struct describe *d)
{
    switch (d->in->resource_type) {
    case CONFIG_RESOURCE_TOPIC:
        describe_topic(d);
        break;
    case CONFIG_RESOURCE_BROKER:
        describe_broker(d);
        break;
    case CONFIG_RESOURCE_BROKER_LOGGER:
        describe_loggers(d);
        break;
    case CONFIG_RESOURCE_CLIENT_METRICS:
        describe_client_metrics(d);
        break;
    case CONFIG_RESOURCE_GROUP:
        describe_group(d);
        break;
    default:
        refuse_request(d, kafka_error_message(KAFKA_ERROR_INVALID_REQUEST));
    }
}

void handle_describe_configs(struct request *request)
{
    const struct describe_configs_request *body = request->body;
    struct arena *arena = &request->arena;
    struct describe_configs_response response;
    message_init(&describe_configs_response_desc, &response);
    response.results = MESSAGE_ARRAY(arena, describe_configs_response_describe_configs_result,
                                     body->resources_count);
    response.results_count = body->resources_count;
    for (int32_t i = 0; i < body->resources_count; i++) {
        const resource *in = &body->resources[i];
        struct describe d = {.request = request,
                             .options = {.keys = in->configuration_keys,
                                         .keys_count = in->configuration_keys_count,
                                         .synonyms = body->include_synonyms,
                                         .documentation = body->include_documentation},
                             .in = in,
                             .out = &response.results[i]};
        d.out->resource_type = in->resource_type;
        d.out->resource_name = in->resource_name;
        if (arena->used_bytes > ANSWER_MAX_BYTES)
            refuse_request(&d, "The answer would be too large: ask for fewer resources at a time.");
        else
            describe_one(&d);
    }
    request_respond(request, &response);
}
