/*
 * Lines of text to records, as Kafka's line reader for the console producer takes them apart:
 *
 *   [headers <headers.delimiter>] [key <key.separator>] value
 *   headers: key <headers.key.separator> value, with <headers.separator> between them
 *
 * A key, value or header value that is the null marker is null. Bytes go through as they are. Pure.
 */
#ifndef KRAFTD_TOOLS_LINE_RECORD_H
#define KRAFTD_TOOLS_LINE_RECORD_H

#include "common/base/arena.h"
#include "common/base/properties.h"
#include "common/protocol/record_iter.h"
#include "tools/failure.h"

struct line_format {
    bool parse_key, parse_headers;
    bool ignore_error; /* a line that lacks something is all value */
    struct str key_separator, headers_delimiter, headers_separator, headers_key_separator;
    struct str null_marker; /* null: none */
};

/* From the reader's properties, which must outlive it. */
bool line_format_read(const struct properties *properties, struct line_format *ret_format,
                      struct failure *failure);

struct line_record {
    struct bytes key, value;
    struct record_header *headers; /* in the arena; the bytes are the line's */
    size_t header_count;
};

/* line_number is for the sentence of an error. */
bool line_record_parse(const struct line_format *format, struct str line, int64_t line_number,
                       struct arena *arena, struct line_record *ret_record,
                       struct failure *failure);

#endif
