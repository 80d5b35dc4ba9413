#include "metadata/security_image.h"

#include "common/protocol/codec.h"

static struct pmap_key key_of(const void *value)
{
    return pmap_key_str(((const struct scram_credential_image *)value)->user);
}

const struct pmap_kind scram_credential_image_kind = {.key_of = key_of, .owns_values = true};

const struct scram_credential_image *
scram_image_find(const struct scram_image *scram, enum scram_mechanism mechanism, struct str user)
{
    return pmap_get(&scram_credential_image_kind, scram->by_mechanism[mechanism],
                    pmap_key_str(user));
}

static bool mechanism_ok(int8_t mechanism)
{
    return mechanism == SCRAM_SHA_256 || mechanism == SCRAM_SHA_512;
}

static struct bytes flat_bytes(struct flat *flat, struct bytes b)
{
    int32_t len = MAX(b.len, 0);
    return (struct bytes){flat_array(flat, b.data, (size_t)len, 1), len};
}

int scram_image_put(struct scram_image *scram, struct image_edit *edit,
                    const struct user_scram_credential_record *record)
{
    if (!mechanism_ok(record->mechanism))
        return image_fault(edit, "user %.*s has a credential of SCRAM mechanism %d",
                           STR_FMT(record->name), record->mechanism);
    size_t behind = flat_str_bytes(record->name) + (size_t)MAX(record->salt.len, 0) +
                    (size_t)MAX(record->stored_key.len, 0) + (size_t)MAX(record->server_key.len, 0);
    struct scram_credential_image *c = pmap_edit_new(&edit->pmap, sizeof(*c) + behind);
    struct flat flat = {(char *)(c + 1), (char *)(c + 1) + behind};
    c->mechanism = record->mechanism;
    c->user = flat_str(&flat, record->name);
    c->salt = flat_bytes(&flat, record->salt);
    c->stored_key = flat_bytes(&flat, record->stored_key);
    c->server_key = flat_bytes(&flat, record->server_key);
    c->iterations = record->iterations;
    pmap_put(&scram_credential_image_kind, &scram->by_mechanism[record->mechanism], &edit->pmap, c);
    return 0;
}

int scram_image_remove(struct scram_image *scram, struct image_edit *edit,
                       const struct remove_user_scram_credential_record *record)
{
    if (!mechanism_ok(record->mechanism) ||
        !pmap_remove(&scram_credential_image_kind, &scram->by_mechanism[record->mechanism],
                     &edit->pmap, pmap_key_str(record->name)))
        return image_fault(edit, "user %.*s has no credential of SCRAM mechanism %d",
                           STR_FMT(record->name), record->mechanism);
    return 0;
}

static bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len <= 0 || memcmp(a.data, b.data, (size_t)a.len) == 0);
}

static bool equal(const void *a, const void *b)
{
    const struct scram_credential_image *x = a, *y = b;
    return str_eq(x->user, y->user) && x->iterations == y->iterations &&
           bytes_equal(x->salt, y->salt) && bytes_equal(x->stored_key, y->stored_key) &&
           bytes_equal(x->server_key, y->server_key);
}

bool scram_image_equal(const struct scram_image *a, const struct scram_image *b)
{
    bool same = true;
    for (int i = 0; same && i < SCRAM_MECHANISMS; i++)
        same = image_maps_equal(a->by_mechanism[i], b->by_mechanism[i], equal);
    return same;
}

void scram_image_write(const struct scram_image *scram, struct image_writer *writer)
{
    for (int i = 0; i < SCRAM_MECHANISMS; i++) {
        struct pmap_iter iter;
        pmap_iter_first(&iter, scram->by_mechanism[i]);
        for (const struct scram_credential_image *c; (c = pmap_iter_next(&iter)) != NULL;) {
            struct user_scram_credential_record record;
            message_init(&user_scram_credential_record_desc, &record);
            record.name = c->user;
            record.mechanism = c->mechanism;
            record.salt = c->salt;
            record.stored_key = c->stored_key;
            record.server_key = c->server_key;
            record.iterations = c->iterations;
            IMAGE_WRITE(writer, USER_SCRAM_CREDENTIAL, 0, &record);
        }
    }
}
