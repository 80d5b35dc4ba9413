#include "metadata/config_answer.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/codec.h"

#include <stdlib.h>

typedef struct describe_configs_response_describe_configs_result config_result;
typedef struct describe_configs_response_describe_configs_resource_result config_entry_result;
typedef struct describe_configs_response_describe_configs_synonym config_synonym_result;

/* One resource on its way. */
struct answer {
    const struct config_layers *layers;
    const struct config_answer_options *options;
    struct arena *arena;
    struct arena *scratch; /* emptied for each key: an answer may have very many */
    enum config_scope scope;
    enum config_level own_level;
    bool cluster_only; /* what is set for all brokers, and nothing else */
};

struct candidate {
    struct str name;
    bool wanted;
};

struct candidates {
    struct candidate *items;
    size_t count, capacity;
};

static int compare_candidates(const void *a, const void *b)
{
    return str_cmp(((const struct candidate *)a)->name, ((const struct candidate *)b)->name);
}

static void add_candidate(struct candidates *candidates, struct str name)
{
    VEC_PUSH(candidates->items, candidates->count, candidates->capacity) =
        (struct candidate){.name = name};
}

static void add_listed(struct candidates *candidates, enum config_scope scope)
{
    for (int id = 0; id < CONFIG_COUNT; id++)
        if (config_defs[id].scope == scope && config_is_listed(&config_defs[id]))
            add_candidate(candidates, config_defs[id].name);
}

