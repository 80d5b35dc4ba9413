/* What is to be added and deleted. */
#include "tools/configs_internal.h"
#include "tools/java_order.h"

#include "common/base/mem.h"

/* Every separator that counts has no ']' before the next '[' or the end. */
static bool is_outside(struct str text, int32_t at)
{
    for (; at < text.len; at++) {
        if (text.data[at] == '[')
            return true;
        if (text.data[at] == ']')
            return false;
    }
    return true;
}

/* As str_split, but only outside of brackets. */
static bool split_outside(struct str *rest, char separator, struct str *ret_head)
{
    for (int32_t i = 0; i < rest->len; i++) {
        if (rest->data[i] != separator || !is_outside(*rest, i + 1))
            continue;
        *ret_head = str_from(rest->data, (size_t)i);
        *rest = str_from(rest->data + i + 1, (size_t)(rest->len - i - 1));
        return true;
    }
    *ret_head = *rest;
    *rest = STR_NULL;
    return false;
}

static struct str without_brackets(struct str text, struct arena *arena)
{
    char *clean = arena_alloc(arena, (size_t)text.len + 1);
    size_t len = 0;
    for (int32_t i = 0; i < text.len; i++)
        if (text.data[i] != '[' && text.data[i] != ']')
            clean[len++] = text.data[i];
    return str_trim(str_from(clean, len));
}

bool configs_parse_pairs(struct str text, struct arena *arena, struct configs_change **ret_items,
                         size_t *ret_count)
{
    struct configs_change *items =
        ARENA_ARRAY(arena, struct configs_change, (size_t)text.len / 2 + 1);
    size_t count = 0;
    /* Empty entries at the end are none. */
    bool commas = text.len > 0 && text.data[0] == ',';
    while (text.len > 0 && text.data[text.len - 1] == ',')
        text.len--;
    if (commas && text.len == 0)
        text = STR_NULL;
    for (struct str rest = text; !str_is_null(rest);) {
        struct str entry, key, more;
        split_outside(&rest, ',', &entry);
        if (!split_outside(&entry, '=', &key))
            return false;
        struct str value = entry;
        if (split_outside(&entry, '=', &more))
            return false;
        items[count++] = (struct configs_change){str_trim(key), without_brackets(value, arena)};
    }
    *ret_items = items;
    *ret_count = count;
    return true;
}

static bool check_key(struct configs_command *command, struct str key, struct failure *failure)
{
    for (int32_t i = 0; i < key.len; i++) {
        char c = key.data[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '.' || c == '_' || c == '-')
            continue;
        return configs_refuse(command, failure, "Invalid character found for config key: %.*s",
                              STR_FMT(key));
    }
    return true;
}

static bool read_added(struct configs_command *command, struct properties *properties,
                       struct failure *failure)
{
    struct options *options = &command->tool.options;
    struct configs_change *items;
    const char *path, *text;
    size_t count;
    if (options_value(options, "add-config-file", &path) != 0 ||
        options_value(options, "add-config", &text) != 0)
        return configs_refuse(command, failure, "%s", options->error);
    if (!client_config_read_file(properties, path, failure))
        return false;
    if (text == NULL)
        return true;
    if (!configs_parse_pairs(str_of(text), &command->arena, &items, &count))
        return configs_refuse(command, failure,
                              "requirement failed: Invalid entity config: all configs to be added "
                              "must be in the format \"key=val\" or  \"key=[val1,val2]\" to group "
                              "values which contain commas.");
    for (size_t i = 0; i < count; i++)
        properties_set(properties, items[i].key, items[i].value, 0);
    return true;
}

/* Each key once, in the order in which Java's map of them is walked. */
static void take_added(const struct properties *properties, struct arena *arena,
                       struct configs_changes *changes)
{
    struct str *keys = ARENA_ARRAY(arena, struct str, changes->added + 1);
    size_t *order = ARENA_ARRAY(arena, size_t, changes->added + 1);
    size_t count = 0;
    PROPERTIES_FOR_EACH(entry, properties)
    {
        const struct property *item = entry->value;
        keys[count++] = arena_str(arena, item->key);
    }
    java_map_order(keys, count, 0, order);
    for (size_t i = 0; i < count; i++)
        changes->items[i] = (struct configs_change){
            keys[order[i]], arena_str(arena, properties_get(properties, keys[order[i]]))};
}

static size_t most_deleted(const struct options *options)
{
    size_t most = 0;
    for (size_t i = 0; i < options_count(options, "delete-config"); i++)
        most += strlen(options_value_at(options, "delete-config", i)) + 1;
    return most;
}

static void take_deleted(const struct options *options, struct configs_changes *changes)
{
    for (size_t i = 0; i < options_count(options, "delete-config"); i++)
        for (struct str rest = str_of(options_value_at(options, "delete-config", i)), key;
             !str_is_null(rest);) {
            str_split(&rest, ',', &key);
            if (str_trim(key).len > 0)
                changes->items[changes->added + changes->deleted++] =
                    (struct configs_change){str_trim(key), STR_NULL};
        }
}

bool configs_read_changes(struct configs_command *command, struct configs_changes *ret_changes,
                          struct failure *failure)
{
    struct configs_changes changes = {0};
    struct properties properties;
    properties_init(&properties);
    bool ok = read_added(command, &properties, failure);
    if (ok) {
        changes.added = properties.map.count;
        changes.items = ARENA_ARRAY(&command->arena, struct configs_change,
                                    changes.added + most_deleted(&command->tool.options) + 1);
        take_added(&properties, &command->arena, &changes);
        take_deleted(&command->tool.options, &changes);
    }
    properties_release(&properties);
    for (size_t i = 0; ok && i < changes.added; i++)
        ok = check_key(command, changes.items[i].key, failure);
    *ret_changes = changes;
    return ok;
}
