/*
 *   /image/configs/TOPIC:T/KEY, BROKER:1/KEY, BROKER/KEY (the cluster's default)
 *   /image/clientQuotas/clientId(C)_user(U)/KEY
 *   /configs/topic/T/KEY, /configs/broker/<default>/KEY, /client-quotas/user/U/KEY
 *                                              as of older documentation
 */
#include "common/protocol/message_json.h"
#include "metadata/shell/shell_internal.h"

#include <stdlib.h>

#define DEFAULT_NAME "<default>"

/* --- configs ---------------------------------------------------------------------------------- */

static const struct {
    int8_t type;
    const char *name, *old_name;
} types[] = {
    {CONFIG_RESOURCE_TOPIC, "TOPIC", "topic"},
    {CONFIG_RESOURCE_BROKER, "BROKER", "broker"},
    {CONFIG_RESOURCE_BROKER_LOGGER, "BROKER_LOGGER", "broker_logger"},
    {CONFIG_RESOURCE_CLIENT_METRICS, "CLIENT_METRICS", "client_metrics"},
    {CONFIG_RESOURCE_GROUP, "GROUP", "group"},
};

static void value_text(const struct shell_node *node, struct bytebuf *out)
{
    shell_put_str(out, ((const struct config_image *)node->object)->entries[node->number].value);
}

static const struct shell_kind value_kind = {.text = value_text, .part = shell_object};

static void resource_list(const struct shell_node *node, struct shell_names *names)
{
    const struct config_image *config = node->object;
    for (int32_t i = 0; i < config->count; i++)
        shell_names_add(names, config->entries[i].key);
}

static bool resource_child(const struct shell_node *node, struct str name,
                           struct shell_node *ret_child)
{
    const struct config_image *config = node->object;
    for (int32_t i = 0; i < config->count; i++) {
        if (!str_eq(config->entries[i].key, name))
            continue;
        *ret_child = shell_node_of(node, &value_kind, config, i);
        return true;
    }
    return false;
}

static const struct shell_kind resource_kind = {
    .list = resource_list,
    .child = resource_child,
    .part = shell_object,
};

static bool give_resource(const struct shell_node *node, int8_t type, struct str name,
                          struct shell_node *ret_child)
{
    const struct config_image *config = configs_image_find(&shell_image(node)->configs, type, name);
    if (config != NULL)
        *ret_child = shell_node_of(node, &resource_kind, config, 0);
    return config != NULL;
}

static void configs_list(const struct shell_node *node, struct shell_names *names)
{
    struct pmap_iter iter;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        pmap_iter_first(&iter, configs_image_of_type(&shell_image(node)->configs, types[i].type));
        for (const struct config_image *config; (config = pmap_iter_next(&iter)) != NULL;)
            shell_names_add(names, config->name.len == 0
                                       ? str_of(types[i].name)
                                       : arena_printf(names->arena, "%s:%.*s", types[i].name,
                                                      STR_FMT(config->name)));
    }
}

static bool configs_child(const struct shell_node *node, struct str name,
                          struct shell_node *ret_child)
{
    struct str rest = name, type;
    str_split(&rest, ':', &type);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_eq_z(type, types[i].name))
            return give_resource(node, types[i].type, str_is_null(rest) ? STR_EMPTY : rest,
                                 ret_child);
    }
    return false;
}

const struct shell_kind shell_configs_kind = {.list = configs_list, .child = configs_child};

static void old_type_list(const struct shell_node *node, struct shell_names *names)
{
    struct pmap_iter iter;
    pmap_iter_first(&iter,
                    configs_image_of_type(&shell_image(node)->configs, types[node->number].type));
    for (const struct config_image *config; (config = pmap_iter_next(&iter)) != NULL;)
        shell_names_add(names, config->name.len == 0 ? STR(DEFAULT_NAME) : config->name);
}

static bool old_type_child(const struct shell_node *node, struct str name,
                           struct shell_node *ret_child)
{
    struct str resource = str_eq_z(name, DEFAULT_NAME) ? STR_EMPTY : name;
    return give_resource(node, types[node->number].type, resource, ret_child);
}

static const void *old_type_part(const struct shell_node *node)
{
    return configs_image_of_type(&shell_image(node)->configs, types[node->number].type).root;
}

static const struct shell_kind old_type_kind = {
    .list = old_type_list,
    .child = old_type_child,
    .part = old_type_part,
};

