#include "metadata/config/config_def.h"

#include "common/base/check.h"

const struct config_def *config_find(enum config_scope scope, struct str name)
{
    size_t low = 0, high = CONFIG_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct config_def *def = &config_defs[config_ids_by_name[middle]];
        int order = def->scope == scope ? str_cmp(def->name, name) : (int)def->scope - (int)scope;
        if (order == 0)
            return def;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct config_def *config_find_broker(struct str name, struct str *ret_base)
{
    static const struct str prefix = {"listener.name.", 14};
    struct str base = name, part;
    const struct config_def *def = config_find(CONFIG_SCOPE_BROKER, name);
    if (def == NULL)
        def = config_find(CONFIG_SCOPE_KRAFTD, name);
    if (def == NULL && str_starts_with(name, prefix)) {
        base = str_from(name.data + prefix.len, (size_t)(name.len - prefix.len));
        /* Behind the listener's name, and for SASL behind the mechanism's. */
        for (int i = 0; def == NULL && i < 2 && str_split(&base, '.', &part); i++) {
            def = config_find(CONFIG_SCOPE_BROKER, base);
            if (i == 1 && def != NULL && !str_starts_with(base, STR("sasl.")) &&
                def->id != CONFIG_BROKER_CONNECTIONS_MAX_REAUTH_MS)
                def = NULL;
        }
    }
    if (def != NULL && ret_base != NULL)
        *ret_base = base;
    return def;
}

const char *config_type_name(enum config_type type)
{
    static const char *const names[] = {"UNKNOWN", "BOOLEAN", "STRING", "INT",   "SHORT",
                                        "LONG",    "DOUBLE",  "LIST",   "CLASS", "PASSWORD"};
    CHECK(type < ARRAY_LEN(names));
    return names[type];
}

const char *config_scope_name(enum config_scope scope)
{
    static const char *const names[] = {"broker", "topic", "group", "client-metrics",
                                        "client", "ip",    "kraftd"};
    CHECK(scope < ARRAY_LEN(names));
    return names[scope];
}
