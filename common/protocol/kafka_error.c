#include "common/protocol/kafka_error.h"

#include "common/base/check.h"

struct error_info {
    const char *name;
    const char *message;
    bool retriable;
};

/* Indexed by code - KAFKA_ERROR_FIRST; the generator guarantees that no code is left out. */
static const struct error_info errors[] = {
#define KAFKA_ERROR_ENTRY(name, retriable, message) {#name, message, retriable},
#include "common/protocol/kafka_error_table.h"
#undef KAFKA_ERROR_ENTRY
};

_Static_assert(ARRAY_LEN(errors) == KAFKA_ERROR_LAST - KAFKA_ERROR_FIRST + 1, "one entry per code");

static const struct error_info *info_of(int16_t code)
{
    return &errors[kafka_error_of(code) - KAFKA_ERROR_FIRST];
}

enum kafka_error kafka_error_of(int16_t code)
{
    if (code < KAFKA_ERROR_FIRST || code > KAFKA_ERROR_LAST)
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    return (enum kafka_error)code;
}

const char *kafka_error_name(int16_t code)
{
    return info_of(code)->name;
}

const char *kafka_error_message(int16_t code)
{
    return info_of(code)->message;
}

bool kafka_error_retriable(int16_t code)
{
    return info_of(code)->retriable;
}

bool kafka_error_find(struct str name, enum kafka_error *ret_error)
{
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        if (str_eq_z(name, errors[i].name)) {
            *ret_error = (enum kafka_error)(KAFKA_ERROR_FIRST + (int)i);
            return true;
        }
    }
    return false;
}
