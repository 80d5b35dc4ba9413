#include "common/protocol/codec.h"

#include "common/base/check.h"
#include "common/protocol/codec_internal.h"

void message_init(const struct message_desc *desc, void *msg)
{
    memcpy(msg, desc->body->initial, desc->body->size_bytes);
}

void message_struct_init(const struct struct_desc *desc, void *structs, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        memcpy((char *)structs + (size_t)i * desc->size_bytes, desc->initial, desc->size_bytes);
}

void *message_array(struct arena *arena, const struct struct_desc *desc, int32_t count)
{
    if (count <= 0)
        return NULL;
    void *structs = arena_calloc(arena, (size_t)count, desc->size_bytes);
    message_struct_init(desc, structs, count);
    return structs;
}

static const struct coordinator_record *
coordinator_record_at(const struct coordinator_record *table, int size, int16_t type)
{
    if (type < 0 || type >= size || !table[type].key)
        return NULL;
    return &table[type];
}

const struct api *api_find(int16_t key)
{
    if (key < 0 || key >= api_table_size || !api_table[key].name)
        return NULL;
    return &api_table[key];
}

const struct message_desc *metadata_record_find(int16_t key)
{
    if (key < 0 || key >= metadata_record_table_size)
        return NULL;
    return metadata_record_table[key];
}

const struct coordinator_record *group_record_find(int16_t type)
{
    return coordinator_record_at(group_record_table, group_record_table_size, type);
}

const struct coordinator_record *share_record_find(int16_t type)
{
    return coordinator_record_at(share_record_table, share_record_table_size, type);
}

const struct coordinator_record *transaction_record_find(int16_t type)
{
    return coordinator_record_at(transaction_record_table, transaction_record_table_size, type);
}

size_t element_size(const struct field_desc *field)
{
    static const uint8_t sizes[] = {
        [FIELD_BOOL] = sizeof(bool),
        [FIELD_INT8] = 1,
        [FIELD_INT16] = 2,
        [FIELD_UINT16] = 2,
        [FIELD_INT32] = 4,
        [FIELD_UINT32] = 4,
        [FIELD_INT64] = 8,
        [FIELD_FLOAT64] = 8,
        [FIELD_UUID] = sizeof(struct uuid),
        [FIELD_STRING] = sizeof(struct str),
        [FIELD_BYTES] = sizeof(struct bytes),
        [FIELD_RECORDS] = sizeof(struct bytes),
    };
    return field->element == FIELD_STRUCT ? field->sub->size_bytes : sizes[field->element];
}

/* ---- copies */

static void copy_struct(struct arena *arena, const struct struct_desc *desc, void *to);

static void copy_slice(struct arena *arena, struct bytes *slice)
{
    if (slice->len <= 0 || !slice->data)
        return;
    uint8_t *copy = arena_alloc(arena, (size_t)slice->len);
    memcpy(copy, slice->data, (size_t)slice->len);
    slice->data = copy;
}

static void copy_array(struct arena *arena, const struct field_desc *field, struct array *array)
{
    if (array->count <= 0) {
        array->items = NULL;
        return;
    }
    size_t size = element_size(field);
    void *items = arena_alloc(arena, (size_t)array->count * size);
    memcpy(items, array->items, (size_t)array->count * size);
    array->items = items;
    for (int32_t i = 0; i < array->count; i++) {
        void *item = (char *)items + (size_t)i * size;
        if (field->element == FIELD_STRUCT)
            copy_struct(arena, field->sub, item);
        else if (field->element >= FIELD_STRING)
            copy_slice(arena, item);
    }
}

/* `to` holds the bytes of the original: gives it memory of its own. */
static void copy_field(struct arena *arena, const struct field_desc *field, void *to)
{
    switch (field->type) {
    case FIELD_STRING:
    case FIELD_BYTES:
    case FIELD_RECORDS:
        copy_slice(arena, to);
        break;
    case FIELD_STRUCT:
        copy_struct(arena, field->sub, to);
        break;
    case FIELD_STRUCT_PTR: {
        void **ptr = to;
        if (!*ptr)
            break;
        void *copy = arena_alloc(arena, field->sub->size_bytes);
        memcpy(copy, *ptr, field->sub->size_bytes);
        copy_struct(arena, field->sub, copy);
        *ptr = copy;
        break;
    }
    case FIELD_ARRAY:
        copy_array(arena, field, to);
        break;
    default:
        break;
    }
}

static void copy_struct(struct arena *arena, const struct struct_desc *desc, void *to)
{
    int count = desc->field_count + desc->tagged_count;
    for (int i = 0; i < count; i++)
        copy_field(arena, &desc->fields[i], (char *)to + desc->fields[i].offset);
    if (desc->unknown_tags_offset == NO_UNKNOWN_TAGS)
        return;
    struct unknown_tag **next = (void *)((char *)to + desc->unknown_tags_offset);
    for (const struct unknown_tag *tag = *next; tag; tag = tag->next) {
        struct unknown_tag *copy = ARENA_NEW(arena, struct unknown_tag);
        *copy = *tag;
        copy_slice(arena, &copy->data);
        *next = copy;
        next = &copy->next;
    }
}

void message_copy(const struct message_desc *desc, const void *msg, struct arena *arena,
                  void *ret_msg)
{
    memcpy(ret_msg, msg, desc->body->size_bytes);
    copy_struct(arena, desc->body, ret_msg);
}
