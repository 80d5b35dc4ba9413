#include "metadata/config_levels.h"

#include <stdio.h>

void config_levels_init(struct config_levels *levels, const struct configs_image *configs,
                        const struct server_config *server)
{
    char name[12];
    int len = snprintf(name, sizeof(name), "%d", (int)server->node_id);
    *levels = (struct config_levels){
        .broker = configs_image_find(configs, CONFIG_RESOURCE_BROKER, str_from(name, (size_t)len)),
        .cluster = configs_image_find(configs, CONFIG_RESOURCE_BROKER, STR_EMPTY),
        .server = server,
    };
}

/* False when nothing is set there, or nothing that can be read. */
static bool read_dynamic(const struct config_image *config, const struct config_def *def,
                         struct arena *arena, struct config_value *ret_value)
{
    if (config == NULL)
        return false;
    struct str text = config_image_get(config, def->name), error;
    return !str_is_null(text) && config_value_parse(def, text, arena, ret_value, &error) == 0;
}

static bool read_broker_key(const struct config_levels *levels, const struct config_def *def,
                            struct arena *arena, struct config_value *ret_value)
{
    if (read_dynamic(levels->broker, def, arena, ret_value) ||
        read_dynamic(levels->cluster, def, arena, ret_value))
        return true;
    *ret_value = levels->server->values[def->id];
    return ret_value->type != CONFIG_TYPE_UNKNOWN;
}

/* The value of a synonym as that of the key itself: hours as milliseconds, the first of a list. */
static struct config_value convert(const struct config_def *def, struct config_value value,
                                   int64_t factor)
{
    if (def->type == CONFIG_TYPE_STRING && value.type == CONFIG_TYPE_LIST)
        return value.list.count > 0
                   ? (struct config_value){CONFIG_TYPE_STRING, .text = value.list.items[0]}
                   : (struct config_value){0};
    if (value.type == CONFIG_TYPE_INT || value.type == CONFIG_TYPE_LONG ||
        value.type == CONFIG_TYPE_SHORT) {
        value.type = def->type;
        /* -1 hours are no limit either. */
        if (factor != 1 && value.integer >= 0)
            value.integer *= factor;
    }
    return value;
}

struct config_value config_levels_value(const struct config_levels *levels, enum config_id id,
                                        struct arena *arena)
{
    const struct config_def *def = &config_defs[id];
    struct config_value value;
    if (read_dynamic(levels->own, def, arena, &value))
        return value;
    if (def->scope == CONFIG_SCOPE_BROKER || def->scope == CONFIG_SCOPE_KRAFTD)
        return read_broker_key(levels, def, arena, &value) ? value : (struct config_value){0};
    for (int i = 0; i < def->synonyms_count; i++)
        if (read_broker_key(levels, &config_defs[def->synonyms[i].id], arena, &value))
            return convert(def, value, def->synonyms[i].factor);
    return config_value_default(def, arena);
}

int64_t config_levels_integer(const struct config_levels *levels, enum config_id id,
                              struct arena *arena)
{
    struct config_value value = config_levels_value(levels, id, arena);
    CHECK(value.type == CONFIG_TYPE_INT || value.type == CONFIG_TYPE_LONG ||
          value.type == CONFIG_TYPE_SHORT);
    return value.integer;
}

bool config_levels_boolean(const struct config_levels *levels, enum config_id id,
                           struct arena *arena)
{
    struct config_value value = config_levels_value(levels, id, arena);
    CHECK(value.type == CONFIG_TYPE_BOOLEAN);
    return value.boolean;
}

static struct str default_text(struct str name, struct arena *arena)
{
    const struct config_def *def = config_find(CONFIG_SCOPE_BROKER, name);
    /* What is only ever set dynamically is not among the broker's defaults. */
    if (def == NULL || def->flag == CONFIG_FLAG_DYNAMIC)
        return STR_NULL;
    struct config_value value = config_value_default(def, arena);
    return config_value_format(&value, arena);
}

struct str config_levels_text(const struct config_levels *levels, enum config_source source,
                              struct str broker_key, struct arena *arena)
{
    switch (source) {
    case CONFIG_SOURCE_DYNAMIC_BROKER:
        return config_image_get(levels->broker, broker_key);
    case CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER:
        return config_image_get(levels->cluster, broker_key);
    case CONFIG_SOURCE_STATIC_BROKER:
        return properties_get(&levels->server->properties, broker_key);
    case CONFIG_SOURCE_DEFAULT:
        return default_text(broker_key, arena);
    default:
        return STR_NULL;
    }
}
