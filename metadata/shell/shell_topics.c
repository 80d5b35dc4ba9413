/*
 *   /image/topics/byName/T/P    PartitionRegistration(replicas=[1], ...)
 *   /image/topics/byId/ID/...   the same by id; beside the partitions: id, name
 *   /topics/T/P/data            the record that makes the partition, as JSON
 *   /topicIds/ID/...            the same by id
 */
#include "common/protocol/message_json.h"
#include "metadata/shell/shell_internal.h"

static const struct topics_image *topics_of(const struct shell_node *node)
{
    return &shell_image(node)->topics;
}

/* --- a partition ------------------------------------------------------------------------------ */

static void put_nodes(struct bytebuf *out, const char *name, struct node_list list)
{
    bytebuf_printf(out, "%s=[", name);
    for (int32_t i = 0; i < list.count; i++)
        bytebuf_printf(out, "%s%d", i ? ", " : "", list.ids[i]);
    bytebuf_append(out, "], ", 3);
}

static void partition_text(const struct shell_node *node, struct bytebuf *out)
{
    const struct partition_image *p = node->object;
    bytebuf_printf(out, "PartitionRegistration(");
    put_nodes(out, "replicas", partition_replicas(p));
    bytebuf_printf(out, "directories=");
    shell_put_uuids(out, partition_directories(p), p->replica_count);
    bytebuf_printf(out, ", ");
    put_nodes(out, "isr", partition_isr(p));
    put_nodes(out, "removingReplicas", partition_removing(p));
    put_nodes(out, "addingReplicas", partition_adding(p));
    put_nodes(out, "elr", partition_elr(p));
    put_nodes(out, "lastKnownElr", partition_last_known_elr(p));
    bytebuf_printf(out,
                   "leader=%d, leaderRecoveryState=%s, leaderEpoch=%d, "
                   "partitionEpoch=%d)",
                   p->leader, p->recovery_state ? "RECOVERING" : "RECOVERED", p->leader_epoch,
                   p->partition_epoch);
}

static json_t *json_of_nodes(struct node_list list)
{
    json_t *array = json_array();
    for (int32_t i = 0; i < list.count; i++)
        json_array_append_new(array, json_integer(list.ids[i]));
    return array;
}

static json_t *partition_json(const struct shell_node *node)
{
    const struct partition_image *p = node->object;
    json_t *json = json_object();
    json_object_set_new(json, "replicas", json_of_nodes(partition_replicas(p)));
    json_object_set_new(json, "directories",
                        shell_json_uuids(partition_directories(p), p->replica_count));
    json_object_set_new(json, "isr", json_of_nodes(partition_isr(p)));
    json_object_set_new(json, "removingReplicas", json_of_nodes(partition_removing(p)));
    json_object_set_new(json, "addingReplicas", json_of_nodes(partition_adding(p)));
    json_object_set_new(json, "elr", json_of_nodes(partition_elr(p)));
    json_object_set_new(json, "lastKnownElr", json_of_nodes(partition_last_known_elr(p)));
    json_object_set_new(json, "leader", json_integer(p->leader));
    json_object_set_new(json, "leaderRecoveryState",
                        json_string(p->recovery_state ? "RECOVERING" : "RECOVERED"));
    json_object_set_new(json, "leaderEpoch", json_integer(p->leader_epoch));
    json_object_set_new(json, "partitionEpoch", json_integer(p->partition_epoch));
    return json;
}

static const struct shell_kind partition_kind = {
    .text = partition_text,
    .json = partition_json,
    .part = shell_object,
};

/* --- a topic ---------------------------------------------------------------------------------- */

static void id_text(const struct shell_node *node, struct bytebuf *out)
{
    bytebuf_printf(out, "%s", uuid_text(((const struct topic_image *)node->object)->id).z);
}

static void name_text(const struct shell_node *node, struct bytebuf *out)
{
    shell_put_str(out, topic_name(node->object));
}

static const struct shell_kind id_kind = {.text = id_text, .part = shell_object};
static const struct shell_kind name_kind = {.text = name_text, .part = shell_object};

static void topic_list(const struct shell_node *node, struct shell_names *names)
{
    const struct topic_image *topic = node->object;
    struct pmap_iter iter;
    shell_names_add(names, STR("id"));
    shell_names_add(names, STR("name"));
    pmap_iter_first(&iter, topic->partitions);
    for (const struct partition_image *p; (p = pmap_iter_next(&iter)) != NULL;)
        shell_names_add(names, arena_printf(names->arena, "%d", p->id));
}

/* A partition's node is of the given kind; its topic is found through the partition's number. */
static bool topic_child_of(const struct shell_node *node, struct str name,
                           const struct shell_kind *kind, struct shell_node *ret_child)
{
    const struct topic_image *topic = node->object;
    const struct partition_image *p;
    int32_t id;
    if (str_eq_z(name, "id")) {
        *ret_child = shell_node_of(node, &id_kind, topic, 0);
    } else if (str_eq_z(name, "name")) {
        *ret_child = shell_node_of(node, &name_kind, topic, 0);
    } else if (str_to_i32(name, &id) == 0 && (p = topic_image_partition(topic, id)) != NULL) {
        bool old = kind != &partition_kind;
        *ret_child = shell_node_of(node, kind, old ? (const void *)topic : p, id);
    } else {
        return false;
    }
    return true;
}

