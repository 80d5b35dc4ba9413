#include "metadata/client_quotas_image.h"

#include "common/base/arena.h"
#include "common/protocol/codec.h"

#include <stdlib.h>

static struct pmap_key key_of(const void *value)
{
    return pmap_key_str(((const struct client_quota_image *)value)->entity);
}

const struct pmap_kind client_quota_image_kind = {.key_of = key_of, .owns_values = true};

/* --- the entity as bytes: for each part, by type: type, 0, then 0 for the default or 1 and the
 * length and bytes of the name. --- */

static int by_type(const void *a, const void *b)
{
    return str_cmp(((const struct quota_entity_part *)a)->type,
                   ((const struct quota_entity_part *)b)->type);
}

static struct quota_entity_part *sorted_parts(struct arena *arena,
                                              const struct quota_entity_part *parts, int32_t count)
{
    struct quota_entity_part *sorted = ARENA_ARRAY(arena, struct quota_entity_part, count);
    if (count > 0) {
        memcpy(sorted, parts, (size_t)count * sizeof(*parts));
        qsort(sorted, (size_t)count, sizeof(*sorted), by_type);
    }
    return sorted;
}

static struct str entity_key(struct arena *arena, const struct quota_entity_part *sorted,
                             int32_t count)
{
    size_t len = 0;
    for (int32_t i = 0; i < count; i++)
        len += flat_str_bytes(sorted[i].type) + flat_str_bytes(sorted[i].name) + 6;
    char *key = arena_alloc(arena, len + 1), *at = key;
    for (int32_t i = 0; i < count; i++) {
        struct flat flat = {at, key + len};
        uint32_t name_len = (uint32_t)flat_str_bytes(sorted[i].name);
        flat_str(&flat, sorted[i].type);
        flat_array(&flat, str_is_null(sorted[i].name) ? "\0\0" : "\0\1", 2, 1);
        flat_array(&flat, &name_len, 1, sizeof(name_len));
        flat_str(&flat, sorted[i].name);
        at = flat.at;
    }
    return str_from(key, (size_t)(at - key));
}

const struct client_quota_image *client_quotas_image_find(const struct client_quotas_image *quotas,
                                                          const struct quota_entity_part *parts,
                                                          int32_t count)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct str key = entity_key(&arena, sorted_parts(&arena, parts, count), count);
    const struct client_quota_image *found =
        pmap_get(&client_quota_image_kind, quotas->by_entity, pmap_key_str(key));
    arena_release(&arena);
    return found;
}

static struct client_quota_image *quota_new(struct pmap_edit *edit, struct str entity,
                                            const struct quota_entity_part *parts,
                                            int32_t part_count, const struct quota_entry *entries,
                                            int32_t count)
{
    size_t behind = flat_str_bytes(entity) + (size_t)part_count * sizeof(*parts);
    for (int32_t i = 0; i < part_count; i++)
        behind += flat_str_bytes(parts[i].type) + flat_str_bytes(parts[i].name);
    for (int32_t i = 0; i < count; i++)
        behind += flat_str_bytes(entries[i].key);
    size_t table = (size_t)count * sizeof(*entries);
    struct client_quota_image *quota = pmap_edit_new(edit, sizeof(*quota) + table + behind);
    char *start = (char *)quota->entries + table;
    struct flat flat = {start, start + behind};
    struct quota_entity_part *copies = flat_array(&flat, parts, (size_t)part_count, sizeof(*parts));
    for (int32_t i = 0; i < part_count; i++) {
        copies[i].type = flat_str(&flat, parts[i].type);
        copies[i].name = flat_str(&flat, parts[i].name);
    }
    quota->parts = copies;
    quota->part_count = part_count;
    quota->entity = flat_str(&flat, entity);
    quota->count = count;
    for (int32_t i = 0; i < count; i++)
        quota->entries[i] = (struct quota_entry){flat_str(&flat, entries[i].key), entries[i].value};
    return quota;
}

/* The old entries with the record's change; returns how many there are. */
static int32_t changed_entries(const struct client_quota_image *old,
                               const struct client_quota_record *record,
                               struct quota_entry *ret_entries)
{
    int32_t count = 0;
    bool placed = record->remove;
    for (int32_t i = 0; old && i < old->count; i++) {
        int order = str_cmp(old->entries[i].key, record->key);
        if (order >= 0 && !placed) {
            ret_entries[count++] = (struct quota_entry){record->key, record->value};
            placed = true;
        }
        if (order != 0)
            ret_entries[count++] = old->entries[i];
    }
    if (!placed)
        ret_entries[count++] = (struct quota_entry){record->key, record->value};
    return count;
}

int client_quotas_image_apply(struct client_quotas_image *quotas, struct image_edit *edit,
                              const struct client_quota_record *record)
{
    struct arena arena;
    arena_init(&arena, 0);
    int32_t part_count = record->entity_count;
    struct quota_entity_part *parts = ARENA_ARRAY(&arena, struct quota_entity_part, part_count);
    for (int32_t i = 0; i < part_count; i++)
        parts[i] = (struct quota_entity_part){record->entity[i].entity_type,
                                              record->entity[i].entity_name};
    parts = sorted_parts(&arena, parts, part_count);
    struct str entity = entity_key(&arena, parts, part_count);
    const struct client_quota_image *old =
        pmap_get(&client_quota_image_kind, quotas->by_entity, pmap_key_str(entity));
    struct quota_entry *entries =
        ARENA_ARRAY(&arena, struct quota_entry, (old ? old->count : 0) + 1);
    int32_t count = changed_entries(old, record, entries);
    if (count > 0)
        pmap_put(&client_quota_image_kind, &quotas->by_entity, &edit->pmap,
                 quota_new(&edit->pmap, entity, parts, part_count, entries, count));
    else if (old)
        pmap_remove(&client_quota_image_kind, &quotas->by_entity, &edit->pmap,
                    pmap_key_str(entity));
    arena_release(&arena);
    return 0;
}

static bool equal(const void *a, const void *b)
{
    const struct client_quota_image *x = a, *y = b;
    bool same = str_eq(x->entity, y->entity) && x->count == y->count;
    for (int32_t i = 0; same && i < x->count; i++)
        same = str_eq(x->entries[i].key, y->entries[i].key) &&
               memcmp(&x->entries[i].value, &y->entries[i].value, sizeof(double)) == 0;
    return same;
}

bool client_quotas_image_equal(const struct client_quotas_image *a,
                               const struct client_quotas_image *b)
{
    return image_maps_equal(a->by_entity, b->by_entity, equal);
}

void client_quotas_image_write(const struct client_quotas_image *quotas,
                               struct image_writer *writer)
{
    struct arena arena;
    struct pmap_iter iter;
    arena_init(&arena, 0);
    pmap_iter_first(&iter, quotas->by_entity);
    for (const struct client_quota_image *quota; (quota = pmap_iter_next(&iter)) != NULL;) {
        struct client_quota_record record;
        message_init(&client_quota_record_desc, &record);
        record.entity_count = quota->part_count;
        record.entity = MESSAGE_ARRAY(&arena, client_quota_record_entity_data, quota->part_count);
        for (int32_t i = 0; i < quota->part_count; i++) {
            record.entity[i].entity_type = quota->parts[i].type;
            record.entity[i].entity_name = quota->parts[i].name;
        }
        for (int32_t i = 0; i < quota->count; i++) {
            record.key = quota->entries[i].key;
            record.value = quota->entries[i].value;
            IMAGE_WRITE(writer, CLIENT_QUOTA, 0, &record);
        }
        arena_reset(&arena);
    }
    arena_release(&arena);
}
