#include "metadata/config/config_layers.h"

#include "common/base/check.h"

#include <ctype.h>

#define NAMES_MAX 4 /* log.retention.* has the most synonyms: three */

static struct str layer_get(const struct config_layer *layer, struct str name)
{
    return layer->get == NULL ? STR_NULL : layer->get(layer->ctx, name);
}

static const struct config_layer *broker_layer(const struct config_layers *layers, int i,
                                               enum config_level *ret_level)
{
    const struct config_layer *order[] = {&layers->broker, &layers->cluster, &layers->file};
    static const enum config_level levels[] = {CONFIG_LEVEL_BROKER, CONFIG_LEVEL_CLUSTER,
                                               CONFIG_LEVEL_FILE};
    if (i >= (int)ARRAY_LEN(order))
        return NULL;
    *ret_level = levels[i];
    return order[i];
}

/* The nearest value of a broker key, under this name, that can be read; false when no layer has
 * one. */
static bool named_value(const struct config_layers *layers, const struct config_def *def,
                        struct str name, struct arena *arena, struct config_value *ret_value)
{
    enum config_level level;
    const struct config_layer *layer;
    bool has_prefix = name.len != def->name.len;
    for (int i = 0; (layer = broker_layer(layers, i, &level)) != NULL; i++) {
        if (level == CONFIG_LEVEL_FILE && layers->file_values != NULL && !has_prefix) {
            *ret_value = layers->file_values[def->id];
            return ret_value->type != CONFIG_TYPE_UNKNOWN;
        }
        struct str text = layer_get(layer, name), error;
        if (!str_is_null(text) && config_value_parse(def, text, arena, ret_value, &error) == 0)
            return true;
    }
    return false;
}

static bool broker_value(const struct config_layers *layers, const struct config_def *def,
                         struct arena *arena, struct config_value *ret_value)
{
    return named_value(layers, def, def->name, arena, ret_value);
}

struct config_value config_layers_of_listener(const struct config_layers *layers,
                                              struct str listener, enum config_id id,
                                              struct arena *arena)
{
    const struct config_def *def = &config_defs[id];
    struct config_value value = {.type = CONFIG_TYPE_UNKNOWN};
    struct str name =
        arena_printf(arena, "listener.name.%.*s.%s", STR_FMT(listener), def->name.data);
    char *letters = (char *)(uintptr_t)name.data;
    for (int32_t i = 0; i < name.len; i++)
        letters[i] = (char)tolower((unsigned char)letters[i]);
    (void)named_value(layers, def, name, arena, &value);
    return value;
}

/* A synonym's value as one of `def`: in its unit, a list's first item where one is wanted. */
static struct config_value convert(const struct config_def *def, int64_t factor,
                                   struct config_value value)
{
    if (def->type == CONFIG_TYPE_STRING && value.type == CONFIG_TYPE_LIST) {
        struct str first = value.list.count > 0 ? value.list.items[0] : STR_EMPTY;
        return (struct config_value){.type = CONFIG_TYPE_STRING, .text = first};
    }
    value.type = def->type;
    /* What is less than zero means no limit, in every unit. */
    if (factor != 1)
        value.integer = value.integer < 0 ? -1 : value.integer * factor;
    return value;
}

struct config_value config_layers_get(const struct config_layers *layers, enum config_id id,
                                      struct arena *arena)
{
    const struct config_def *def = &config_defs[id];
    struct config_value value;
    struct str text = layer_get(&layers->own, def->name), error;
    if (def->scope != CONFIG_SCOPE_BROKER && !str_is_null(text) &&
        config_value_parse(def, text, arena, &value, &error) == 0)
        return value;
    for (int i = 0; i < def->synonyms_count; i++)
        if (broker_value(layers, &config_defs[def->synonyms[i].id], arena, &value))
            return convert(def, def->synonyms[i].factor, value);
    if (def->scope == CONFIG_SCOPE_BROKER && broker_value(layers, def, arena, &value))
        return value;
    if (!str_is_null(def->default_value) || def->synonyms_count == 0)
        return config_value_default(def, arena);
    value = config_value_default(&config_defs[def->synonyms[0].id], arena);
    return convert(def, def->synonyms[0].factor, value);
}

int64_t config_layers_integer(const struct config_layers *layers, enum config_id id)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct config_value value = config_layers_get(layers, id, &arena);
    CHECK(value.type == CONFIG_TYPE_INT || value.type == CONFIG_TYPE_LONG ||
          value.type == CONFIG_TYPE_SHORT);
    arena_release(&arena);
    return value.integer;
}

bool config_layers_boolean(const struct config_layers *layers, enum config_id id)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct config_value value = config_layers_get(layers, id, &arena);
    CHECK(value.type == CONFIG_TYPE_BOOLEAN);
    arena_release(&arena);
    return value.boolean;
}

/* The broker keys that stand for `id`, itself included, nearest first. */
static int broker_family(enum config_id id, enum config_id family[NAMES_MAX])
{
    for (int topic = CONFIG_FIRST_TOPIC; topic <= CONFIG_LAST_TOPIC; topic++) {
        const struct config_def *def = &config_defs[topic];
        CHECK(def->synonyms_count < NAMES_MAX);
        for (int i = 0; i < def->synonyms_count; i++) {
            if (def->synonyms[i].id != id || def->synonyms_count == 1)
                continue;
            for (int j = 0; j < def->synonyms_count; j++)
                family[j] = def->synonyms[j].id;
            return def->synonyms_count;
        }
    }
    family[0] = id;
    return 1;
}