static bool topic_child(const struct shell_node *node, struct str name,
                        struct shell_node *ret_child)
{
    return topic_child_of(node, name, &partition_kind, ret_child);
}

static const struct shell_kind topic_kind = {
    .list = topic_list,
    .child = topic_child,
    .part = shell_object,
};

/* --- all topics ------------------------------------------------------------------------------- */

static void list_by_name(const struct shell_node *node, struct shell_names *names)
{
    struct pmap_iter iter;
    pmap_iter_first(&iter, topics_of(node)->by_name);
    for (const struct topic_image *topic; (topic = pmap_iter_next(&iter)) != NULL;)
        shell_names_add(names, topic_name(topic));
}

static void list_by_id(const struct shell_node *node, struct shell_names *names)
{
    struct pmap_iter iter;
    pmap_iter_first(&iter, topics_of(node)->by_id);
    for (const struct topic_image *topic; (topic = pmap_iter_next(&iter)) != NULL;)
        shell_names_add(names, arena_printf(names->arena, "%s", uuid_text(topic->id).z));
}

static bool give_topic(const struct shell_node *node, const struct shell_kind *kind,
                       const struct topic_image *topic, struct shell_node *ret_child)
{
    if (topic != NULL)
        *ret_child = shell_node_of(node, kind, topic, 0);
    return topic != NULL;
}

static const struct topic_image *topic_by_id(const struct shell_node *node, struct str name)
{
    struct uuid id;
    return name.len == UUID_TEXT_LEN && uuid_parse(name, &id) == 0
               ? topics_image_find_id(topics_of(node), id)
               : NULL;
}

static bool child_by_name(const struct shell_node *node, struct str name,
                          struct shell_node *ret_child)
{
    return give_topic(node, &topic_kind, topics_image_find(topics_of(node), name), ret_child);
}

static bool child_by_id(const struct shell_node *node, struct str name,
                        struct shell_node *ret_child)
{
    return give_topic(node, &topic_kind, topic_by_id(node, name), ret_child);
}

static const void *topics_part(const struct shell_node *node)
{
    return topics_of(node)->by_name.root;
}

static const struct shell_kind by_id_kind = {
    .list = list_by_id,
    .child = child_by_id,
    .part = topics_part,
};
static const struct shell_kind by_name_kind = {
    .list = list_by_name,
    .child = child_by_name,
    .part = topics_part,
};

static const struct shell_entry topics_entries[] = {
    {"byId", &by_id_kind, false},
    {"byName", &by_name_kind, false},
    {NULL},
};

const struct shell_kind shell_topics_kind = {.entries = topics_entries, .part = topics_part};

/* --- as of older documentation ---------------------------------------------------------------- */

static json_t *data_json(const struct shell_node *node)
{
    const struct topic_image *topic = node->object;
    const struct partition_image *p = topic_image_partition(topic, (int32_t)node->number);
    struct partition_record record;
    struct bytebuf text;
    int16_t version = partition_record_desc.max_version;
    bytebuf_init(&text);
    partition_image_to_record(p, topic->id, version, &record);
    message_to_json(&partition_record_desc, version, &record, MESSAGE_JSON_KAFKA, &text);
    json_t *json = json_loadb((const char *)text.data, text.len, 0, NULL);
    bytebuf_release(&text);
    return json;
}

static void data_text(const struct shell_node *node, struct bytebuf *out)
{
    json_t *json = data_json(node);
    shell_pretty_json(json, out);
    json_decref(json);
}

static const struct shell_kind data_kind = {
    .text = data_text,
    .json = data_json,
    .part = shell_object,
};
static const struct shell_entry old_partition_entries[] = {{"data", &data_kind, false}, {NULL}};
static const struct shell_kind old_partition_kind = {
    .entries = old_partition_entries,
    .part = shell_object,
};

static bool old_topic_child(const struct shell_node *node, struct str name,
                            struct shell_node *ret_child)
{
    return topic_child_of(node, name, &old_partition_kind, ret_child);
}

static const struct shell_kind old_topic_kind = {
    .list = topic_list,
    .child = old_topic_child,
    .part = shell_object,
};

static bool old_child_by_name(const struct shell_node *node, struct str name,
                              struct shell_node *ret_child)
{
    return give_topic(node, &old_topic_kind, topics_image_find(topics_of(node), name), ret_child);
}

static bool old_child_by_id(const struct shell_node *node, struct str name,
                            struct shell_node *ret_child)
{
    return give_topic(node, &old_topic_kind, topic_by_id(node, name), ret_child);
}

const struct shell_kind shell_old_topics_kind = {
    .list = list_by_name,
    .child = old_child_by_name,
    .part = topics_part,
};
const struct shell_kind shell_old_topic_ids_kind = {
    .list = list_by_id,
    .child = old_child_by_id,
    .part = topics_part,
};
