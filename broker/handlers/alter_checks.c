#include "broker/handlers/alter_checks.h"

#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "common/base/logger.h"
#include "metadata/config/config_validate.h"
#include "metadata/config_image_layers.h"
#include "metadata/feature.h"
#include "metadata/image.h"

#define LOG_MODULE "kraftd.config"

struct check {
    struct request *request;
    struct arena *arena;
    struct alter_resource *resource;
    bool incremental, validate_only;
};

__attribute__((format(printf, 3, 4))) static void decide(struct check *c, enum kafka_error error,
                                                         const char *format, ...)
{
    va_list args;
    va_start(args, format);
    c->resource->decided = true;
    c->resource->error = error;
    c->resource->message = arena_vprintf(c->arena, format, args);
    va_end(args);
}

static bool check_id(struct check *c)
{
    struct str name = c->resource->name;
    int32_t own_id = node_id(c->request->shard->node), id;
    if (str_to_i32(name, &id) != 0)
        decide(c, KAFKA_ERROR_INVALID_REQUEST, "Node id must be an integer, but it is: %.*s",
               STR_FMT(name));
    else if (id != own_id)
        decide(c, KAFKA_ERROR_INVALID_REQUEST,
               (c->request->listener->api_mask & API_ON_CONTROLLER) != 0
                   ? "Unexpected node id. Expected %d, but received %d"
                   : "Unexpected broker id, expected %d, but received %d",
               (int)own_id, (int)id);
    return !c->resource->decided;
}

/* --- brokers ------------------------------------------------------------------------------ */

static void check_operation(struct check *c, const struct alter_change *change)
{
    const struct config_def *def = config_find(CONFIG_SCOPE_BROKER, change->name);
    if (change->operation != ALTER_APPEND && change->operation != ALTER_SUBTRACT)
        return;
    if (def == NULL || def->flag == CONFIG_FLAG_HIDDEN)
        decide(c, KAFKA_ERROR_INVALID_CONFIG, "Unknown config name: %.*s", STR_FMT(change->name));
    else if (def->type != CONFIG_TYPE_LIST)
        decide(c, KAFKA_ERROR_INVALID_CONFIG, "Config value %s is not allowed for config key: %.*s",
               change->operation == ALTER_APPEND ? "append" : "subtract", STR_FMT(change->name));
}

/* What would be set. */
struct changed_config {
    struct check *check;
    const struct config_image *now;
};

/* The text that a change leaves, given what is set now; null where that is nothing. */
static struct str value_after(const struct check *c, const struct alter_change *change,
                              const struct config_image *now)
{
    const struct config_def *def = config_find_broker(change->name, NULL);
    if (change->operation == ALTER_SET)
        return change->value;
    if (change->operation == ALTER_DELETE || def == NULL || def->type != CONFIG_TYPE_LIST)
        return STR_NULL;
    struct str list = config_image_get(now, change->name);
    return config_list_edit(str_is_null(list) ? def->default_value : list, change->value,
                            change->operation == ALTER_APPEND, c->arena);
}

static struct str get_after(const void *ctx, struct str name)
{
    const struct changed_config *after = ctx;
    const struct alter_resource *resource = after->check->resource;
    for (int32_t i = 0; i < resource->change_count; i++)
        if (str_eq(resource->changes[i].name, name))
            return value_after(after->check, &resource->changes[i], after->now);
    return after->check->incremental ? config_image_get(after->now, name) : STR_NULL;
}

static void check_broker(struct check *c)
{
    struct alter_resource *resource = c->resource;
    const struct shard *shard = c->request->shard;
    const struct configs_image *configs = &shard->image->configs;
    const struct config_image *now =
        configs_image_find(configs, CONFIG_RESOURCE_BROKER, resource->name);
    struct config_entry *entries =
        ARENA_ARRAY(c->arena, struct config_entry, resource->change_count);
    int count = 0;
    for (int32_t i = 0; i < resource->change_count; i++) {
        const struct alter_change *change = &resource->changes[i];
        /* What is malformed or no list is the controller's to refuse. */
        if (change->operation != ALTER_DELETE && str_is_null(change->value))
            return;
        check_operation(c, change);
        if (resource->decided)
            return;
        struct str value = value_after(c, change, now);
        if (!str_is_null(value))
            entries[count++] = (struct config_entry){change->name, value};
    }
    struct config_layers current, after;
    config_image_layers(configs, node_config(shard->node), CONFIG_RESOURCE_BROKER, resource->name,
                        &current);
    const struct changed_config changed = {c, now};
    after = current;
    *(resource->name.len > 0 ? &after.broker : &after.cluster) =
        (struct config_layer){.get = get_after, .ctx = &changed};
    const struct broker_change change = {.entries = entries,
                                         .count = count,
                                         .is_default = resource->name.len <= 0,
                                         .current = &current,
                                         .after = &after,
                                         .server = node_config(shard->node)};
    resource->error = config_validate_broker(&change, c->arena, &resource->message);
    resource->decided = resource->error != KAFKA_ERROR_NONE;
}

/* A controller does not know what the directories of a broker are called, so over its listener they
 * can only become fewer (KIP-1066). */
