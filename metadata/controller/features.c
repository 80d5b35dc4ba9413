#include "metadata/controller/features.h"

#include "common/protocol/codec.h"
#include "metadata/controller/configs.h"
#include "metadata/controller/controller_api.h"
#include "metadata/controller/controller_internal.h"

bool features_node_fits(const struct controller *c, const struct feature_range *ranges,
                        int32_t count)
{
    struct pmap_iter iter;
    pmap_iter_first(&iter, controller_image(c)->features.by_name);
    for (const struct feature_image *feature; (feature = pmap_iter_next(&iter)) != NULL;) {
        struct feature_range range = {feature->name, 0, 0};
        feature_range_find(ranges, count, feature->name, &range);
        if (feature->level < range.min || feature->level > range.max)
            return false;
    }
    return true;
}

/* The level of kraft.version where the voters are in the log. */
#define KRAFT_VERSION_OF_LOG 1

/* --- UpdateFeatures ----------------------------------------------------------------------- */

enum upgrade_type {
    UPGRADE = 1,
    SAFE_DOWNGRADE = 2,
    UNSAFE_DOWNGRADE = 3,
};

struct update {
    struct str feature;
    int16_t level;
    int8_t type;
};

static struct api_error refuse(const struct update *update, struct arena *arena, struct str why)
{
    return api_error(arena, KAFKA_ERROR_INVALID_UPDATE_VERSION,
                     "Invalid update version %d for feature %.*s. %.*s", update->level,
                     STR_FMT(update->feature), STR_FMT(why));
}

/* Null when a node with this range supports the level. */
static struct str reason_not_supported(struct arena *arena, const char *who, int32_t id,
                                       const struct feature_range *range, int16_t level)
{
    if (!range || (range->min == 0 && range->max == 0 && level > 0))
        return level == 0 ? STR_NULL
                          : arena_printf(arena, "%s %d does not support this feature.", who, id);
    if (level >= range->min && level <= range->max)
        return STR_NULL;
    if (range->min == range->max)
        return arena_printf(arena, "%s %d only supports %d", who, id, range->min);
    return arena_printf(arena, "%s %d only supports versions %d-%d", who, id, range->min,
                        range->max);
}

static struct str reason_nodes_lack_it(const struct controller *c, const struct update *update,
                                       struct arena *arena)
{
    const struct cluster_image *cluster = &controller_image(c)->cluster;
    const struct feature *known = feature_find(update->feature);
    struct feature_range range = {0};
    if (known)
        range = (struct feature_range){update->feature, known->min_level, known->max_level};
    struct str reason = reason_not_supported(arena, "Local controller", c->config.node_id,
                                             known ? &range : NULL, update->level);
    struct pmap_iter iter;
    pmap_iter_first(&iter, cluster->brokers);
    for (const struct broker_image *b; str_is_null(reason) && (b = pmap_iter_next(&iter));) {
        bool found = feature_range_find(b->features, b->feature_count, update->feature, &range);
        reason = reason_not_supported(arena, "Broker", b->id, found ? &range : NULL, update->level);
    }
    pmap_iter_first(&iter, cluster->controllers);
    for (const struct controller_image *q; str_is_null(reason) && (q = pmap_iter_next(&iter));) {
        bool found = feature_range_find(q->features, q->feature_count, update->feature, &range);
        reason =
            reason_not_supported(arena, "Controller", q->id, found ? &range : NULL, update->level);
    }
    return reason;
}

static struct api_error check_metadata_version(const struct update *update, int16_t current,
                                               struct arena *arena)
{
    bool changes_records = false;
    for (int16_t level = (int16_t)(update->level + 1); level <= current; level++)
        changes_records |= metadata_version_find(level)->changes_records;
    if (!changes_records)
        return API_OK;
    const char *why = update->type == UNSAFE_DOWNGRADE
                          ? "Unsafe metadata downgrade is not supported in this version."
                          : "Refusing to perform the requested downgrade because it might delete "
                            "metadata information.";
    return api_error(arena, KAFKA_ERROR_INVALID_UPDATE_VERSION,
                     "Unsupported metadata.version downgrade from %d to %d. %s", current,
                     update->level, why);
}

/* A level may need one of metadata.version, which may be in the same request. */
static struct api_error check_dependencies(const struct controller *c, const struct update *update,
                                           int16_t metadata_version, struct arena *arena)
{
    const struct feature *feature = feature_find(update->feature);
    int16_t needed = feature && feature->levels && update->level <= feature->max_level
                         ? feature->levels[update->level].needs_metadata_version
                         : 0;
    if (metadata_version >= needed)
        return API_OK;
    return refuse(update, arena,
                  arena_printf(arena, "%s could not be set to %d because it depends on %s level %d",
                               feature->name, update->level, FEATURE_METADATA_VERSION, needed));
}

