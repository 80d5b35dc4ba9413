#include "common/protocol/message_json.h"

#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/codec_internal.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>

struct json_reader {
    struct arena *arena;
    int16_t version;
    enum message_json_style style;
    struct str problem; /* null: none */
};

static void read_struct(struct json_reader *r, const struct struct_desc *desc, const json_t *json,
                        void *out);

/* The first problem is the one that is told. */
__attribute__((format(printf, 3, 4))) static void fail(struct json_reader *r, const char *name,
                                                       const char *format, ...)
{
    if (!str_is_null(r->problem))
        return;
    char text[160];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    r->problem = arena_printf(r->arena, "%s: %s", name, text);
}

/* ---- values */

static void store_integer(enum field_type type, int64_t value, void *out)
{
    switch (type) {
    case FIELD_INT8:
        *(int8_t *)out = (int8_t)value;
        break;
    case FIELD_INT16:
    case FIELD_UINT16:
        *(uint16_t *)out = (uint16_t)value;
        break;
    case FIELD_INT32:
    case FIELD_UINT32:
        *(uint32_t *)out = (uint32_t)value;
        break;
    default:
        *(int64_t *)out = value;
        break;
    }
}

static void read_integer(struct json_reader *r, const char *name, enum field_type type,
                         const json_t *json, void *out)
{
    static const int64_t low[] = {
        [FIELD_INT8] = INT8_MIN,   [FIELD_INT16] = INT16_MIN, [FIELD_UINT16] = 0,
        [FIELD_INT32] = INT32_MIN, [FIELD_UINT32] = 0,        [FIELD_INT64] = INT64_MIN,
    };
    static const int64_t high[] = {
        [FIELD_INT8] = INT8_MAX,   [FIELD_INT16] = INT16_MAX,   [FIELD_UINT16] = UINT16_MAX,
        [FIELD_INT32] = INT32_MAX, [FIELD_UINT32] = UINT32_MAX, [FIELD_INT64] = INT64_MAX,
    };
    int64_t value = json_integer_value(json);
    if (!json_is_integer(json))
        fail(r, name, "an integer is expected");
    else if (value < low[type] || value > high[type])
        fail(r, name, "%" PRId64 " is out of range", value);
    else
        store_integer(type, value, out);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct bytes read_hex(struct json_reader *r, const char *name, struct str text)
{
    uint8_t *data = arena_alloc(r->arena, (size_t)text.len / 2 + 1);
    for (int32_t i = 0; i < text.len / 2; i++) {
        int high = hex_digit(text.data[2 * i]), low = hex_digit(text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            fail(r, name, "not hex");
        data[i] = (uint8_t)(high << 4 | low);
    }
    if (text.len % 2 != 0)
        fail(r, name, "not hex");
    return (struct bytes){data, text.len / 2};
}

static struct bytes read_base64(struct json_reader *r, const char *name, struct str text)
{
    uint8_t *data = arena_alloc(r->arena, (size_t)text.len / 4 * 3 + 3);
    int len = EVP_DecodeBlock(data, (const unsigned char *)text.data, text.len);
    if (len < 0 || text.len % 4 != 0) {
        fail(r, name, "not base64");
        return BYTES_NULL;
    }
    /* It counts the padding as bytes. */
    while (len > 0 && text.len > 0 && text.data[text.len - 1] == '=') {
        len--;
        text.len--;
    }
    return (struct bytes){data, len};
}

static void read_text(struct json_reader *r, const char *name, enum field_type type, bool nullable,
                      const json_t *json, void *out)
{
    if (json_is_null(json) && nullable) {
        *(struct bytes *)out = BYTES_NULL;
        return;
    }
    if (!json_is_string(json)) {
        fail(r, name, "a string is expected");
        return;
    }
    struct str text = {json_string_value(json), (int32_t)json_string_length(json)};
    if (type == FIELD_UUID) {
        if (uuid_parse(text, out) != 0)
            fail(r, name, "not a uuid");
    } else if (type == FIELD_STRING) {
        *(struct str *)out = arena_str(r->arena, text);
    } else if (r->style == MESSAGE_JSON_WIRE) {
        *(struct bytes *)out = read_hex(r, name, text);
    } else if (type == FIELD_BYTES) {
        *(struct bytes *)out = read_base64(r, name, text);
    } else {
        fail(r, name, "records cannot be read from this form");
    }
}

static void read_value(struct json_reader *r, const struct field_desc *field, enum field_type type,
                       bool nullable, const json_t *json, void *out)
{
    switch (type) {
    case FIELD_STRUCT:
        read_struct(r, field->sub, json, out);
        break;
    case FIELD_BOOL:
        if (json_is_boolean(json))
            *(bool *)out = json_is_true(json);
        else
            fail(r, field->name, "true or false is expected");
        break;
    case FIELD_FLOAT64:
        if (json_is_number(json))
            *(double *)out = json_number_value(json);
        else
            fail(r, field->name, "a number is expected");
        break;
    case FIELD_UUID:
    case FIELD_STRING:
    case FIELD_BYTES:
    case FIELD_RECORDS:
        read_text(r, field->name, type, nullable, json, out);
        break;
    default:
        read_integer(r, field->name, type, json, out);
        break;
    }
}

static void read_array(struct json_reader *r, const struct field_desc *field, bool nullable,
                       const json_t *json, struct array *out)
{
    *out = (struct array){NULL, -1};
    if (json_is_null(json) && nullable)
        return;
    if (!json_is_array(json)) {
        fail(r, field->name, "an array is expected");
        return;
    }
    size_t count = json_array_size(json), size = element_size(field);
    *out = (struct array){count ? arena_calloc(r->arena, count, size) : NULL, (int32_t)count};
    for (size_t i = 0; i < count; i++)
        read_value(r, field, field->element, false, json_array_get(json, i),
                   (char *)out->items + i * size);
}

/* ---- structs */

static void read_field(struct json_reader *r, const struct field_desc *field, const json_t *json,
                       void *out)
{
    bool nullable = field_nullable_in(field, r->version);
    if (field->type == FIELD_ARRAY) {
        read_array(r, field, nullable, json, out);
    } else if (field->type == FIELD_STRUCT_PTR) {
        void **ptr = out;
        *ptr = NULL;
        if (json_is_null(json) && nullable)
            return;
        *ptr = arena_alloc(r->arena, field->sub->size_bytes);
        read_struct(r, field->sub, json, *ptr);
    } else {
        read_value(r, field, field->type, nullable, json, out);
    }
}

static void read_unknown_tags(struct json_reader *r, const json_t *json, struct unknown_tag **last)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        int64_t tag;
        struct str text = str_of(json_string_value(value));
        if (str_to_i64(str_of(key), &tag) != 0 || tag < 0 || tag > UINT32_MAX ||
            str_is_null(text)) {
            fail(r, "_unknownTags", "a tag and its bytes in hex are expected");
            return;
        }
        *last = ARENA_NEW(r->arena, struct unknown_tag);
        **last = (struct unknown_tag){NULL, (uint32_t)tag, read_hex(r, "_unknownTags", text)};
        last = &(*last)->next;
    }
}

