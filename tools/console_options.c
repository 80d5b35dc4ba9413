#include "tools/console_options.h"

bool console_check_together(const struct tool *tool, const char *a, const char *b)
{
    if (!options_has(&tool->options, a) || !options_has(&tool->options, b))
        return true;
    tool_usage(tool, "Options --%s and --%s cannot be specified together.", a, b);
    return false;
}

const char *console_name(const struct tool *tool, const struct console_alias *alias,
                         const char *warning)
{
    if (!options_has(&tool->options, alias->old))
        return alias->name;
    if (!tool->json)
        printf("%s --%s is deprecated and will be removed in a future version. Use --%s "
               "instead.\n",
               warning, alias->old, alias->name);
    return alias->old;
}

static bool split_pair(const char *text, struct str *ret_key, struct str *ret_value,
                       struct failure *failure)
{
    struct str rest = str_of(text);
    if (!str_split(&rest, '=', ret_key))
        rest = STR_EMPTY;
    if (ret_key->len == 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Invalid command line properties: %s", text);
    *ret_value = rest;
    return true;
}

bool console_add_properties(struct tool *tool, const char *option, struct properties *properties,
                            struct failure *failure)
{
    for (size_t i = 0; i < options_count(&tool->options, option); i++) {
        struct str key, value;
        if (!split_pair(options_value_at(&tool->options, option, i), &key, &value, failure))
            return false;
        properties_set(properties, key, value, 0);
    }
    return true;
}

bool console_add_file(struct tool *tool, const char *option, struct properties *properties,
                      struct failure *failure)
{
    const char *path;
    if (options_value(&tool->options, option, &path) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", tool->options.error);
    return client_config_read_file(properties, path, failure);
}

bool console_read_config(struct tool *tool, const char *file_option, const char *property_option,
                         struct client_config *config, struct failure *failure)
{
    const char *path;
    if (options_value(&tool->options, file_option, &path) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", tool->options.error);
    if (!client_config_read(config, path, failure))
        return false;
    for (size_t i = 0; i < options_count(&tool->options, property_option); i++) {
        struct str key, value;
        if (!split_pair(options_value_at(&tool->options, property_option, i), &key, &value,
                        failure) ||
            !client_config_set(config, key, value, failure))
            return false;
    }
    return true;
}

bool console_merge(struct tool *tool, const char *option, const char *key,
                   struct client_config *config, struct failure *failure)
{
    const char *value;
    if (options_value(&tool->options, option, &value) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", tool->options.error);
    if (value == NULL || (!options_has(&tool->options, option) &&
                          properties_find(&config->properties, str_of(key)) != NULL))
        return true;
    return client_config_set(config, str_of(key), str_of(value), failure);
}
