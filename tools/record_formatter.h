/*
 * Records as the console consumer prints them, by the names and properties of Kafka's formatter
 * classes: lines with the parts that are asked for, nothing at all, or the records of Kafka's own
 * topics as JSON. One thread.
 */
#ifndef KRAFTD_TOOLS_RECORD_FORMATTER_H
#define KRAFTD_TOOLS_RECORD_FORMATTER_H

#include "common/base/buf.h"
#include "common/base/properties.h"
#include "tools/deserializer.h"
#include "tools/fetch_client.h"

enum record_formatter_kind {
    FORMATTER_DEFAULT,
    FORMATTER_LOGGING, /* the same; Kafka's also writes to its log */
    FORMATTER_NONE,
    FORMATTER_OFFSETS,        /* offset commits in __consumer_offsets */
    FORMATTER_GROUP_METADATA, /* groups in __consumer_offsets */
    FORMATTER_TRANSACTIONS,   /* __transaction_state */
    FORMATTER_SHARE_GROUPS,   /* __share_group_state */
};

struct record_formatter {
    enum record_formatter_kind kind;
    bool timestamp, partition, offset, delivery, epoch, headers, key, value;
    struct str key_separator, line_separator, headers_separator, null_literal;
    /* By field; headers share one. Not set: the bytes as they are. */
    enum deserializer key_deserializer, value_deserializer, headers_deserializer;
};

/* False: there is no such class. */
bool record_formatter_find(struct str class_name, enum record_formatter_kind *ret_kind);
/* The properties must outlive it. A deserializer that does not exist is warned of and left out. */
void record_formatter_init(struct record_formatter *formatter, enum record_formatter_kind kind,
                           const struct properties *properties);
/* Appends the record's text. */
bool record_formatter_append(const struct record_formatter *formatter,
                             const struct fetched_record *record, struct bytebuf *out,
                             struct failure *failure);

#endif
