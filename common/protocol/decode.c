#include "common/protocol/codec.h"

#include "common/protocol/codec_internal.h"
#include "common/protocol/wire.h"

#include <errno.h>

/* Recursion follows the schema, whose depth is fixed, never the input. */
struct decoder {
    struct wire_reader in;
    struct arena *arena;
    int16_t version;
    bool flexible;
    bool no_memory;
};

static void decode_struct(struct decoder *d, const struct struct_desc *desc, void *out);

static void *take_memory(struct decoder *d, size_t count, size_t size_bytes)
{
    void *memory = arena_try_calloc(d->arena, count, size_bytes);
    if (!memory) {
        d->no_memory = true;
        reader_fail(&d->in);
    }
    return memory;
}

/* A length or count: -1 for null. Below -1 counts as null too, as in Kafka. */
static int32_t decode_len(struct decoder *d, enum field_type type, bool flexible, bool nullable)
{
    int32_t len;
    if (flexible)
        len = (int32_t)(reader_uvarint(&d->in) - 1);
    else if (type == FIELD_STRING)
        len = reader_i16(&d->in);
    else
        len = reader_i32(&d->in);
    if (len >= 0)
        return len;
    if (!nullable)
        reader_fail(&d->in);
    return -1;
}

static void decode_string(struct decoder *d, bool flexible, bool nullable, struct str *out)
{
    int32_t len = decode_len(d, FIELD_STRING, flexible, nullable);
    *out = STR_NULL;
    if (len > INT16_MAX)
        reader_fail(&d->in);
    else if (len >= 0)
        *out = (struct str){(const char *)reader_take(&d->in, (size_t)len), len};
}

static void decode_bytes(struct decoder *d, bool flexible, bool nullable, struct bytes *out)
{
    int32_t len = decode_len(d, FIELD_BYTES, flexible, nullable);
    *out = BYTES_NULL;
    if (len >= 0)
        *out = (struct bytes){reader_take(&d->in, (size_t)len), len};
}

/* A value of fixed size; false when the type has none. Inline, because most fields are such. */
static inline __attribute__((always_inline)) bool decode_fixed(struct wire_reader *in,
                                                               enum field_type type, void *out)
{
    switch (type) {
    case FIELD_BOOL:
        *(bool *)out = reader_i8(in) != 0;
        return true;
    case FIELD_INT8:
        *(int8_t *)out = reader_i8(in);
        return true;
    case FIELD_INT16:
    case FIELD_UINT16:
        *(int16_t *)out = reader_i16(in);
        return true;
    case FIELD_INT32:
    case FIELD_UINT32:
        *(int32_t *)out = reader_i32(in);
        return true;
    case FIELD_INT64:
    case FIELD_FLOAT64:
        *(int64_t *)out = reader_i64(in);
        return true;
    case FIELD_UUID:
        *(struct uuid *)out = reader_uuid(in);
        return true;
    default:
        return false;
    }
}

static size_t min_wire_bytes(const struct field_desc *field)
{
    if (field->element == FIELD_STRUCT)
        return field->sub->min_wire_bytes;
    return field->element >= FIELD_STRING ? 1 : element_size(field);
}

static void decode_array(struct decoder *d, const struct field_desc *field, bool flexible,
                         bool nullable, struct array *out)
{
    int32_t count = decode_len(d, FIELD_ARRAY, flexible, nullable);
    *out = (struct array){NULL, count};
    if (count <= 0)
        return;
    if ((size_t)count > reader_left(&d->in) / min_wire_bytes(field)) {
        reader_fail(&d->in);
        return;
    }
    size_t size = element_size(field);
    char *item = take_memory(d, (size_t)count, size);
    if (!item)
        return;
    out->items = item;
    if (field->element == FIELD_STRUCT) {
        for (int32_t i = 0; i < count && !d->in.failed; i++, item += size)
            decode_struct(d, field->sub, item);
    } else if (field->element == FIELD_STRING) {
        for (int32_t i = 0; i < count; i++, item += size)
            decode_string(d, flexible, false, (void *)item);
    } else {
        for (int32_t i = 0; i < count; i++, item += size)
            decode_fixed(&d->in, field->element, item);
    }
}

