#include "metadata/features_image.h"

#include "common/protocol/codec.h"
#include "metadata/feature.h"

static struct pmap_key key_of(const void *value)
{
    return pmap_key_str(((const struct feature_image *)value)->name);
}

const struct pmap_kind feature_image_kind = {.key_of = key_of, .owns_values = true};

int16_t features_image_level(const struct features_image *features, struct str name)
{
    const struct feature_image *feature =
        pmap_get(&feature_image_kind, features->by_name, pmap_key_str(name));
    return feature ? feature->level : 0;
}

int16_t features_image_metadata_version(const struct features_image *features)
{
    int16_t level = features_image_level(features, STR(FEATURE_METADATA_VERSION));
    return level ? level : METADATA_VERSION_MIN;
}

int features_image_apply(struct features_image *features, struct image_edit *edit,
                         const struct feature_level_record *record)
{
    if (record->feature_level < 0)
        return image_fault(edit, "feature %.*s has level %d", STR_FMT(record->name),
                           record->feature_level);
    if (str_eq_z(record->name, FEATURE_METADATA_VERSION) &&
        !metadata_version_find(record->feature_level))
        return image_fault(edit, "metadata.version %d is unknown; this build reads levels %d to %d",
                           record->feature_level, METADATA_VERSION_MIN, METADATA_VERSION_LATEST);
    if (record->feature_level == 0) {
        pmap_remove(&feature_image_kind, &features->by_name, &edit->pmap,
                    pmap_key_str(record->name));
        return 0;
    }
    struct feature_image *feature =
        pmap_edit_new(&edit->pmap, sizeof(*feature) + flat_str_bytes(record->name));
    struct flat flat = {(char *)(feature + 1), (char *)(feature + 1) + record->name.len};
    feature->name = flat_str(&flat, record->name);
    feature->level = record->feature_level;
    pmap_put(&feature_image_kind, &features->by_name, &edit->pmap, feature);
    return 0;
}

static bool equal(const void *a, const void *b)
{
    const struct feature_image *x = a, *y = b;
    return x->level == y->level && str_eq(x->name, y->name);
}

bool features_image_equal(const struct features_image *a, const struct features_image *b)
{
    return image_maps_equal(a->by_name, b->by_name, equal);
}

static void write_level(struct image_writer *writer, struct str name, int16_t level)
{
    struct feature_level_record record;
    message_init(&feature_level_record_desc, &record);
    record.name = name;
    record.feature_level = level;
    IMAGE_WRITE(writer, FEATURE_LEVEL, 0, &record);
}

void features_image_write(const struct features_image *features, struct image_writer *writer)
{
    struct str first = STR(FEATURE_METADATA_VERSION);
    if (features_image_level(features, first))
        write_level(writer, first, features_image_level(features, first));
    struct pmap_iter iter;
    pmap_iter_first(&iter, features->by_name);
    for (const struct feature_image *feature; (feature = pmap_iter_next(&iter)) != NULL;) {
        if (!str_eq(feature->name, first))
            write_level(writer, feature->name, feature->level);
    }
}
