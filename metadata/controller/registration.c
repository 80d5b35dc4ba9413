/* BrokerRegistration: a broker process introduces itself (KIP-631, KIP-858, KIP-966). */
#include "common/protocol/codec.h"
#include "metadata/controller/brokers.h"
#include "metadata/controller/controller_api.h"
#include "metadata/controller/controller_internal.h"
#include "metadata/controller/features.h"
#include "metadata/controller/partitions.h"

static bool has_id(const struct uuid *ids, int32_t count, struct uuid id)
{
    for (int32_t i = 0; i < count; i++) {
        if (uuid_eq(ids[i], id))
            return true;
    }
    return false;
}

/* The new process holds the lock of a directory that the registered one said it has, or that of a
 * copy. */
static bool shares_directory(const struct broker_image *broker,
                             const struct broker_registration_request *request)
{
    for (int32_t i = 0; i < request->log_dirs_count; i++) {
        if (has_id(broker->directories, broker->directory_count, request->log_dirs[i]))
            return true;
    }
    return false;
}

/* The new process listens where the registered one did. */
static bool shares_end_point(const struct broker_image *broker,
                             const struct broker_registration_request *request)
{
    for (int32_t i = 0; i < request->listeners_count; i++) {
        const struct broker_registration_request_listener *new = &request->listeners[i];
        const struct endpoint_image *old = broker_image_endpoint(broker, new->name);
        if (old && old->port == new->port &&str_eq(old->host, new->host))
            return true;
    }
    return false;
}

/*
 * Another process has this id and lives. It does not where the new one has its directory and its
 * place. With the directory alone it may be the same one on new ports or a copy: the latter if the
 * registered one is let in and was heard of, which takes a new controller one heartbeat to know.
 */
static bool is_taken(const struct controller *c, const struct controller_context *ctx,
                     const struct broker_image *existing,
                     const struct broker_registration_request *request)
{
    if (!existing || uuid_eq(existing->incarnation_id, request->incarnation_id) ||
        existing->in_controlled_shutdown ||
        !heartbeats_session_valid(&c->heartbeats, existing->id, existing->epoch, ctx->now_ms))
        return false;
    if (!shares_directory(existing, request))
        return true;
    if (existing->fenced)
        return false;
    bool heard = heartbeats_find(&c->heartbeats, existing->id)->metadata_offset >= 0;
    return heard && !shares_end_point(existing, request);
}

static bool is_reserved(struct uuid id)
{
    for (int i = 0; i < 15; i++) {
        if (id.b[i] != 0)
            return false;
    }
    return id.b[15] < 100;
}

static enum kafka_error check_directories(const struct controller *c,
                                          const struct broker_registration_request *request)
{
    if (controller_metadata_version(c) < METADATA_VERSION_DIRECTORIES)
        return KAFKA_ERROR_NONE;
    if (request->log_dirs_count <= 0)
        return KAFKA_ERROR_INVALID_REGISTRATION;
    for (int32_t i = 0; i < request->log_dirs_count; i++) {
        if (is_reserved(request->log_dirs[i]) || has_id(request->log_dirs, i, request->log_dirs[i]))
            return KAFKA_ERROR_INVALID_REGISTRATION;
    }
    struct pmap_iter iter;
    pmap_iter_first(&iter, controller_image(c)->cluster.brokers);
    for (const struct broker_image *other; (other = pmap_iter_next(&iter)) != NULL;) {
        if (other->id != request->broker_id && shares_directory(other, request))
            return KAFKA_ERROR_INVALID_REGISTRATION;
    }
    return KAFKA_ERROR_NONE;
}

static enum kafka_error check_features(const struct controller *c,
                                       const struct broker_registration_request *request,
                                       struct arena *arena)
{
    struct feature_range *ranges =
        ARENA_ARRAY(arena, struct feature_range, request->features_count);
    struct feature_range range;
    for (int32_t i = 0; i < request->features_count; i++)
        ranges[i] = (struct feature_range){request->features[i].name,
                                           request->features[i].min_supported_version,
                                           request->features[i].max_supported_version};
    if (!feature_range_find(ranges, request->features_count, STR(FEATURE_METADATA_VERSION), &range))
        return KAFKA_ERROR_INVALID_REGISTRATION;
    return features_node_fits(c, ranges, request->features_count) ? KAFKA_ERROR_NONE
                                                                  : KAFKA_ERROR_UNSUPPORTED_VERSION;
}

