#include "tools/deserializer.h"

#include "common/base/check.h"
#include "common/protocol/endian.h"
#include "metadata/config/config_value.h"
#include "tools/java_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;      /* org.apache.kafka.common.serialization.<name> */
    const char *complaint; /* how it names itself when the size is wrong */
    int32_t size;          /* 0: any */
} kinds[] = {
    [DESERIALIZER_BYTES] = {"ByteArrayDeserializer", NULL, 0},
    [DESERIALIZER_STRING] = {"StringDeserializer", NULL, 0},
    [DESERIALIZER_LONG] = {"LongDeserializer", "LongDeserializer", 8},
    [DESERIALIZER_INTEGER] = {"IntegerDeserializer", "IntegerDeserializer", 4},
    [DESERIALIZER_SHORT] = {"ShortDeserializer", "ShortDeserializer", 2},
    [DESERIALIZER_DOUBLE] = {"DoubleDeserializer", "Deserializer", 8},
    [DESERIALIZER_FLOAT] = {"FloatDeserializer", "Deserializer", 4},
    [DESERIALIZER_BOOLEAN] = {"BooleanDeserializer", "BooleanDeserializer", 1},
    [DESERIALIZER_UUID] = {"UUIDDeserializer", NULL, 0},
    [DESERIALIZER_VOID] = {"VoidDeserializer", NULL, 0},
};

bool deserializer_find(struct str class_name, enum deserializer *ret_deserializer)
{
    static const struct str package = STR("org.apache.kafka.common.serialization.");
    if (!str_starts_with(class_name, package))
        return false;
    struct str name =
        str_from(class_name.data + package.len, (size_t)(class_name.len - package.len));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!str_eq_z(name, kinds[i].name))
            continue;
        *ret_deserializer = (enum deserializer)i;
        return true;
    }
    /* Other shapes of the same bytes. */
    if (!str_eq_z(name, "ByteBufferDeserializer") && !str_eq_z(name, "BytesDeserializer"))
        return false;
    *ret_deserializer = DESERIALIZER_BYTES;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void append_double(double value, struct bytebuf *out)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct str text = config_format_double(value, &arena);
    bytebuf_append(out, text.data, (size_t)text.len);
    arena_release(&arena);
}

/* A float has its own shortest digits; as a double these are the shortest too. */
static void append_float(uint32_t bits, struct bytebuf *out)
{
    float value;
    char text[32];
    int digits = 0;
    memcpy(&value, &bits, sizeof(value));
    do
        snprintf(text, sizeof(text), "%.*e", digits, (double)value);
    while (strtof(text, NULL) != value && digits++ < 9);
    append_double(strtod(text, NULL), out);
}

/* As Java reads and shows it: five hexadecimal numbers, each cut to its place. */
static bool append_uuid(struct str text, struct bytebuf *out, struct failure *failure)
{
    static const int digits[] = {8, 4, 4, 4, 12};
    uint64_t parts[ARRAY_LEN(digits)];
    size_t count = 0;
    struct str rest = text, part;
    bool ok = text.len <= 36;
    while (ok && !str_is_null(rest)) {
        str_split(&rest, '-', &part);
        ok = count < ARRAY_LEN(digits) && part.len > 0;
        uint64_t number = 0;
        for (int32_t i = 0; ok && i < part.len; i++) {
            int digit = hex_digit(part.data[i]);
            ok = digit >= 0;
            number = number << 4 | (uint64_t)(digit & 15);
        }
        if (ok)
            parts[count++] = number;
    }
    if (!ok || count != ARRAY_LEN(digits))
        return failure_set(failure, KAFKA_ERROR_INVALID_RECORD, "Error parsing data into UUID");
    for (size_t i = 0; i < count; i++)
        bytebuf_printf(out, "%s%0*" PRIx64, i ? "-" : "", digits[i],
                       parts[i] & ((UINT64_C(1) << (digits[i] * 4)) - 1));
    return true;
}

bool deserializer_append(enum deserializer deserializer, struct bytes data, struct bytebuf *out,
                         struct failure *failure)
{
    int32_t size = kinds[deserializer].size;
    if (size != 0 && data.len != size)
        return failure_set(failure, KAFKA_ERROR_INVALID_RECORD,
                           "Size of data received by %s is not %d", kinds[deserializer].complaint,
                           size);
    switch (deserializer) {
    case DESERIALIZER_BYTES:
        bytebuf_append(out, data.data, (size_t)data.len);
        return true;
    case DESERIALIZER_STRING:
        java_text_append(out, data);
        return true;
    case DESERIALIZER_UUID:
        return append_uuid(str_from((const char *)data.data, (size_t)data.len), out, failure);
    case DESERIALIZER_LONG:
        bytebuf_printf(out, "%" PRId64, get_i64(data.data));
        return true;
    case DESERIALIZER_INTEGER:
        bytebuf_printf(out, "%" PRId32, get_i32(data.data));
        return true;
    case DESERIALIZER_SHORT:
        bytebuf_printf(out, "%d", get_i16(data.data));
        return true;
    case DESERIALIZER_DOUBLE:
        append_double(get_f64(data.data), out);
        return true;
    case DESERIALIZER_FLOAT:
        append_float(get_u32(data.data), out);
        return true;
    case DESERIALIZER_BOOLEAN:
        if (data.data[0] > 1)
            return failure_set(failure, KAFKA_ERROR_INVALID_RECORD,
                               "Unexpected byte received by BooleanDeserializer: %d",
                               (int8_t)data.data[0]);
        bytebuf_printf(out, "%s", data.data[0] ? "true" : "false");
        return true;
    case DESERIALIZER_VOID:
        return failure_set(failure, KAFKA_ERROR_INVALID_RECORD,
                           "Data should be null for a VoidDeserializer.");
    }
    UNREACHABLE();
}
