#include "tools/record_formatter.h"

#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/endian.h"
#include "common/protocol/message_json.h"
#include "tools/tool_log.h"

#include <inttypes.h>
#include <strings.h>

bool record_formatter_find(struct str class_name, enum record_formatter_kind *ret_kind)
{
    static const char *const names[] = {
        [FORMATTER_DEFAULT] = "DefaultMessageFormatter",
        [FORMATTER_LOGGING] = "LoggingMessageFormatter",
        [FORMATTER_NONE] = "NoOpMessageFormatter",
        [FORMATTER_OFFSETS] = "OffsetsMessageFormatter",
        [FORMATTER_GROUP_METADATA] = "GroupMetadataMessageFormatter",
        [FORMATTER_TRANSACTIONS] = "TransactionLogMessageFormatter",
        [FORMATTER_SHARE_GROUPS] = "group.share.ShareGroupStateMessageFormatter",
    };
    static const struct str package = STR("org.apache.kafka.tools.consumer.");
    if (!str_starts_with(class_name, package))
        return false;
    struct str name =
        str_from(class_name.data + package.len, (size_t)(class_name.len - package.len));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!str_eq_z(name, names[i]))
            continue;
        *ret_kind = (enum record_formatter_kind)i;
        return true;
    }
    return false;
}

static bool get_flag(const struct properties *properties, const char *key, bool fallback)
{
    struct str value = properties_get(properties, str_of(key));
    if (str_is_null(value))
        return fallback;
    value = str_trim(value);
    return value.len == 4 && strncasecmp(value.data, "true", 4) == 0;
}

static struct str get_text(const struct properties *properties, const char *key,
                           const char *fallback)
{
    struct str value = properties_get(properties, str_of(key));
    return str_is_null(value) ? str_of(fallback) : value;
}

static enum deserializer get_deserializer(const struct properties *properties, const char *key)
{
    struct str class_name = properties_get(properties, str_of(key));
    enum deserializer deserializer;
    if (str_is_null(class_name))
        return DESERIALIZER_BYTES;
    if (deserializer_find(class_name, &deserializer))
        return deserializer;
    tool_log(LOG_ERROR, "consumer",
             "There is no deserializer %.*s; what it is for is printed as it is",
             STR_FMT(class_name));
    return DESERIALIZER_BYTES;
}

void record_formatter_init(struct record_formatter *formatter, enum record_formatter_kind kind,
                           const struct properties *properties)
{
    *formatter = (struct record_formatter){
        .kind = kind,
        .timestamp = get_flag(properties, "print.timestamp", false),
        .partition = get_flag(properties, "print.partition", false),
        .offset = get_flag(properties, "print.offset", false),
        .delivery = get_flag(properties, "print.delivery", false),
        .epoch = get_flag(properties, "print.epoch", false),
        .headers = get_flag(properties, "print.headers", false),
        .key = get_flag(properties, "print.key", false),
        .value = get_flag(properties, "print.value", true),
        .key_separator = get_text(properties, "key.separator", "\t"),
        .line_separator = get_text(properties, "line.separator", "\n"),
        .headers_separator = get_text(properties, "headers.separator", ","),
        .null_literal = get_text(properties, "null.literal", "null"),
        .key_deserializer = get_deserializer(properties, "key.deserializer"),
        .value_deserializer = get_deserializer(properties, "value.deserializer"),
        .headers_deserializer = get_deserializer(properties, "headers.deserializer"),
    };
}

static void append_str(struct bytebuf *out, struct str text)
{
    if (text.len > 0)
        bytebuf_append(out, text.data, (size_t)text.len);
}

static bool append_data(const struct record_formatter *f, enum deserializer deserializer,
                        struct bytes data, struct bytebuf *out, struct failure *failure)
{
    if (data.len >= 0)
        return deserializer_append(deserializer, data, out, failure);
    append_str(out, f->null_literal);
    return true;
}

static bool append_headers(const struct record_formatter *f, struct record_headers headers,
                           struct bytebuf *out, struct failure *failure)
{
    struct record_header header;
    if (headers.count == 0)
        append_str(out, STR("NO_HEADERS"));
    for (bool first = true; record_headers_next(&headers, &header); first = false) {
        if (!first)
            append_str(out, f->headers_separator);
        append_str(out, header.key);
        append_str(out, STR(":"));
        if (!append_data(f, f->headers_deserializer, header.value, out, failure))
            return false;
    }
    return true;
}

/* Separates from the column before. */
static void begin_column(const struct record_formatter *f, bool *in_out_first, struct bytebuf *out)
{
    if (!*in_out_first)
        append_str(out, f->key_separator);
    *in_out_first = false;
}

