/*
 *   /image/cluster/brokers/ID       BrokerRegistration(id=1, epoch=22, ...)
 *   /image/cluster/controllers/ID   ControllerRegistration(id=1, ...)
 *   /brokers/ID/registration, isFenced   as of older documentation
 */
#include "metadata/shell/shell_internal.h"

#include <stdlib.h>

static const struct cluster_image *cluster_of(const struct shell_node *node)
{
    return &shell_image(node)->cluster;
}

static const char *protocol_name(int16_t protocol)
{
    static const char *const names[] = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"};
    return protocol >= 0 && protocol < (int16_t)ARRAY_LEN(names) ? names[protocol] : "UNKNOWN";
}

static void put_endpoints(struct bytebuf *out, const struct endpoint_image *endpoints,
                          int32_t count)
{
    bytebuf_printf(out, "listeners=[");
    for (int32_t i = 0; i < count; i++) {
        const struct endpoint_image *e = &endpoints[i];
        bytebuf_printf(out,
                       "%sEndpoint(listenerName='%.*s', securityProtocol=%s, host='%.*s', port=%d)",
                       i ? ", " : "", STR_FMT(e->name), protocol_name(e->security_protocol),
                       STR_FMT(e->host), e->port);
    }
    bytebuf_printf(out, "], ");
}

static void put_features(struct bytebuf *out, const struct feature_range *features, int32_t count)
{
    bytebuf_printf(out, "supportedFeatures={");
    for (int32_t i = 0; i < count; i++) {
        bytebuf_printf(out, "%s%.*s: %d", i ? ", " : "", STR_FMT(features[i].name),
                       features[i].min);
        if (features[i].max != features[i].min)
            bytebuf_printf(out, "-%d", features[i].max);
    }
    bytebuf_printf(out, "}");
}

static json_t *json_of_endpoints(const struct endpoint_image *endpoints, int32_t count)
{
    json_t *array = json_array();
    for (int32_t i = 0; i < count; i++) {
        json_t *json = json_object();
        json_object_set_new(json, "listenerName", shell_json_str(endpoints[i].name));
        json_object_set_new(json, "securityProtocol",
                            json_string(protocol_name(endpoints[i].security_protocol)));
        json_object_set_new(json, "host", shell_json_str(endpoints[i].host));
        json_object_set_new(json, "port", json_integer(endpoints[i].port));
        json_array_append_new(array, json);
    }
    return array;
}

static json_t *json_of_features(const struct feature_range *features, int32_t count)
{
    json_t *json = json_object();
    for (int32_t i = 0; i < count; i++) {
        json_t *range = json_object();
        json_object_set_new(range, "min", json_integer(features[i].min));
        json_object_set_new(range, "max", json_integer(features[i].max));
        char *name = str_dup_z(features[i].name);
        json_object_set_new(json, name, range);
        free(name);
    }
    return json;
}

static const char *bool_text(bool value)
{
    return value ? "true" : "false";
}

/* --- brokers ---------------------------------------------------------------------------------- */

static void broker_text(const struct shell_node *node, struct bytebuf *out)
{
    const struct broker_image *b = node->object;
    bytebuf_printf(out, "BrokerRegistration(id=%d, epoch=%lld, incarnationId=%s, ", b->id,
                   (long long)b->epoch, uuid_text(b->incarnation_id).z);
    put_endpoints(out, b->endpoints, b->endpoint_count);
    put_features(out, b->features, b->feature_count);
    if (str_is_null(b->rack))
        bytebuf_printf(out, ", rack=Optional.empty");
    else
        bytebuf_printf(out, ", rack=Optional[%.*s]", STR_FMT(b->rack));
    bytebuf_printf(out,
                   ", fenced=%s, inControlledShutdown=%s, isMigratingZkBroker=%s, "
                   "directories=",
                   bool_text(b->fenced), bool_text(b->in_controlled_shutdown),
                   bool_text(b->migrating_zk));
    shell_put_uuids(out, b->directories, b->directory_count);
    bytebuf_printf(out, ", cordonedDirectories=");
    shell_put_uuids(out, b->cordoned, MAX(b->cordoned_count, 0));
    bytebuf_printf(out, ")");
}

