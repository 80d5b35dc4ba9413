/* AlterConfigs and IncrementalAlterConfigs (KIP-226, KIP-339). */
#include "metadata/controller/configs.h"

#include "metadata/config/config_value.h"
#include "metadata/controller/alter_resource.h"
#include "metadata/controller/controller_api.h"
#include "metadata/controller/effective_configs.h"
#include "metadata/controller/topics.h"

#define CONFIG_VALUE_LEN_MAX 32767

static bool is_min_isr(struct str name)
{
    return str_eq(name, STR("min.insync.replicas"));
}

/* --- records ------------------------------------------------------------------------------ */

static void add_clear_elr(struct str topic, struct arena *arena, struct metadata_records *records)
{
    struct clear_elr_record *record =
        METADATA_RECORD_ADD(records, arena, clear_elr_record, CLEAR_ELR, 0);
    record->topic_name = topic;
}

static void add_config(int8_t type, struct str resource, struct str name, struct str value,
                       struct arena *arena, struct metadata_records *records)
{
    struct config_record *record = METADATA_RECORD_ADD(records, arena, config_record, CONFIG, 0);
    record->resource_type = type;
    record->resource_name = resource;
    record->name = name;
    record->value = value;
}

void configs_add_records(const struct controller *c, int8_t type, struct str name,
                         const struct config_change *changes, int32_t count, struct arena *arena,
                         struct metadata_records *records)
{
    bool min_isr = false;
    for (int32_t i = 0; i < count; i++) {
        add_config(type, name, changes[i].name, changes[i].value, arena, records);
        min_isr |= is_min_isr(changes[i].name);
    }
    /* Who is eligible was decided under the old minimum. */
    if (!min_isr || !controller_elr_enabled(c))
        return;
    if (type == CONFIG_RESOURCE_TOPIC)
        add_clear_elr(name, arena, records);
    else if (type == CONFIG_RESOURCE_BROKER && name.len == 0)
        add_clear_elr(STR_EMPTY, arena, records);
}

void configs_prepare_elr(const struct controller *c, struct arena *arena,
                         struct metadata_records *records)
{
    const struct config_def *def = &config_defs[CONFIG_BROKER_MIN_INSYNC_REPLICAS];
    const struct configs_image *configs = &controller_image(c)->configs;
    if (str_is_null(configs_image_get(configs, CONFIG_RESOURCE_BROKER, STR_EMPTY, def->name)))
        add_config(CONFIG_RESOURCE_BROKER, STR_EMPTY, def->name,
                   arena_printf(arena, "%lld", (long long)effective_broker_number(c, def->id)),
                   arena, records);
    struct pmap_iter iter;
    pmap_iter_first(&iter, configs_image_of_type(configs, CONFIG_RESOURCE_BROKER));
    for (const struct config_image *config; (config = pmap_iter_next(&iter)) != NULL;) {
        if (config->name.len > 0 && !str_is_null(config_image_get(config, def->name)))
            add_config(CONFIG_RESOURCE_BROKER, config->name, def->name, STR_NULL, arena, records);
    }
}

/* --- one resource ------------------------------------------------------------------------- */

struct alteration {
    const struct controller *c;
    struct arena *arena;
    int8_t type;
    struct str name;
    const struct config_image *now; /* NULL: nothing is set */
    struct config_change *changes;
    int32_t change_count;
};

static enum config_scope scope_of(int8_t type)
{
    switch (type) {
    case CONFIG_RESOURCE_TOPIC:
        return CONFIG_SCOPE_TOPIC;
    case CONFIG_RESOURCE_GROUP:
        return CONFIG_SCOPE_GROUP;
    case CONFIG_RESOURCE_CLIENT_METRICS:
        return CONFIG_SCOPE_CLIENT_METRICS;
    default:
        return CONFIG_SCOPE_BROKER;
    }
}

