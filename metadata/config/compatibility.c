#include "metadata/config/compatibility.h"

#include "common/base/check.h"
#include "common/protocol/schema.h"
#include "metadata/config/config_value.h"

static const char *listeners_of(const struct api *api)
{
    bool broker = api->listeners & API_ON_BROKER, controller = api->listeners & API_ON_CONTROLLER;
    return broker && controller ? "broker, controller" : broker ? "broker" : "controller";
}

static void write_apis(struct bytebuf *out, const struct served_api *served, int count)
{
    bytebuf_printf(out, "## Requests\n\n"
                        "| API | key | listeners | Kafka 4.4 | kraftd |\n|---|---|---|---|---|\n");
    for (int i = 0; i < api_table_size; i++) {
        const struct api *api = &api_table[i];
        if (api->name == NULL)
            continue;
        bytebuf_printf(out, "| %s | %d | %s | %d-%d | ", api->name, api->key, listeners_of(api),
                       api->request->min_version, api->request->max_version);
        const struct served_api *found = NULL;
        for (int j = 0; j < count; j++)
            if (served[j].key == api->key)
                found = &served[j];
        if (found != NULL)
            bytebuf_printf(out, "%d-%d |\n", found->min_version, found->max_version);
        else
            bytebuf_printf(out, "not yet |\n");
    }
}

/* A cell of a table: bars and line breaks would end it. */
static void write_cell(struct bytebuf *out, struct str text)
{
    for (int32_t i = 0; i < text.len; i++)
        bytebuf_printf(out, text.data[i] == '|' ? "\\%c" : "%c", text.data[i]);
    bytebuf_printf(out, " | ");
}

static struct str shown_default(const struct config_def *def)
{
    if (def->required)
        return STR("none");
    if (str_is_null(def->default_value))
        return STR("null");
    return def->default_value.len == 0 ? STR("empty") : def->default_value;
}

static const char *shown_effect(enum config_effect effect)
{
    switch (effect) {
    case CONFIG_EFFECT_USED:
        return "used";
    case CONFIG_EFFECT_LATER:
        return "not yet";
    case CONFIG_EFFECT_MOOT:
        return "none";
    case CONFIG_EFFECT_REFUSED:
        return "refused";
    }
    UNREACHABLE();
}

static const char *shown_update(enum config_update update)
{
    return update == CONFIG_UPDATE_NEVER    ? "no"
           : update == CONFIG_UPDATE_BROKER ? "one broker"
                                            : "yes";
}

static void write_scope(struct bytebuf *out, const char *title, enum config_scope scope)
{
    bytebuf_printf(out,
                   "\n### %s\n\n"
                   "| key | default | allowed | dynamic | effect |\n|---|---|---|---|---|\n",
                   title);
    for (int i = 0; i < CONFIG_COUNT; i++) {
        const struct config_def *def = &config_defs[config_ids_by_name[i]];
        if (def->scope != scope)
            continue;
        struct arena arena;
        arena_init(&arena, 0);
        bytebuf_printf(out, "| %s | ", def->name.data);
        write_cell(out, shown_default(def));
        write_cell(out, config_allowed(def, &arena));
        bytebuf_printf(out, "%s | %s |\n", shown_update(def->update), shown_effect(def->effect));
        arena_release(&arena);
    }
}

void compatibility_write(struct bytebuf *out, const struct served_api *served, int count)
{
    write_apis(out, served, count);
    bytebuf_printf(
        out, "\n## Configuration\n\n"
             "Effect: *used*; *not yet*: known and checked, without effect so far, which the "
             "log says at the start; *none*: there is\nnothing for it to do in kraftd, it is "
             "about Java or about threads that are not there; *refused*: a node does not start "
             "with\nanother value than the default, because ignoring it would make it less "
             "safe.\n");
    write_scope(out, "kraftd's own keys", CONFIG_SCOPE_KRAFTD);
    write_scope(out, "Brokers and controllers", CONFIG_SCOPE_BROKER);
    write_scope(out, "Topics", CONFIG_SCOPE_TOPIC);
    write_scope(out, "Groups", CONFIG_SCOPE_GROUP);
    write_scope(out, "Client metrics", CONFIG_SCOPE_CLIENT_METRICS);
    write_scope(out, "Quotas and credentials of users and client ids", CONFIG_SCOPE_CLIENT);
    write_scope(out, "Quotas of addresses", CONFIG_SCOPE_IP);
}
