/*
 *   /image/acls/byId/ID               StandardAcl[resourceType=TOPIC, ...]
 *   /image/scram/SCRAM-SHA-256/USER   ScramCredentialData(salt=..., ...)
 *   /image/delegationToken/ID         DelegationTokenData...
 */
#include "metadata/shell/shell_internal.h"

static const char *const resource_names[] = {
    "UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER"};
static const char *const pattern_names[] = {"UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"};
static const char *const operation_names[] = {"UNKNOWN",
                                              "ANY",
                                              "ALL",
                                              "READ",
                                              "WRITE",
                                              "CREATE",
                                              "DELETE",
                                              "ALTER",
                                              "DESCRIBE",
                                              "CLUSTER_ACTION",
                                              "DESCRIBE_CONFIGS",
                                              "ALTER_CONFIGS",
                                              "IDEMPOTENT_WRITE",
                                              "CREATE_TOKENS",
                                              "DESCRIBE_TOKENS",
                                              "TWO_PHASE_COMMIT"};
static const char *const permission_names[] = {"UNKNOWN", "ANY", "DENY", "ALLOW"};

static const char *name_in(const char *const *names, size_t count, int8_t code)
{
    return code >= 0 && (size_t)code < count ? names[code] : "UNKNOWN";
}

#define NAME_IN(names, code) name_in((names), ARRAY_LEN(names), (code))

/* --- acls ------------------------------------------------------------------------------------- */

static void acl_text(const struct shell_node *node, struct bytebuf *out)
{
    const struct acl_image *a = node->object;
    bytebuf_printf(out,
                   "StandardAcl[resourceType=%s, resourceName=%.*s, patternType=%s, "
                   "principal=%.*s, host=%.*s, operation=%s, permissionType=%s]",
                   NAME_IN(resource_names, a->resource_type), STR_FMT(a->resource_name),
                   NAME_IN(pattern_names, a->pattern_type), STR_FMT(a->principal), STR_FMT(a->host),
                   NAME_IN(operation_names, a->operation),
                   NAME_IN(permission_names, a->permission_type));
}

static json_t *acl_json(const struct shell_node *node)
{
    const struct acl_image *a = node->object;
    json_t *json = json_object();
    json_object_set_new(json, "resourceType",
                        json_string(NAME_IN(resource_names, a->resource_type)));
    json_object_set_new(json, "resourceName", shell_json_str(a->resource_name));
    json_object_set_new(json, "patternType", json_string(NAME_IN(pattern_names, a->pattern_type)));
    json_object_set_new(json, "principal", shell_json_str(a->principal));
    json_object_set_new(json, "host", shell_json_str(a->host));
    json_object_set_new(json, "operation", json_string(NAME_IN(operation_names, a->operation)));
    json_object_set_new(json, "permissionType",
                        json_string(NAME_IN(permission_names, a->permission_type)));
    return json;
}

static const struct shell_kind acl_kind = {
    .text = acl_text,
    .json = acl_json,
    .part = shell_object,
};

static struct pmap acls_of(const struct shell_node *node)
{
    return shell_image(node)->acls.by_id;
}

static void acls_list(const struct shell_node *node, struct shell_names *names)
{
    struct pmap_iter iter;
    pmap_iter_first(&iter, acls_of(node));
    for (const struct acl_image *acl; (acl = pmap_iter_next(&iter)) != NULL;)
        shell_names_add(names, arena_printf(names->arena, "%s", uuid_text(acl->id).z));
}

static bool acls_child(const struct shell_node *node, struct str name, struct shell_node *ret_child)
{
    struct uuid id;
    if (name.len != UUID_TEXT_LEN || uuid_parse(name, &id) != 0)
        return false;
    const struct acl_image *acl = pmap_get(&acl_image_kind, acls_of(node), pmap_key_uuid(&id));
    if (acl != NULL)
        *ret_child = shell_node_of(node, &acl_kind, acl, 0);
    return acl != NULL;
}

static const void *acls_part(const struct shell_node *node)
{
    return acls_of(node).root;
}

static const struct shell_kind acls_by_id_kind = {
    .list = acls_list,
    .child = acls_child,
    .part = acls_part,
};
static const struct shell_entry acls_entries[] = {{"byId", &acls_by_id_kind, false}, {NULL}};

const struct shell_kind shell_acls_kind = {.entries = acls_entries, .part = acls_part};

/* --- scram ------------------------------------------------------------------------------------ */

static struct str hex_of(struct arena *arena, struct bytes bytes)
{
    char *text = arena_alloc(arena, (size_t)MAX(bytes.len, 0) * 2 + 1);
    for (int32_t i = 0; i < bytes.len; i++)
        snprintf(text + i * 2, 3, "%02x", bytes.data[i]);
    return str_from(text, (size_t)MAX(bytes.len, 0) * 2);
}

static void credential_text(const struct shell_node *node, struct bytebuf *out)
{
    const struct scram_credential_image *c = node->object;
    struct arena arena;
    arena_init(&arena, 0);
    bytebuf_printf(out,
                   "ScramCredentialData(salt=%.*s, storedKey=%.*s, serverKey=%.*s, iterations=%d)",
                   STR_FMT(hex_of(&arena, c->salt)), STR_FMT(hex_of(&arena, c->stored_key)),
                   STR_FMT(hex_of(&arena, c->server_key)), c->iterations);
    arena_release(&arena);
}

