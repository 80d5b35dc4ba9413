/* ControllerRegistration and UnregisterController (KIP-919). */
#include "common/protocol/codec.h"
#include "metadata/controller/controller_api.h"
#include "metadata/controller/controller_internal.h"

/* What it supports is no condition: it counts when a feature is to be raised. */
static struct api_error check_registration(const struct controller *c, struct arena *arena)
{
    if (controller_metadata_version(c) < METADATA_VERSION_CONTROLLER_REGISTRATION)
        return api_error(arena, KAFKA_ERROR_UNSUPPORTED_VERSION,
                         "The current MetadataVersion is too old to support controller "
                         "registrations.");
    return API_OK;
}

static void add_record(const struct controller_registration_request *request, struct arena *arena,
                       struct metadata_records *records)
{
    struct register_controller_record *record =
        METADATA_RECORD_ADD(records, arena, register_controller_record, REGISTER_CONTROLLER, 0);
    record->controller_id = request->controller_id;
    record->incarnation_id = request->incarnation_id;
    record->zk_migration_ready = request->zk_migration_ready;
    record->end_points_count = request->listeners_count;
    record->end_points = MESSAGE_ARRAY(arena, register_controller_record_controller_endpoint,
                                       request->listeners_count);
    for (int32_t i = 0; i < request->listeners_count; i++) {
        record->end_points[i].name = request->listeners[i].name;
        record->end_points[i].host = request->listeners[i].host;
        record->end_points[i].port = request->listeners[i].port;
        record->end_points[i].security_protocol = request->listeners[i].security_protocol;
    }
    record->features_count = request->features_count;
    record->features = MESSAGE_ARRAY(arena, register_controller_record_controller_feature,
                                     request->features_count);
    for (int32_t i = 0; i < request->features_count; i++) {
        record->features[i].name = request->features[i].name;
        record->features[i].min_supported_version = request->features[i].min_supported_version;
        record->features[i].max_supported_version = request->features[i].max_supported_version;
    }
}

CONTROLLER_API(controller_registration)
{
    *ret_result = (struct controller_result){0};
    message_init(&controller_registration_response_desc, ret_response);
    struct api_error error = check_registration(controller, arena);
    ret_response->error_code = (int16_t)error.code;
    ret_response->error_message = api_failed(error) ? error.message : STR_EMPTY;
    if (!api_failed(error))
        add_record(request, arena, &ret_result->records);
}

static struct api_error check_unregistration(const struct controller *c, int32_t id,
                                             struct arena *arena)
{
    if (controller_metadata_version(c) < METADATA_VERSION_CONTROLLER_UNREGISTRATION)
        return api_error(arena, KAFKA_ERROR_UNSUPPORTED_VERSION,
                         "The current MetadataVersion is too old to support controller "
                         "unregistration.");
    if (!cluster_image_controller(&controller_image(c)->cluster, id))
        return api_error(arena, KAFKA_ERROR_CONTROLLER_ID_NOT_REGISTERED,
                         "Controller ID %d is not currently registered.", id);
    if (id == c->config.node_id)
        return api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                         "Controller cannot unregister itself while it is active.");
    return API_OK;
}

CONTROLLER_API(unregister_controller)
{
    *ret_result = (struct controller_result){0};
    message_init(&unregister_controller_response_desc, ret_response);
    struct api_error error = check_unregistration(controller, request->controller_id, arena);
    ret_response->error_code = (int16_t)error.code;
    ret_response->error_message = api_failed(error) ? error.message : STR_EMPTY;
    if (api_failed(error))
        return;
    struct unregister_controller_record *record = METADATA_RECORD_ADD(
        &ret_result->records, arena, unregister_controller_record, UNREGISTER_CONTROLLER, 0);
    record->controller_id = request->controller_id;
}
