#include "metadata/cluster_image.h"

#include "common/protocol/codec.h"
#include "common/protocol/endian.h"
#include "metadata/feature.h"

#include <errno.h>
#include <stdlib.h>

static struct pmap_key broker_key(const void *value)
{
    return pmap_key_i64(((const struct broker_image *)value)->id);
}

static struct pmap_key controller_key(const void *value)
{
    return pmap_key_i64(((const struct controller_image *)value)->id);
}

const struct pmap_kind broker_image_kind = {.key_of = broker_key, .owns_values = true};
const struct pmap_kind controller_image_kind = {.key_of = controller_key, .owns_values = true};

const struct broker_image *cluster_image_broker(const struct cluster_image *cluster, int32_t id)
{
    return pmap_get(&broker_image_kind, cluster->brokers, pmap_key_i64(id));
}

const struct controller_image *cluster_image_controller(const struct cluster_image *cluster,
                                                        int32_t id)
{
    return pmap_get(&controller_image_kind, cluster->controllers, pmap_key_i64(id));
}

static const struct endpoint_image *find_endpoint(const struct endpoint_image *endpoints,
                                                  int32_t count, struct str listener)
{
    for (int32_t i = 0; i < count; i++) {
        if (str_eq(endpoints[i].name, listener))
            return &endpoints[i];
    }
    return NULL;
}

const struct endpoint_image *broker_image_endpoint(const struct broker_image *broker,
                                                   struct str listener)
{
    return find_endpoint(broker->endpoints, broker->endpoint_count, listener);
}

const struct endpoint_image *controller_image_endpoint(const struct controller_image *controller,
                                                       struct str listener)
{
    return find_endpoint(controller->endpoints, controller->endpoint_count, listener);
}

bool broker_image_has_directory(const struct broker_image *broker, struct uuid directory)
{
    if (broker->directory_count == 0 || uuid_is_zero(directory) ||
        uuid_eq(directory, UUID_DIRECTORY_MIGRATING))
        return true;
    for (int32_t i = 0; i < broker->directory_count; i++) {
        if (uuid_eq(broker->directories[i], directory))
            return true;
    }
    return false;
}

bool feature_range_find(const struct feature_range *features, int32_t count, struct str name,
                        struct feature_range *ret_range)
{
    for (int32_t i = 0; i < count; i++) {
        if (str_eq(features[i].name, name)) {
            *ret_range = features[i];
            return true;
        }
    }
    return false;
}

/* --- blocks ------------------------------------------------------------------------------- */

static size_t node_bytes(const struct endpoint_image *endpoints, int32_t endpoint_count,
                         const struct feature_range *features, int32_t feature_count)
{
    size_t bytes =
        (size_t)endpoint_count * sizeof(*endpoints) + (size_t)feature_count * sizeof(*features);
    for (int32_t i = 0; i < endpoint_count; i++)
        bytes += flat_str_bytes(endpoints[i].name) + flat_str_bytes(endpoints[i].host);
    for (int32_t i = 0; i < feature_count; i++)
        bytes += flat_str_bytes(features[i].name);
    return bytes;
}

static void copy_names(struct flat *flat, struct endpoint_image *endpoints, int32_t endpoint_count,
                       struct feature_range *features, int32_t feature_count)
{
    for (int32_t i = 0; i < endpoint_count; i++) {
        endpoints[i].name = flat_str(flat, endpoints[i].name);
        endpoints[i].host = flat_str(flat, endpoints[i].host);
    }
    for (int32_t i = 0; i < feature_count; i++)
        features[i].name = flat_str(flat, features[i].name);
}

