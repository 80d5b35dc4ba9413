#include "metadata/controller/effective_configs.h"

#include "metadata/controller/controller_internal.h"

#include <stdio.h>

/* What server.properties and the dynamic broker configs say for one broker key; false: nothing. */
static bool find_broker_value(const struct controller *c, struct str name, struct str *ret_value,
                              enum config_source *ret_source)
{
    char node[12];
    int len = snprintf(node, sizeof(node), "%d", c->config.node_id);
    const struct configs_image *configs = &controller_image(c)->configs;
    struct {
        struct str value;
        enum config_source source;
    } levels[] = {
        {configs_image_get(configs, CONFIG_RESOURCE_BROKER, str_from(node, (size_t)len), name),
         CONFIG_SOURCE_DYNAMIC_BROKER},
        {configs_image_get(configs, CONFIG_RESOURCE_BROKER, STR_EMPTY, name),
         CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER},
        {c->config.static_config ? c->config.static_config(c->config.static_config_ctx, name)
                                 : STR_NULL,
         CONFIG_SOURCE_STATIC_BROKER},
    };
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        if (!str_is_null(levels[i].value)) {
            *ret_value = levels[i].value;
            *ret_source = levels[i].source;
            return true;
        }
    }
    return false;
}

/* A value of a synonym with another unit: hours to milliseconds. */
static struct str scale(const struct config_def *synonym, struct str value, int64_t factor,
                        struct arena *arena)
{
    struct config_value parsed;
    struct str error;
    if (factor == 1 || config_value_read(synonym, value, arena, &parsed, &error) != 0)
        return value;
    return arena_printf(arena, "%lld", (long long)(parsed.integer * factor));
}

struct effective_config effective_topic_config(const struct controller *c, enum config_id id,
                                               struct str own, struct arena *arena)
{
    const struct config_def *def = &config_defs[id];
    struct effective_config effective = {def, own, CONFIG_SOURCE_TOPIC};
    if (!str_is_null(own))
        return effective;
    for (int i = 0; i < def->synonyms_count; i++) {
        const struct config_def *synonym = &config_defs[def->synonyms[i].id];
        if (find_broker_value(c, synonym->name, &effective.value, &effective.source)) {
            effective.value = scale(synonym, effective.value, def->synonyms[i].factor, arena);
            return effective;
        }
    }
    struct config_value value = config_value_default(def, arena);
    effective.value = config_value_format(&value, arena);
    effective.source = CONFIG_SOURCE_DEFAULT;
    return effective;
}

static struct config_value topic_value(const struct controller *c, struct str topic,
                                       enum config_id id, struct arena *arena)
{
    const struct config_def *def = &config_defs[id];
    struct config_value value;
    struct str error;
    struct str own =
        configs_image_get(&controller_image(c)->configs, CONFIG_RESOURCE_TOPIC, topic, def->name);
    struct effective_config effective = effective_topic_config(c, id, own, arena);
    if (str_is_null(effective.value) ||
        config_value_read(def, effective.value, arena, &value, &error) != 0)
        return config_value_default(def, arena);
    return value;
}

int64_t effective_topic_number(const struct controller *c, struct str topic, enum config_id id)
{
    struct arena arena;
    arena_init(&arena, 0);
    int64_t number = topic_value(c, topic, id, &arena).integer;
    arena_release(&arena);
    return number;
}

bool effective_topic_bool(const struct controller *c, struct str topic, enum config_id id)
{
    struct arena arena;
    arena_init(&arena, 0);
    bool value = topic_value(c, topic, id, &arena).boolean;
    arena_release(&arena);
    return value;
}

int64_t effective_broker_number(const struct controller *c, enum config_id id)
{
    const struct config_def *def = &config_defs[id];
    struct arena arena;
    arena_init(&arena, 0);
    struct str text, error;
    enum config_source source;
    struct config_value value;
    if (!find_broker_value(c, def->name, &text, &source) ||
        config_value_read(def, text, &arena, &value, &error) != 0)
        value = config_value_default(def, &arena);
    int64_t number = value.integer;
    arena_release(&arena);
    return number;
}
