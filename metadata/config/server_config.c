#include "metadata/config/server_config_internal.h"

#include "common/base/mem.h"
#include "metadata/config/server_config_change.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void server_config_init(struct server_config *config)
{
    *config = (struct server_config){0};
    arena_init(&config->arena, 0);
    properties_init(&config->properties);
}

void server_config_release(struct server_config *config)
{
    properties_release(&config->properties);
    free(config->notices);
    arena_release(&config->arena);
    server_config_init(config);
}

/* "server.properties, line 3: ", or which override, or nothing for a key that is not there. */
static struct str place_of(struct loader *l, const char *key)
{
    struct arena *arena = &l->config->arena;
    const struct property *item =
        key == NULL ? NULL : properties_find(&l->config->properties, str_of(key));
    if (item != NULL && item->line > 0)
        return arena_printf(arena, "%.*s, line %d: ", STR_FMT(l->options->source), item->line);
    if (item != NULL && item->line == 0)
        return arena_printf(arena, "--override %s: ", key);
    if (!str_is_null(l->options->text))
        return arena_printf(arena, "%.*s: ", STR_FMT(l->options->source));
    return STR_EMPTY;
}

int loader_fail(struct loader *l, const char *key, const char *format, ...)
{
    struct arena *arena = &l->config->arena;
    va_list args;
    va_start(args, format);
    struct str text = arena_vprintf(arena, format, args), place = place_of(l, key);
    va_end(args);
    l->config->error = arena_printf(arena, "%.*s%.*s", STR_FMT(place), STR_FMT(text)).data;
    return -EINVAL;
}

void loader_note(struct loader *l, enum log_level level, const char *format, ...)
{
    struct server_config *config = l->config;
    va_list args;
    va_start(args, format);
    struct server_notice notice = {level, arena_vprintf(&config->arena, format, args)};
    va_end(args);
    VEC_PUSH(config->notices, config->notices_count, config->notices_capacity) = notice;
}

bool loader_has(const struct loader *l, enum config_id id)
{
    return properties_find(&l->config->properties, config_defs[id].name) != NULL;
}

int loader_set(struct loader *l, enum config_id id, struct str text)
{
    struct str error;
    const struct property *old = properties_find(&l->config->properties, config_defs[id].name);
    /* Line -1: neither in the file nor an override. */
    properties_set(&l->config->properties, config_defs[id].name, text, old ? old->line : -1);
    if (config_value_parse(&config_defs[id], text, &l->config->arena, &l->config->values[id],
                           &error) != 0)
        return loader_fail(l, NULL, "%s", error.data);
    return 0;
}

static int load_properties(struct loader *l)
{
    const struct server_config_options *options = l->options;
    char error[PROPERTIES_ERROR_LEN];
    if (!str_is_null(options->text) &&
        properties_parse(&l->config->properties, options->text, error) != 0)
        return loader_fail(l, NULL, "%s", error);
    PROPERTIES_FOR_EACH(entry, &l->config->properties)
    {
        const struct property *item = entry->value;
        if (item->earlier_line > 0)
            loader_note(l, LOG_WARN, "%.*s stands in line %d and in line %d; the last one counts",
                        STR_FMT(item->key), item->earlier_line, item->line);
    }
    for (int i = 0; i < options->overrides_count; i++) {
        struct str value = options->overrides[i], key;
        if (!str_split(&value, '=', &key)) {
            loader_note(l, LOG_WARN,
                        "--override %.*s is ignored: it has no value (write key=value)",
                        STR_FMT(key));
            continue;
        }
        properties_set(&l->config->properties, str_trim(key), value.len == 0 ? STR_EMPTY : value,
                       0);
    }
    return 0;
}

/* Without any file: loopback, and data beside the place where it was started. */
static int fill_unconfigured(struct loader *l)
{
    int rv = 0;
    if (!str_is_null(l->options->text))
        return 0;
    if (!loader_has(l, CONFIG_BROKER_LISTENERS))
        rv = loader_set(l, CONFIG_BROKER_LISTENERS, STR("PLAINTEXT://127.0.0.1:9092"));
    if (rv == 0 && !loader_has(l, CONFIG_BROKER_LOG_DIRS) && !loader_has(l, CONFIG_BROKER_LOG_DIR))
        rv = loader_set(l, CONFIG_BROKER_LOG_DIRS, STR("kraftd-data"));
    return rv;
}

