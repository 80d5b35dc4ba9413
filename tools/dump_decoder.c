/* Keys and values of records as text, and what control records say. */
#include "common/protocol/codec.h"
#include "common/protocol/control_record.h"
#include "common/protocol/endian.h"
#include "common/protocol/message_json.h"
#include "common/protocol/messages/consumer_protocol.h"
#include "common/protocol/messages/control_records.h"
#include "common/protocol/messages/group_records.h"
#include "metadata/record_codec.h"
#include "tools/dump_internal.h"
#include "tools/java_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* Moves a text into the arena. */
static struct str keep(struct dump *dump, struct bytebuf *text)
{
    struct str kept = arena_str(&dump->arena, str_from((const char *)text->data, text->len));
    bytebuf_release(text);
    return kept;
}

/* "[B@1b2c6ec2" tells nobody anything: hexadecimal. */
static void append_hex(struct bytebuf *out, struct bytes data)
{
    for (int32_t i = 0; i < data.len; i++)
        bytebuf_printf(out, "%02x", data.data[i]);
}

/* By a decoder's class; `what` is "key" or "value". */
static bool decode_class(struct dump *dump, enum dump_class class, const char *what, int64_t offset,
                         struct bytes data, struct str *ret_text, struct failure *failure)
{
    struct bytebuf out;
    int32_t need = class == DUMP_CLASS_INTEGER ? 4 : class == DUMP_CLASS_LONG ? 8 : 0;
    if (data.len < 0)
        return true;
    if (data.len < need)
        return failure_set(failure, KAFKA_ERROR_INVALID_RECORD,
                           "The %s of the record at offset %" PRId64 " has %d of the %d bytes that "
                           "its decoder reads",
                           what, offset, data.len, need);
    bytebuf_init(&out);
    if (class == DUMP_CLASS_INTEGER)
        bytebuf_printf(&out, "%" PRId32, get_i32(data.data));
    else if (class == DUMP_CLASS_LONG)
        bytebuf_printf(&out, "%" PRId64, get_i64(data.data));
    else if (class == DUMP_CLASS_BYTES)
        append_hex(&out, data);
    else
        java_text_append(&out, data);
    *ret_text = keep(dump, &out);
    return true;
}

/* A message inside of a bytes field, behind its version; NULL where it is none. */
static json_t *nested_json(const struct message_desc *desc, struct bytes data, struct arena *arena)
{
    if (data.len < 2)
        return NULL;
    int16_t version = get_i16(data.data);
    void *message = arena_calloc(arena, 1, desc->body->size_bytes);
    struct bytes body = {data.data + 2, data.len - 2};
    if (version > desc->max_version)
        version = desc->max_version;
    if (message_decode(desc, version, &body, arena, message) != 0)
        return NULL;
    struct bytebuf text;
    bytebuf_init(&text);
    message_to_json(desc, version, message, MESSAGE_JSON_KAFKA, &text);
    json_t *json = json_loadb((const char *)text.data, text.len, 0, NULL);
    bytebuf_release(&text);
    return json;
}

/* What members of a classic consumer group say is a message of its own: shown as one. */
static void append_group_metadata(const struct group_metadata_value *value, int16_t version,
                                  struct arena *arena, struct bytebuf *out)
{
    size_t start = out->len;
    message_to_json(&group_metadata_value_desc, version, value, MESSAGE_JSON_KAFKA, out);
    if (!str_eq_z(value->protocol_type, "consumer") || value->members_count <= 0)
        return;
    json_t *json = json_loadb((const char *)out->data + start, out->len - start, 0, NULL);
    json_t *members = json_object_get(json, "members");
    for (int32_t i = 0; i < value->members_count; i++) {
        json_t *member = json_array_get(members, (size_t)i);
        json_t *subscription = nested_json(&consumer_protocol_subscription_desc,
                                           value->members[i].subscription, arena);
        json_t *assignment =
            nested_json(&consumer_protocol_assignment_desc, value->members[i].assignment, arena);
        if (subscription != NULL)
            json_object_set_new(member, "subscription", subscription);
        if (assignment != NULL)
            json_object_set_new(member, "assignment", assignment);
    }
    char *text = json_dumps(json, JSON_COMPACT);
    if (text != NULL) {
        out->len = start;
        bytebuf_append(out, text, strlen(text));
        free(text);
    }
    json_decref(json);
}

