/*
 * Dynamic configs by resource (KIP-226, KIP-339, KIP-714, KIP-848): what people set, nothing else.
 * An empty broker name is the cluster-wide default. Part of the image: read on any loop that holds
 * it, changed on the metadata loop.
 */
#ifndef KRAFTD_METADATA_CONFIGS_IMAGE_H
#define KRAFTD_METADATA_CONFIGS_IMAGE_H

#include "metadata/config/config_entry.h"
#include "metadata/image_edit.h"
#include "metadata/image_writer.h"

enum config_resource_type {
    CONFIG_RESOURCE_TOPIC = 2,
    CONFIG_RESOURCE_BROKER = 4,
    CONFIG_RESOURCE_BROKER_LOGGER = 8,
    CONFIG_RESOURCE_CLIENT_METRICS = 16,
    CONFIG_RESOURCE_GROUP = 32,
};

#define CONFIG_RESOURCE_TYPES 6 /* places by the bit that is set */

struct config_image {
    uint64_t version;
    struct str name;               /* of the resource */
    int8_t type;                   /* enum config_resource_type */
    int32_t count;                 /* at least 1 */
    struct config_entry entries[]; /* by key */
};

struct configs_image {
    struct pmap by_type[CONFIG_RESOURCE_TYPES]; /* struct config_image by name */
};

extern const struct pmap_kind config_image_kind;

/* Whether it is one of the types above. */
bool config_resource_type_ok(int8_t type);
/* The resources of a type, in order of names. */
struct pmap configs_image_of_type(const struct configs_image *configs, int8_t type);
/* NULL when nothing is set. */
const struct config_image *configs_image_find(const struct configs_image *configs, int8_t type,
                                              struct str name);
/* Null when it is not set; `config` may be NULL. */
struct str config_image_get(const struct config_image *config, struct str key);
struct str configs_image_get(const struct configs_image *configs, int8_t type, struct str name,
                             struct str key);

int configs_image_apply(struct configs_image *configs, struct image_edit *edit,
                        const struct config_record *record);
/* What happens to a topic's configs when the topic goes. */
void configs_image_remove(struct configs_image *configs, struct image_edit *edit, int8_t type,
                          struct str name);

bool configs_image_equal(const struct configs_image *a, const struct configs_image *b);
void configs_image_write(const struct configs_image *configs, struct image_writer *writer);

#endif
