#include "common/protocol/message_json.h"

#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/codec_internal.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct json_writer {
    struct bytebuf *out;
    int16_t version;
    enum message_json_style style;
};

static void write_struct(const struct json_writer *w, const struct struct_desc *desc,
                         const void *in);

/* ---- strings */

/* Length of the UTF-8 sequence at the start; 0 if there is none. */
static int32_t utf8_len(const uint8_t *s, int32_t left)
{
    if (s[0] < 0x80)
        return 1;
    int32_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || left < len)
        return 0;
    for (int32_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] >= 0xa0;
    bool too_high = s[0] == 0xf4 && s[1] >= 0x90;
    return overlong || surrogate || too_high ? 0 : len;
}

static void write_char(struct bytebuf *out, const uint8_t *s, int32_t len)
{
    static const char escapes[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                   ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
    if (len == 0)
        bytebuf_append(out, "\xef\xbf\xbd", 3);
    else if (*s < sizeof(escapes) && escapes[*s])
        bytebuf_printf(out, "\\%c", escapes[*s]);
    else if (*s < 0x20)
        bytebuf_printf(out, "\\u%04X", *s);
    else
        bytebuf_append(out, s, (size_t)len);
}

static void write_string(struct bytebuf *out, struct str s)
{
    bytebuf_append(out, "\"", 1);
    const uint8_t *at = (const uint8_t *)s.data;
    for (int32_t left = s.len; left > 0;) {
        int32_t len = utf8_len(at, left);
        write_char(out, at, len);
        at += MAX(len, 1);
        left -= MAX(len, 1);
    }
    bytebuf_append(out, "\"", 1);
}

static void write_hex(struct bytebuf *out, struct bytes b)
{
    bytebuf_append(out, "\"", 1);
    uint8_t *at = bytebuf_reserve(out, (size_t)b.len * 2);
    for (int32_t i = 0; i < b.len; i++) {
        *at++ = (uint8_t) "0123456789abcdef"[b.data[i] >> 4];
        *at++ = (uint8_t) "0123456789abcdef"[b.data[i] & 15];
    }
    out->len += (size_t)b.len * 2;
    bytebuf_append(out, "\"", 1);
}

static void write_base64(struct bytebuf *out, struct bytes b)
{
    bytebuf_append(out, "\"", 1);
    /* It writes a zero byte behind the text. */
    uint8_t *at = bytebuf_reserve(out, (size_t)b.len / 3 * 4 + 5);
    out->len += (size_t)EVP_EncodeBlock(at, b.data, b.len);
    bytebuf_append(out, "\"", 1);
}

/* ---- numbers */

/* As Java prints a double: the fewest digits that read back as the same number, at least one of
 * them behind the point, and an exponent below 1e-3 and from 1e7 on. */
void java_double_append(struct bytebuf *out, double v)
{
    char text[40];
    if (!isfinite(v)) {
        bytebuf_printf(out, "\"%s\"", isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity");
        return;
    }
    int digits = 0;
    do {
        snprintf(text, sizeof(text), "%.*e", digits, v);
    } while (strtod(text, NULL) != v && digits++ < 17);
    char *e = strchr(text, 'e');
    int exponent = (int)strtol(e + 1, NULL, 10);
    *e = '\0';
    double size = fabs(v);
    if (v == 0 || (size >= 1e-3 && size < 1e7))
        bytebuf_printf(out, "%.*f", MAX(digits - exponent, 1), v);
    else
        bytebuf_printf(out, "%s%sE%d", text, digits ? "" : ".0", exponent);
}

static void write_primitive(const struct json_writer *w, enum field_type type, const void *in)
{
    struct bytebuf *out = w->out;
    char uuid[UUID_TEXT_LEN + 1];
    switch (type) {
    case FIELD_BOOL:
        bytebuf_printf(out, "%s", *(const bool *)in ? "true" : "false");
        break;
    case FIELD_INT8:
        bytebuf_printf(out, "%d", *(const int8_t *)in);
        break;
    case FIELD_INT16:
        bytebuf_printf(out, "%d", *(const int16_t *)in);
        break;
    case FIELD_UINT16:
        bytebuf_printf(out, "%d", *(const uint16_t *)in);
        break;
    case FIELD_INT32:
        bytebuf_printf(out, "%" PRId32, *(const int32_t *)in);
        break;
    case FIELD_UINT32:
        bytebuf_printf(out, "%" PRIu32, *(const uint32_t *)in);
        break;
    case FIELD_INT64:
        bytebuf_printf(out, "%" PRId64, *(const int64_t *)in);
        break;
    case FIELD_FLOAT64:
        java_double_append(out, *(const double *)in);
        break;
    case FIELD_UUID:
        uuid_format(*(const struct uuid *)in, uuid);
        bytebuf_printf(out, "\"%s\"", uuid);
        break;
    default:
        UNREACHABLE();
    }
}

static void write_null(struct bytebuf *out)
{
    bytebuf_append(out, "null", 4);
}

static void write_slice(const struct json_writer *w, enum field_type type, const void *in)
{
    struct bytes bytes = *(const struct bytes *)in;
    if (bytes.len < 0)
        write_null(w->out);
    else if (type == FIELD_STRING)
        write_string(w->out, *(const struct str *)in);
    else if (type == FIELD_RECORDS && (w->style == MESSAGE_JSON_KAFKA || !bytes.data))
        bytebuf_printf(w->out, "%d", bytes.len);
    else if (w->style == MESSAGE_JSON_KAFKA)
        write_base64(w->out, bytes);
    else
        write_hex(w->out, bytes);
}

static void write_value(const struct json_writer *w, enum field_type type,
                        const struct struct_desc *sub, const void *in)
{
    if (type == FIELD_STRUCT)
        write_struct(w, sub, in);
    else if (type >= FIELD_STRING)
        write_slice(w, type, in);
    else
        write_primitive(w, type, in);
}

static void write_array(const struct json_writer *w, const struct field_desc *field,
                        const struct array *array)
{
    if (array->count < 0) {
        write_null(w->out);
        return;
    }
    const char *item = array->items;
    bytebuf_append(w->out, "[", 1);
    for (int32_t i = 0; i < array->count; i++, item += element_size(field)) {
        if (i > 0)
            bytebuf_append(w->out, ",", 1);
        write_value(w, field->element, field->sub, item);
    }
    bytebuf_append(w->out, "]", 1);
}

/* ---- structs */

static void write_name(const struct json_writer *w, const struct field_desc *field, const void *in,
                       bool first)
{
    bool size_only = field->type == FIELD_RECORDS && w->style == MESSAGE_JSON_KAFKA &&
                     ((const struct bytes *)in)->len >= 0;
    char initial = field->name[0];
    if (w->style == MESSAGE_JSON_KAFKA)
        initial = (char)tolower(initial);
    bytebuf_printf(w->out, "%s\"%c%s%s\":", first ? "" : ",", initial, field->name + 1,
                   size_only ? "SizeInBytes" : "");
}

static void write_field(const struct json_writer *w, const struct field_desc *field, const void *in)
{
    if (field->type == FIELD_ARRAY) {
        write_array(w, field, in);
    } else if (field->type == FIELD_STRUCT_PTR) {
        const void *ptr = *(void *const *)in;
        if (ptr)
            write_struct(w, field->sub, ptr);
        else
            write_null(w->out);
    } else {
        write_value(w, field->type, field->sub, in);
    }
}

static void write_unknown_tags(const struct json_writer *w, const struct unknown_tag *tag,
                               bool first)
{
    bytebuf_printf(w->out, "%s\"_unknownTags\":{", first ? "" : ",");
    for (; tag; tag = tag->next) {
        bytebuf_printf(w->out, "\"%" PRIu32 "\":", tag->tag);
        write_hex(w->out, tag->data);
        if (tag->next)
            bytebuf_append(w->out, ",", 1);
    }
    bytebuf_append(w->out, "}", 1);
}

/* Fields appear in the order of the C struct, which is that of the schema. */
static void write_struct(const struct json_writer *w, const struct struct_desc *desc,
                         const void *in)
{
    bool first = true;
    bytebuf_append(w->out, "{", 1);
    for (int i = 0; i < desc->field_count + desc->tagged_count; i++) {
        const struct field_desc *field = &desc->fields[desc->schema_order[i]];
        if (!field_in_version(field, w->version) ||
            ((field->flags & FIELD_TAGGED) && field_is_default(desc, field, in)))
            continue;
        const void *value = (const char *)in + field->offset;
        write_name(w, field, value, first);
        write_field(w, field, value);
        first = false;
    }
    const struct unknown_tag *unknown = NULL;
    if (desc->unknown_tags_offset != NO_UNKNOWN_TAGS)
        unknown = *(void *const *)((const char *)in + desc->unknown_tags_offset);
    if (unknown && w->style == MESSAGE_JSON_WIRE)
        write_unknown_tags(w, unknown, first);
    bytebuf_append(w->out, "}", 1);
}

void message_to_json(const struct message_desc *desc, int16_t version, const void *msg,
                     enum message_json_style style, struct bytebuf *out)
{
    CHECK(message_has_version(desc, version));
    struct json_writer writer = {out, version, style};
    write_struct(&writer, desc->body, msg);
}

void record_to_json(const struct message_desc *desc, int16_t version, const void *msg,
                    struct bytebuf *out)
{
    bytebuf_printf(out, "{\"type\":\"");
    for (const char *c = desc->name; *c; c++) {
        if (c > desc->name && isupper((unsigned char)*c))
            bytebuf_append(out, "_", 1);
        bytebuf_printf(out, "%c", toupper((unsigned char)*c));
    }
    bytebuf_printf(out, "\",\"version\":%d,\"data\":", version);
    message_to_json(desc, version, msg, MESSAGE_JSON_KAFKA, out);
    bytebuf_append(out, "}", 1);
}