static struct str absolute(struct loader *l, struct str path)
{
    if (l->options->directory.len <= 0 || str_starts_with(path, STR("/")))
        return path;
    return arena_printf(&l->config->arena, "%.*s/%.*s", STR_FMT(l->options->directory),
                        STR_FMT(path));
}

static void load_directories(struct loader *l)
{
    struct server_config *config = l->config;
    const struct config_value *dirs = &config->values[CONFIG_BROKER_LOG_DIRS];
    if (dirs->type != CONFIG_TYPE_LIST)
        dirs = &config->values[CONFIG_BROKER_LOG_DIR];
    struct str *paths = ARENA_ARRAY(&config->arena, struct str, dirs->list.count);
    for (int32_t i = 0; i < dirs->list.count; i++)
        paths[i] = absolute(l, dirs->list.items[i]);
    config->log_dirs = paths;
    config->log_dirs_count = dirs->list.count;
    config->metadata_log_dir = server_config_text(config, CONFIG_BROKER_METADATA_LOG_DIR);
    if (config->metadata_log_dir.len <= 0)
        config->metadata_log_dir = config->log_dirs[0];
    else
        config->metadata_log_dir = absolute(l, config->metadata_log_dir);
}

static int load_admin(struct loader *l)
{
    struct server_config *config = l->config;
    const struct config_def *def = &config_defs[CONFIG_KRAFTD_ADMIN_LISTENER];
    struct str text = server_config_text(config, CONFIG_KRAFTD_ADMIN_LISTENER);
    config->has_admin = text.len > 0;
    if (config->has_admin && endpoint_parse(text, -1, &config->admin) != 0)
        return loader_fail(l, def->name.data,
                           "%s is %.*s, but has to be host:port, or empty for no http server",
                           def->name.data, STR_FMT(text));
    return 0;
}

int server_config_with_listeners(const struct server_config *config, struct str listeners,
                                 struct str protocol_map, struct server_config *ret_config)
{
    const struct server_config_options options = {.text = STR_NULL, .hostname = config->hostname};
    struct loader l = {.config = ret_config, .options = &options, .dynamic = true};
    PROPERTIES_FOR_EACH(entry, &config->properties)
    {
        const struct property *item = entry->value;
        /* Line -1: nobody said so. A node that was not told of its roles is taken as leniently as
         * when it started. */
        if (item->line >= 0 || !str_eq(item->key, config_defs[CONFIG_BROKER_PROCESS_ROLES].name))
            properties_set(&ret_config->properties, item->key, item->value, -1);
    }
    memcpy(ret_config->values, config->values, sizeof(ret_config->values));
    ret_config->hostname = config->hostname;
    ret_config->node_id = config->node_id;
    ret_config->is_broker = config->is_broker;
    ret_config->is_controller = config->is_controller;
    int rv = 0;
    if (!str_is_null(listeners))
        rv = loader_set(&l, CONFIG_BROKER_LISTENERS, listeners);
    if (rv == 0 && !str_is_null(protocol_map))
        rv = loader_set(&l, CONFIG_BROKER_LISTENER_SECURITY_PROTOCOL_MAP, protocol_map);
    return rv == 0 ? server_listeners_load(&l) : rv;
}

int server_config_load(struct server_config *config, const struct server_config_options *options)
{
    struct loader l = {.config = config, .options = options};
    config->hostname = arena_str(&config->arena, options->hostname);
    int (*const parts[])(struct loader *) = {
        load_properties,       server_values_load, fill_unconfigured, server_roles_load,
        server_listeners_load, server_quorum_load, load_admin};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        int rv = parts[i](&l);
        if (rv != 0)
            return rv;
    }
    load_directories(&l);
    int rv = server_values_check(&l);
    if (rv == 0 && !loader_has(&l, CONFIG_BROKER_PROCESS_ROLES))
        rv = loader_set(&l, CONFIG_BROKER_PROCESS_ROLES, STR("broker,controller"));
    return rv;
}
