#include "common/protocol/codec.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/codec_internal.h"
#include "common/protocol/wire.h"

#include <errno.h>
#include <stdlib.h>

/* Records that are smaller are copied: a part of their own would cost more. */
#define PART_MIN_BYTES 1024

struct encoder {
    struct wire_writer out;
    struct encode_parts *parts; /* NULL: everything inline */
    int16_t version;
    bool flexible;
    bool invalid;
};

static void encode_struct(struct encoder *e, const struct struct_desc *desc, const void *in);

/* ---- defaults */

static bool slice_eq(const struct str *a, const struct str *b)
{
    return str_eq(*a, *b);
}

bool struct_is_default(const struct struct_desc *desc, const void *msg)
{
    /* The same bytes are the same values; other bytes may still be, in other places. */
    if (memcmp(msg, desc->initial, desc->size_bytes) == 0)
        return true;
    int count = desc->field_count + desc->tagged_count;
    for (int i = 0; i < count; i++) {
        if (!field_is_default(desc, &desc->fields[i], msg))
            return false;
    }
    return desc->unknown_tags_offset == NO_UNKNOWN_TAGS ||
           !*(void *const *)((const char *)msg + desc->unknown_tags_offset);
}

bool field_is_default(const struct struct_desc *desc, const struct field_desc *field,
                      const void *msg)
{
    const void *value = (const char *)msg + field->offset;
    const void *initial = (const char *)desc->initial + field->offset;
    switch (field->type) {
    case FIELD_BOOL:
    case FIELD_INT8:
        return memcmp(value, initial, 1) == 0;
    case FIELD_INT16:
    case FIELD_UINT16:
        return memcmp(value, initial, 2) == 0;
    case FIELD_INT32:
    case FIELD_UINT32:
        return memcmp(value, initial, 4) == 0;
    case FIELD_INT64:
    case FIELD_FLOAT64:
        return memcmp(value, initial, 8) == 0;
    case FIELD_UUID:
        return memcmp(value, initial, 16) == 0;
    case FIELD_STRUCT:
        return struct_is_default(field->sub, value);
    case FIELD_STRUCT_PTR: {
        const void *ptr = *(void *const *)value;
        bool null_by_default = !*(void *const *)initial;
        return null_by_default ? !ptr : ptr && struct_is_default(field->sub, ptr);
    }
    case FIELD_ARRAY:
        return ((const struct array *)value)->count == ((const struct array *)initial)->count;
    default:
        return slice_eq(value, initial);
    }
}

/* ---- values */

static void encode_len(struct encoder *e, enum field_type type, bool flexible, int32_t len)
{
    if (flexible)
        writer_uvarint(&e->out, (uint32_t)len + 1);
    else if (type == FIELD_STRING)
        writer_i16(&e->out, (int16_t)len);
    else
        writer_i32(&e->out, len);
}

/* Writes the length. False when nothing follows: null, or not allowed. */
static bool encode_slice_len(struct encoder *e, enum field_type type, bool flexible, bool nullable,
                             int32_t len)
{
    if ((len < 0 && !nullable) || (type == FIELD_STRING && len > INT16_MAX)) {
        e->invalid = true;
        return false;
    }
    encode_len(e, type, flexible, len < 0 ? -1 : len);
    return len > 0;
}

static void encode_slice(struct encoder *e, enum field_type type, bool flexible, bool nullable,
                         const struct bytes *slice)
{
    if (!encode_slice_len(e, type, flexible, nullable, slice->len))
        return;
    if (!slice->data)
        e->invalid = true;
    else
        writer_raw(&e->out, slice->data, (size_t)slice->len);
}

static void encode_records(struct encoder *e, bool flexible, bool nullable,
                           const struct bytes *records)
{
    if (!e->parts || (records->data && records->len < PART_MIN_BYTES)) {
        encode_slice(e, FIELD_RECORDS, flexible, nullable, records);
        return;
    }
    if (!encode_slice_len(e, FIELD_RECORDS, flexible, nullable, records->len))
        return;
    struct encode_parts *parts = e->parts;
    VEC_PUSH(parts->items, parts->count, parts->capacity) =
        (struct encode_part){writer_len(&e->out), *records, records};
    parts->payload_bytes += records->len;
}

