#include "metadata/config_describe.h"

#include "common/base/mem.h"
#include "common/protocol/codec.h"

#include <stdlib.h>

typedef struct describe_configs_response_describe_configs_result config_result;
typedef struct describe_configs_response_describe_configs_resource_result config_entry_result;
typedef struct describe_configs_response_describe_configs_synonym config_synonym_result;

enum {
    NAMES_MAX = 3, /* of one key: milliseconds, minutes, hours */
    SYNONYMS_MAX = 1 + NAMES_MAX * 4,
};

/* One resource while it is described. */
struct description {
    const struct config_levels *levels;
    const struct config_describe_options *options;
    struct arena *arena;
    enum config_scope scope;
    enum config_source own_source;
    bool cluster_only;
};

/* A key that is to be described; def is NULL for one that nobody knows. */
struct candidate {
    struct str name;
    const struct config_def *def;
    bool wanted;
};

struct candidates {
    struct candidate *items;
    size_t count, capacity;
};

struct synonyms {
    config_synonym_result items[SYNONYMS_MAX];
    int32_t count;
};

static int compare_candidates(const void *a, const void *b)
{
    return str_cmp(((const struct candidate *)a)->name, ((const struct candidate *)b)->name);
}

/* Known under exactly this name, and listed whether it is set or not. */
static bool is_listed(const struct config_def *def, struct str name)
{
    return def != NULL && def->flag == CONFIG_FLAG_NONE && str_eq(def->name, name);
}

static void add_all(const struct description *d, struct candidates *candidates)
{
    for (int i = 0; i < CONFIG_COUNT; i++) {
        const struct config_def *def = &config_defs[i];
        if (def->scope == d->scope && def->flag == CONFIG_FLAG_NONE)
            VEC_PUSH(candidates->items, candidates->count, candidates->capacity) =
                (struct candidate){.name = def->name, .def = def};
    }
}

/* A key that is set; those that are listed anyway are there already. */
static void add_set(const struct description *d, struct candidates *candidates, struct str name)
{
    const struct config_def *def = d->scope == CONFIG_SCOPE_BROKER ? config_find_broker(name, NULL)
                                                                   : config_find(d->scope, name);
    if (d->cluster_only || !is_listed(def, name))
        VEC_PUSH(candidates->items, candidates->count, candidates->capacity) =
            (struct candidate){.name = name, .def = def};
}

static void add_image(const struct description *d, struct candidates *candidates,
                      const struct config_image *image)
{
    for (int32_t i = 0; image != NULL && i < image->count; i++)
        add_set(d, candidates, image->entries[i].key);
}

static void sort_candidates(struct candidates *candidates)
{
    size_t kept = 0;
    if (candidates->count > 0)
        qsort(candidates->items, candidates->count, sizeof(struct candidate), compare_candidates);
    for (size_t i = 0; i < candidates->count; i++)
        if (kept == 0 || !str_eq(candidates->items[kept - 1].name, candidates->items[i].name))
            candidates->items[kept++] = candidates->items[i];
    candidates->count = kept;
}

/* Marks what was asked for; returns how many that are. */
static int32_t choose_candidates(const struct description *d, struct candidates *candidates)
{
    int32_t wanted = 0;
    if (candidates->count == 0)
        return 0;
    for (int32_t i = 0; i < d->options->keys_count; i++) {
        struct candidate key = {.name = d->options->keys[i]};
        struct candidate *found = bsearch(&key, candidates->items, candidates->count,
                                          sizeof(struct candidate), compare_candidates);
        if (found != NULL && !found->wanted) {
            found->wanted = true;
            wanted++;
        }
    }
    if (d->options->keys_count > 0)
        return wanted;
    for (size_t i = 0; i < candidates->count; i++)
        candidates->items[i].wanted = true;
    return (int32_t)candidates->count;
}