/* Decodes and appends {"<label>":"<number>","data":{...}}; a negative errno and nothing appended.
 */
static int append_message(struct dump *dump, const struct message_desc *desc, const char *label,
                          int16_t number, int16_t version, struct bytes body, struct bytebuf *out)
{
    void *message = arena_calloc(&dump->arena, 1, desc->body->size_bytes);
    int rv = message_decode(desc, version, &body, &dump->arena, message);
    if (rv != 0)
        return rv;
    bytebuf_printf(out, "{\"%s\":\"%d\",\"data\":", label, number);
    if (desc == &group_metadata_value_desc)
        append_group_metadata(message, version, &dump->arena, out);
    else
        message_to_json(desc, version, message, MESSAGE_JSON_KAFKA, out);
    bytebuf_append(out, "}", 1);
    return 0;
}

static const struct coordinator_record *find_type(enum dump_decoder decoder, int16_t type)
{
    switch (decoder) {
    case DUMP_DECODE_OFFSETS:
        return group_record_find(type);
    case DUMP_DECODE_TRANSACTIONS:
        return transaction_record_find(type);
    default:
        return share_record_find(type);
    }
}

static const char *decode_problem(int error)
{
    return error == -EPROTONOSUPPORT ? "its version is unknown" : "it is malformed";
}

/* A record of a coordinator: both parts begin with a number. */
static bool decode_coordinator(struct dump *dump, const struct record *record, struct str *ret_key,
                               struct str *ret_value, struct failure *failure)
{
    if (record->key.len < 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_RECORD,
                           "Failed to decode message at offset %" PRId64
                           " using the specified decoder (message had a missing key)",
                           record->offset);
    int16_t type = record->key.len >= 2 ? get_i16(record->key.data) : -1;
    const struct coordinator_record *kind = find_type(dump->decoder, type);
    struct bytebuf key, value;
    bytebuf_init(&key);
    bytebuf_init(&value);
    int rv = kind == NULL
                 ? -ENOENT
                 : append_message(dump, kind->key, "type", type, 0,
                                  (struct bytes){record->key.data + 2, record->key.len - 2}, &key);
    if (rv == 0 && record->value.len < 0)
        bytebuf_printf(&value, "<DELETE>");
    else if (rv == 0 && record->value.len < 2)
        rv = -EBADMSG;
    else if (rv == 0)
        rv = append_message(dump, kind->value, "version", get_i16(record->value.data),
                            get_i16(record->value.data),
                            (struct bytes){record->value.data + 2, record->value.len - 2}, &value);
    if (rv != 0) {
        key.len = value.len = 0;
        if (rv == -ENOENT)
            bytebuf_printf(&key, "Unknown record type %d at offset %" PRId64 ", skipping.", type,
                           record->offset);
        else
            bytebuf_printf(&key, "Error at offset %" PRId64 ", skipping. %s", record->offset,
                           decode_problem(rv));
    } else {
        *ret_value = keep(dump, &value);
    }
    bytebuf_release(&value);
    *ret_key = keep(dump, &key);
    return true;
}

/* The number that a metadata record begins with, its low seven bits first; -1: there is none. */
static int64_t frame_version(struct bytes value)
{
    int64_t version = 0;
    for (int32_t i = 0; i < value.len && i < 5; i++) {
        version |= (int64_t)(value.data[i] & 0x7f) << (7 * i);
        if (value.data[i] < 0x80)
            return version;
    }
    return -1;
}