static enum kafka_error check_request(const struct controller *c,
                                      const struct controller_context *ctx,
                                      const struct broker_image *existing,
                                      const struct broker_registration_request *request,
                                      struct arena *arena)
{
    if (!str_eq(request->cluster_id, c->config.cluster_id))
        return KAFKA_ERROR_INCONSISTENT_CLUSTER_ID;
    if (is_taken(c, ctx, existing, request))
        return KAFKA_ERROR_DUPLICATE_BROKER_REGISTRATION;
    if (request->is_migrating_zk_broker)
        return KAFKA_ERROR_BROKER_ID_NOT_REGISTERED;
    enum kafka_error error = check_directories(c, request);
    return error != KAFKA_ERROR_NONE ? error : check_features(c, request, arena);
}

/* What the last incarnation left behind in its partitions. */
static void clean_up(struct controller *c, const struct broker_image *existing,
                     const struct broker_registration_request *request, struct arena *arena,
                     struct metadata_records *records)
{
    bool stopped_cleanly = !controller_elr_enabled(c) || MUTATED(&c->config, UNFLUSHED_LEADS) ||
                           (existing && existing->epoch == request->previous_broker_epoch);
    if (stopped_cleanly)
        partitions_broker_fenced(c, request->broker_id, arena, records);
    else
        partitions_broker_lost_data(c, request->broker_id, arena, records);
}

static struct register_broker_record *add_record(struct controller *c,
                                                 const struct broker_registration_request *request,
                                                 struct arena *arena,
                                                 struct metadata_records *records)
{
    int16_t metadata_version = controller_metadata_version(c);
    struct register_broker_record *record =
        METADATA_RECORD_ADD(records, arena, register_broker_record, REGISTER_BROKER,
                            metadata_version_register_broker_record(metadata_version));
    record->broker_id = request->broker_id;
    record->incarnation_id = request->incarnation_id;
    record->rack = request->rack;
    record->end_points_count = request->listeners_count;
    record->end_points =
        MESSAGE_ARRAY(arena, register_broker_record_broker_endpoint, request->listeners_count);
    for (int32_t i = 0; i < request->listeners_count; i++) {
        record->end_points[i].name = request->listeners[i].name;
        record->end_points[i].host = request->listeners[i].host;
        record->end_points[i].port = request->listeners[i].port;
        record->end_points[i].security_protocol = request->listeners[i].security_protocol;
    }
    record->features_count = request->features_count;
    record->features =
        MESSAGE_ARRAY(arena, register_broker_record_broker_feature, request->features_count);
    for (int32_t i = 0; i < request->features_count; i++) {
        record->features[i].name = request->features[i].name;
        record->features[i].min_supported_version = request->features[i].min_supported_version;
        record->features[i].max_supported_version = request->features[i].max_supported_version;
    }
    if (metadata_version >= METADATA_VERSION_DIRECTORIES) {
        record->log_dirs = request->log_dirs;
        record->log_dirs_count = request->log_dirs_count;
    }
    return record;
}

CONTROLLER_API(broker_registration)
{
    struct controller *c = controller;
    const struct broker_image *existing =
        cluster_image_broker(&controller_image(c)->cluster, request->broker_id);
    *ret_result = (struct controller_result){.atomic = true};
    message_init(&broker_registration_response_desc, ret_response);
    enum kafka_error error = check_request(c, ctx, existing, request, arena);
    ret_response->error_code = (int16_t)error;
    if (error != KAFKA_ERROR_NONE)
        return;
    struct metadata_records *records = &ret_result->records;
    bool same = existing && uuid_eq(existing->incarnation_id, request->incarnation_id);
    if (!same)
        clean_up(c, existing, request, arena, records);
    struct register_broker_record *record = add_record(c, request, arena, records);
    if (same) {
        record->fenced = existing->fenced;
        record->in_controlled_shutdown = existing->in_controlled_shutdown;
        record->broker_epoch = existing->epoch;
    } else {
        record->fenced = true;
        record->broker_epoch = ctx->next_offset + (int64_t)records->count - 1;
        heartbeats_remove(&c->heartbeats, request->broker_id);
    }
    heartbeats_touch(&c->heartbeats, request->broker_id, record->broker_epoch, ctx->now_ms);
    ret_response->broker_epoch = record->broker_epoch;
}
