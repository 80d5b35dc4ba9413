/*
 * What kinds of nodes there are: shared by the files that each show one part of the image.
 */
#ifndef KRAFTD_METADATA_SHELL_INTERNAL_H
#define KRAFTD_METADATA_SHELL_INTERNAL_H

#include "metadata/shell/shell_node.h"

/* A child that is always there. */
struct shell_entry {
    const char *name; /* NULL: the end of the list */
    const struct shell_kind *kind;
    bool hidden; /* found by name only */
};

struct shell_kind {
    /* A folder of fixed children; or one that lists and finds them itself; or a leaf. */
    const struct shell_entry *entries;
    void (*list)(const struct shell_node *node, struct shell_names *names);
    bool (*child)(const struct shell_node *node, struct str name, struct shell_node *ret_child);
    void (*text)(const struct shell_node *node, struct bytebuf *out);
    json_t *(*json)(const struct shell_node *node); /* NULL: the text is a string */
    /* The part of the image it stands for, see shell_is_same; NULL: looked at again each time. */
    const void *(*part)(const struct shell_node *node);
};

void shell_names_add(struct shell_names *names, struct str name);
/* A node of the same view. */
struct shell_node shell_node_of(const struct shell_node *parent, const struct shell_kind *kind,
                                const void *object, int64_t number);
/* The object itself: for nodes whose object is a value of the image. */
const void *shell_object(const struct shell_node *node);

static inline const struct image *shell_image(const struct shell_node *node)
{
    return node->view->image;
}

/* "[1, 2]" */
void shell_put_str(struct bytebuf *out, struct str s);
void shell_put_uuids(struct bytebuf *out, const struct uuid *ids, int32_t count);
json_t *shell_json_str(struct str s);
json_t *shell_json_uuid(struct uuid id);
json_t *shell_json_uuids(const struct uuid *ids, int32_t count);

extern const struct shell_kind shell_acls_kind, shell_client_quotas_kind, shell_cluster_kind,
    shell_configs_kind, shell_tokens_kind, shell_features_kind, shell_producer_ids_kind,
    shell_provenance_kind, shell_scram_kind, shell_topics_kind;
/* As of older documentation. */
extern const struct shell_kind shell_old_brokers_kind, shell_old_configs_kind,
    shell_old_features_kind, shell_old_producer_ids_kind, shell_old_quorum_kind,
    shell_old_quotas_kind, shell_old_topic_ids_kind, shell_old_topics_kind;

#endif
