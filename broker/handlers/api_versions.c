/*
 * ApiVersions: what this node serves, and the cluster's features (KIP-35, KIP-511, KIP-584). A
 * client that says whom it wants to talk to learns when it is wrong (KIP-1242).
 */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_channel.h"
#include "broker/server/envelope.h"
#include "broker/server/node.h"
#include "broker/server/request.h"
#include "broker/server/shard.h"
#include "common/protocol/messages/api_versions.h"
#include "metadata/feature.h"
#include "metadata/image.h"

#include <ctype.h>

static bool word_character(char c)
{
    return isalnum((unsigned char)c) != 0;
}

/* Letters, digits, and inside also '-' and '.': what a client may call itself. */
static bool software_text_valid(struct str text)
{
    if (text.len < 1 || !word_character(text.data[0]) || !word_character(text.data[text.len - 1]))
        return false;
    for (int32_t i = 0; i < text.len; i++)
        if (!word_character(text.data[i]) && text.data[i] != '-' && text.data[i] != '.')
            return false;
    return true;
}

static enum kafka_error check(const struct request *request)
{
    const struct api_versions_request *body = request->body;
    int16_t version = request->header.request_api_version;
    if (version >= 3 && (!software_text_valid(body->client_software_name) ||
                         !software_text_valid(body->client_software_version)))
        return KAFKA_ERROR_INVALID_REQUEST;
    const struct node *node = request->shard->node;
    if (version >= 5 && !str_is_null(body->cluster_id) &&
        !str_eq(body->cluster_id, node_cluster_id(node)))
        return KAFKA_ERROR_REBOOTSTRAP_REQUIRED;
    if (version >= 5 && body->node_id >= 0 && body->node_id != node_id(node))
        return KAFKA_ERROR_REBOOTSTRAP_REQUIRED;
    return KAFKA_ERROR_NONE;
}

/* What is forwarded can be no newer than what the controller serves; while it has not said, our own
 * versions stand for it. */
static bool limit_to_controller(const struct request *request,
                                struct api_versions_response_api_version *api)
{
    int16_t min, max;
    if ((request->listener->api_mask & API_ON_CONTROLLER) != 0 ||
        !envelope_may_hold(api->api_key) ||
        !controller_channel_versions(node_controller_channel(request->shard->node), api->api_key,
                                     &min, &max))
        return true;
    api->min_version = MAX(api->min_version, min);
    api->max_version = MIN(api->max_version, max);
    return api->min_version <= api->max_version;
}

static void add_apis(struct request *request, struct api_versions_response *response)
{
    int32_t count = 0;
    while (api_handlers[count].api_key >= 0)
        count++;
    response->api_keys = MESSAGE_ARRAY(&request->arena, api_versions_response_api_version, count);
    for (int32_t i = 0; i < count; i++) {
        const struct api_handler *handler = &api_handlers[i];
        if (api_handler_find(handler->api_key, request->listener->api_mask) == NULL)
            continue;
        struct api_versions_response_api_version *out =
            &response->api_keys[response->api_keys_count];
        out->api_key = handler->api_key;
        /* librdkafka looks for Produce 0 to 2 in the list, which nobody serves (KAFKA-18659). */
        out->min_version = handler->api_key == API_PRODUCE ? 0 : handler->min_version;
        out->max_version = handler->max_version;
        response->api_keys_count += limit_to_controller(request, out);
    }
}

static void add_supported(struct request *request, struct api_versions_response *response)
{
    response->supported_features = MESSAGE_ARRAY(
        &request->arena, api_versions_response_supported_feature_key, (int32_t)feature_table_size);
    for (size_t i = 0; i < feature_table_size; i++) {
        /* Before version 4 a feature that may be off cannot be told. */
        if (feature_table[i].min_level == 0 && request->header.request_api_version < 4)
            continue;
        struct api_versions_response_supported_feature_key *out =
            &response->supported_features[response->supported_features_count++];
        out->name = str_of(feature_table[i].name);
        out->min_version = feature_table[i].min_level;
        out->max_version = feature_table[i].max_level;
    }
}

static void add_finalized(struct request *request, struct api_versions_response *response)
{
    const struct image *image = request->shard->image;
    response->finalized_features_epoch = image->offset;
    response->finalized_features =
        MESSAGE_ARRAY(&request->arena, api_versions_response_finalized_feature_key,
                      (int32_t)image->features.by_name.count + 1);
    struct pmap_iter iter;
    const struct feature_image *feature;
    pmap_iter_first(&iter, image->features.by_name);
    while ((feature = pmap_iter_next(&iter)) != NULL) {
        struct api_versions_response_finalized_feature_key *out =
            &response->finalized_features[response->finalized_features_count++];
        out->name = arena_str(&request->arena, feature->name);
        out->min_version_level = out->max_version_level = feature->level;
    }
    /* kraft.version lives in the log's control records, not among the features. */
    int16_t kraft_version = node_kraft_version(request->shard->node);
    if (kraft_version > 0) {
        struct api_versions_response_finalized_feature_key *out =
            &response->finalized_features[response->finalized_features_count++];
        out->name = STR(FEATURE_KRAFT_VERSION);
        out->min_version_level = out->max_version_level = kraft_version;
    }
}

void handle_api_versions(struct request *request)
{
    struct api_versions_response response;
    message_init(&api_versions_response_desc, &response);
    response.error_code = (int16_t)check(request);
    if (response.error_code == KAFKA_ERROR_NONE) {
        add_apis(request, &response);
        if (request->header.request_api_version >= 3) {
            add_supported(request, &response);
            add_finalized(request, &response);
        }
    }
    request_respond(request, &response);
}