/* The names under which a broker key may be set, itself among them. */
static int broker_names(struct str name, const struct config_def *def, struct str *ret_names)
{
    ret_names[0] = name;
    if (def == NULL)
        return 1;
    if (!str_eq(def->name, name)) { /* for one listener; else as for all */
        ret_names[1] = def->name;
        return 2;
    }
    for (int id = CONFIG_FIRST_TOPIC; id <= (int)CONFIG_LAST_TOPIC; id++) {
        const struct config_def *topic = &config_defs[id];
        bool found = false;
        for (int i = 0; i < topic->synonyms_count; i++)
            found |= topic->synonyms[i].id == def->id;
        if (!found || topic->synonyms_count == 1)
            continue;
        CHECK(topic->synonyms_count <= NAMES_MAX);
        for (int i = 0; i < topic->synonyms_count; i++)
            ret_names[i] = config_defs[topic->synonyms[i].id].name;
        return topic->synonyms_count;
    }
    return 1;
}

static void add_synonym(struct synonyms *synonyms, struct str name, struct str value,
                        bool is_sensitive, enum config_source source)
{
    CHECK(synonyms->count < SYNONYMS_MAX);
    config_synonym_result *item = &synonyms->items[synonyms->count++];
    message_struct_init(&describe_configs_response_describe_configs_synonym_struct, item, 1);
    item->name = name;
    item->value = is_sensitive ? STR_NULL : value;
    item->source = (int8_t)source;
}

/* Where the value of a broker key could come from; nothing before the first under its own name. */
static void add_broker_synonyms(const struct description *d, struct str name,
                                const struct config_def *def, struct synonyms *synonyms)
{
    static const enum config_source sources[] = {
        CONFIG_SOURCE_DYNAMIC_BROKER, CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER,
        CONFIG_SOURCE_STATIC_BROKER, CONFIG_SOURCE_DEFAULT};
    struct str names[NAMES_MAX];
    int names_count = broker_names(name, def, names);
    bool begun = false;
    for (size_t s = 0; s < ARRAY_LEN(sources); s++) {
        for (int n = 0; n < names_count; n++) {
            struct str text = config_levels_text(d->levels, sources[s], names[n], d->arena);
            if (str_is_null(text))
                continue;
            begun |= str_eq(names[n], name);
            if (begun && (!d->cluster_only || sources[s] == CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER))
                add_synonym(synonyms, names[n], text, config_is_sensitive(def), sources[s]);
        }
    }
}

static void add_default_synonyms(const struct description *d, const struct config_def *def,
                                 struct synonyms *synonyms)
{
    if (def->synonyms_count > 0) {
        const struct config_def *broker = &config_defs[def->synonyms[0].id];
        add_broker_synonyms(d, broker->name, broker, synonyms);
    } else if (d->scope == CONFIG_SCOPE_GROUP && !str_is_null(def->default_value)) {
        /* Kafka's brokers have these under the same name. */
        add_synonym(synonyms, def->name, def->default_value, false, CONFIG_SOURCE_DEFAULT);
    }
}

/* The text of a key that is not listed: what was set, as it was set. */
static struct str raw_value(const struct description *d, struct str name)
{
    static const enum config_source sources[] = {CONFIG_SOURCE_DYNAMIC_BROKER,
                                                 CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER,
                                                 CONFIG_SOURCE_STATIC_BROKER};
    if (d->scope != CONFIG_SCOPE_BROKER)
        return config_image_get(d->levels->own, name);
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        struct str text = config_levels_text(d->levels, sources[i], name, d->arena);
        if (!str_is_null(text) &&
            (!d->cluster_only || sources[i] == CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER))
            return text;
    }
    return STR_NULL;
}

static struct str value_of(const struct description *d, const struct candidate *candidate)
{
    if (config_is_sensitive(candidate->def))
        return STR_NULL;
    if (d->cluster_only || !is_listed(candidate->def, candidate->name))
        return raw_value(d, candidate->name);
    struct config_value value = config_levels_value(d->levels, candidate->def->id, d->arena);
    return config_value_format(&value, d->arena);
}

static bool is_read_only(const struct description *d, const struct candidate *candidate)
{
    if (d->scope != CONFIG_SCOPE_BROKER)
        return false;
    const struct config_def *def = candidate->def;
    return def == NULL || !str_eq(def->name, candidate->name) || def->update == CONFIG_UPDATE_NEVER;
}

