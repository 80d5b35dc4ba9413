#include "metadata/shell/shell_internal.h"

#include <stdlib.h>

/* --- the fixed part of the tree --------------------------------------------------------------- */

static void version_text(const struct shell_node *node, struct bytebuf *out)
{
    shell_put_str(out, node->view->version);
}

static void commit_text(const struct shell_node *node, struct bytebuf *out)
{
    shell_put_str(out, node->view->commit_id);
}

static const struct shell_kind version_kind = {.text = version_text};
static const struct shell_kind commit_kind = {.text = commit_text};

static const struct shell_entry local_entries[] = {
    {"commitId", &commit_kind, false},
    {"version", &version_kind, false},
    {NULL},
};

static const struct shell_entry image_entries[] = {
    {"acls", &shell_acls_kind, false},
    {"clientQuotas", &shell_client_quotas_kind, false},
    {"cluster", &shell_cluster_kind, false},
    {"configs", &shell_configs_kind, false},
    {"delegationToken", &shell_tokens_kind, false},
    {"features", &shell_features_kind, false},
    {"producerIds", &shell_producer_ids_kind, false},
    {"provenance", &shell_provenance_kind, false},
    {"scram", &shell_scram_kind, false},
    {"topics", &shell_topics_kind, false},
    {NULL},
};

static const struct shell_kind local_kind = {.entries = local_entries};
static const struct shell_kind image_kind = {.entries = image_entries};

static const struct shell_entry root_entries[] = {
    {"image", &image_kind, false},
    {"local", &local_kind, false},
    {"brokers", &shell_old_brokers_kind, true},
    {"client-quotas", &shell_old_quotas_kind, true},
    {"configs", &shell_old_configs_kind, true},
    {"features", &shell_old_features_kind, true},
    {"metadataQuorum", &shell_old_quorum_kind, true},
    {"producerIds", &shell_old_producer_ids_kind, true},
    {"topicIds", &shell_old_topic_ids_kind, true},
    {"topics", &shell_old_topics_kind, true},
    {NULL},
};

static const struct shell_kind root_kind = {.entries = root_entries};

/* --- any node --------------------------------------------------------------------------------- */

void shell_root(const struct shell_view *view, struct shell_node *ret_node)
{
    *ret_node = (struct shell_node){.kind = &root_kind, .view = view};
}

struct shell_node shell_node_of(const struct shell_node *parent, const struct shell_kind *kind,
                                const void *object, int64_t number)
{
    return (struct shell_node){kind, parent->view, object, number};
}

bool shell_is_folder(const struct shell_node *node)
{
    return node->kind->entries != NULL || node->kind->list != NULL;
}

bool shell_child(const struct shell_node *node, struct str name, struct shell_node *ret_child)
{
    if (node->kind->child != NULL)
        return node->kind->child(node, name, ret_child);
    for (const struct shell_entry *e = node->kind->entries; e != NULL && e->name != NULL; e++) {
        if (!str_eq_z(name, e->name))
            continue;
        *ret_child = shell_node_of(node, e->kind, node->object, node->number);
        return true;
    }
    return false;
}

void shell_names_add(struct shell_names *names, struct str name)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? names->capacity * 2 : 16;
        struct str *items = arena_alloc(names->arena, capacity * sizeof(*items));
        if (names->count > 0)
            memcpy(items, names->items, names->count * sizeof(*items));
        names->items = items;
        names->capacity = capacity;
    }
    names->items[names->count++] = name;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

void shell_list(const struct shell_node *folder, bool all, struct arena *arena,
                struct shell_names *ret_names)
{
    struct shell_names names = {.arena = arena};
    const struct shell_entry *e = folder->kind->entries;
    for (; e != NULL && e->name != NULL; e++) {
        if (all || !e->hidden)
            shell_names_add(&names, str_of(e->name));
    }
    if (folder->kind->list != NULL)
        folder->kind->list(folder, &names);
    if (names.count > 1)
        qsort(names.items, names.count, sizeof(*names.items), by_name);
    *ret_names = names;
}

void shell_text(const struct shell_node *leaf, struct bytebuf *out)
{
    leaf->kind->text(leaf, out);
}

json_t *shell_json(const struct shell_node *leaf)
{
    if (leaf->kind->json != NULL)
        return leaf->kind->json(leaf);
    struct bytebuf text;
    bytebuf_init(&text);
    shell_text(leaf, &text);
    json_t *json = shell_json_str(str_from((const char *)text.data, text.len));
    bytebuf_release(&text);
    return json;
}

const void *shell_object(const struct shell_node *node)
{
    return node->object;
}

bool shell_is_same(const struct shell_node *a, const struct shell_node *b)
{
    return a->kind == b->kind && a->kind->part != NULL && a->number == b->number &&
           a->kind->part(a) == b->kind->part(b);
}

/* --- texts and documents ---------------------------------------------------------------------- */

void shell_put_str(struct bytebuf *out, struct str s)
{
    if (s.len > 0)
        bytebuf_append(out, s.data, (size_t)s.len);
}

void shell_put_uuids(struct bytebuf *out, const struct uuid *ids, int32_t count)
{
    bytebuf_append(out, "[", 1);
    for (int32_t i = 0; i < count; i++)
        bytebuf_printf(out, "%s%s", i ? ", " : "", uuid_text(ids[i]).z);
    bytebuf_append(out, "]", 1);
}

json_t *shell_json_str(struct str s)
{
    struct arena arena;
    if (str_is_null(s))
        return json_null();
    arena_init(&arena, 0);
    struct str text = arena_utf8(&arena, s);
    json_t *json = json_stringn(text.data, (size_t)text.len);
    arena_release(&arena);
    return json;
}

json_t *shell_json_uuid(struct uuid id)
{
    return json_string(uuid_text(id).z);
}

json_t *shell_json_uuids(const struct uuid *ids, int32_t count)
{
    json_t *array = json_array();
    for (int32_t i = 0; i < count; i++)
        json_array_append_new(array, shell_json_uuid(ids[i]));
    return array;
}

static void put_line(struct bytebuf *out, int depth)
{
    bytebuf_printf(out, "\n%*s", depth * 2, "");
}

static void put_json(const json_t *json, int depth, struct bytebuf *out)
{
    const char *key, *between = "";
    json_t *value;
    size_t i;
    if (json_is_array(json)) {
        bytebuf_append(out, "[ ", 2);
        json_array_foreach(json, i, value)
        {
            bytebuf_printf(out, "%s", i ? ", " : "");
            put_json(value, depth, out);
        }
        bytebuf_printf(out, "%s]", json_array_size(json) ? " " : "");
    } else if (json_is_object(json)) {
        bytebuf_append(out, "{", 1);
        json_object_foreach((json_t *)(uintptr_t)json, key, value)
        {
            bytebuf_printf(out, "%s", between);
            put_line(out, depth + 1);
            bytebuf_printf(out, "\"%s\" : ", key);
            put_json(value, depth + 1, out);
            between = ",";
        }
        if (between[0] != '\0')
            put_line(out, depth);
        else
            bytebuf_append(out, " ", 1);
        bytebuf_append(out, "}", 1);
    } else {
        char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        bytebuf_printf(out, "%s", text ? text : "null");
        free(text);
    }
}

void shell_pretty_json(const json_t *document, struct bytebuf *out)
{
    put_json(document, 0, out);
}
