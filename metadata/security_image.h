/*
 * What security needs from the metadata log: ACLs (KIP-801), SCRAM credentials (KIP-900) and
 * delegation tokens (KIP-900's sequel in KRaft). Part of the image: read on any loop that holds it,
 * changed on the metadata loop.
 */
#ifndef KRAFTD_METADATA_SECURITY_IMAGE_H
#define KRAFTD_METADATA_SECURITY_IMAGE_H

#include "metadata/image_edit.h"
#include "metadata/image_writer.h"

struct acl_image {
    uint64_t version;
    struct uuid id;
    struct str resource_name, principal, host;
    int8_t resource_type, pattern_type, operation, permission_type; /* Kafka's codes */
};

struct acls_image {
    struct pmap by_id; /* struct acl_image */
};

extern const struct pmap_kind acl_image_kind;

int acls_image_add(struct acls_image *acls, struct image_edit *edit,
                   const struct access_control_entry_record *record);
int acls_image_remove(struct acls_image *acls, struct image_edit *edit,
                      const struct remove_access_control_entry_record *record);
bool acls_image_equal(const struct acls_image *a, const struct acls_image *b);
void acls_image_write(const struct acls_image *acls, struct image_writer *writer);

enum scram_mechanism {
    SCRAM_SHA_256 = 1,
    SCRAM_SHA_512 = 2,
};

#define SCRAM_MECHANISMS 3 /* place 0 stays empty */

struct scram_credential_image {
    uint64_t version;
    struct str user;
    struct bytes salt, stored_key, server_key;
    int32_t iterations;
    int8_t mechanism;
};

struct scram_image {
    struct pmap by_mechanism[SCRAM_MECHANISMS]; /* struct scram_credential_image by user */
};

extern const struct pmap_kind scram_credential_image_kind;

/* NULL when there is none. */
const struct scram_credential_image *
scram_image_find(const struct scram_image *scram, enum scram_mechanism mechanism, struct str user);
int scram_image_put(struct scram_image *scram, struct image_edit *edit,
                    const struct user_scram_credential_record *record);
int scram_image_remove(struct scram_image *scram, struct image_edit *edit,
                       const struct remove_user_scram_credential_record *record);
bool scram_image_equal(const struct scram_image *a, const struct scram_image *b);
void scram_image_write(const struct scram_image *scram, struct image_writer *writer);

struct delegation_token_image {
    uint64_t version;
    struct str token_id, owner, requester;
    int64_t issue_timestamp, max_timestamp, expiration_timestamp;
    int32_t renewer_count;
    struct str renewers[];
};

struct delegation_tokens_image {
    struct pmap by_id; /* struct delegation_token_image */
};

extern const struct pmap_kind delegation_token_image_kind;

const struct delegation_token_image *
delegation_tokens_image_find(const struct delegation_tokens_image *tokens, struct str token_id);
int delegation_tokens_image_put(struct delegation_tokens_image *tokens, struct image_edit *edit,
                                const struct delegation_token_record *record);
int delegation_tokens_image_remove(struct delegation_tokens_image *tokens, struct image_edit *edit,
                                   const struct remove_delegation_token_record *record);
bool delegation_tokens_image_equal(const struct delegation_tokens_image *a,
                                   const struct delegation_tokens_image *b);
void delegation_tokens_image_write(const struct delegation_tokens_image *tokens,
                                   struct image_writer *writer);

#endif