static struct api_error new_value(const struct alteration *a, const struct alter_change *op,
                                  struct str *ret_value)
{
    const struct config_def *def = a->type == CONFIG_RESOURCE_BROKER
                                       ? config_find_broker(op->name, NULL)
                                       : config_find(scope_of(a->type), op->name);
    switch (op->operation) {
    case ALTER_SET:
        *ret_value = op->value;
        break;
    case ALTER_DELETE:
        *ret_value = STR_NULL;
        return API_OK;
    case ALTER_APPEND:
    case ALTER_SUBTRACT: {
        if (!def || def->type != CONFIG_TYPE_LIST)
            return api_error(a->arena, KAFKA_ERROR_INVALID_CONFIG,
                             "Can't %s to key %.*s because its type is not LIST.",
                             op->operation == ALTER_APPEND ? "APPEND" : "SUBTRACT",
                             STR_FMT(op->name));
        struct str list = config_image_get(a->now, op->name);
        *ret_value = config_list_edit(str_is_null(list) ? def->default_value : list, op->value,
                                      op->operation == ALTER_APPEND, a->arena);
        break;
    }
    default:
        return api_error(a->arena, KAFKA_ERROR_INVALID_REQUEST, "Unknown operations type %d",
                         op->operation);
    }
    if (ret_value->len > CONFIG_VALUE_LEN_MAX)
        return api_error(a->arena, KAFKA_ERROR_INVALID_CONFIG,
                         "The configuration value cannot be added because it exceeds the maximum "
                         "value size of %d bytes.",
                         CONFIG_VALUE_LEN_MAX);
    return API_OK;
}

static struct api_error check_elr(const struct alteration *a, const struct config_change *change)
{
    if (a->type != CONFIG_RESOURCE_BROKER || !is_min_isr(change->name) ||
        !controller_elr_enabled(a->c))
        return API_OK;
    if (a->name.len > 0)
        return api_error(a->arena, KAFKA_ERROR_INVALID_CONFIG,
                         "Broker-level min.insync.replicas cannot be altered while ELR is "
                         "enabled.");
    if (str_is_null(change->value))
        return api_error(a->arena, KAFKA_ERROR_INVALID_CONFIG,
                         "Cluster-level min.insync.replicas cannot be removed while ELR is "
                         "enabled.");
    return API_OK;
}

static struct api_error check_cordoned(const struct alteration *a,
                                       const struct config_change *change)
{
    if (a->type != CONFIG_RESOURCE_BROKER ||
        !str_eq(change->name, config_defs[CONFIG_BROKER_CORDONED_LOG_DIRS].name) ||
        controller_metadata_version(a->c) >= METADATA_VERSION_CORDONED_DIRS)
        return API_OK;
    return api_error(a->arena, KAFKA_ERROR_INVALID_CONFIG,
                     "The cordoned.log.dirs configuration value cannot be set because it requires "
                     "metadata.version >= 4.3-IV0");
}

static struct api_error compute_changes(struct alteration *a, const struct alter_change *ops,
                                        int32_t count)
{
    a->changes = ARENA_ARRAY(a->arena, struct config_change, count);
    for (int32_t i = 0; i < count; i++) {
        struct config_change change = {.name = ops[i].name};
        struct api_error error = new_value(a, &ops[i], &change.value);
        /* Setting a broker key to what it is makes the broker load it again. */
        bool news = a->type == CONFIG_RESOURCE_BROKER ||
                    !str_eq(config_image_get(a->now, change.name), change.value);
        if (!api_failed(error) && news)
            error = check_elr(a, &change);
        if (!api_failed(error))
            error = check_cordoned(a, &change);
        if (api_failed(error))
            return error;
        if (news)
            a->changes[a->change_count++] = change;
    }
    return API_OK;
}

/* What would then be set. */
static int32_t merge(const struct alteration *a, struct config_entry *ret_entries)
{
    int32_t count = 0;
    for (int32_t i = 0; a->now && i < a->now->count; i++) {
        bool changed = false;
        for (int32_t k = 0; !changed && k < a->change_count; k++)
            changed = str_eq(a->changes[k].name, a->now->entries[i].key);
        if (!changed)
            ret_entries[count++] = a->now->entries[i];
    }
    for (int32_t k = 0; k < a->change_count; k++) {
        if (!str_is_null(a->changes[k].value))
            ret_entries[count++] = (struct config_entry){a->changes[k].name, a->changes[k].value};
    }
    return count;
}