static void old_configs_list(const struct shell_node *node, struct shell_names *names)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (configs_image_of_type(&shell_image(node)->configs, types[i].type).count > 0)
            shell_names_add(names, str_of(types[i].old_name));
    }
}

static bool old_configs_child(const struct shell_node *node, struct str name,
                              struct shell_node *ret_child)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (!str_eq_z(name, types[i].old_name))
            continue;
        *ret_child = shell_node_of(node, &old_type_kind, NULL, (int64_t)i);
        return true;
    }
    return false;
}

const struct shell_kind shell_old_configs_kind = {
    .list = old_configs_list,
    .child = old_configs_child,
};

/* --- client quotas ---------------------------------------------------------------------------- */

/* In the order in which Kafka names them. */
static const struct {
    const char *type, *name;
} entity_types[] = {{"client-id", "clientId"}, {"ip", "ip"}, {"user", "user"}};

static void quota_text(const struct shell_node *node, struct bytebuf *out)
{
    java_double_append(
        out, ((const struct client_quota_image *)node->object)->entries[node->number].value);
}

static json_t *quota_json(const struct shell_node *node)
{
    return json_real(
        ((const struct client_quota_image *)node->object)->entries[node->number].value);
}

static const struct shell_kind quota_kind = {
    .text = quota_text,
    .json = quota_json,
    .part = shell_object,
};

static void entity_list(const struct shell_node *node, struct shell_names *names)
{
    const struct client_quota_image *quota = node->object;
    for (int32_t i = 0; i < quota->count; i++)
        shell_names_add(names, quota->entries[i].key);
}

static bool entity_child(const struct shell_node *node, struct str name,
                         struct shell_node *ret_child)
{
    const struct client_quota_image *quota = node->object;
    for (int32_t i = 0; i < quota->count; i++) {
        if (!str_eq(quota->entries[i].key, name))
            continue;
        *ret_child = shell_node_of(node, &quota_kind, quota, i);
        return true;
    }
    return false;
}

static const struct shell_kind entity_kind = {
    .list = entity_list,
    .child = entity_child,
    .part = shell_object,
};

/* A backslash before what has a meaning of its own. */
static void put_escaped(struct bytebuf *out, struct str name)
{
    for (int32_t i = 0; i < name.len; i++) {
        bool special = strchr("\\()", name.data[i]) != NULL && name.data[i] != '\0';
        if (special || (i == 0 && str_eq_z(name, DEFAULT_NAME)))
            bytebuf_append(out, "\\", 1);
        bytebuf_append(out, &name.data[i], 1);
    }
}

static struct str entity_name(const struct client_quota_image *quota, struct arena *arena)
{
    struct bytebuf out;
    bytebuf_init(&out);
    for (size_t t = 0; t < ARRAY_LEN(entity_types); t++) {
        for (int32_t i = 0; i < quota->part_count; i++) {
            const struct quota_entity_part *part = &quota->parts[i];
            if (!str_eq_z(part->type, entity_types[t].type))
                continue;
            bytebuf_printf(&out, "%s%s(", out.len ? "_" : "", entity_types[t].name);
            if (str_is_null(part->name))
                bytebuf_printf(&out, DEFAULT_NAME);
            else
                put_escaped(&out, part->name);
            bytebuf_append(&out, ")", 1);
        }
    }
    struct str name = arena_str(arena, str_from((const char *)out.data, out.len));
    bytebuf_release(&out);
    return name;
}

static void quotas_list(const struct shell_node *node, struct shell_names *names)
{
    struct pmap_iter iter;
    pmap_iter_first(&iter, shell_image(node)->client_quotas.by_entity);
    for (const struct client_quota_image *quota; (quota = pmap_iter_next(&iter)) != NULL;)
        shell_names_add(names, entity_name(quota, names->arena));
}

/* "user(U)" from the start of *rest; the text stays behind the part. */
static bool read_part(struct str *rest, struct arena *arena, struct quota_entity_part *ret_part)
{
    for (size_t t = 0; t < ARRAY_LEN(entity_types); t++) {
        struct str head = arena_printf(arena, "%s(", entity_types[t].name);
        if (!str_starts_with(*rest, head))
            continue;
        char *name = arena_alloc(arena, (size_t)rest->len + 1);
        int32_t at = head.len, len = 0;
        bool escaped = false;
        for (; at < rest->len && rest->data[at] != ')'; at++) {
            if (rest->data[at] == '\\' && at + 1 < rest->len) {
                escaped = true;
                at++;
            }
            name[len++] = rest->data[at];
        }
        if (at >= rest->len)
            return false;
        ret_part->type = str_of(entity_types[t].type);
        ret_part->name = str_from(name, (size_t)len);
        if (!escaped && str_eq_z(ret_part->name, DEFAULT_NAME))
            ret_part->name = STR_NULL;
        *rest = (struct str){rest->data + at + 1, rest->len - at - 1};
        return true;
    }
    return false;
}

