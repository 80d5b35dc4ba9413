/*
 * Messages to and from JSON text, for tools and tests. Two styles:
 *
 * MESSAGE_JSON_WIRE: names as in the schemas ("TopicName"), bytes and records in lower-case hex,
 * unknown tagged fields as "_unknownTags": {"<tag>": "<hex>"}.
 *
 * MESSAGE_JSON_KAFKA: what Kafka's own tools and its request log print: names begin with a small
 * letter, bytes in base64, only the size of records ("recordsSizeInBytes"), no unknown tags,
 * float64 in Java's form (1000.0, 5.0E8).
 *
 * In both, a field that the version lacks is absent, a tagged field with its default too; null is
 * null, uuids are 22 characters. Bytes of a string that are not UTF-8 become U+FFFD. No state; any
 * thread.
 */
#ifndef KRAFTD_PROTOCOL_MESSAGE_JSON_H
#define KRAFTD_PROTOCOL_MESSAGE_JSON_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/protocol/schema.h"

#include <jansson.h>

enum message_json_style { MESSAGE_JSON_WIRE, MESSAGE_JSON_KAFKA };

/* Appends one line without its end. The version must exist. */
void message_to_json(const struct message_desc *desc, int16_t version, const void *msg,
                     enum message_json_style style, struct bytebuf *out);

/* A double as Java prints it: 1000.0, 5.0E8; in quotes where it is no number. */
void java_double_append(struct bytebuf *out, double v);

/* {"type":"TOPIC_RECORD","version":0,"data":{...}}, as kafka-dump-log prints a metadata record. */
void record_to_json(const struct message_desc *desc, int16_t version, const void *msg,
                    struct bytebuf *out);

/*
 * -EPROTONOSUPPORT: no such version; -EINVAL: a field is missing, unknown or of the wrong kind, and
 * *ret_problem (in the arena) says which. Only tagged fields may be left out. What the message
 * points to is in the arena. Records have no JSON form in MESSAGE_JSON_KAFKA.
 */
int message_from_json(const struct message_desc *desc, int16_t version, const json_t *json,
                      enum message_json_style style, struct arena *arena, void *ret_msg,
                      struct str *ret_problem);

#endif