static bool append_line(const struct record_formatter *f, const struct fetched_record *from,
                        struct bytebuf *out, struct failure *failure)
{
    const struct record *record = &from->record;
    bool first = true;
    if (f->timestamp) {
        begin_column(f, &first, out);
        bytebuf_printf(out, "%s:%" PRId64, from->log_append_time ? "LogAppendTime" : "CreateTime",
                       record->timestamp);
    }
    if (f->partition) {
        begin_column(f, &first, out);
        bytebuf_printf(out, "Partition:%d", from->partition);
    }
    if (f->offset) {
        begin_column(f, &first, out);
        bytebuf_printf(out, "Offset:%" PRId64, record->offset);
    }
    /* Deliveries are counted for share groups; Kafka's tool does not show the epoch either. */
    if (f->delivery) {
        begin_column(f, &first, out);
        append_str(out, STR("Delivery:NOT_PRESENT"));
    }
    if (f->epoch) {
        begin_column(f, &first, out);
        append_str(out, STR("Epoch:NOT_PRESENT"));
    }
    if (f->headers) {
        begin_column(f, &first, out);
        if (!append_headers(f, record->headers, out, failure))
            return false;
    }
    if (f->key) {
        begin_column(f, &first, out);
        if (!append_data(f, f->key_deserializer, record->key, out, failure))
            return false;
    }
    if (f->value) {
        begin_column(f, &first, out);
        if (!append_data(f, f->value_deserializer, record->value, out, failure))
            return false;
    }
    if (!first)
        append_str(out, f->line_separator);
    return true;
}

/* The type of a record of __consumer_offsets that each formatter shows. */
static bool shows_type(enum record_formatter_kind kind, int16_t type)
{
    enum { OFFSET_COMMIT_LEGACY = 0, OFFSET_COMMIT = 1, GROUP_METADATA = 2 };
    switch (kind) {
    case FORMATTER_OFFSETS:
        return type == OFFSET_COMMIT_LEGACY || type == OFFSET_COMMIT;
    case FORMATTER_GROUP_METADATA:
        return type == GROUP_METADATA;
    default:
        return true;
    }
}

static const struct coordinator_record *find_type(enum record_formatter_kind kind, int16_t type)
{
    if (!shows_type(kind, type))
        return NULL;
    switch (kind) {
    case FORMATTER_TRANSACTIONS:
        return transaction_record_find(type);
    case FORMATTER_SHARE_GROUPS:
        return share_record_find(type);
    default:
        return group_record_find(type);
    }
}

/* {"<label>":<number>,"data":{...}}; unknown or malformed: "unknown" instead of the data. */
static void append_message(const struct message_desc *desc, const char *label, int16_t number,
                           int16_t version, struct bytes body, struct bytebuf *out)
{
    struct arena arena;
    arena_init(&arena, 0);
    void *message = arena_calloc(&arena, 1, desc->body->size_bytes);
    bytebuf_printf(out, "{\"%s\":%d,\"data\":", label, number);
    if (message_decode(desc, version, &body, &arena, message) == 0)
        message_to_json(desc, version, message, MESSAGE_JSON_KAFKA, out);
    else
        append_str(out, STR("\"unknown\""));
    append_str(out, STR("}"));
    arena_release(&arena);
}

/* {"key":{...},"value":{...}}; nothing for what this formatter does not show. */
static void append_coordinator(const struct record_formatter *f, const struct record *record,
                               struct bytebuf *out)
{
    if (record->key.len < 2)
        return;
    int16_t type = get_i16(record->key.data);
    const struct coordinator_record *kind = find_type(f->kind, type);
    if (kind == NULL)
        return;
    append_str(out, STR("{\"key\":"));
    append_message(kind->key, "type", type, 0,
                   (struct bytes){record->key.data + 2, record->key.len - 2}, out);
    append_str(out, STR(",\"value\":"));
    if (record->value.len >= 2) {
        int16_t version = get_i16(record->value.data);
        append_message(kind->value, "version", version, version,
                       (struct bytes){record->value.data + 2, record->value.len - 2}, out);
    } else {
        append_str(out, STR("null"));
    }
    append_str(out, STR("}"));
}

bool record_formatter_append(const struct record_formatter *formatter,
                             const struct fetched_record *record, struct bytebuf *out,
                             struct failure *failure)
{
    switch (formatter->kind) {
    case FORMATTER_DEFAULT:
    case FORMATTER_LOGGING:
        return append_line(formatter, record, out, failure);
    case FORMATTER_NONE:
        return true;
    default:
        append_coordinator(formatter, &record->record, out);
        return true;
    }
}
