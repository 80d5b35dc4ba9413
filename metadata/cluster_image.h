/*
 * The registered brokers and controllers. Part of the image: read on any loop that holds it,
 * changed on the metadata loop.
 */
#ifndef KRAFTD_METADATA_CLUSTER_IMAGE_H
#define KRAFTD_METADATA_CLUSTER_IMAGE_H

#include "common/base/uuid.h"
#include "metadata/image_edit.h"
#include "metadata/image_writer.h"

struct endpoint_image {
    struct str name; /* of the listener */
    struct str host;
    int16_t security_protocol;
    uint16_t port;
};

struct feature_range {
    struct str name;
    int16_t min, max;
};

struct broker_image {
    uint64_t version;
    int32_t id;
    bool fenced, in_controlled_shutdown, migrating_zk;
    int64_t epoch;
    struct uuid incarnation_id;
    struct str rack; /* null: none */
    const struct endpoint_image *endpoints;
    const struct feature_range *features; /* by name */
    const struct uuid *directories;       /* in Kafka's order; none: not said */
    const struct uuid *cordoned;          /* in the same order; -1 of them: not said yet */
    int32_t endpoint_count, feature_count, directory_count, cordoned_count;
};

struct controller_image {
    uint64_t version;
    int32_t id;
    bool zk_migration_ready;
    struct uuid incarnation_id;
    const struct endpoint_image *endpoints;
    const struct feature_range *features; /* by name */
    int32_t endpoint_count, feature_count;
};

struct cluster_image {
    struct pmap brokers;     /* struct broker_image by id */
    struct pmap controllers; /* struct controller_image by id */
};

extern const struct pmap_kind broker_image_kind, controller_image_kind;

/* NULL when it is not registered. */
const struct broker_image *cluster_image_broker(const struct cluster_image *cluster, int32_t id);
const struct controller_image *cluster_image_controller(const struct cluster_image *cluster,
                                                        int32_t id);
/* NULL when it has no such listener. */
const struct endpoint_image *broker_image_endpoint(const struct broker_image *broker,
                                                   struct str listener);
const struct endpoint_image *controller_image_endpoint(const struct controller_image *controller,
                                                       struct str listener);
/* Whether a replica there is online (KIP-858): a directory the broker has, or a reserved id other
 * than LOST. A broker that did not name its directories has them all. */
bool broker_image_has_directory(const struct broker_image *broker, struct uuid directory);
/* False when the node does not know the feature at all. */
bool feature_range_find(const struct feature_range *features, int32_t count, struct str name,
                        struct feature_range *ret_range);

int cluster_image_register_broker(struct cluster_image *cluster, struct image_edit *edit,
                                  const struct register_broker_record *record);
int cluster_image_unregister_broker(struct cluster_image *cluster, struct image_edit *edit,
                                    const struct unregister_broker_record *record);
int cluster_image_change_broker(struct cluster_image *cluster, struct image_edit *edit,
                                const struct broker_registration_change_record *record);
/* FenceBrokerRecord and UnfenceBrokerRecord of older logs. */
int cluster_image_set_fenced(struct cluster_image *cluster, struct image_edit *edit, int32_t id,
                             int64_t epoch, bool fenced);
int cluster_image_register_controller(struct cluster_image *cluster, struct image_edit *edit,
                                      const struct register_controller_record *record);
int cluster_image_unregister_controller(struct cluster_image *cluster, struct image_edit *edit,
                                        const struct unregister_controller_record *record);

bool cluster_image_equal(const struct cluster_image *a, const struct cluster_image *b);
void cluster_image_write(const struct cluster_image *cluster, struct image_writer *writer);

#endif