static struct api_error check_update(const struct controller *c, const struct update *update,
                                     int16_t metadata_version, struct arena *arena)
{
    /* Not in the image: the quorum's voters are in the log from the start. */
    bool is_kraft_version = str_eq_z(update->feature, FEATURE_KRAFT_VERSION);
    int16_t current = is_kraft_version
                          ? KRAFT_VERSION_OF_LOG
                          : features_image_level(&controller_image(c)->features, update->feature);
    bool is_metadata_version = str_eq_z(update->feature, FEATURE_METADATA_VERSION);
    if (update->type < UPGRADE || update->type > UNSAFE_DOWNGRADE)
        return refuse(update, arena,
                      STR("The controller does not support the given upgrade type."));
    if (update->level < 0)
        return refuse(update, arena, STR("A feature version cannot be less than 0."));
    struct str reason = reason_nodes_lack_it(c, update, arena);
    if (!str_is_null(reason))
        return refuse(update, arena, reason);
    if (feature_find(update->feature) == NULL)
        return refuse(update, arena,
                      arena_printf(arena, "Feature %.*s not found.", STR_FMT(update->feature)));
    if (is_kraft_version && update->level < current)
        return refuse(update, arena, STR("Can't downgrade the version of this feature."));
    if (update->level < current && update->type == UPGRADE)
        return refuse(update, arena,
                      STR("Can't downgrade the version of this feature without setting the "
                          "upgrade type to either safe or unsafe downgrade."));
    if (update->level > current && update->type != UPGRADE)
        return refuse(update, arena, STR("Can't downgrade to a newer version."));
    if (is_kraft_version)
        return API_OK;
    if (is_metadata_version)
        return update->level < current ? check_metadata_version(update, current, arena) : API_OK;
    return check_dependencies(c, update, metadata_version, arena);
}

static void add_records(struct controller *c, const struct update *updates, int32_t count,
                        struct arena *arena, struct metadata_records *records)
{
    for (int32_t i = 0; i < count; i++) {
        int16_t current = features_image_level(&controller_image(c)->features, updates[i].feature);
        if (current == updates[i].level || str_eq_z(updates[i].feature, FEATURE_KRAFT_VERSION))
            continue;
        if (str_eq_z(updates[i].feature, FEATURE_ELIGIBLE_LEADER_REPLICAS) && current == 0)
            configs_prepare_elr(c, arena, records);
        struct feature_level_record *record =
            METADATA_RECORD_ADD(records, arena, feature_level_record, FEATURE_LEVEL, 0);
        record->name = updates[i].feature;
        record->feature_level = updates[i].level;
    }
}

CONTROLLER_API(update_features)
{
    int32_t count = request->feature_updates_count;
    struct update *updates = ARENA_ARRAY(arena, struct update, count);
    int16_t metadata_version = controller_metadata_version(controller);
    struct api_error error = API_OK;
    *ret_result = (struct controller_result){.atomic = true};
    message_init(&update_features_response_desc, ret_response);
    for (int32_t i = 0; i < count; i++) {
        updates[i] = (struct update){request->feature_updates[i].feature,
                                     request->feature_updates[i].max_version_level,
                                     request->feature_updates[i].upgrade_type};
        if (request->feature_updates[i].allow_downgrade) /* version 0 */
            updates[i].type = SAFE_DOWNGRADE;
        if (str_eq_z(updates[i].feature, FEATURE_METADATA_VERSION))
            metadata_version = updates[i].level;
    }
    for (int32_t i = 0; !api_failed(error) && i < count; i++)
        error = check_update(controller, &updates[i], metadata_version, arena);
    ret_response->error_code = (int16_t)error.code;
    ret_response->error_message = STR_NULL;
    if (api_failed(error)) {
        ret_response->error_message =
            arena_printf(arena,
                         "The update failed for all features since the following feature had an "
                         "error: %.*s",
                         STR_FMT(error.message));
        return;
    }
    ret_response->results_count = count;
    ret_response->results =
        MESSAGE_ARRAY(arena, update_features_response_updatable_feature_result, count);
    for (int32_t i = 0; i < count; i++) {
        ret_response->results[i].feature = updates[i].feature;
        ret_response->results[i].error_message = STR_NULL;
    }
    if (!request->validate_only)
        add_records(controller, updates, count, arena, &ret_result->records);
}