static struct api_error check_operations(const struct alter_change *ops, int32_t count,
                                         struct arena *arena)
{
    struct name_counts names;
    struct api_error error = API_OK;
    name_counts_init(&names);
    for (int32_t i = 0; !api_failed(error) && i < count; i++) {
        name_counts_add(&names, ops[i].name);
        if (name_counts_of(&names, ops[i].name) > 1)
            error =
                api_error(arena, KAFKA_ERROR_INVALID_REQUEST, "Error due to duplicate config keys");
        else if (ops[i].operation != ALTER_DELETE && str_is_null(ops[i].value))
            error = api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                              "Null value not supported for : %.*s", STR_FMT(ops[i].name));
    }
    name_counts_release(&names);
    return error;
}

/* `replace`: what is set and not named goes away. */
static struct api_error alter_one(const struct controller *c, int8_t type, struct str name,
                                  struct alter_change *ops, int32_t count, bool replace,
                                  struct arena *arena, struct metadata_records *records)
{
    struct alteration a = {.c = c, .arena = arena, .type = type, .name = name};
    struct api_error error = check_operations(ops, count, arena);
    if (api_failed(error))
        return error;
    if (!config_resource_type_ok(type))
        return configs_check(c, type, name, NULL, 0, arena);
    a.now = configs_image_find(&controller_image(c)->configs, type, name);
    if (replace && a.now) {
        struct alter_change *all = ARENA_ARRAY(arena, struct alter_change, count + a.now->count);
        if (count > 0)
            memcpy(all, ops, (size_t)count * sizeof(*all));
        int32_t named = count;
        for (int32_t i = 0; i < a.now->count; i++) {
            bool keep = false;
            for (int32_t k = 0; !keep && k < named; k++)
                keep = str_eq(ops[k].name, a.now->entries[i].key);
            /* The cluster's minimum stays while ELR needs it. */
            keep |= type == CONFIG_RESOURCE_BROKER && name.len == 0 &&
                    is_min_isr(a.now->entries[i].key) && controller_elr_enabled(c);
            if (!keep)
                all[count++] = (struct alter_change){a.now->entries[i].key, STR_NULL, ALTER_DELETE};
        }
        ops = all;
    }
    error = compute_changes(&a, ops, count);
    if (api_failed(error))
        return error;
    int32_t room = a.change_count + (a.now ? a.now->count : 0);
    struct config_entry *entries = ARENA_ARRAY(arena, struct config_entry, room);
    error = configs_check(c, type, name, entries, merge(&a, entries), arena);
    if (!api_failed(error))
        configs_add_records(c, type, name, a.changes, a.change_count, arena, records);
    return error;
}

/* --- the requests ------------------------------------------------------------------------- */

static void alter_all(struct controller *c, struct alter_resource *resources, int32_t count,
                      bool replace, struct arena *arena, struct metadata_records *records)
{
    struct name_counts keys;
    struct str *key_of = ARENA_ARRAY(arena, struct str, count);
    name_counts_init(&keys);
    for (int32_t i = 0; i < count; i++) {
        key_of[i] = arena_printf(arena, "%d %.*s", resources[i].type, STR_FMT(resources[i].name));
        name_counts_add(&keys, key_of[i]);
    }
    for (int32_t i = 0; i < count; i++) {
        struct alter_resource *r = &resources[i];
        struct api_error error;
        if (name_counts_of(&keys, key_of[i]) > 1)
            error = api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                              "Each resource must appear at most once.");
        else
            error = alter_one(c, r->type, r->name, r->changes, r->change_count, replace, arena,
                              records);
        r->decided = true;
        r->error = error.code;
        r->message = error.message;
    }
    name_counts_release(&keys);
}

CONTROLLER_API(alter_configs)
{
    int32_t count = request->resources_count;
    struct alter_resource *resources = alter_resource_read(request, arena);
    *ret_result = (struct controller_result){.atomic = true};
    alter_all(controller, resources, count, true, arena, &ret_result->records);
    alter_resource_answer(resources, count, arena, ret_response);
    if (request->validate_only)
        ret_result->records.count = 0;
}

CONTROLLER_API(incremental_alter_configs)
{
    int32_t count = request->resources_count;
    struct alter_resource *resources = alter_resource_read_incremental(request, arena);
    *ret_result = (struct controller_result){.atomic = true};
    alter_all(controller, resources, count, false, arena, &ret_result->records);
    alter_resource_answer_incremental(resources, count, arena, ret_response);
    if (request->validate_only)
        ret_result->records.count = 0;
}
