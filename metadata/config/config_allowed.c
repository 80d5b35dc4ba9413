#include "metadata/config/config_value.h"

#include "common/base/check.h"

static struct str choices(const struct config_def *def, struct arena *arena)
{
    struct str text = STR_EMPTY;
    for (int i = 0; i < def->choices_count; i++)
        text =
            arena_printf(arena, "%.*s%s%s", STR_FMT(text), i > 0 ? ", " : "", def->choices[i].data);
    return text;
}

static struct str range(const struct config_def *def, const char *what, struct arena *arena)
{
    if (str_is_null(def->min_text) && str_is_null(def->max_text))
        return arena_printf(arena, "%s", what);
    if (str_is_null(def->max_text))
        return arena_printf(arena, "%s from %s on", what, def->min_text.data);
    if (str_is_null(def->min_text))
        return arena_printf(arena, "%s up to %s", what, def->max_text.data);
    return arena_printf(arena, "%s from %s to %s", what, def->min_text.data, def->max_text.data);
}

static struct str of_type(const struct config_def *def, struct arena *arena)
{
    switch (def->type) {
    case CONFIG_TYPE_BOOLEAN:
        return STR("true or false");
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_SHORT:
    case CONFIG_TYPE_LONG:
        return range(def, "a whole number", arena);
    case CONFIG_TYPE_DOUBLE:
        return range(def, "a number", arena);
    case CONFIG_TYPE_LIST:
        return STR("a list with commas");
    case CONFIG_TYPE_CLASS:
        return str_is_null(def->default_value) ? STR("nothing: kraftd has no Java classes")
                                               : def->default_value;
    case CONFIG_TYPE_STRING:
    case CONFIG_TYPE_PASSWORD:
    case CONFIG_TYPE_UNKNOWN:
        return STR("any text");
    }
    UNREACHABLE();
}

struct str config_allowed(const struct config_def *def, struct arena *arena)
{
    switch (def->rule) {
    case CONFIG_RULE_NONE:
    case CONFIG_RULE_RANGE:
        return of_type(def, arena);
    case CONFIG_RULE_IN:
    case CONFIG_RULE_ANYCASE:
        return arena_printf(arena, "%s", choices(def, arena).data);
    case CONFIG_RULE_LIST:
    case CONFIG_RULE_LIST_EMPTY:
        if (def->choices_count > 0)
            return arena_printf(arena, "a list of %s%s", choices(def, arena).data,
                                def->rule == CONFIG_RULE_LIST_EMPTY ? ", or nothing" : "");
        return def->rule == CONFIG_RULE_LIST_EMPTY ? STR("a list with commas, or nothing")
                                                   : STR("a list with commas");
    case CONFIG_RULE_NONEMPTY:
        return STR("a text that is not empty");
    case CONFIG_RULE_GZIP:
        return STR("a whole number from 1 to 9, or -1");
    case CONFIG_RULE_REPLICAS:
        return STR("partition:broker with commas, or *");
    case CONFIG_RULE_VOTERS:
        return STR("id@host:port with commas");
    case CONFIG_RULE_BOOTSTRAP:
        return STR("host:port with commas");
    case CONFIG_RULE_RESET:
        return STR("earliest, latest, or by_duration: and an ISO 8601 duration");
    }
    UNREACHABLE();
}