static json_t *broker_json(const struct shell_node *node)
{
    const struct broker_image *b = node->object;
    json_t *json = json_object();
    json_object_set_new(json, "id", json_integer(b->id));
    json_object_set_new(json, "epoch", json_integer(b->epoch));
    json_object_set_new(json, "incarnationId", shell_json_uuid(b->incarnation_id));
    json_object_set_new(json, "listeners", json_of_endpoints(b->endpoints, b->endpoint_count));
    json_object_set_new(json, "supportedFeatures", json_of_features(b->features, b->feature_count));
    json_object_set_new(json, "rack", shell_json_str(b->rack));
    json_object_set_new(json, "fenced", json_boolean(b->fenced));
    json_object_set_new(json, "inControlledShutdown", json_boolean(b->in_controlled_shutdown));
    json_object_set_new(json, "isMigratingZkBroker", json_boolean(b->migrating_zk));
    json_object_set_new(json, "directories", shell_json_uuids(b->directories, b->directory_count));
    json_object_set_new(json, "cordonedDirectories",
                        b->cordoned_count < 0 ? json_null()
                                              : shell_json_uuids(b->cordoned, b->cordoned_count));
    return json;
}

static const struct shell_kind broker_kind = {
    .text = broker_text,
    .json = broker_json,
    .part = shell_object,
};

static void list_brokers(const struct shell_node *node, struct shell_names *names)
{
    struct pmap_iter iter;
    pmap_iter_first(&iter, cluster_of(node)->brokers);
    for (const struct broker_image *b; (b = pmap_iter_next(&iter)) != NULL;)
        shell_names_add(names, arena_printf(names->arena, "%d", b->id));
}

static bool give_broker(const struct shell_node *node, struct str name,
                        const struct shell_kind *kind, struct shell_node *ret_child)
{
    int32_t id;
    if (str_to_i32(name, &id) != 0)
        return false;
    const struct broker_image *broker = cluster_image_broker(cluster_of(node), id);
    if (broker != NULL)
        *ret_child = shell_node_of(node, kind, broker, 0);
    return broker != NULL;
}

static bool broker_child(const struct shell_node *node, struct str name,
                         struct shell_node *ret_child)
{
    return give_broker(node, name, &broker_kind, ret_child);
}

static const void *brokers_part(const struct shell_node *node)
{
    return cluster_of(node)->brokers.root;
}

static const struct shell_kind brokers_kind = {
    .list = list_brokers,
    .child = broker_child,
    .part = brokers_part,
};

/* --- controllers ------------------------------------------------------------------------------ */

static void controller_text(const struct shell_node *node, struct bytebuf *out)
{
    const struct controller_image *c = node->object;
    bytebuf_printf(out, "ControllerRegistration(id=%d, incarnationId=%s, zkMigrationReady=%s, ",
                   c->id, uuid_text(c->incarnation_id).z, bool_text(c->zk_migration_ready));
    put_endpoints(out, c->endpoints, c->endpoint_count);
    put_features(out, c->features, c->feature_count);
    bytebuf_printf(out, ")");
}

static json_t *controller_json(const struct shell_node *node)
{
    const struct controller_image *c = node->object;
    json_t *json = json_object();
    json_object_set_new(json, "id", json_integer(c->id));
    json_object_set_new(json, "incarnationId", shell_json_uuid(c->incarnation_id));
    json_object_set_new(json, "zkMigrationReady", json_boolean(c->zk_migration_ready));
    json_object_set_new(json, "listeners", json_of_endpoints(c->endpoints, c->endpoint_count));
    json_object_set_new(json, "supportedFeatures", json_of_features(c->features, c->feature_count));
    return json;
}

static const struct shell_kind controller_kind = {
    .text = controller_text,
    .json = controller_json,
    .part = shell_object,
};