static void describe_key(const struct description *d, const struct candidate *candidate,
                         config_entry_result *entry)
{
    const struct config_def *def = candidate->def;
    struct synonyms synonyms = {.count = 0};
    entry->name = candidate->name;
    entry->value = value_of(d, candidate);
    entry->is_sensitive = config_is_sensitive(def);
    entry->read_only = is_read_only(d, candidate);
    entry->config_type = def == NULL ? CONFIG_TYPE_UNKNOWN : (int8_t)def->type;
    entry->documentation = STR_NULL;
    if (d->options->documentation && def != NULL && str_eq(def->name, candidate->name))
        entry->documentation = def->doc;
    if (!str_is_null(config_image_get(d->levels->own, candidate->name)))
        add_synonym(&synonyms, candidate->name, entry->value, entry->is_sensitive, d->own_source);
    if (d->scope == CONFIG_SCOPE_BROKER)
        add_broker_synonyms(d, candidate->name, def, &synonyms);
    else if (def != NULL)
        add_default_synonyms(d, def, &synonyms);
    entry->config_source =
        synonyms.count > 0 ? synonyms.items[0].source : (int8_t)CONFIG_SOURCE_DEFAULT;
    if (!d->options->synonyms || synonyms.count == 0)
        return;
    entry->synonyms = ARENA_ARRAY(d->arena, config_synonym_result, synonyms.count);
    entry->synonyms_count = synonyms.count;
    memcpy(entry->synonyms, synonyms.items, (size_t)synonyms.count * sizeof(config_synonym_result));
}

/* Frees the candidates. */
static void describe_candidates(const struct description *d, struct candidates *candidates,
                                config_result *result)
{
    sort_candidates(candidates);
    int32_t count = choose_candidates(d, candidates);
    result->configs =
        MESSAGE_ARRAY(d->arena, describe_configs_response_describe_configs_resource_result, count);
    result->configs_count = 0;
    for (size_t i = 0; i < candidates->count; i++)
        if (candidates->items[i].wanted)
            describe_key(d, &candidates->items[i], &result->configs[result->configs_count++]);
    CHECK(result->configs_count == count);
    free(candidates->items);
}

static void describe_owned(const struct config_levels *levels,
                           const struct config_describe_options *options, struct arena *arena,
                           enum config_scope scope, enum config_source own_source,
                           config_result *result)
{
    struct description d = {.levels = levels,
                            .options = options,
                            .arena = arena,
                            .scope = scope,
                            .own_source = own_source};
    struct candidates candidates = {0};
    add_all(&d, &candidates);
    add_image(&d, &candidates, levels->own);
    describe_candidates(&d, &candidates, result);
}

void config_describe_topic(const struct config_levels *levels,
                           const struct config_describe_options *options, struct arena *arena,
                           config_result *result)
{
    describe_owned(levels, options, arena, CONFIG_SCOPE_TOPIC, CONFIG_SOURCE_TOPIC, result);
}

void config_describe_group(const struct config_levels *levels,
                           const struct config_describe_options *options, struct arena *arena,
                           config_result *result)
{
    describe_owned(levels, options, arena, CONFIG_SCOPE_GROUP, CONFIG_SOURCE_GROUP, result);
}

void config_describe_client_metrics(const struct config_levels *levels,
                                    const struct config_describe_options *options,
                                    struct arena *arena, config_result *result)
{
    describe_owned(levels, options, arena, CONFIG_SCOPE_CLIENT_METRICS,
                   CONFIG_SOURCE_CLIENT_METRICS, result);
}

void config_describe_broker(const struct config_levels *levels,
                            const struct config_describe_options *options, struct arena *arena,
                            config_result *result)
{
    struct description d = {
        .levels = levels, .options = options, .arena = arena, .scope = CONFIG_SCOPE_BROKER};
    struct candidates candidates = {0};
    add_all(&d, &candidates);
    add_image(&d, &candidates, levels->broker);
    add_image(&d, &candidates, levels->cluster);
    PROPERTIES_FOR_EACH(entry, &levels->server->properties)
    {
        add_set(&d, &candidates, ((const struct property *)entry->value)->key);
    }
    describe_candidates(&d, &candidates, result);
}

void config_describe_cluster(const struct config_levels *levels,
                             const struct config_describe_options *options, struct arena *arena,
                             config_result *result)
{
    struct description d = {.levels = levels,
                            .options = options,
                            .arena = arena,
                            .scope = CONFIG_SCOPE_BROKER,
                            .cluster_only = true};
    struct candidates candidates = {0};
    add_image(&d, &candidates, levels->cluster);
    describe_candidates(&d, &candidates, result);
}
