/*
 * Descriptors of messages, made by generate.py from schema/ *.ksc: which fields a struct has, in
 * which versions, and where they stand in the C struct. The codec and the JSON conversion interpret
 * them; everybody else only passes `&NAME_desc` on. All constant; any thread.
 *
 * A C struct has the fields in the order of the schema, then the tagged ones. A string is a struct
 * str, bytes and records a struct bytes (len -1: null), an array a pointer followed by
 * `<field>_count` (-1: null), a struct that may be null a pointer. Where that is not null by
 * default it points to a constant: set the pointer, do not write through it.
 */
#ifndef KRAFTD_PROTOCOL_SCHEMA_H
#define KRAFTD_PROTOCOL_SCHEMA_H

#include "common/base/str.h"
#include "common/base/uuid.h"
#include "common/protocol/schema_keys.h" /* generated: enum api_key and the like */

#include <stdbool.h>
#include <stdint.h>

enum field_type {
    FIELD_BOOL = 1,
    FIELD_INT8,
    FIELD_INT16,
    FIELD_UINT16,
    FIELD_INT32,
    FIELD_UINT32,
    FIELD_INT64,
    FIELD_FLOAT64,
    FIELD_UUID,
    FIELD_STRING,
    FIELD_BYTES,
    FIELD_RECORDS,
    FIELD_STRUCT,
    FIELD_STRUCT_PTR, /* may be null: a pointer in the C struct */
    FIELD_ARRAY,
};

enum {
    FIELD_IGNORABLE = 1,      /* may be dropped where the version lacks it */
    FIELD_NEVER_FLEXIBLE = 2, /* the old encoding in flexible versions too */
    FIELD_TAGGED = 4,
};

struct field_desc {
    uint16_t offset;
    uint8_t type;    /* enum field_type */
    uint8_t element; /* of an array */
    uint8_t flags;
    uint8_t min_version, max_version;
    uint8_t nullable_from, nullable_to; /* from > to: never null */
    const struct struct_desc *sub;      /* of a struct, or of an array's elements */
    const char *name;                   /* Kafka's */
};

#define NO_UNKNOWN_TAGS UINT16_MAX

struct struct_desc {
    const char *name;
    const struct field_desc *fields; /* in wire order, then the tagged ones: tag is the place */
    const uint8_t *schema_order;     /* places in `fields` by order of the schema */
    const void *initial;             /* size_bytes with all defaults */
    uint16_t size_bytes;
    uint8_t field_count;  /* without tag */
    uint8_t tagged_count; /* behind them */
    uint16_t tags_offset; /* tagged fields fill the struct from here on, then unknown tags */
    uint16_t unknown_tags_offset;
    uint16_t min_wire_bytes; /* what one takes at least in any version; never 0 */
};

#define NO_FLEXIBLE_VERSION INT16_MAX

struct message_desc {
    const char *name;
    const struct struct_desc *body;
    int16_t min_version, max_version;
    int16_t flexible_from;
};

/* A tagged field that the schema does not know, kept so that it can be sent on. */
struct unknown_tag {
    struct unknown_tag *next;
    uint32_t tag;
    struct bytes data;
};

enum {
    API_ON_BROKER = 1,
    API_ON_CONTROLLER = 2,
};

struct api {
    const char *name; /* NULL: no such API */
    const struct message_desc *request, *response;
    int16_t key;
    uint8_t listeners; /* API_ON_* */
    bool latest_version_unstable;
};

struct coordinator_record {
    const struct message_desc *key, *value; /* NULL: no such type */
};

/* Indexed by key, with holes; api_find and the like in codec.h are easier. */
extern const struct api api_table[];
extern const int api_table_size;
extern const struct message_desc *const metadata_record_table[];
extern const int metadata_record_table_size;
extern const struct coordinator_record group_record_table[];
extern const int group_record_table_size;
extern const struct coordinator_record share_record_table[];
extern const int share_record_table_size;
extern const struct coordinator_record transaction_record_table[];
extern const int transaction_record_table_size;

#endif
