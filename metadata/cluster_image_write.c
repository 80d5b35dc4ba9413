/* The registrations as records. */
#include "metadata/cluster_image.h"

#include "common/protocol/codec.h"
#include "metadata/feature.h"

static void write_broker(const struct broker_image *broker, struct image_writer *writer,
                         struct arena *arena)
{
    int16_t version = metadata_version_register_broker_record(writer->metadata_version);
    struct register_broker_record record;
    message_init(&register_broker_record_desc, &record);
    record.broker_id = broker->id;
    record.is_migrating_zk_broker = broker->migrating_zk && version >= 2;
    record.incarnation_id = broker->incarnation_id;
    record.broker_epoch = broker->epoch;
    record.end_points_count = broker->endpoint_count;
    record.end_points =
        MESSAGE_ARRAY(arena, register_broker_record_broker_endpoint, broker->endpoint_count);
    for (int32_t i = 0; i < broker->endpoint_count; i++) {
        record.end_points[i].name = broker->endpoints[i].name;
        record.end_points[i].host = broker->endpoints[i].host;
        record.end_points[i].port = broker->endpoints[i].port;
        record.end_points[i].security_protocol = broker->endpoints[i].security_protocol;
    }
    record.features_count = broker->feature_count;
    record.features =
        MESSAGE_ARRAY(arena, register_broker_record_broker_feature, broker->feature_count);
    for (int32_t i = 0; i < broker->feature_count; i++) {
        record.features[i].name = broker->features[i].name;
        record.features[i].min_supported_version = broker->features[i].min;
        record.features[i].max_supported_version = broker->features[i].max;
    }
    record.rack = broker->rack;
    record.fenced = broker->fenced;
    record.in_controlled_shutdown = broker->in_controlled_shutdown;
    if (version >= 3) {
        record.log_dirs_count = broker->directory_count;
        record.log_dirs = ARENA_ARRAY(arena, struct uuid, broker->directory_count);
        for (int32_t i = 0; i < broker->directory_count; i++)
            record.log_dirs[i] = broker->directories[i];
    }
    if (version >= 4 && broker->cordoned_count >= 0) {
        record.cordoned_log_dirs_count = broker->cordoned_count;
        record.cordoned_log_dirs = ARENA_ARRAY(arena, struct uuid, broker->cordoned_count);
        for (int32_t i = 0; i < broker->cordoned_count; i++)
            record.cordoned_log_dirs[i] = broker->cordoned[i];
    }
    IMAGE_WRITE(writer, REGISTER_BROKER, version, &record);
}

static void write_controller(const struct controller_image *controller, struct image_writer *writer,
                             struct arena *arena)
{
    struct register_controller_record record;
    message_init(&register_controller_record_desc, &record);
    record.controller_id = controller->id;
    record.incarnation_id = controller->incarnation_id;
    record.zk_migration_ready = controller->zk_migration_ready;
    record.end_points_count = controller->endpoint_count;
    record.end_points = MESSAGE_ARRAY(arena, register_controller_record_controller_endpoint,
                                      controller->endpoint_count);
    for (int32_t i = 0; i < controller->endpoint_count; i++) {
        record.end_points[i].name = controller->endpoints[i].name;
        record.end_points[i].host = controller->endpoints[i].host;
        record.end_points[i].port = controller->endpoints[i].port;
        record.end_points[i].security_protocol = controller->endpoints[i].security_protocol;
    }
    record.features_count = controller->feature_count;
    record.features = MESSAGE_ARRAY(arena, register_controller_record_controller_feature,
                                    controller->feature_count);
    for (int32_t i = 0; i < controller->feature_count; i++) {
        record.features[i].name = controller->features[i].name;
        record.features[i].min_supported_version = controller->features[i].min;
        record.features[i].max_supported_version = controller->features[i].max;
    }
    IMAGE_WRITE(writer, REGISTER_CONTROLLER, 0, &record);
}

void cluster_image_write(const struct cluster_image *cluster, struct image_writer *writer)
{
    struct arena arena;
    struct pmap_iter iter;
    arena_init(&arena, 0);
    pmap_iter_first(&iter, cluster->brokers);
    for (const struct broker_image *broker; (broker = pmap_iter_next(&iter)) != NULL;) {
        write_broker(broker, writer, &arena);
        arena_reset(&arena);
    }
    pmap_iter_first(&iter, cluster->controllers);
    for (const struct controller_image *c; (c = pmap_iter_next(&iter)) != NULL;) {
        if (writer->metadata_version >= METADATA_VERSION_CONTROLLER_REGISTRATION)
            write_controller(c, writer, &arena);
        arena_reset(&arena);
    }
    arena_release(&arena);
}