static void check_cordoned(struct check *c, const struct alter_change *change)
{
    const struct image *image = c->request->shard->image;
    const struct config_def *def = &config_defs[CONFIG_BROKER_CORDONED_LOG_DIRS];
    const struct config_image *now =
        configs_image_find(&image->configs, CONFIG_RESOURCE_BROKER, c->resource->name);
    if (!str_eq(change->name, def->name) ||
        (change->operation != ALTER_DELETE && str_is_null(change->value)) ||
        features_image_metadata_version(&image->features) < METADATA_VERSION_CORDONED_DIRS)
        return;
    struct str value = value_after(c, change, now);
    struct config_value asked = config_split_list(str_is_null(value) ? STR_EMPTY : value, c->arena);
    struct str text = config_image_get(now, def->name);
    struct config_value known = config_split_list(str_is_null(text) ? STR_EMPTY : text, c->arena);
    for (int32_t i = 0; i < asked.list.count && !c->resource->decided; i++) {
        bool found = false;
        for (int32_t k = 0; k < known.list.count; k++)
            found |= str_eq(asked.list.items[i], known.list.items[k]);
        if (!found)
            decide(c, KAFKA_ERROR_INVALID_CONFIG,
                   "When updating cordoned.log.dirs via controllers,  the new value must be a "
                   "subset of the current configuration value.");
    }
}

static void check_on_controller(struct check *c)
{
    for (int32_t i = 0; i < c->resource->change_count && !c->resource->decided; i++)
        check_cordoned(c, &c->resource->changes[i]);
}

/* --- loggers ------------------------------------------------------------------------------ */

static void check_logger_change(struct check *c, const struct alter_change *change,
                                enum log_level *in_out_level)
{
    if (change->operation != ALTER_DELETE && str_is_null(change->value))
        decide(c, KAFKA_ERROR_INVALID_REQUEST, "Null value not supported for : %.*s",
               STR_FMT(change->name));
    else if (change->operation == ALTER_APPEND || change->operation == ALTER_SUBTRACT)
        decide(c, KAFKA_ERROR_INVALID_REQUEST,
               "%s operation is not allowed for the BROKER_LOGGER resource",
               change->operation == ALTER_APPEND ? "APPEND" : "SUBTRACT");
    else if (change->operation != ALTER_SET && change->operation != ALTER_DELETE)
        decide(c, KAFKA_ERROR_INVALID_REQUEST,
               "Unknown operation type %d is not allowed for the BROKER_LOGGER resource",
               (int)change->operation);
    else if (!str_eq(change->name, STR("root")))
        decide(c, KAFKA_ERROR_INVALID_CONFIG, "Logger %.*s does not exist!", STR_FMT(change->name));
    else if (change->operation == ALTER_DELETE)
        decide(c, KAFKA_ERROR_INVALID_REQUEST,
               "Removing the log level of the root logger is not allowed");
    else if (log_level_parse(change->value, in_out_level) != 0)
        decide(c, KAFKA_ERROR_INVALID_CONFIG,
               "Cannot set the log level of root to %.*s as it is not a supported log level. Valid "
               "log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
               STR_FMT(change->value));
}

/* There is one logger, the root. */
static void alter_loggers(struct check *c)
{
    struct alter_resource *resource = c->resource;
    struct logger *logger = node_env(c->request->shard->node)->logger;
    enum log_level level = LOG_INFO;
    for (int32_t i = 0; i < resource->change_count && !resource->decided; i++)
        check_logger_change(c, &resource->changes[i], &level);
    if (resource->decided)
        return;
    if (resource->change_count > 1) {
        decide(c, KAFKA_ERROR_INVALID_REQUEST, "Error due to duplicate config keys");
        return;
    }
    resource->decided = true;
    if (resource->change_count == 0 || c->validate_only || logger == NULL)
        return;
    log_info(logger, "Setting the log level of root to %s", log_level_name(level));
    logger_set_level(logger, level);
}

/* --- all ---------------------------------------------------------------------------------- */

/* A resource that is named twice is for the controller to refuse. */
static bool is_doubled(const struct alter_resource *resources, int32_t count, int8_t type,
                       struct str name)
{
    int times = 0;
    for (int32_t i = 0; i < count && times < 2; i++)
        times += resources[i].type == type && str_eq(resources[i].name, name);
    return times > 1;
}

void alter_checks(struct request *request, struct alter_resource *resources, int32_t count,
                  bool incremental, bool validate_only)
{
    bool on_controller = (request->listener->api_mask & API_ON_CONTROLLER) != 0;
    for (int32_t i = 0; i < count; i++) {
        struct check c = {request, &request->arena, &resources[i], incremental, validate_only};
        bool is_logger = resources[i].type == CONFIG_RESOURCE_BROKER_LOGGER && incremental;
        /* The controller takes configs of any broker, for instance of one that cannot start. */
        if (on_controller && resources[i].type == CONFIG_RESOURCE_BROKER &&
            request->envelope == NULL)
            check_on_controller(&c);
        if (on_controller && !is_logger)
            continue;
        if (resources[i].type != CONFIG_RESOURCE_BROKER && !is_logger)
            continue;
        if ((is_logger || resources[i].name.len > 0) && !check_id(&c))
            continue;
        if (is_doubled(resources, count, resources[i].type, resources[i].name))
            continue;
        if (is_logger)
            alter_loggers(&c);
        else
            check_broker(&c);
    }
}