struct origins {
    struct config_description *d;
    struct arena *arena;
    struct str from; /* origins before the first of this name are left out, as Kafka does */
    bool open;
};

static void add_origin(struct origins *o, struct str name, struct str value,
                       enum config_level level)
{
    if (str_is_null(value))
        return;
    o->open = o->open || str_eq(name, o->from);
    if (!o->open)
        return;
    o->d->origins[o->d->origins_count++] = (struct config_origin){
        .name = name, .value = o->d->is_sensitive ? STR_NULL : value, .level = level};
}

/* All levels of the names, level by level. */
static void add_broker_origins(struct origins *o, const struct config_layers *layers,
                               const struct str *names, int count)
{
    enum config_level level;
    const struct config_layer *layer;
    for (int i = 0; (layer = broker_layer(layers, i, &level)) != NULL; i++)
        for (int n = 0; n < count; n++)
            add_origin(o, names[n], layer_get(layer, names[n]), level);
    for (int n = 0; n < count; n++) {
        const struct config_def *def = config_find(CONFIG_SCOPE_BROKER, names[n]);
        /* Kafka's broker has no default of what is only ever set dynamically. */
        if (def != NULL && def->flag != CONFIG_FLAG_DYNAMIC) {
            struct config_value value = config_value_default(def, o->arena);
            add_origin(o, names[n], config_value_format(&value, o->arena), CONFIG_LEVEL_DEFAULT);
        }
    }
}

static void describe_broker(struct origins *o, const struct config_layers *layers,
                            const struct config_def *def, struct str base)
{
    struct config_description *d = o->d;
    struct str names[NAMES_MAX] = {d->name, base};
    int count = def == NULL || str_eq(d->name, base) ? 1 : 2;
    enum config_id family[NAMES_MAX];
    if (count == 1 && def != NULL && def->scope == CONFIG_SCOPE_BROKER) {
        count = broker_family(def->id, family);
        for (int i = 0; i < count; i++)
            names[i] = config_defs[family[i]].name;
    }
    add_broker_origins(o, layers, names, count);
    d->is_read_only = def == NULL || !str_eq(d->name, base) || def->update == CONFIG_UPDATE_NEVER;
    if (def == NULL || d->is_sensitive)
        return;
    if (!str_eq(d->name, base)) {
        d->value = d->origins_count > 0 ? d->origins[0].value : STR_NULL;
        return;
    }
    struct config_value value;
    if (!broker_value(layers, def, o->arena, &value))
        value = config_value_default(def, o->arena);
    d->value = config_value_format(&value, o->arena);
}

static enum config_level own_level(enum config_scope scope)
{
    return scope == CONFIG_SCOPE_TOPIC   ? CONFIG_LEVEL_TOPIC
           : scope == CONFIG_SCOPE_GROUP ? CONFIG_LEVEL_GROUP
                                         : CONFIG_LEVEL_CLIENT_METRICS;
}

static void describe_own(struct origins *o, const struct config_layers *layers,
                         const struct config_def *def)
{
    struct config_description *d = o->d;
    struct config_value value = config_layers_get(layers, def->id, o->arena);
    d->value = config_value_format(&value, o->arena);
    o->from = def->name;
    add_origin(o, def->name, layer_get(&layers->own, def->name), own_level(def->scope));
    if (def->synonyms_count > 0) {
        struct str names[NAMES_MAX];
        for (int i = 0; i < def->synonyms_count; i++)
            names[i] = config_defs[def->synonyms[i].id].name;
        o->from = names[0];
        o->open = false;
        add_broker_origins(o, layers, names, def->synonyms_count);
    } else if (def->scope == CONFIG_SCOPE_GROUP) {
        struct config_value standard = config_value_default(def, o->arena);
        add_origin(o, def->name, config_value_format(&standard, o->arena), CONFIG_LEVEL_DEFAULT);
    }
}

bool config_describe(const struct config_layers *layers, enum config_scope scope, struct str name,
                     struct arena *arena, struct config_description *ret_description)
{
    struct str base = name;
    bool is_broker = scope == CONFIG_SCOPE_BROKER;
    const struct config_def *def =
        is_broker ? config_find_broker(name, &base) : config_find(scope, name);
    if (def == NULL && !is_broker)
        return false;
    struct config_description d = {
        .name = name,
        .value = STR_NULL,
        .type = def == NULL ? CONFIG_TYPE_UNKNOWN : def->type,
        .is_sensitive = config_is_sensitive(def),
        /* Four levels of names, and the own one. */
        .origins = ARENA_ARRAY(arena, struct config_origin, 4 * NAMES_MAX + 1),
        .doc = def == NULL ? STR_NULL : def->doc,
    };
    struct origins o = {.d = &d, .arena = arena, .from = name};
    if (is_broker)
        describe_broker(&o, layers, def, base);
    else
        describe_own(&o, layers, def);
    d.level = d.origins_count > 0 ? d.origins[0].level : CONFIG_LEVEL_DEFAULT;
    *ret_description = d;
    return true;
}
