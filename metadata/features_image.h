/*
 * The finalized feature levels, metadata.version among them. Part of the image: read on any loop
 * that holds it, changed on the metadata loop.
 */
#ifndef KRAFTD_METADATA_FEATURES_IMAGE_H
#define KRAFTD_METADATA_FEATURES_IMAGE_H

#include "metadata/image_edit.h"
#include "metadata/image_writer.h"

struct feature_image {
    uint64_t version;
    struct str name;
    int16_t level; /* above 0: level 0 is no entry */
};

struct features_image {
    struct pmap by_name; /* struct feature_image */
};

extern const struct pmap_kind feature_image_kind;

/* 0 when it is not finalized. */
int16_t features_image_level(const struct features_image *features, struct str name);
/* METADATA_VERSION_MIN when the log has not said. */
int16_t features_image_metadata_version(const struct features_image *features);

int features_image_apply(struct features_image *features, struct image_edit *edit,
                         const struct feature_level_record *record);
bool features_image_equal(const struct features_image *a, const struct features_image *b);
/* metadata.version first: a reader needs it to understand the rest. */
void features_image_write(const struct features_image *features, struct image_writer *writer);

#endif