/* Whether a struct follows: a byte says so, in a tagged field a uvarint. */
static bool decode_presence(struct decoder *d, const struct field_desc *field)
{
    if (field->flags & FIELD_TAGGED)
        return (int32_t)reader_uvarint(&d->in) > 0;
    return reader_i8(&d->in) >= 0;
}

static void decode_struct_ptr(struct decoder *d, const struct field_desc *field, bool nullable,
                              void **out)
{
    *out = NULL;
    if (nullable && !decode_presence(d, field))
        return;
    void *memory = take_memory(d, 1, field->sub->size_bytes);
    if (!memory)
        return;
    decode_struct(d, field->sub, memory);
    *out = memory;
}

/* What decode_fixed leaves. */
static void decode_variable(struct decoder *d, const struct field_desc *field, void *out)
{
    bool flexible = d->flexible && !(field->flags & FIELD_NEVER_FLEXIBLE);
    bool nullable = field_nullable_in(field, d->version);
    switch (field->type) {
    case FIELD_STRING:
        decode_string(d, flexible, nullable, out);
        break;
    case FIELD_STRUCT:
        decode_struct(d, field->sub, out);
        break;
    case FIELD_STRUCT_PTR:
        decode_struct_ptr(d, field, nullable, out);
        break;
    case FIELD_ARRAY:
        decode_array(d, field, flexible, nullable, out);
        break;
    default:
        decode_bytes(d, flexible, nullable, out);
        break;
    }
}

static inline __attribute__((always_inline)) void
decode_field(struct decoder *d, const struct field_desc *field, void *out)
{
    if (!decode_fixed(&d->in, field->type, out))
        decode_variable(d, field, out);
}

/* The size before a known tag is not looked at: the field says itself where it ends, as in Kafka.
 */
static void decode_tags(struct decoder *d, const struct struct_desc *desc, char *out)
{
    uint32_t count = reader_uvarint(&d->in);
    struct unknown_tag **last = (void *)(out + desc->unknown_tags_offset);
    for (uint32_t i = 0; i < count && !d->in.failed; i++) {
        uint32_t tag = reader_uvarint(&d->in);
        uint32_t size = reader_uvarint(&d->in);
        if (tag < desc->tagged_count) {
            const struct field_desc *field = &desc->fields[desc->field_count + tag];
            if (field_in_version(field, d->version))
                decode_field(d, field, out + field->offset);
            else
                reader_fail(&d->in);
            continue;
        }
        const uint8_t *data = reader_take(&d->in, size);
        struct unknown_tag *unknown = data ? take_memory(d, 1, sizeof(*unknown)) : NULL;
        if (!unknown)
            return;
        *unknown = (struct unknown_tag){NULL, tag, {data, (int32_t)size}};
        *last = unknown;
        last = &unknown->next;
    }
}

static void decode_struct(struct decoder *d, const struct struct_desc *desc, void *out)
{
    memcpy(out, desc->initial, desc->size_bytes);
    for (int i = 0; i < desc->field_count; i++) {
        const struct field_desc *field = &desc->fields[i];
        if (field_in_version(field, d->version))
            decode_field(d, field, (char *)out + field->offset);
    }
    if (d->flexible)
        decode_tags(d, desc, out);
}

int message_decode(const struct message_desc *desc, int16_t version, struct bytes *in_out_input,
                   struct arena *arena, void *ret_msg)
{
    if (!message_has_version(desc, version))
        return -EPROTONOSUPPORT;
    struct decoder d = {
        .arena = arena,
        .version = version,
        .flexible = version >= desc->flexible_from,
    };
    reader_init(&d.in, *in_out_input);
    decode_struct(&d, desc->body, ret_msg);
    if (d.no_memory)
        return -ENOMEM;
    if (d.in.failed)
        return -EBADMSG;
    *in_out_input = (struct bytes){d.in.at, (int32_t)reader_left(&d.in)};
    return 0;
}