/* A block of this edit with all that `from` says. */
static struct broker_image *broker_copy(struct pmap_edit *edit, const struct broker_image *from)
{
    size_t ids =
        (size_t)(from->directory_count + MAX(from->cordoned_count, 0)) * sizeof(struct uuid);
    size_t behind =
        node_bytes(from->endpoints, from->endpoint_count, from->features, from->feature_count) +
        ids + flat_str_bytes(from->rack);
    struct broker_image *broker = pmap_edit_new(edit, sizeof(*broker) + behind);
    struct flat flat = {(char *)(broker + 1), (char *)(broker + 1) + behind};
    *broker = *from;
    broker->version = edit->version;
    struct endpoint_image *endpoints =
        flat_array(&flat, from->endpoints, (size_t)from->endpoint_count, sizeof(*endpoints));
    struct feature_range *features =
        flat_array(&flat, from->features, (size_t)from->feature_count, sizeof(*features));
    broker->endpoints = endpoints;
    broker->features = features;
    broker->directories =
        flat_array(&flat, from->directories, (size_t)from->directory_count, sizeof(struct uuid));
    broker->cordoned = flat_array(&flat, from->cordoned, (size_t)MAX(from->cordoned_count, 0),
                                  sizeof(struct uuid));
    copy_names(&flat, endpoints, from->endpoint_count, features, from->feature_count);
    broker->rack = flat_str(&flat, from->rack);
    return broker;
}

static struct controller_image *controller_copy(struct pmap_edit *edit,
                                                const struct controller_image *from)
{
    size_t behind =
        node_bytes(from->endpoints, from->endpoint_count, from->features, from->feature_count);
    struct controller_image *controller = pmap_edit_new(edit, sizeof(*controller) + behind);
    struct flat flat = {(char *)(controller + 1), (char *)(controller + 1) + behind};
    *controller = *from;
    controller->version = edit->version;
    struct endpoint_image *endpoints =
        flat_array(&flat, from->endpoints, (size_t)from->endpoint_count, sizeof(*endpoints));
    struct feature_range *features =
        flat_array(&flat, from->features, (size_t)from->feature_count, sizeof(*features));
    controller->endpoints = endpoints;
    controller->features = features;
    copy_names(&flat, endpoints, from->endpoint_count, features, from->feature_count);
    return controller;
}

static int by_feature_name(const void *a, const void *b)
{
    return str_cmp(((const struct feature_range *)a)->name,
                   ((const struct feature_range *)b)->name);
}

/* As Kafka orders ids: as two signed numbers. */
static int by_id(const void *a, const void *b)
{
    const struct uuid *x = a, *y = b;
    for (int half = 0; half < 16; half += 8) {
        int64_t m = get_i64(x->b + half), n = get_i64(y->b + half);
        if (m != n)
            return m < n ? -1 : 1;
    }
    return 0;
}

static struct uuid *sorted_ids(struct arena *arena, const struct uuid *ids, int32_t count)
{
    struct uuid *sorted = ARENA_ARRAY(arena, struct uuid, MAX(count, 0));
    if (count > 0) {
        memcpy(sorted, ids, (size_t)count * sizeof(*ids));
        qsort(sorted, (size_t)count, sizeof(*sorted), by_id);
    }
    return sorted;
}

/* The end points and features of both kinds of registration have the same members. */
#define NODE_LISTS_OF(record, arena, node)                                                         \
    do {                                                                                           \
        struct endpoint_image *endpoints_ =                                                        \
            ARENA_ARRAY((arena), struct endpoint_image, (record)->end_points_count);               \
        struct feature_range *features_ =                                                          \
            ARENA_ARRAY((arena), struct feature_range, (record)->features_count);                  \
        for (int32_t i_ = 0; i_ < (record)->end_points_count; i_++)                                \
            endpoints_[i_] = (struct endpoint_image){                                              \
                .name = (record)->end_points[i_].name,                                             \
                .host = (record)->end_points[i_].host,                                             \
                .port = (record)->end_points[i_].port,                                             \
                .security_protocol = (record)->end_points[i_].security_protocol};                  \
        for (int32_t i_ = 0; i_ < (record)->features_count; i_++)                                  \
            features_[i_] =                                                                        \
                (struct feature_range){.name = (record)->features[i_].name,                        \
                                       .min = (record)->features[i_].min_supported_version,        \
                                       .max = (record)->features[i_].max_supported_version};       \
        if ((record)->features_count > 0)                                                          \
            qsort(features_, (size_t)(record)->features_count, sizeof(*features_),                 \
                  by_feature_name);                                                                \
        (node).endpoints = endpoints_;                                                             \
        (node).endpoint_count = (record)->end_points_count;                                        \
        (node).features = features_;                                                               \
        (node).feature_count = (record)->features_count;                                           \
    } while (0)

