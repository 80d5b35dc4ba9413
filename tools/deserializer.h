/*
 * Keys, values and headers as text, by the names of Kafka's deserializer classes. Pure.
 */
#ifndef KRAFTD_TOOLS_DESERIALIZER_H
#define KRAFTD_TOOLS_DESERIALIZER_H

#include "common/base/buf.h"
#include "tools/failure.h"

enum deserializer {
    DESERIALIZER_BYTES, /* as they are */
    DESERIALIZER_STRING,
    DESERIALIZER_LONG,
    DESERIALIZER_INTEGER,
    DESERIALIZER_SHORT,
    DESERIALIZER_DOUBLE,
    DESERIALIZER_FLOAT,
    DESERIALIZER_BOOLEAN,
    DESERIALIZER_UUID,
    DESERIALIZER_VOID,
};

/* False: there is no such class. */
bool deserializer_find(struct str class_name, enum deserializer *ret_deserializer);
/* Appends the text of data, which is not null. "Size of data received by LongDeserializer is not
 * 8". */
bool deserializer_append(enum deserializer deserializer, struct bytes data, struct bytebuf *out,
                         struct failure *failure);

#endif
