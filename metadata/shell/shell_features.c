/*
 *   /image/features/metadataVersion         Optional[4.4-IV2]
 *   /image/features/finalized_NAME          1
 *   /image/producerIds/nextProducerId       1000
 *   /image/provenance                       offset 53, epoch 1, time 2026-11-21T08:51:08.959Z[UTC]
 *   /features/NAME, /producerIds/nextBlockStartId, /metadataQuorum/leader, /metadataQuorum/offset
 *                                           as of older documentation
 *   /metadataQuorum/voters/ID               ours: who votes, as far as the log tells
 */
#include "metadata/feature.h"
#include "metadata/shell/shell_internal.h"

#include <time.h>

#define FINALIZED "finalized_"

/* --- features --------------------------------------------------------------------------------- */

static struct pmap features_of(const struct shell_node *node)
{
    return shell_image(node)->features.by_name;
}

static const struct feature_image *feature_of(const struct shell_node *node, struct str name)
{
    return pmap_get(&feature_image_kind, features_of(node), pmap_key_str(name));
}

static void level_text(const struct shell_node *node, struct bytebuf *out)
{
    bytebuf_printf(out, "%d", ((const struct feature_image *)node->object)->level);
}

static json_t *level_json(const struct shell_node *node)
{
    return json_integer(((const struct feature_image *)node->object)->level);
}

static const struct shell_kind level_kind = {
    .text = level_text,
    .json = level_json,
    .part = shell_object,
};

/* NULL: the log did not say. */
static const char *metadata_version_name(const struct shell_node *node, char number[16])
{
    const struct feature_image *feature = feature_of(node, STR(FEATURE_METADATA_VERSION));
    if (feature == NULL)
        return NULL;
    const struct metadata_version *version = metadata_version_find(feature->level);
    snprintf(number, 16, "%d", feature->level);
    return version ? version->name : number;
}

static void metadata_version_text(const struct shell_node *node, struct bytebuf *out)
{
    char number[16];
    const char *name = metadata_version_name(node, number);
    if (name == NULL)
        bytebuf_printf(out, "Optional.empty");
    else
        bytebuf_printf(out, "Optional[%s]", name);
}

static json_t *metadata_version_json(const struct shell_node *node)
{
    char number[16];
    const char *name = metadata_version_name(node, number);
    return name ? json_string(name) : json_null();
}

static const struct shell_kind metadata_version_kind = {
    .text = metadata_version_text,
    .json = metadata_version_json,
};

static bool is_metadata_version(const struct feature_image *feature)
{
    return str_eq_z(feature->name, FEATURE_METADATA_VERSION);
}

static void features_list(const struct shell_node *node, struct shell_names *names)
{
    struct pmap_iter iter;
    shell_names_add(names, STR("metadataVersion"));
    pmap_iter_first(&iter, features_of(node));
    for (const struct feature_image *f; (f = pmap_iter_next(&iter)) != NULL;) {
        if (!is_metadata_version(f))
            shell_names_add(names, arena_printf(names->arena, FINALIZED "%.*s", STR_FMT(f->name)));
    }
}

static bool features_child(const struct shell_node *node, struct str name,
                           struct shell_node *ret_child)
{
    struct str head = STR(FINALIZED);
    if (str_eq_z(name, "metadataVersion")) {
        *ret_child = shell_node_of(node, &metadata_version_kind, NULL, 0);
        return true;
    }
    if (!str_starts_with(name, head))
        return false;
    const struct feature_image *feature =
        feature_of(node, (struct str){name.data + head.len, name.len - head.len});
    if (feature == NULL || is_metadata_version(feature))
        return false;
    *ret_child = shell_node_of(node, &level_kind, feature, 0);
    return true;
}

static const void *features_part(const struct shell_node *node)
{
    return features_of(node).root;
}

const struct shell_kind shell_features_kind = {
    .list = features_list,
    .child = features_child,
    .part = features_part,
};

static void old_features_list(const struct shell_node *node, struct shell_names *names)
{
    struct pmap_iter iter;
    pmap_iter_first(&iter, features_of(node));
    for (const struct feature_image *f; (f = pmap_iter_next(&iter)) != NULL;)
        shell_names_add(names, f->name);
}

static bool old_features_child(const struct shell_node *node, struct str name,
                               struct shell_node *ret_child)
{
    const struct feature_image *feature = feature_of(node, name);
    if (feature != NULL)
        *ret_child = shell_node_of(node, &level_kind, feature, 0);
    return feature != NULL;
}

const struct shell_kind shell_old_features_kind = {
    .list = old_features_list,
    .child = old_features_child,
    .part = features_part,
};

/* --- producer ids ----------------------------------------------------------------------------- */

/* -1 until the first block was given out. */
static int64_t next_id(const struct shell_node *node)
{
    int64_t id = shell_image(node)->next_producer_id;
    return id > 0 ? id : -1;
}

static void next_id_text(const struct shell_node *node, struct bytebuf *out)
{
    bytebuf_printf(out, "%lld", (long long)next_id(node));
}

static json_t *next_id_json(const struct shell_node *node)
{
    return json_integer(next_id(node));
}

static const struct shell_kind next_id_kind = {.text = next_id_text, .json = next_id_json};
static const struct shell_entry producer_ids_entries[] = {
    {"nextProducerId", &next_id_kind, false},
    {NULL},
};
static const struct shell_entry old_producer_ids_entries[] = {
    {"nextBlockStartId", &next_id_kind, false},
    {NULL},
};