static const json_t *member(const struct json_reader *r, const json_t *json,
                            const struct field_desc *field)
{
    char name[128];
    snprintf(name, sizeof(name), "%s", field->name);
    if (r->style == MESSAGE_JSON_KAFKA)
        name[0] = (char)tolower(name[0]);
    return json_object_get(json, name);
}

static void read_struct(struct json_reader *r, const struct struct_desc *desc, const json_t *json,
                        void *out)
{
    message_struct_init(desc, out, 1);
    if (!json_is_object(json)) {
        fail(r, desc->name, "an object is expected");
        return;
    }
    size_t used = 0;
    for (int i = 0; i < desc->field_count + desc->tagged_count; i++) {
        const struct field_desc *field = &desc->fields[i];
        if (!field_in_version(field, r->version))
            continue;
        const json_t *value = member(r, json, field);
        if (value) {
            read_field(r, field, value, (char *)out + field->offset);
            used++;
        } else if (!(field->flags & FIELD_TAGGED)) {
            fail(r, field->name, "missing");
        }
    }
    const json_t *unknown = json_object_get(json, "_unknownTags");
    if (unknown && desc->unknown_tags_offset != NO_UNKNOWN_TAGS) {
        read_unknown_tags(r, unknown, (void *)((char *)out + desc->unknown_tags_offset));
        used++;
    }
    if (used != json_object_size(json))
        fail(r, desc->name, "it has fields that version %d does not know", r->version);
}

int message_from_json(const struct message_desc *desc, int16_t version, const json_t *json,
                      enum message_json_style style, struct arena *arena, void *ret_msg,
                      struct str *ret_problem)
{
    if (!message_has_version(desc, version))
        return -EPROTONOSUPPORT;
    struct json_reader reader = {arena, version, style, STR_NULL};
    read_struct(&reader, desc->body, json, ret_msg);
    if (str_is_null(reader.problem))
        return 0;
    *ret_problem = reader.problem;
    return -EINVAL;
}
