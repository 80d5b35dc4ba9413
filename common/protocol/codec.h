/*
 * The codec: messages to and from Kafka's wire form, by one interpreter over the descriptors of
 * schema.h. Also finds APIs and records by their keys. No state; any thread.
 *
 * Decoding is zero-copy: strings, bytes and records point into the input, which must outlive the
 * message; arrays and nullable structs come from the arena. Every count is checked against the
 * bytes that remain before memory is taken, and arena->limit_bytes bounds what a message may take
 * in all. What Kafka accepts is accepted: bytes behind the message, unknown tagged fields (kept and
 * sent on), known ones out of order or twice, bytes other than 0 and 1 for true.
 */
#ifndef KRAFTD_PROTOCOL_CODEC_H
#define KRAFTD_PROTOCOL_CODEC_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/protocol/schema.h"

/* All fields to their defaults. Every message that is to be encoded starts with this. */
void message_init(const struct message_desc *desc, void *msg);
/* The same for `count` structs in a row, such as the elements of an array. */
void message_struct_init(const struct struct_desc *desc, void *structs, int32_t count);
/* `count` structs with defaults: MESSAGE_ARRAY(arena, fetch_response_partition_data, 3). */
void *message_array(struct arena *arena, const struct struct_desc *desc, int32_t count);
#define MESSAGE_ARRAY(arena, name, count)                                                          \
    ((struct name *)message_array((arena), &name##_struct, (count)))
/* A deep copy that shares nothing with the original but the constants of the schema. */
void message_copy(const struct message_desc *desc, const void *msg, struct arena *arena,
                  void *ret_msg);

/*
 * Takes one message off the front of *in_out_input. -EPROTONOSUPPORT: no such version; -EBADMSG:
 * malformed; -ENOMEM: the arena's limit. On failure the input is as it was, *ret_msg is undefined
 * and the arena may hold pieces.
 */
int message_decode(const struct message_desc *desc, int16_t version, struct bytes *in_out_input,
                   struct arena *arena, void *ret_msg);

/*
 * Appends the message. -EPROTONOSUPPORT: no such version; -EINVAL: null where the version has no
 * null, a string over 32767 bytes, or a value other than the default in a field that the version
 * lacks and that may not be ignored. On failure `out` is as it was.
 */
int message_encode(const struct message_desc *desc, int16_t version, const void *msg,
                   struct bytebuf *out);

/*
 * Records left out of an encoded message, to be sent from where they are. What goes on the wire is
 * bytes [0, parts[0].at) of `out`, the payload of part 0, bytes [parts[0].at, parts[1].at), and so
 * on, with the rest of `out` at the end. Parts come in the order of the records fields.
 */
struct encode_part {
    size_t at;                  /* place in `out` */
    struct bytes payload;       /* data NULL: external, the caller knows where it is */
    const struct bytes *source; /* the field in the message, to find out which one it is */
};

struct encode_parts {
    struct encode_part *items;
    size_t count, capacity;
    int64_t payload_bytes; /* of all parts */
};

void encode_parts_init(struct encode_parts *parts);
void encode_parts_release(struct encode_parts *parts);

/*
 * As message_encode, but records stay out of line: all that are external (a records field with data
 * NULL and len > 0, such as the range of a segment) and all that are large enough to be worth a
 * part of their own. New parts are added behind those that are there.
 */
int message_encode_parts(const struct message_desc *desc, int16_t version, const void *msg,
                         struct bytebuf *out, struct encode_parts *parts);

static inline bool message_has_version(const struct message_desc *desc, int16_t version)
{
    return version >= desc->min_version && version <= desc->max_version;
}

/* NULL when there is no such API, record or type. */
const struct api *api_find(int16_t key);
const struct message_desc *metadata_record_find(int16_t key);
const struct coordinator_record *group_record_find(int16_t type);
const struct coordinator_record *share_record_find(int16_t type);
const struct coordinator_record *transaction_record_find(int16_t type);

#endif