const struct shell_kind shell_producer_ids_kind = {.entries = producer_ids_entries};
const struct shell_kind shell_old_producer_ids_kind = {.entries = old_producer_ids_entries};

/* --- where in the log ------------------------------------------------------------------------- */

/* ISO 8601 with as many digits behind the second as it takes. */
static struct str time_text(int64_t timestamp_ms, char text[64])
{
    int64_t ms = ((timestamp_ms % 1000) + 1000) % 1000;
    time_t seconds = (time_t)((timestamp_ms - ms) / 1000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL)
        return STR("?");
    size_t len = strftime(text, 40, "%Y-%m-%dT%H:%M:%S", &tm);
    if (ms != 0) {
        len += (size_t)snprintf(text + len, 8, ".%03d", (int)ms);
        while (text[len - 1] == '0')
            len--;
    }
    return str_from(text, len);
}

static void provenance_text(const struct shell_node *node, struct bytebuf *out)
{
    char text[64];
    struct str when = time_text(node->view->timestamp_ms, text);
    bytebuf_printf(out, "offset %lld, epoch %d, time %.*sZ[UTC]", (long long)node->view->offset,
                   node->view->epoch, STR_FMT(when));
}

static json_t *provenance_json(const struct shell_node *node)
{
    char text[64];
    struct arena arena;
    arena_init(&arena, 0);
    json_t *json = json_object();
    json_object_set_new(json, "offset", json_integer(node->view->offset));
    json_object_set_new(json, "epoch", json_integer(node->view->epoch));
    json_object_set_new(json, "timestamp", json_integer(node->view->timestamp_ms));
    json_object_set_new(json, "time",
                        shell_json_str(arena_printf(
                            &arena, "%.*sZ", STR_FMT(time_text(node->view->timestamp_ms, text)))));
    arena_release(&arena);
    return json;
}

const struct shell_kind shell_provenance_kind = {
    .text = provenance_text,
    .json = provenance_json,
};

/* --- the quorum ------------------------------------------------------------------------------- */

static void leader_text(const struct shell_node *node, struct bytebuf *out)
{
    bytebuf_printf(out, "LeaderAndEpoch(leaderId=");
    if (node->view->leader < 0)
        bytebuf_printf(out, "OptionalInt.empty");
    else
        bytebuf_printf(out, "OptionalInt[%d]", node->view->leader);
    bytebuf_printf(out, ", epoch=%d)", node->view->leader_epoch);
}

static json_t *leader_json(const struct shell_node *node)
{
    json_t *json = json_object();
    json_object_set_new(json, "leaderId",
                        node->view->leader < 0 ? json_null() : json_integer(node->view->leader));
    json_object_set_new(json, "epoch", json_integer(node->view->leader_epoch));
    return json;
}

static void offset_text(const struct shell_node *node, struct bytebuf *out)
{
    bytebuf_printf(out, "%lld", (long long)node->view->last_offset);
}

static json_t *offset_json(const struct shell_node *node)
{
    return json_integer(node->view->last_offset);
}

static void voter_text(const struct shell_node *node, struct bytebuf *out)
{
    const struct shell_voter *voter = &node->view->voters[node->number];
    bytebuf_printf(out, "%d", voter->id);
    if (!uuid_is_zero(voter->directory_id))
        bytebuf_printf(out, "@%s", uuid_text(voter->directory_id).z);
    if (voter->endpoints.len > 0)
        bytebuf_printf(out, " %.*s", STR_FMT(voter->endpoints));
}

static json_t *voter_json(const struct shell_node *node)
{
    const struct shell_voter *voter = &node->view->voters[node->number];
    json_t *json = json_object(), *endpoints = json_array();
    struct str rest = voter->endpoints, one;
    while (rest.len > 0) {
        str_split(&rest, ',', &one);
        json_array_append_new(endpoints, shell_json_str(one));
    }
    json_object_set_new(json, "id", json_integer(voter->id));
    json_object_set_new(json, "directoryId", shell_json_uuid(voter->directory_id));
    json_object_set_new(json, "endpoints", endpoints);
    return json;
}

static const struct shell_kind leader_kind = {.text = leader_text, .json = leader_json};
static const struct shell_kind offset_kind = {.text = offset_text, .json = offset_json};
static const struct shell_kind voter_kind = {.text = voter_text, .json = voter_json};

static void voters_list(const struct shell_node *node, struct shell_names *names)
{
    for (size_t i = 0; i < node->view->voter_count; i++)
        shell_names_add(names, arena_printf(names->arena, "%d", node->view->voters[i].id));
}

static bool voters_child(const struct shell_node *node, struct str name,
                         struct shell_node *ret_child)
{
    int32_t id;
    if (str_to_i32(name, &id) != 0)
        return false;
    for (size_t i = 0; i < node->view->voter_count; i++) {
        if (node->view->voters[i].id != id)
            continue;
        *ret_child = shell_node_of(node, &voter_kind, NULL, (int64_t)i);
        return true;
    }
    return false;
}

static const struct shell_kind voters_kind = {.list = voters_list, .child = voters_child};

static const struct shell_entry quorum_entries[] = {
    {"leader", &leader_kind, false},
    {"offset", &offset_kind, false},
    {"voters", &voters_kind, false},
    {NULL},
};

const struct shell_kind shell_old_quorum_kind = {.entries = quorum_entries};