static json_t *credential_json(const struct shell_node *node)
{
    const struct scram_credential_image *c = node->object;
    struct arena arena;
    arena_init(&arena, 0);
    json_t *json = json_object();
    json_object_set_new(json, "salt", shell_json_str(hex_of(&arena, c->salt)));
    json_object_set_new(json, "storedKey", shell_json_str(hex_of(&arena, c->stored_key)));
    json_object_set_new(json, "serverKey", shell_json_str(hex_of(&arena, c->server_key)));
    json_object_set_new(json, "iterations", json_integer(c->iterations));
    arena_release(&arena);
    return json;
}

static const struct shell_kind credential_kind = {
    .text = credential_text,
    .json = credential_json,
    .part = shell_object,
};

static struct pmap users_of(const struct shell_node *node)
{
    return shell_image(node)->scram.by_mechanism[node->number];
}

static void users_list(const struct shell_node *node, struct shell_names *names)
{
    struct pmap_iter iter;
    pmap_iter_first(&iter, users_of(node));
    for (const struct scram_credential_image *c; (c = pmap_iter_next(&iter)) != NULL;)
        shell_names_add(names, c->user);
}

static bool users_child(const struct shell_node *node, struct str name,
                        struct shell_node *ret_child)
{
    const struct scram_credential_image *found =
        scram_image_find(&shell_image(node)->scram, (enum scram_mechanism)node->number, name);
    if (found != NULL)
        *ret_child = shell_node_of(node, &credential_kind, found, 0);
    return found != NULL;
}

static const void *users_part(const struct shell_node *node)
{
    return users_of(node).root;
}

static const struct shell_kind users_kind = {
    .list = users_list,
    .child = users_child,
    .part = users_part,
};

static const char *const mechanism_names[SCRAM_MECHANISMS] = {
    [SCRAM_SHA_256] = "SCRAM-SHA-256",
    [SCRAM_SHA_512] = "SCRAM-SHA-512",
};

static void scram_list(const struct shell_node *node, struct shell_names *names)
{
    for (int m = SCRAM_SHA_256; m < SCRAM_MECHANISMS; m++)
        shell_names_add(names, str_of(mechanism_names[m]));
}

static bool scram_child(const struct shell_node *node, struct str name,
                        struct shell_node *ret_child)
{
    for (int m = SCRAM_SHA_256; m < SCRAM_MECHANISMS; m++) {
        if (!str_eq_z(name, mechanism_names[m]))
            continue;
        *ret_child = shell_node_of(node, &users_kind, NULL, m);
        return true;
    }
    return false;
}

const struct shell_kind shell_scram_kind = {.list = scram_list, .child = scram_child};

/* --- delegation tokens ------------------------------------------------------------------------ */

/* Its brackets do not match; they are Kafka's. */
static void token_text(const struct shell_node *node, struct bytebuf *out)
{
    const struct delegation_token_image *t = node->object;
    bytebuf_printf(out, "DelegationTokenDatatokenId=%.*s(owner=%.*s(tokenRequester=%.*s(renewers=",
                   STR_FMT(t->token_id), STR_FMT(t->owner), STR_FMT(t->requester));
    for (int32_t i = 0; i < t->renewer_count; i++)
        bytebuf_printf(out, "%s%.*s", i ? " " : "", STR_FMT(t->renewers[i]));
    bytebuf_printf(out, ", issueTimestamp=%lld, maxTimestamp=%lld), expiryTimestamp=%lld",
                   (long long)t->issue_timestamp, (long long)t->max_timestamp,
                   (long long)t->expiration_timestamp);
}

static json_t *token_json(const struct shell_node *node)
{
    const struct delegation_token_image *t = node->object;
    json_t *json = json_object(), *renewers = json_array();
    for (int32_t i = 0; i < t->renewer_count; i++)
        json_array_append_new(renewers, shell_json_str(t->renewers[i]));
    json_object_set_new(json, "tokenId", shell_json_str(t->token_id));
    json_object_set_new(json, "owner", shell_json_str(t->owner));
    json_object_set_new(json, "tokenRequester", shell_json_str(t->requester));
    json_object_set_new(json, "renewers", renewers);
    json_object_set_new(json, "issueTimestamp", json_integer(t->issue_timestamp));
    json_object_set_new(json, "maxTimestamp", json_integer(t->max_timestamp));
    json_object_set_new(json, "expiryTimestamp", json_integer(t->expiration_timestamp));
    return json;
}

static const struct shell_kind token_kind = {
    .text = token_text,
    .json = token_json,
    .part = shell_object,
};

static void tokens_list(const struct shell_node *node, struct shell_names *names)
{
    struct pmap_iter iter;
    pmap_iter_first(&iter, shell_image(node)->delegation_tokens.by_id);
    for (const struct delegation_token_image *t; (t = pmap_iter_next(&iter)) != NULL;)
        shell_names_add(names, t->token_id);
}

static bool tokens_child(const struct shell_node *node, struct str name,
                         struct shell_node *ret_child)
{
    const struct delegation_token_image *token =
        delegation_tokens_image_find(&shell_image(node)->delegation_tokens, name);
    if (token != NULL)
        *ret_child = shell_node_of(node, &token_kind, token, 0);
    return token != NULL;
}

static const void *tokens_part(const struct shell_node *node)
{
    return shell_image(node)->delegation_tokens.by_id.root;
}

const struct shell_kind shell_tokens_kind = {
    .list = tokens_list,
    .child = tokens_child,
    .part = tokens_part,
};