static void append_metadata_problem(struct bytes value, int error, struct bytebuf *out)
{
    int64_t version = frame_version(value);
    if (version < 0)
        bytebuf_printf(out, "Error while reading frame version");
    else if (version != 1)
        bytebuf_printf(out,
                       "Could not deserialize metadata record due to unknown frame version %" PRId64
                       "(only frame version 1 is supported)",
                       version);
    else
        bytebuf_printf(out, "%s", decode_problem(error));
}

static void decode_metadata(struct dump *dump, const struct record *record, struct str *ret_value)
{
    struct metadata_record decoded;
    struct bytebuf out;
    bytebuf_init(&out);
    int rv = record_codec_decode(record->value, &dump->arena, &decoded);
    if (rv == 0) {
        record_to_json(metadata_record_find(decoded.key), decoded.version, decoded.data, &out);
    } else {
        bytebuf_printf(&out, "Error at %" PRId64 ", skipping. ", record->offset);
        append_metadata_problem(record->value, rv, &out);
    }
    *ret_value = keep(dump, &out);
}

bool dump_decode(struct dump *dump, const struct record *record, struct str *ret_key,
                 struct str *ret_value, struct failure *failure)
{
    *ret_key = *ret_value = STR_NULL;
    switch (dump->decoder) {
    case DUMP_DECODE_BYTES:
        return decode_class(dump, dump->key_class, "key", record->offset, record->key, ret_key,
                            failure) &&
               decode_class(dump, dump->value_class, "value", record->offset, record->value,
                            ret_value, failure);
    case DUMP_DECODE_METADATA:
        decode_metadata(dump, record, ret_value);
        return true;
    default:
        return decode_coordinator(dump, record, ret_key, ret_value, failure);
    }
}

void dump_control(struct dump *dump, const struct record *record, struct bytebuf *out)
{
    static const struct {
        const char *label;
        const struct message_desc *desc;
    } kinds[CONTROL_RECORD_TYPE_COUNT] = {
        [CONTROL_LEADER_CHANGE] = {"LeaderChange: ", &leader_change_message_desc},
        [CONTROL_SNAPSHOT_HEADER] = {"SnapshotHeader ", &snapshot_header_record_desc},
        [CONTROL_SNAPSHOT_FOOTER] = {"SnapshotFooter ", &snapshot_footer_record_desc},
        [CONTROL_KRAFT_VERSION] = {"KRaftVersion ", &kraft_version_record_desc},
        [CONTROL_KRAFT_VOTERS] = {"KRaftVoters ", &voters_record_desc},
    };
    int type;
    int32_t epoch;
    if (control_record_parse_key(record->key, &type) != 0) {
        bytebuf_printf(out, " controlType: a key that is none");
        return;
    }
    bool known = type >= 0 && type < CONTROL_RECORD_TYPE_COUNT;
    if (!known) {
        bytebuf_printf(out, " controlType: UNKNOWN(%d)", type);
        return;
    }
    if (kinds[type].desc == NULL) {
        const char *name = type == CONTROL_COMMIT ? "COMMIT" : "ABORT";
        if (control_end_txn_parse(record->value, &epoch) == 0)
            bytebuf_printf(out, " endTxnMarker: %s coordinatorEpoch: %d", name, epoch);
        else
            bytebuf_printf(out, " endTxnMarker: %s without an epoch", name);
        return;
    }
    const struct message_desc *desc = kinds[type].desc;
    struct bytes body = record->value;
    int16_t version = body.len >= 2 ? get_i16(body.data) : 0;
    void *message = arena_calloc(&dump->arena, 1, desc->body->size_bytes);
    bytebuf_printf(out, " %s", kinds[type].label);
    int rv = message_decode(desc, version, &body, &dump->arena, message);
    if (rv == 0)
        message_to_json(desc, version, message, MESSAGE_JSON_KAFKA, out);
    else
        bytebuf_printf(out, "which cannot be read: %s", decode_problem(rv));
}
