#include "tools/uuid_text.h"

#include <ctype.h>

bool uuid_text_parse(struct str text, struct uuid *ret_uuid, struct failure *failure)
{
    if (uuid_parse(text, ret_uuid) == 0)
        return true;
    if (text.len > 24)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Input string with prefix `%.24s` is too long to be decoded as a base64 "
                           "UUID",
                           text.data);
    struct str rest = text;
    while (str_ends_with(rest, STR("=")))
        rest.len--;
    for (int32_t i = 0; i < rest.len; i++)
        if (!isalnum((unsigned char)rest.data[i]) && rest.data[i] != '-' && rest.data[i] != '_')
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Illegal base64 character %x",
                               (unsigned char)rest.data[i]);
    return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                       "Input string `%.*s` decoded as %d bytes, which is not equal to the "
                       "expected 16 bytes of a base64-encoded UUID",
                       STR_FMT(text), rest.len * 3 / 4);
}