static bool read_entity(struct str name, struct arena *arena, struct quota_entity_part parts[3],
                        int32_t *ret_count)
{
    int32_t count = 0;
    for (;;) {
        if (count == 3 || !read_part(&name, arena, &parts[count]))
            return false;
        count++;
        if (name.len == 0)
            break;
        if (name.data[0] != '_')
            return false;
        name = (struct str){name.data + 1, name.len - 1};
    }
    *ret_count = count;
    return true;
}

static bool quotas_child(const struct shell_node *node, struct str name,
                         struct shell_node *ret_child)
{
    struct quota_entity_part parts[3];
    const struct client_quota_image *quota = NULL;
    struct arena arena;
    int32_t count;
    arena_init(&arena, 0);
    if (read_entity(name, &arena, parts, &count))
        quota = client_quotas_image_find(&shell_image(node)->client_quotas, parts, count);
    arena_release(&arena);
    if (quota != NULL)
        *ret_child = shell_node_of(node, &entity_kind, quota, 0);
    return quota != NULL;
}

static const void *quotas_part(const struct shell_node *node)
{
    return shell_image(node)->client_quotas.by_entity.root;
}

const struct shell_kind shell_client_quotas_kind = {
    .list = quotas_list,
    .child = quotas_child,
    .part = quotas_part,
};

/*
 * As of older documentation: the parts of the entity by type, a folder for each type and each name:
 * /client-quotas/client-id/C/user/U/KEY. The node's object is a quota that has the parts so far,
 * its number how many folders down from it that is.
 */
static struct str old_step(const struct client_quota_image *quota, int64_t step)
{
    const struct quota_entity_part *part = &quota->parts[step / 2];
    if (step % 2 == 0)
        return part->type;
    return str_is_null(part->name) ? STR(DEFAULT_NAME) : part->name;
}

static bool old_is_below(const struct shell_node *node, const struct client_quota_image *quota)
{
    const struct client_quota_image *first = node->object;
    if ((int64_t)quota->part_count * 2 < node->number)
        return false;
    for (int64_t i = 0; i < node->number; i++) {
        if (!str_eq(old_step(first, i), old_step(quota, i)))
            return false;
    }
    return true;
}

static const struct client_quota_image *old_next(const struct shell_node *node,
                                                 struct pmap_iter *iter)
{
    const struct client_quota_image *quota;
    while ((quota = pmap_iter_next(iter)) != NULL) {
        if (old_is_below(node, quota))
            return quota;
    }
    return NULL;
}

static bool has_name(const struct shell_names *names, struct str name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (str_eq(names->items[i], name))
            return true;
    }
    return false;
}

static void old_quotas_list(const struct shell_node *node, struct shell_names *names)
{
    const struct client_quota_image *quota;
    struct pmap_iter iter;
    pmap_iter_first(&iter, shell_image(node)->client_quotas.by_entity);
    while ((quota = old_next(node, &iter)) != NULL) {
        struct shell_node here = shell_node_of(node, node->kind, quota, 0);
        if ((int64_t)quota->part_count * 2 == node->number)
            entity_list(&here, names);
        else if (!has_name(names, old_step(quota, node->number)))
            shell_names_add(names, old_step(quota, node->number));
    }
}

static bool old_quotas_child(const struct shell_node *node, struct str name,
                             struct shell_node *ret_child)
{
    const struct client_quota_image *quota;
    struct pmap_iter iter;
    pmap_iter_first(&iter, shell_image(node)->client_quotas.by_entity);
    while ((quota = old_next(node, &iter)) != NULL) {
        struct shell_node here = shell_node_of(node, node->kind, quota, 0);
        if ((int64_t)quota->part_count * 2 == node->number) {
            if (entity_child(&here, name, ret_child))
                return true;
        } else if (str_eq(old_step(quota, node->number), name)) {
            *ret_child = shell_node_of(node, node->kind, quota, node->number + 1);
            return true;
        }
    }
    return false;
}

const struct shell_kind shell_old_quotas_kind = {
    .list = old_quotas_list,
    .child = old_quotas_child,
    .part = quotas_part,
};