/* --- applying records --------------------------------------------------------------------- */

int cluster_image_register_broker(struct cluster_image *cluster, struct image_edit *edit,
                                  const struct register_broker_record *record)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct broker_image from = {
        .id = record->broker_id,
        .fenced = record->fenced,
        .in_controlled_shutdown = record->in_controlled_shutdown,
        .migrating_zk = record->is_migrating_zk_broker,
        .epoch = record->broker_epoch,
        .incarnation_id = record->incarnation_id,
        .rack = record->rack,
        .directory_count = record->log_dirs_count,
        .cordoned_count = record->cordoned_log_dirs_count,
    };
    NODE_LISTS_OF(record, &arena, from);
    from.directories = sorted_ids(&arena, record->log_dirs, from.directory_count);
    from.cordoned = sorted_ids(&arena, record->cordoned_log_dirs, MAX(from.cordoned_count, 0));
    pmap_put(&broker_image_kind, &cluster->brokers, &edit->pmap, broker_copy(&edit->pmap, &from));
    arena_release(&arena);
    return 0;
}

/* The registered broker of this epoch; NULL with the fault said. */
static const struct broker_image *expect_broker(struct cluster_image *cluster,
                                                struct image_edit *edit, int32_t id, int64_t epoch)
{
    const struct broker_image *broker = cluster_image_broker(cluster, id);
    if (!broker) {
        image_fault(edit, "broker %d is not registered", id);
        return NULL;
    }
    if (broker->epoch != epoch) {
        image_fault(edit, "broker %d has epoch %lld, the record names epoch %lld", id,
                    (long long)broker->epoch, (long long)epoch);
        return NULL;
    }
    return broker;
}

int cluster_image_unregister_broker(struct cluster_image *cluster, struct image_edit *edit,
                                    const struct unregister_broker_record *record)
{
    if (!expect_broker(cluster, edit, record->broker_id, record->broker_epoch))
        return -EBADMSG;
    pmap_remove(&broker_image_kind, &cluster->brokers, &edit->pmap,
                pmap_key_i64(record->broker_id));
    return 0;
}

int cluster_image_change_broker(struct cluster_image *cluster, struct image_edit *edit,
                                const struct broker_registration_change_record *record)
{
    const struct broker_image *broker =
        expect_broker(cluster, edit, record->broker_id, record->broker_epoch);
    if (!broker)
        return -EBADMSG;
    if (record->fenced < -1 || record->fenced > 1 || record->in_controlled_shutdown < 0 ||
        record->in_controlled_shutdown > 1)
        return image_fault(edit, "broker %d: fenced %d, in controlled shutdown %d",
                           record->broker_id, record->fenced, record->in_controlled_shutdown);
    struct arena arena;
    arena_init(&arena, 0);
    struct broker_image changed = *broker;
    if (record->fenced != 0)
        changed.fenced = record->fenced > 0;
    if (record->in_controlled_shutdown != 0)
        changed.in_controlled_shutdown = true;
    if (record->log_dirs_count > 0) {
        changed.directories = sorted_ids(&arena, record->log_dirs, record->log_dirs_count);
        changed.directory_count = record->log_dirs_count;
    }
    if (record->cordoned_log_dirs_count >= 0) {
        changed.cordoned =
            sorted_ids(&arena, record->cordoned_log_dirs, record->cordoned_log_dirs_count);
        changed.cordoned_count = record->cordoned_log_dirs_count;
    }
    pmap_put(&broker_image_kind, &cluster->brokers, &edit->pmap,
             broker_copy(&edit->pmap, &changed));
    arena_release(&arena);
    return 0;
}

