/*
 * Client quotas by entity (KIP-546): a user, a client id, both, or an ip, each by name or as the
 * default. Part of the image: read on any loop that holds it, changed on the metadata loop.
 */
#ifndef KRAFTD_METADATA_CLIENT_QUOTAS_IMAGE_H
#define KRAFTD_METADATA_CLIENT_QUOTAS_IMAGE_H

#include "metadata/image_edit.h"
#include "metadata/image_writer.h"

struct quota_entity_part {
    struct str type; /* "user", "client-id", "ip" */
    struct str name; /* null: the default entity */
};

struct quota_entry {
    struct str key; /* "producer_byte_rate", ... */
    double value;
};

struct client_quota_image {
    uint64_t version;
    struct str entity;                     /* the parts by type as bytes: the key */
    const struct quota_entity_part *parts; /* by type */
    int32_t part_count;
    int32_t count;                /* at least 1 */
    struct quota_entry entries[]; /* by key */
};

struct client_quotas_image {
    struct pmap by_entity; /* struct client_quota_image */
};

extern const struct pmap_kind client_quota_image_kind;

/* NULL when it has none. The parts may come in any order. */
const struct client_quota_image *client_quotas_image_find(const struct client_quotas_image *quotas,
                                                          const struct quota_entity_part *parts,
                                                          int32_t count);

int client_quotas_image_apply(struct client_quotas_image *quotas, struct image_edit *edit,
                              const struct client_quota_record *record);
bool client_quotas_image_equal(const struct client_quotas_image *a,
                               const struct client_quotas_image *b);
void client_quotas_image_write(const struct client_quotas_image *quotas,
                               struct image_writer *writer);

#endif