static void list_controllers(const struct shell_node *node, struct shell_names *names)
{
    struct pmap_iter iter;
    pmap_iter_first(&iter, cluster_of(node)->controllers);
    for (const struct controller_image *c; (c = pmap_iter_next(&iter)) != NULL;)
        shell_names_add(names, arena_printf(names->arena, "%d", c->id));
}

static bool controller_child(const struct shell_node *node, struct str name,
                             struct shell_node *ret_child)
{
    int32_t id;
    if (str_to_i32(name, &id) != 0)
        return false;
    const struct controller_image *controller = cluster_image_controller(cluster_of(node), id);
    if (controller != NULL)
        *ret_child = shell_node_of(node, &controller_kind, controller, 0);
    return controller != NULL;
}

static const void *controllers_part(const struct shell_node *node)
{
    return cluster_of(node)->controllers.root;
}

static const struct shell_kind controllers_kind = {
    .list = list_controllers,
    .child = controller_child,
    .part = controllers_part,
};

static const struct shell_entry cluster_entries[] = {
    {"brokers", &brokers_kind, false},
    {"controllers", &controllers_kind, false},
    {NULL},
};

const struct shell_kind shell_cluster_kind = {.entries = cluster_entries};

/* --- as of older documentation ---------------------------------------------------------------- */

static void registration_text(const struct shell_node *node, struct bytebuf *out)
{
    const struct broker_image *b = node->object;
    bytebuf_printf(out,
                   "RegisterBrokerRecord(brokerId=%d, isMigratingZkBroker=%s, incarnationId=%s, "
                   "brokerEpoch=%lld, endPoints=[",
                   b->id, bool_text(b->migrating_zk), uuid_text(b->incarnation_id).z,
                   (long long)b->epoch);
    for (int32_t i = 0; i < b->endpoint_count; i++) {
        const struct endpoint_image *e = &b->endpoints[i];
        bytebuf_printf(
            out, "%sBrokerEndpoint(name='%.*s', host='%.*s', port=%d, securityProtocol=%d)",
            i ? ", " : "", STR_FMT(e->name), STR_FMT(e->host), e->port, e->security_protocol);
    }
    bytebuf_printf(out, "], features=[");
    for (int32_t i = 0; i < b->feature_count; i++) {
        const struct feature_range *f = &b->features[i];
        bytebuf_printf(out,
                       "%sBrokerFeature(name='%.*s', minSupportedVersion=%d, "
                       "maxSupportedVersion=%d)",
                       i ? ", " : "", STR_FMT(f->name), f->min, f->max);
    }
    if (str_is_null(b->rack))
        bytebuf_printf(out, "], rack=null");
    else
        bytebuf_printf(out, "], rack='%.*s'", STR_FMT(b->rack));
    bytebuf_printf(out, ", fenced=%s, inControlledShutdown=%s, logDirs=", bool_text(b->fenced),
                   bool_text(b->in_controlled_shutdown));
    shell_put_uuids(out, b->directories, b->directory_count);
    bytebuf_printf(out, ")");
}

static void is_fenced_text(const struct shell_node *node, struct bytebuf *out)
{
    bytebuf_printf(out, "%s", bool_text(((const struct broker_image *)node->object)->fenced));
}

static json_t *is_fenced_json(const struct shell_node *node)
{
    return json_boolean(((const struct broker_image *)node->object)->fenced);
}

static const struct shell_kind registration_kind = {
    .text = registration_text,
    .json = broker_json,
    .part = shell_object,
};
static const struct shell_kind is_fenced_kind = {
    .text = is_fenced_text,
    .json = is_fenced_json,
    .part = shell_object,
};
static const struct shell_entry old_broker_entries[] = {
    {"isFenced", &is_fenced_kind, false},
    {"registration", &registration_kind, false},
    {NULL},
};
static const struct shell_kind old_broker_kind = {
    .entries = old_broker_entries,
    .part = shell_object,
};

static bool old_broker_child(const struct shell_node *node, struct str name,
                             struct shell_node *ret_child)
{
    return give_broker(node, name, &old_broker_kind, ret_child);
}

const struct shell_kind shell_old_brokers_kind = {
    .list = list_brokers,
    .child = old_broker_child,
    .part = brokers_part,
};
