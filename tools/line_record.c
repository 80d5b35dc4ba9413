#include "tools/line_record.h"

#include "common/base/check.h"

static struct str get(const struct properties *properties, const char *key, struct str fallback)
{
    struct str value = properties_get(properties, str_of(key));
    return str_is_null(value) ? fallback : value;
}

static bool get_flag(const struct properties *properties, const char *key)
{
    struct str value = str_trim(get(properties, key, STR_EMPTY));
    return str_eq_nocase(value, STR("true"));
}

struct named {
    const char *name;
    struct str value;
};

static bool differ(const struct named *a, const struct named *b, struct failure *failure)
{
    return !str_eq(a->value, b->value) ||
           failure_set(failure, KAFKA_ERROR_INVALID_CONFIG, "%s and %s may not be equal", a->name,
                       b->name);
}

static bool check(const struct line_format *format, struct failure *failure)
{
    const struct named marker = {"null.marker", format->null_marker},
                       key = {"key.separator", format->key_separator};
    const struct named headers[] = {{"headers.delimiter", format->headers_delimiter},
                                    {"headers.separator", format->headers_separator},
                                    {"headers.key.separator", format->headers_key_separator}};
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        for (size_t k = i + 1; k < ARRAY_LEN(headers); k++)
            if (!differ(&headers[i], &headers[k], failure))
                return false;
    if (str_is_null(format->null_marker))
        return true;
    if (!differ(&marker, &key, failure))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        if (!differ(&marker, &headers[i], failure))
            return false;
    return true;
}

bool line_format_read(const struct properties *properties, struct line_format *ret_format,
                      struct failure *failure)
{
    struct line_format format = {
        .parse_key = get_flag(properties, "parse.key"),
        .parse_headers = get_flag(properties, "parse.headers"),
        .ignore_error = get_flag(properties, "ignore.error"),
        .key_separator = get(properties, "key.separator", STR("\t")),
        .headers_delimiter = get(properties, "headers.delimiter", STR("\t")),
        .headers_separator = get(properties, "headers.separator", STR(",")),
        .headers_key_separator = get(properties, "headers.key.separator", STR(":")),
        .null_marker = get(properties, "null.marker", STR_NULL),
    };
    if (!check(&format, failure))
        return false;
    *ret_format = format;
    return true;
}

/* Everything in front of the first `mark` into *ret_head, and *rest goes on behind it. */
static bool cut(struct str *rest, struct str mark, struct str *ret_head)
{
    const char *at = rest->data;
    if (mark.len > 0 && rest->len > 0)
        at = memmem(rest->data, (size_t)rest->len, mark.data, (size_t)mark.len);
    else if (mark.len > 0)
        at = NULL;
    if (at == NULL)
        return false;
    *ret_head = str_from(rest->data, (size_t)(at - rest->data));
    *rest = str_from(at + mark.len, (size_t)(rest->len - ret_head->len - mark.len));
    return true;
}

static struct bytes value_of(const struct line_format *format, struct str text)
{
    if (!str_is_null(format->null_marker) && str_eq(text, format->null_marker))
        return BYTES_NULL;
    return (struct bytes){(const uint8_t *)text.data, text.len};
}

static bool parse_header(const struct line_format *format, struct str pair, int64_t line_number,
                         struct record_header *ret_header, struct failure *failure)
{
    struct str value = pair, key;
    if (!cut(&value, format->headers_key_separator, &key)) {
        *ret_header = (struct record_header){pair, BYTES_NULL};
        return format->ignore_error ||
               failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "No header key separator found in pair '%.*s' on line number %lld",
                           STR_FMT(pair), (long long)line_number);
    }
    if (!str_is_null(format->null_marker) && str_eq(key, format->null_marker))
        return failure_set(
            failure, KAFKA_ERROR_INVALID_REQUEST,
            "Header keys should not be equal to the null marker '%.*s' as they can't be null",
            STR_FMT(key));
    *ret_header = (struct record_header){key, value_of(format, value)};
    return true;
}

static bool parse_headers(const struct line_format *format, struct str text, int64_t line_number,
                          struct arena *arena, struct line_record *record, struct failure *failure)
{
    size_t count = 1;
    struct str rest = text, pair;
    while (cut(&rest, format->headers_separator, &pair) && format->headers_separator.len > 0)
        count++;
    record->headers = ARENA_ARRAY(arena, struct record_header, count);
    rest = text;
    for (size_t i = 0; i < count; i++) {
        if (i + 1 == count)
            pair = rest;
        else
            CHECK(cut(&rest, format->headers_separator, &pair));
        /* A separator at the end separates nothing. */
        if (pair.len == 0 && i > 0 && rest.len == 0)
            break;
        if (!parse_header(format, pair, line_number, &record->headers[i], failure))
            return false;
        record->header_count++;
    }
    return true;
}

static bool missing(const struct line_format *format, const char *what, struct str line,
                    int64_t line_number, struct failure *failure)
{
    return format->ignore_error || failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                                               "No %s found on line number %lld: '%.*s'", what,
                                               (long long)line_number, STR_FMT(line));
}

bool line_record_parse(const struct line_format *format, struct str line, int64_t line_number,
                       struct arena *arena, struct line_record *ret_record, struct failure *failure)
{
    struct line_record record = {.key = BYTES_NULL};
    struct str rest = line, headers = STR_NULL, key;
    if (format->parse_headers && !cut(&rest, format->headers_delimiter, &headers) &&
        !missing(format, "headers delimiter", line, line_number, failure))
        return false;
    if (format->parse_key) {
        if (cut(&rest, format->key_separator, &key))
            record.key = value_of(format, key);
        else if (!missing(format, "key separator", line, line_number, failure))
            return false;
    }
    record.value = value_of(format, rest);
    if (!str_is_null(headers) &&
        (str_is_null(format->null_marker) || !str_eq(headers, format->null_marker)) &&
        !parse_headers(format, headers, line_number, arena, &record, failure))
        return false;
    *ret_record = record;
    return true;
}
