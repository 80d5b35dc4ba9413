#include "metadata/configs_image.h"

#include "common/base/mem.h"
#include "common/protocol/codec.h"

#include <stdlib.h>

static struct pmap_key key_of(const void *value)
{
    return pmap_key_str(((const struct config_image *)value)->name);
}

const struct pmap_kind config_image_kind = {.key_of = key_of, .owns_values = true};

bool config_resource_type_ok(int8_t type)
{
    return type == CONFIG_RESOURCE_TOPIC || type == CONFIG_RESOURCE_BROKER ||
           type == CONFIG_RESOURCE_BROKER_LOGGER || type == CONFIG_RESOURCE_CLIENT_METRICS ||
           type == CONFIG_RESOURCE_GROUP;
}

static int place_of(int8_t type)
{
    CHECK(config_resource_type_ok(type));
    return __builtin_ctz((unsigned)type);
}

struct pmap configs_image_of_type(const struct configs_image *configs, int8_t type)
{
    return configs->by_type[place_of(type)];
}

const struct config_image *configs_image_find(const struct configs_image *configs, int8_t type,
                                              struct str name)
{
    return pmap_get(&config_image_kind, configs->by_type[place_of(type)], pmap_key_str(name));
}

/* The first entry that is not below the key. */
static int32_t search(const struct config_image *config, struct str key)
{
    int32_t low = 0, high = config->count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (str_cmp(config->entries[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct str config_image_get(const struct config_image *config, struct str key)
{
    if (!config)
        return STR_NULL;
    int32_t at = search(config, key);
    if (at == config->count || !str_eq(config->entries[at].key, key))
        return STR_NULL;
    return config->entries[at].value;
}

struct str configs_image_get(const struct configs_image *configs, int8_t type, struct str name,
                             struct str key)
{
    return config_image_get(configs_image_find(configs, type, name), key);
}

static struct config_image *config_new(struct pmap_edit *edit, int8_t type, struct str name,
                                       const struct config_entry *entries, int32_t count)
{
    size_t text = flat_str_bytes(name);
    for (int32_t i = 0; i < count; i++)
        text += flat_str_bytes(entries[i].key) + flat_str_bytes(entries[i].value);
    size_t table = (size_t)count * sizeof(*entries);
    struct config_image *config = pmap_edit_new(edit, sizeof(*config) + table + text);
    struct flat flat = {(char *)config->entries + table, (char *)config->entries + table + text};
    config->type = type;
    config->name = flat_str(&flat, name);
    config->count = count;
    for (int32_t i = 0; i < count; i++) {
        config->entries[i].key = flat_str(&flat, entries[i].key);
        config->entries[i].value = flat_str(&flat, entries[i].value);
    }
    return config;
}

int configs_image_apply(struct configs_image *configs, struct image_edit *edit,
                        const struct config_record *record)
{
    if (!config_resource_type_ok(record->resource_type))
        return image_fault(edit, "config %.*s is for a resource of type %d", STR_FMT(record->name),
                           record->resource_type);
    struct pmap *map = &configs->by_type[place_of(record->resource_type)];
    const struct config_image *old =
        configs_image_find(configs, record->resource_type, record->resource_name);
    int32_t old_count = old ? old->count : 0;
    int32_t at = old ? search(old, record->name) : 0;
    bool is_there = at < old_count && str_eq(old->entries[at].key, record->name);
    bool set = !str_is_null(record->value);
    if (!set && !is_there)
        return 0;
    if (!set && old_count == 1) {
        pmap_remove(&config_image_kind, map, &edit->pmap, pmap_key_str(record->resource_name));
        return 0;
    }
    struct config_entry *entries = mem_alloc(((size_t)old_count + 1) * sizeof(*entries));
    int32_t count = 0;
    for (int32_t i = 0; i < at; i++)
        entries[count++] = old->entries[i];
    if (set)
        entries[count++] = (struct config_entry){record->name, record->value};
    for (int32_t i = at + (is_there ? 1 : 0); i < old_count; i++)
        entries[count++] = old->entries[i];
    struct config_image *config =
        config_new(&edit->pmap, record->resource_type, record->resource_name, entries, count);
    free(entries);
    pmap_put(&config_image_kind, map, &edit->pmap, config);
    return 0;
}

void configs_image_remove(struct configs_image *configs, struct image_edit *edit, int8_t type,
                          struct str name)
{
    pmap_remove(&config_image_kind, &configs->by_type[place_of(type)], &edit->pmap,
                pmap_key_str(name));
}

static bool equal(const void *a, const void *b)
{
    const struct config_image *x = a, *y = b;
    bool same = str_eq(x->name, y->name) && x->count == y->count;
    for (int32_t i = 0; same && i < x->count; i++)
        same = str_eq(x->entries[i].key, y->entries[i].key) &&
               str_eq(x->entries[i].value, y->entries[i].value);
    return same;
}

bool configs_image_equal(const struct configs_image *a, const struct configs_image *b)
{
    bool same = true;
    for (int i = 0; same && i < CONFIG_RESOURCE_TYPES; i++)
        same = image_maps_equal(a->by_type[i], b->by_type[i], equal);
    return same;
}

void configs_image_write(const struct configs_image *configs, struct image_writer *writer)
{
    for (int type = 0; type < CONFIG_RESOURCE_TYPES; type++) {
        struct pmap_iter iter;
        pmap_iter_first(&iter, configs->by_type[type]);
        for (const struct config_image *config; (config = pmap_iter_next(&iter)) != NULL;) {
            struct config_record record;
            message_init(&config_record_desc, &record);
            record.resource_type = config->type;
            record.resource_name = config->name;
            for (int32_t i = 0; i < config->count; i++) {
                record.name = config->entries[i].key;
                record.value = config->entries[i].value;
                IMAGE_WRITE(writer, CONFIG, 0, &record);
            }
        }
    }
}
