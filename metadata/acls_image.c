#include "metadata/security_image.h"

#include "common/protocol/codec.h"

static struct pmap_key key_of(const void *value)
{
    return pmap_key_uuid(&((const struct acl_image *)value)->id);
}

const struct pmap_kind acl_image_kind = {.key_of = key_of, .owns_values = true};

int acls_image_add(struct acls_image *acls, struct image_edit *edit,
                   const struct access_control_entry_record *record)
{
    size_t text = flat_str_bytes(record->resource_name) + flat_str_bytes(record->principal) +
                  flat_str_bytes(record->host);
    struct acl_image *acl = pmap_edit_new(&edit->pmap, sizeof(*acl) + text);
    struct flat flat = {(char *)(acl + 1), (char *)(acl + 1) + text};
    acl->id = record->id;
    acl->resource_type = record->resource_type;
    acl->resource_name = flat_str(&flat, record->resource_name);
    acl->pattern_type = record->pattern_type;
    acl->principal = flat_str(&flat, record->principal);
    acl->host = flat_str(&flat, record->host);
    acl->operation = record->operation;
    acl->permission_type = record->permission_type;
    pmap_put(&acl_image_kind, &acls->by_id, &edit->pmap, acl);
    return 0;
}

int acls_image_remove(struct acls_image *acls, struct image_edit *edit,
                      const struct remove_access_control_entry_record *record)
{
    if (!pmap_remove(&acl_image_kind, &acls->by_id, &edit->pmap, pmap_key_uuid(&record->id)))
        return image_fault(edit, "there is no ACL with id %s", uuid_text(record->id).z);
    return 0;
}

static bool equal(const void *a, const void *b)
{
    const struct acl_image *x = a, *y = b;
    return uuid_eq(x->id, y->id) && x->resource_type == y->resource_type &&
           x->pattern_type == y->pattern_type && x->operation == y->operation &&
           x->permission_type == y->permission_type && str_eq(x->resource_name, y->resource_name) &&
           str_eq(x->principal, y->principal) && str_eq(x->host, y->host);
}

bool acls_image_equal(const struct acls_image *a, const struct acls_image *b)
{
    return image_maps_equal(a->by_id, b->by_id, equal);
}

void acls_image_write(const struct acls_image *acls, struct image_writer *writer)
{
    struct pmap_iter iter;
    pmap_iter_first(&iter, acls->by_id);
    for (const struct acl_image *acl; (acl = pmap_iter_next(&iter)) != NULL;) {
        struct access_control_entry_record record;
        message_init(&access_control_entry_record_desc, &record);
        record.id = acl->id;
        record.resource_type = acl->resource_type;
        record.resource_name = acl->resource_name;
        record.pattern_type = acl->pattern_type;
        record.principal = acl->principal;
        record.host = acl->host;
        record.operation = acl->operation;
        record.permission_type = acl->permission_type;
        IMAGE_WRITE(writer, ACCESS_CONTROL_ENTRY, 0, &record);
    }
}