int cluster_image_set_fenced(struct cluster_image *cluster, struct image_edit *edit, int32_t id,
                             int64_t epoch, bool fenced)
{
    const struct broker_image *broker = expect_broker(cluster, edit, id, epoch);
    if (!broker)
        return -EBADMSG;
    struct broker_image changed = *broker;
    changed.fenced = fenced;
    pmap_put(&broker_image_kind, &cluster->brokers, &edit->pmap,
             broker_copy(&edit->pmap, &changed));
    return 0;
}

int cluster_image_register_controller(struct cluster_image *cluster, struct image_edit *edit,
                                      const struct register_controller_record *record)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct controller_image from = {
        .id = record->controller_id,
        .zk_migration_ready = record->zk_migration_ready,
        .incarnation_id = record->incarnation_id,
    };
    NODE_LISTS_OF(record, &arena, from);
    pmap_put(&controller_image_kind, &cluster->controllers, &edit->pmap,
             controller_copy(&edit->pmap, &from));
    arena_release(&arena);
    return 0;
}

int cluster_image_unregister_controller(struct cluster_image *cluster, struct image_edit *edit,
                                        const struct unregister_controller_record *record)
{
    if (!pmap_remove(&controller_image_kind, &cluster->controllers, &edit->pmap,
                     pmap_key_i64(record->controller_id)))
        return image_fault(edit, "controller %d is not registered", record->controller_id);
    return 0;
}

/* --- comparing and writing ---------------------------------------------------------------- */

static bool endpoints_equal(const struct endpoint_image *a, int32_t a_count,
                            const struct endpoint_image *b, int32_t b_count)
{
    bool equal = a_count == b_count;
    for (int32_t i = 0; equal && i < a_count; i++)
        equal = str_eq(a[i].name, b[i].name) && str_eq(a[i].host, b[i].host) &&
                a[i].port == b[i].port && a[i].security_protocol == b[i].security_protocol;
    return equal;
}

static bool ranges_equal(const struct feature_range *a, int32_t a_count,
                         const struct feature_range *b, int32_t b_count)
{
    bool equal = a_count == b_count;
    for (int32_t i = 0; equal && i < a_count; i++)
        equal = str_eq(a[i].name, b[i].name) && a[i].min == b[i].min && a[i].max == b[i].max;
    return equal;
}

static bool ids_equal(const struct uuid *a, int32_t a_count, const struct uuid *b, int32_t b_count)
{
    return a_count == b_count && (a_count <= 0 || memcmp(a, b, (size_t)a_count * sizeof(*a)) == 0);
}

static bool brokers_equal(const void *a, const void *b)
{
    const struct broker_image *x = a, *y = b;
    return x->id == y->id && x->fenced == y->fenced &&
           x->in_controlled_shutdown == y->in_controlled_shutdown &&
           x->migrating_zk == y->migrating_zk && x->epoch == y->epoch &&
           uuid_eq(x->incarnation_id, y->incarnation_id) && str_eq(x->rack, y->rack) &&
           endpoints_equal(x->endpoints, x->endpoint_count, y->endpoints, y->endpoint_count) &&
           ranges_equal(x->features, x->feature_count, y->features, y->feature_count) &&
           ids_equal(x->directories, x->directory_count, y->directories, y->directory_count) &&
           ids_equal(x->cordoned, x->cordoned_count, y->cordoned, y->cordoned_count);
}

static bool controllers_equal(const void *a, const void *b)
{
    const struct controller_image *x = a, *y = b;
    return x->id == y->id && x->zk_migration_ready == y->zk_migration_ready &&
           uuid_eq(x->incarnation_id, y->incarnation_id) &&
           endpoints_equal(x->endpoints, x->endpoint_count, y->endpoints, y->endpoint_count) &&
           ranges_equal(x->features, x->feature_count, y->features, y->feature_count);
}

bool cluster_image_equal(const struct cluster_image *a, const struct cluster_image *b)
{
    return image_maps_equal(a->brokers, b->brokers, brokers_equal) &&
           image_maps_equal(a->controllers, b->controllers, controllers_equal);
}