/* A value of fixed size; false when the type has none. Inline, because most fields are such. */
static inline __attribute__((always_inline)) bool encode_fixed(struct wire_writer *out,
                                                               enum field_type type, const void *in)
{
    switch (type) {
    case FIELD_BOOL:
    case FIELD_INT8:
        writer_i8(out, *(const int8_t *)in);
        return true;
    case FIELD_INT16:
    case FIELD_UINT16:
        writer_i16(out, *(const int16_t *)in);
        return true;
    case FIELD_INT32:
    case FIELD_UINT32:
        writer_i32(out, *(const int32_t *)in);
        return true;
    case FIELD_INT64:
    case FIELD_FLOAT64:
        writer_i64(out, *(const int64_t *)in);
        return true;
    case FIELD_UUID:
        memcpy(writer_room(out, 16), in, 16);
        return true;
    default:
        return false;
    }
}

static void encode_elements(struct encoder *e, const struct field_desc *field, bool flexible,
                            const struct array *array)
{
    size_t size = element_size(field);
    const char *item = array->items;
    if (field->element == FIELD_STRUCT) {
        for (int32_t i = 0; i < array->count; i++, item += size)
            encode_struct(e, field->sub, item);
        return;
    }
    for (int32_t i = 0; i < array->count; i++, item += size) {
        if (!encode_fixed(&e->out, field->element, item))
            encode_slice(e, field->element, flexible, false, (const void *)item);
    }
}

static void encode_array(struct encoder *e, const struct field_desc *field, bool flexible,
                         bool nullable, const struct array *array)
{
    if (array->count < 0 && !nullable) {
        e->invalid = true;
        return;
    }
    encode_len(e, FIELD_ARRAY, flexible, array->count < 0 ? -1 : array->count);
    if (array->count > 0)
        encode_elements(e, field, flexible, array);
}

static void encode_struct_ptr(struct encoder *e, const struct field_desc *field, bool nullable,
                              const void *ptr)
{
    if (!ptr && !nullable) {
        e->invalid = true;
        return;
    }
    if (nullable)
        writer_i8(&e->out, ptr ? 1 : field->flags & FIELD_TAGGED ? 0 : -1);
    if (ptr)
        encode_struct(e, field->sub, ptr);
}

/* What encode_fixed leaves. */
static void encode_variable(struct encoder *e, const struct field_desc *field, const void *in)
{
    bool flexible = e->flexible && !(field->flags & FIELD_NEVER_FLEXIBLE);
    bool nullable = field_nullable_in(field, e->version);
    switch (field->type) {
    case FIELD_STRUCT:
        encode_struct(e, field->sub, in);
        break;
    case FIELD_STRUCT_PTR:
        encode_struct_ptr(e, field, nullable, *(void *const *)in);
        break;
    case FIELD_ARRAY:
        encode_array(e, field, flexible, nullable, in);
        break;
    case FIELD_RECORDS:
        encode_records(e, flexible, nullable, in);
        break;
    default:
        encode_slice(e, field->type, flexible, nullable, in);
        break;
    }
}

static inline __attribute__((always_inline)) void
encode_field(struct encoder *e, const struct field_desc *field, const void *in)
{
    if (!encode_fixed(&e->out, field->type, in))
        encode_variable(e, field, in);
}

/* ---- tagged fields: count, then tag, size and value of each, by ascending tag */

/* Puts the size before what was written since `start`. */
static void insert_size(struct encoder *e, size_t start)
{
    uint8_t size[VARLONG_MAX_BYTES];
    size_t len = writer_len(&e->out) - start;
    size_t more = (size_t)put_uvarint(size, len);
    writer_room(&e->out, more);
    uint8_t *at = e->out.out->data + start;
    memmove(at + more, at, len);
    memcpy(at, size, more);
}

static void encode_unknown_tag(struct encoder *e, const struct unknown_tag *tag)
{
    writer_uvarint(&e->out, tag->tag);
    writer_uvarint(&e->out, (uint32_t)tag->data.len);
    writer_raw(&e->out, tag->data.data, (size_t)tag->data.len);
}