static void add_image(struct candidates *candidates, const struct config_image *image)
{
    for (int32_t i = 0; image != NULL && i < image->count; i++)
        add_candidate(candidates, image->entries[i].key);
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
static int32_t choose_candidates(const struct config_answer_options *options,
                                 struct candidates *candidates)
{
    int32_t wanted = 0;
    if (candidates->count == 0)
        return 0;
    for (int32_t i = 0; i < options->keys_count; i++) {
        struct candidate key = {.name = options->keys[i]};
        struct candidate *found = bsearch(&key, candidates->items, candidates->count,
                                          sizeof(struct candidate), compare_candidates);
        if (found != NULL && !found->wanted) {
            found->wanted = true;
            wanted++;
        }
    }
    if (options->keys_count > 0)
        return wanted;
    for (size_t i = 0; i < candidates->count; i++)
        candidates->items[i].wanted = true;
    return (int32_t)candidates->count;
}

/* A key that only the resource itself has, and of which nothing is known. */
static struct config_description describe_unknown(const struct answer *a, struct str name)
{
    struct config_origin *origin = ARENA_NEW(a->scratch, struct config_origin);
    *origin = (struct config_origin){.name = name, .value = STR_NULL, .level = a->own_level};
    return (struct config_description){.name = name,
                                       .value = STR_NULL,
                                       .level = a->own_level,
                                       .is_sensitive = true,
                                       .origins = origin,
                                       .origins_count = 1,
                                       .doc = STR_NULL};
}

/* Of the default for all brokers only what is set there counts. */
static void keep_cluster_level(struct config_description *d)
{
    int kept = 0;
    for (int i = 0; i < d->origins_count; i++)
        if (d->origins[i].level == CONFIG_LEVEL_CLUSTER)
            d->origins[kept++] = d->origins[i];
    d->origins_count = kept;
    d->level = kept > 0 ? CONFIG_LEVEL_CLUSTER : CONFIG_LEVEL_DEFAULT;
    d->value = kept > 0 ? d->origins[0].value : STR_NULL;
}

static void fill_entry(const struct answer *a, struct str name, config_entry_result *entry)
{
    struct config_description d;
    arena_reset(a->scratch);
    if (!config_describe(a->layers, a->scope, name, a->scratch, &d))
        d = describe_unknown(a, name);
    if (a->cluster_only)
        keep_cluster_level(&d);
    /* As the layers have it, not as it was written. */
    if (d.origins_count > 0 && d.origins[0].level == a->own_level)
        d.origins[0].value = d.value;
    entry->name = d.name;
    entry->value = arena_str(a->arena, d.value);
    entry->read_only = d.is_read_only;
    entry->config_source = (int8_t)d.level;
    entry->is_sensitive = d.is_sensitive;
    entry->config_type = (int8_t)d.type;
    entry->documentation = a->options->documentation ? d.doc : STR_NULL;
    if (!a->options->synonyms || d.origins_count == 0)
        return;
    entry->synonyms = MESSAGE_ARRAY(a->arena, describe_configs_response_describe_configs_synonym,
                                    d.origins_count);
    entry->synonyms_count = d.origins_count;
    for (int i = 0; i < d.origins_count; i++) {
        config_synonym_result *synonym = &entry->synonyms[i];
        synonym->name = d.origins[i].name;
        synonym->value = arena_str(a->arena, d.origins[i].value);
        synonym->source = (int8_t)d.origins[i].level;
    }
}

static void fill_result(const struct answer *a, struct candidates *candidates,
                        config_result *result)
{
    sort_candidates(candidates);
    int32_t count = choose_candidates(a->options, candidates);
    result->configs =
        MESSAGE_ARRAY(a->arena, describe_configs_response_describe_configs_resource_result, count);
    result->configs_count = 0;
    for (size_t i = 0; i < candidates->count; i++)
        if (candidates->items[i].wanted)
            fill_entry(a, candidates->items[i].name, &result->configs[result->configs_count++]);
    CHECK(result->configs_count == count);
}

static void add_broker_candidates(const struct configs_image *configs,
                                  const struct server_config *server, bool cluster_only,
                                  struct candidates *candidates)
{
    add_image(candidates, configs_image_find(configs, CONFIG_RESOURCE_BROKER, STR_EMPTY));
    if (cluster_only)
        return;
    add_listed(candidates, CONFIG_SCOPE_BROKER);
    add_image(candidates, config_image_of_broker(configs, server));
    PROPERTIES_FOR_EACH(entry, &server->properties)
    {
        add_candidate(candidates, ((const struct property *)entry->value)->key);
    }
}

void config_answer(const struct configs_image *configs, const struct server_config *server,
                   enum config_resource_type type, struct str name,
                   const struct config_answer_options *options, struct arena *arena,
                   config_result *result)
{
    struct config_layers layers;
    struct candidates candidates = {0};
    config_image_layers(configs, server, type, name, &layers);
    struct arena scratch;
    arena_init(&scratch, 0);
    struct answer a = {.layers = &layers, .options = options, .arena = arena, .scratch = &scratch};
    if (type == CONFIG_RESOURCE_BROKER) {
        a.scope = CONFIG_SCOPE_BROKER;
        a.cluster_only = name.len <= 0;
        add_broker_candidates(configs, server, a.cluster_only, &candidates);
    } else {
        CHECK(type == CONFIG_RESOURCE_TOPIC || type == CONFIG_RESOURCE_GROUP ||
              type == CONFIG_RESOURCE_CLIENT_METRICS);
        a.scope = type == CONFIG_RESOURCE_TOPIC   ? CONFIG_SCOPE_TOPIC
                  : type == CONFIG_RESOURCE_GROUP ? CONFIG_SCOPE_GROUP
                                                  : CONFIG_SCOPE_CLIENT_METRICS;
        a.own_level = type == CONFIG_RESOURCE_TOPIC   ? CONFIG_LEVEL_TOPIC
                      : type == CONFIG_RESOURCE_GROUP ? CONFIG_LEVEL_GROUP
                                                      : CONFIG_LEVEL_CLIENT_METRICS;
        add_listed(&candidates, a.scope);
        add_image(&candidates, configs_image_find(configs, (int8_t)type, name));
    }
    fill_result(&a, &candidates, result);
    free(candidates.items);
    arena_release(&scratch);
}
