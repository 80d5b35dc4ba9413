/*
 * What the parts of the codec and the JSON conversion share. Internal to this folder.
 */
#ifndef KRAFTD_PROTOCOL_CODEC_INTERNAL_H
#define KRAFTD_PROTOCOL_CODEC_INTERNAL_H

#include "common/protocol/schema.h"

#include <stddef.h>

/* How an array lies in a C struct: the pointer, its `_count` behind it. */
struct array {
    void *items;
    int32_t count; /* -1: null */
};

static inline bool field_in_version(const struct field_desc *field, int16_t version)
{
    return version >= field->min_version && version <= field->max_version;
}

static inline bool field_nullable_in(const struct field_desc *field, int16_t version)
{
    return version >= field->nullable_from && version <= field->nullable_to;
}

/* Bytes of one element of an array field in memory. */
size_t element_size(const struct field_desc *field);

/* Whether the field of the struct at `msg` has its default, unknown tags included. */
bool field_is_default(const struct struct_desc *desc, const struct field_desc *field,
                      const void *msg);
bool struct_is_default(const struct struct_desc *desc, const void *msg);

#endif