/* The usual case. The same bytes are the same values; otherwise look at each. */
static bool no_tag_is_set(const struct struct_desc *desc, const char *in)
{
    size_t from = desc->tags_offset;
    return memcmp(in + from, (const char *)desc->initial + from, desc->size_bytes - from) == 0;
}

static void encode_tags(struct encoder *e, const struct struct_desc *desc, const char *in,
                        const struct unknown_tag *unknown)
{
    uint32_t count = 0;
    for (const struct unknown_tag *tag = unknown; tag; tag = tag->next)
        count++;
    uint64_t present = 0;
    for (int tag = 0; tag < desc->tagged_count; tag++) {
        const struct field_desc *field = &desc->fields[desc->field_count + tag];
        if (field_is_default(desc, field, in))
            continue;
        if (field_in_version(field, e->version)) {
            present |= UINT64_C(1) << tag;
            count++;
        } else if (!(field->flags & FIELD_IGNORABLE)) {
            e->invalid = true;
        }
    }
    writer_uvarint(&e->out, count);
    for (int tag = 0; tag < desc->tagged_count; tag++) {
        if (!(present & UINT64_C(1) << tag))
            continue;
        const struct field_desc *field = &desc->fields[desc->field_count + tag];
        writer_uvarint(&e->out, (uint32_t)tag);
        size_t start = writer_len(&e->out);
        encode_field(e, field, in + field->offset);
        insert_size(e, start);
    }
    for (const struct unknown_tag *tag = unknown; tag; tag = tag->next)
        encode_unknown_tag(e, tag);
}

static void check_untaggable(struct encoder *e, const struct struct_desc *desc, const void *in)
{
    for (int i = desc->field_count; i < desc->field_count + desc->tagged_count; i++) {
        if (!(desc->fields[i].flags & FIELD_IGNORABLE) &&
            !field_is_default(desc, &desc->fields[i], in))
            e->invalid = true;
    }
}

static void encode_struct(struct encoder *e, const struct struct_desc *desc, const void *in)
{
    for (int i = 0; i < desc->field_count; i++) {
        const struct field_desc *field = &desc->fields[i];
        if (field_in_version(field, e->version))
            encode_field(e, field, (const char *)in + field->offset);
        else if (!(field->flags & FIELD_IGNORABLE) && !field_is_default(desc, field, in))
            e->invalid = true;
    }
    const struct unknown_tag *unknown = NULL;
    if (desc->unknown_tags_offset != NO_UNKNOWN_TAGS)
        unknown = *(void *const *)((const char *)in + desc->unknown_tags_offset);
    if (e->flexible) {
        if (no_tag_is_set(desc, in))
            writer_uvarint(&e->out, 0);
        else
            encode_tags(e, desc, in, unknown);
        return;
    }
    check_untaggable(e, desc, in);
    if (unknown)
        e->invalid = true;
}

/* ---- messages */

int message_encode_parts(const struct message_desc *desc, int16_t version, const void *msg,
                         struct bytebuf *out, struct encode_parts *parts)
{
    if (!message_has_version(desc, version))
        return -EPROTONOSUPPORT;
    size_t len_before = out->len, parts_before = parts ? parts->count : 0;
    int64_t payload_before = parts ? parts->payload_bytes : 0;
    struct encoder e = {
        .parts = parts,
        .version = version,
        .flexible = version >= desc->flexible_from,
    };
    writer_init(&e.out, out);
    encode_struct(&e, desc->body, msg);
    writer_finish(&e.out);
    if (!e.invalid)
        return 0;
    out->len = len_before;
    if (parts) {
        parts->count = parts_before;
        parts->payload_bytes = payload_before;
    }
    return -EINVAL;
}

int message_encode(const struct message_desc *desc, int16_t version, const void *msg,
                   struct bytebuf *out)
{
    return message_encode_parts(desc, version, msg, out, NULL);
}

void encode_parts_init(struct encode_parts *parts)
{
    *parts = (struct encode_parts){0};
}

void encode_parts_release(struct encode_parts *parts)
{
    free(parts->items);
    encode_parts_init(parts);
}
